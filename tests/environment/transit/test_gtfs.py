"""Feeds: what is read, what is repaired, and what is refused with which words."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from citytwin.environment.transit.gtfs import read_gtfs
from citytwin.environment.transit.raptor import arrivals, walks_to_stops
from citytwin.environment.transit.timetable import RouteType, TransitError

DATA = Path(os.environ.get("CITYTWIN_DATA", ""))
PORTO_ALEGRE = DATA / "porto_alegre_access"
HEIDELBERG = DATA / "heidelberg_mobility" / "vrn_gtfs_cut.zip"

FEED = {
    "stops.txt": """stop_id,stop_name,stop_lat,stop_lon
a,Airport,52.00,10.00
b,"Bridge, north",52.00,10.01
c,Centre,52.00,10.03
d,Depot,52.01,10.03""",
    "routes.txt": """route_id,route_short_name,route_long_name,route_type
one,1,Line One,3
two,,Tramway,0""",
    "trips.txt": """route_id,service_id,trip_id
one,week,early
one,week,late
two,sunday,sundays
one,night,owl""",
    "stop_times.txt": """trip_id,arrival_time,departure_time,stop_id,stop_sequence
early,08:00:00,08:00:00,a,1
early,,,b,5
early,08:10:00,08:11:00,c,9
early,8:20:00,,d,12
late,09:20:00,09:20:00,d,12
late,09:00:00,09:01:00,a,1
late,09:10:00,09:10:00,c,9
sundays,10:00:00,10:00:00,c,1
sundays,10:05:00,10:05:00,d,2
owl,23:50:00,23:50:00,a,1
owl,24:20:00,24:21:00,c,2
owl,25:00:00,25:00:00,d,3""",
    "calendar.txt": """service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date
week,1,1,1,1,1,0,0,20240101,20240630
night,0,0,0,0,1,0,0,20240101,20240630""",
    "calendar_dates.txt": """service_id,date,exception_type
week,20240501,2
sunday,20240505,1
sunday,20240501,1""",
}


@pytest.fixture
def feed(tmp_path):
    """Return a function that packs the feed with some files changed, added, or left out (None)."""

    def pack(name="feed.zip", **files):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, text in (FEED | {f"{key}.txt": text for key, text in files.items()}).items():
                if text is not None:
                    archive.writestr(file, text if isinstance(text, bytes) else text.encode())
        return path

    return pack


def calls_of(timetable, trip):
    row = timetable.trip_id.index(trip)
    pattern = timetable.trip_pattern[row]
    stops = timetable.stop[timetable.first[pattern] : timetable.first[pattern + 1]]
    arrival, departure = timetable.times(row)
    return [timetable.stop_id[s] for s in stops], arrival.tolist(), departure.tolist()


def test_a_day_is_read(feed):
    table = read_gtfs(feed(), "2024-05-02")  # a Thursday
    assert sorted(table.trip_id) == ["early", "late"]
    assert (table.route_id, table.route_name) == (["one", "two"], ["1", "Tramway"])
    assert table.route_type.tolist() == [RouteType.BUS, RouteType.TRAM]
    assert sorted(table.stop_name) == ["Airport", "Bridge, north", "Centre", "Depot"]
    assert calls_of(table, "late") == (["a", "c", "d"], [32_400.0, 33_000.0, 33_600.0], [32_460.0, 33_000.0, 33_600.0])
    # b is a third of the way from a to c along the line of latitude
    assert calls_of(table, "early") == (
        ["a", "b", "c", "d"],
        [28_800.0, 29_000.0, 29_400.0, 30_000.0],
        [28_800.0, 29_000.0, 29_460.0, 30_000.0],
    )
    assert table.report["calls whose times were interpolated"] == 1
    assert table.crs == "EPSG:32632"
    a, c = table.stop_id.index("a"), table.stop_id.index("c")
    # 0.03 degrees of longitude at 52 degrees north are 2,059 m on the ellipsoid
    assert np.hypot(table.stop_x[a] - table.stop_x[c], table.stop_y[a] - table.stop_y[c]) == pytest.approx(2_059, abs=3)
    assert table.stop_types[a].nonzero()[0].tolist() == [RouteType.BUS]


def test_exceptions_of_the_calendar_hold(feed):
    assert read_gtfs(feed(), "2024-05-01").trip_id == ["sundays"]  # a Wednesday without the week's service
    assert "sundays" in read_gtfs(feed(), "2024-05-05").trip_id


def test_a_calendar_of_single_days_is_enough(feed):
    path = feed(calendar=None, calendar_dates=FEED["calendar_dates.txt"] + "\nweek,20240506,1\nnight,20240506,1")
    assert sorted(read_gtfs(path, "2024-05-06").trip_id) == ["early", "late", "owl"]
    with pytest.raises(TransitError, match="2024-05-07 is outside the feed's validity, 2024-05-01 … 2024-05-06"):
        read_gtfs(path, "2024-05-07")


def test_what_runs_past_midnight_belongs_to_both_days(feed):
    friday = read_gtfs(feed(), "2024-05-03")
    assert calls_of(friday, "owl")[1] == [85_800.0, 87_600.0, 90_000.0]
    with pytest.raises(TransitError, match="no service runs on Saturday 2024-05-04"):
        read_gtfs(feed(), "2024-05-04")
    both = FEED["calendar.txt"].replace("night,0,0,0,0,1,0,0", "night,0,0,0,0,1,1,0")
    saturday = read_gtfs(feed(calendar=both), "2024-05-04")
    assert calls_of(saturday, "owl")[1] == [85_800.0, 87_600.0, 90_000.0]
    assert calls_of(saturday, "owl@-1")[1] == [-600.0, 1_200.0, 3_600.0]
    waiting = walks_to_stops(saturday, saturday.stop_x[[2]], saturday.stop_y[[2]], 100.0)
    assert saturday.stop_id[2] == "d"
    centre = walks_to_stops(saturday, saturday.stop_x[[1]], saturday.stop_y[[1]], 100.0)
    assert saturday.stop_id[1] == "c"
    assert arrivals(saturday, centre, 600.0)[0, 0, 2] == 3_600.0
    assert np.isinf(arrivals(saturday, waiting, 600.0)[0, 0, 1])


def test_trips_repeated_at_a_headway_run_all_day(feed):
    table = read_gtfs(
        feed(
            frequencies="trip_id,start_time,end_time,headway_secs\nearly,06:00:00,07:00:00,1200\nearly,23:50:00,24:10:00,600"
        ),
        "2024-05-02",
    )
    starts = sorted(calls_of(table, name)[1][0] for name in table.trip_id if name.startswith("early#"))
    assert starts == [21_600.0, 22_800.0, 24_000.0, 85_800.0, 86_400.0]
    assert "early" not in table.trip_id
    assert calls_of(table, "early#1")[1] == [22_800.0, 23_000.0, 23_400.0, 24_000.0]


def test_a_feed_may_have_nothing_but_headways(feed):
    only = "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
    only += "early,00:00:00,00:00:00,a,1\nearly,,,b,2\nearly,00:09:00,00:09:00,c,3\n"
    trips = "route_id,service_id,trip_id\none,week,early"
    table = read_gtfs(
        feed(
            stop_times=only,
            trips=trips,
            frequencies="trip_id,start_time,end_time,headway_secs\nearly,6:00:00,9:00:00,600",
        ),
        "2024-05-02",
    )
    assert table.trips == 18
    assert table.patterns == 1
    assert calls_of(table, "early#17")[1] == [31_800.0, 31_980.0, 32_340.0]


def test_feeds_are_put_side_by_side(feed):
    tram = FEED["routes.txt"].replace(",3", ",900")
    table = read_gtfs([feed("bus.zip"), feed("tram.zip", routes=tram)], "2024-05-02")
    assert sorted(table.trip_id) == ["bus:early", "bus:late", "tram:early", "tram:late"]
    assert table.stops == 8
    assert table.route_type.tolist() == [RouteType.BUS, RouteType.TRAM, RouteType.TRAM, RouteType.TRAM]
    assert table.capacity[table.trip_id.index("tram:late")] > table.capacity[table.trip_id.index("bus:late")]


def test_transfers_are_walks(feed):
    text = "from_stop_id,to_stop_id,transfer_type,min_transfer_time\na,b,2,90\na,c,3,\nb,b,2,60\nc,d,0,\n"
    table = read_gtfs(feed(transfers=text), "2024-05-02")
    a, b, c, d = (table.stop_id.index(name) for name in "abcd")
    assert table.change[[a, b, c, d]].tolist() == [0.0, 60.0, 0.0, 0.0]
    walking = table.with_walks(metres=10_000.0, speed=1.0, detour=1.0)
    seconds = {
        (s, int(walking.walk_stop[n])): float(walking.walk_seconds[n])
        for s in range(4)
        for n in range(walking.walk_first[s], walking.walk_first[s + 1])
    }
    assert seconds[a, b] == 90.0
    assert seconds[a, c] == np.inf  # said to be impossible, however near
    assert seconds[c, d] == pytest.approx(
        np.hypot(*(np.diff([table.stop_x[[c, d]], table.stop_y[[c, d]]], axis=1).ravel()))
    )
    assert len(seconds) == 12


def test_only_what_lies_within_the_city_is_kept(feed):
    whole = read_gtfs(feed(), "2024-05-07")
    west, east = np.sort(whole.stop_x)[[0, 1]]
    cut = read_gtfs(feed(), "2024-05-07", whole.crs, (west - 1, 0.0, east + 1, 1e8))
    assert sorted(cut.stop_id) == ["a", "b"]
    assert cut.trip_id == ["early"]
    assert cut.report["trips with fewer than two calls left out"] == 1


BROKEN = [
    (
        {"stop_times": FEED["stop_times.txt"].replace(",c,9", ",x,9", 1)},
        "stop_times.txt, line 4: trip 'early': stop_id 'x' is",
    ),
    (
        {"stop_times": FEED["stop_times.txt"].replace("late,09:20", "lat,09:20")},
        "line 6: trip_id 'lat' is not in trips",
    ),
    (
        {"trips": FEED["trips.txt"].replace("two,s", "three,s")},
        "trips.txt, line 4: trip 'sundays': route_id 'three' is not",
    ),
    ({"trips": FEED["trips.txt"].replace("one,night", "one,moon")}, "line 5: trip 'owl': service_id 'moon' is in no"),
    ({"trips": FEED["trips.txt"] + "\none,week,early"}, "line 6: trip_id 'early' stands twice"),
    ({"stops": FEED["stops.txt"] + "\na,Again,52,10"}, "stops.txt, line 6: stop_id 'a' stands twice"),
    (
        {"stops": FEED["stops.txt"].replace("52.01", "152.01")},
        "stops.txt, line 5: stop 'd': longitude 10.03, latitude 152.01",
    ),
    ({"stops": FEED["stops.txt"].replace("52.01,10.03", ",")}, "line 5: trip 'early': stop 'd' has no coordinates"),
    (
        {"routes": FEED["routes.txt"].replace(",0", ",99")},
        "routes.txt, line 3: route 'two': route_type 99; allowed are 0",
    ),
    ({"stop_times": FEED["stop_times.txt"].replace("8:20:00", "8.20")}, "line 5: time '8.20'; write it as 08:05:00"),
    ({"stop_times": FEED["stop_times.txt"].replace("8:20:00", "8:09:00")}, "line 5: trip 'early': times run backwards"),
    (
        {"stop_times": FEED["stop_times.txt"].replace("8:20:00", "")},
        "line 5: trip 'early': the first and the last stop",
    ),
    ({"stop_times": FEED["stop_times.txt"].replace("b,5", "b,9")}, "trip 'early': stop_sequence 9 stands twice"),
    (
        {"stop_times": FEED["stop_times.txt"].replace("stop_id", "stop")},
        "line 1: column 'stop_id' is missing; there are: trip",
    ),
    (
        {"calendar": FEED["calendar.txt"].replace("20240101", "2024-01-01")},
        "calendar.txt, line 2: date '2024-01-01'; write",
    ),
    ({"calendar_dates": FEED["calendar_dates.txt"] + "\nweek,20240502,3"}, "line 5: exception_type '3'; allowed are 1"),
    ({"calendar": None, "calendar_dates": None}, "calendar.txt and calendar_dates.txt are missing"),
    ({"trips": None}, "trips.txt is missing; a GTFS feed must have it"),
    (
        {"frequencies": "trip_id,start_time,end_time,headway_secs\nearly,06:00:00,07:00:00,0"},
        "line 2: trip 'early': every 0 s",
    ),
    (
        {"frequencies": "trip_id,start_time,end_time,headway_secs\nmoon,06:00:00,07:00:00,9"},
        "line 2: trip_id 'moon' is not",
    ),
    (
        {"transfers": "from_stop_id,to_stop_id,transfer_type\na,x,2"},
        "transfers.txt, line 2: to_stop_id 'x' is not in stops",
    ),
    (
        {"frequencies": "trip_id,start_time,end_time,headway_secs\n" + "early,00:00:00,99:00:00,1\n" * 3},
        "frequencies.txt, line 4: more than 1,000,000 departures; is headway_secs in seconds?",
    ),
    (
        {"stop_times": FEED["stop_times.txt"].replace("stop_id", "trip_id", 1)},
        "stop_times.txt, line 1: column 'trip_id' is there more than once",
    ),
    ({"stop_times": FEED["stop_times.txt"].replace("8:20:00", "100:20:00")}, "line 5: time '100:20:00'; write it"),
    ({"routes": FEED["routes.txt"] + "\n" + "x" * (1 << 20)}, "routes.txt: a line is longer than 1,048,576 characters"),
    ({"routes": FEED["routes.txt"] + '\n"' + "x" * 200_000}, "routes.txt, line 4: field larger than field limit"),
    ({"stops": FEED["stops.txt"].encode() + b"\n\xff,X,52,10"}, "stops.txt, line"),
]


def test_a_feed_of_another_city_is_refused(feed):
    with pytest.raises(
        TransitError, match=r"no stop lies within the city, \(0, 0\) to \(9, 9\) in EPSG:25832; stops are around"
    ):
        read_gtfs(feed(), "2024-05-02", crs="EPSG:25832", within=(0.0, 0.0, 9.0, 9.0))


@pytest.mark.parametrize(("files", "words"), BROKEN, ids=[words[:40] for _, words in BROKEN])
def test_a_broken_feed_is_told_by_file_line_and_name(feed, files, words):
    path = feed(**files)
    with pytest.raises(TransitError) as error:
        read_gtfs(path, "2024-05-02")
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_a_day_outside_the_validity_is_told_with_it(feed):
    with pytest.raises(TransitError, match="2024-07-01 is outside the feed's validity, 2024-01-01 … 2024-06-30"):
        read_gtfs(feed(), "2024-07-01")
    with pytest.raises(TransitError, match=r"'1\.7\.2024': not a day; write it as 2019-05-14"):
        read_gtfs(feed(), "1.7.2024")


def test_what_is_no_feed_is_refused(tmp_path, feed):
    with pytest.raises(TransitError, match="there is no such file"):
        read_gtfs(tmp_path / "none.zip", "2024-05-02")
    (tmp_path / "text.zip").write_text("stops")
    with pytest.raises(TransitError, match="cannot be read as a zip archive"):
        read_gtfs(tmp_path / "text.zip", "2024-05-02")
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        for name, text in FEED.items():
            archive.writestr(f"gtfs/{name}", text)
    with pytest.raises(TransitError, match=r"it is at gtfs/stops\.txt: pack the files without a folder"):
        read_gtfs(tmp_path / "deep.zip", "2024-05-02")
    with pytest.raises(TransitError, match="'EPSG:4326' is not projected"):
        read_gtfs(feed(), "2024-05-02", "EPSG:4326")
    with pytest.raises(TransitError, match="no GTFS feed given"):
        read_gtfs([], "2024-05-02")


@pytest.mark.skipif(not PORTO_ALEGRE.is_dir(), reason="CITYTWIN_DATA names no folder with porto_alegre_access")
def test_porto_alegre_is_read_whole():
    bus, train = PORTO_ALEGRE / "poa_eptc.zip", PORTO_ALEGRE / "poa_trensurb.zip"
    table = read_gtfs([bus, train], "2019-05-14")
    # the feeds hold 130,019 calls of 2,374 trips on working days, and 529 of 1,248 trips on them, on a Tuesday
    assert table.trips == 2_374 + 529
    assert table.report["calls whose times were interpolated"] == 125_271
    assert table.stops == 3_986 + 24
    kinds = {table.route_type[r] for r in table.pattern_route}
    assert kinds == {RouteType.BUS, RouteType.RAIL}
    assert table.crs == "EPSG:32722"
    sunday = read_gtfs([train], "2019-05-12")
    assert sunday.trips == 303
    with pytest.raises(TransitError, match=r"poa_eptc.zip: 2019-12-31 is outside .* 2019-04-15 … 2019-07-15"):
        read_gtfs([bus, train], "2019-12-31")
    assert read_gtfs(train, "2019-12-31").trips == 529


@pytest.mark.skipif(not HEIDELBERG.is_file(), reason="CITYTWIN_DATA names no folder with heidelberg_mobility")
def test_heidelberg_is_read():
    table = read_gtfs(HEIDELBERG, "2022-09-14")
    kinds = {RouteType(table.route_type[r]) for r in table.pattern_route}
    assert kinds <= {RouteType.TRAM, RouteType.BUS}
    assert table.trips > 100
    # trams and buses of a city: 10 to 60 km/h between the ends of a trip as the crow flies along its stops
    first = table.trip_time_first
    for trip in range(0, table.trips, 25):
        stops = table.stop[table.first[table.trip_pattern[trip]] : table.first[table.trip_pattern[trip] + 1]]
        metres = np.hypot(np.diff(table.stop_x[stops]), np.diff(table.stop_y[stops])).sum()
        seconds = table.arrival[first[trip + 1] - 1] - table.departure[first[trip]]
        assert 8 / 3.6 < metres / seconds < 60 / 3.6

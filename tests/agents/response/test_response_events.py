"""Files of real events: what is read, what is refused with its line, what is left out and counted."""

from datetime import date

import geopandas
import numpy as np
import pytest
from cities import CRS, SIDE, SOUTH, WEST, tiny_city
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pyproj import Transformer

from citytwin.agents.response.events import SHOWN_OF_A_COLUMN, EventSettings, read_events
from citytwin.agents.response.scenes import CallError, zone_names

KINDS = ["illness", "building fire", "traffic accident"]
START = date(2026, 1, 5)
EAST, NORTH = WEST + 300.0, SOUTH + 400.0


@pytest.fixture(scope="module")
def city():
    return tiny_city(6)


@pytest.fixture
def read(city, tmp_path):
    """Return what is read from lines of a CSV file, under keys of its settings."""

    def of(lines, *, days=7, start=START, **keys):
        path = tmp_path / "events.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        given = {"file": str(path), "time": "time", "x": "x", "y": "y"} | keys
        if "kind_column" not in given:
            given.setdefault("kind", "illness")
        return read_events(EventSettings.model_validate(given), city, KINDS, start, days)

    return of


def row(time, *more, x=EAST, y=NORTH):
    return ",".join(map(str, (time, x, y, *more)))


def test_times_places_kinds_priorities_and_units_are_read(read):
    events = read(
        [
            "time,x,y,what,level,sent",
            row("2026-01-06 00:10", "house on fire", "high", "2"),
            row("2026-01-05T10:30:05", "illness", "1", "1", x=WEST, y=SOUTH),
            row("2026-01-05 09:00", "cat in tree", "high", "1"),
        ],
        kind_column="what",
        kinds={"house on fire": "building fire"},
        ignore=["cat in tree"],
        priority_column="level",
        priorities={"high": 0},
        units_column="sent",
    )
    assert events.second.tolist() == [10.5 * 3600 + 5, 86_400 + 600]
    assert events.kind.tolist() == [0, 1]
    assert events.priority.tolist() == [1, 0]
    assert events.units.tolist() == [1, 2]
    assert events.x.tolist() == [WEST, EAST]
    assert events.row.tolist() == [1, 0]
    assert events.report == {"ignored": 1, "outside the clock": 0}
    assert [events.of_day(day)[0].tolist() for day in range(3)] == [[0], [1], []]


def test_columns_make_a_time_together_and_degrees_a_place(read):
    degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(EAST, NORTH)
    lon, lat = (str(value).replace(".", ",") for value in degrees)  # as some offices write numbers
    events = read(
        ["year,month,day,hour,x,y", f'2026,1,05,07,"{lon}","{lat}"'],
        time=["year", "month", "day", "hour"],
        time_format="%Y %m %d %H",
        spread="1 h",
        crs="EPSG:4326",
    )
    assert events.second.tolist() == [7 * 3600]
    assert events.spread == 3600
    assert (events.x[0], events.y[0]) == pytest.approx((EAST, NORTH), abs=1e-3)


def test_of_rows_of_one_case_the_first_good_one_counts(read):
    lines = [
        "time,x,y,case",
        row("nonsense", "A"),
        row("2026-01-05 01:00", "A"),
        row("2026-01-05 02:00", "A"),
        row("2026-01-05 03:00", ""),
        row("2026-01-05 04:00", ""),
    ]
    events = read(lines, case_column="case", bad="skip")
    assert (events.second / 3600).tolist() == [1, 3, 4]
    assert events.report == {"bad": 1, "of a case before": 1, "outside the clock": 0}


def test_days_are_those_of_the_dates_or_begin_where_told(read):
    lines = ["time,x,y", row("2019-03-04 06:00"), row("2019-03-05 06:00"), row("2019-03-08 06:00")]
    with pytest.raises(
        CallError, match=r"no event falls on the 7 days from 2026-01-05 on; the file has those of 2019-03-04"
    ):
        read(lines)
    events = read(lines, **{"from": date(2019, 3, 5)})
    assert (events.second / 3600).tolist() == [6, 78]
    assert events.report["outside the clock"] == 1
    assert len(read(lines, days=2, **{"from": date(2019, 3, 5)})) == 1
    again = read(lines, days=2, repeat=True, **{"from": date(2019, 3, 5)})
    assert again.round_days == 4
    assert [again.of_day(day)[0].tolist() for day in range(9)] == [[0], [], [], [1], [0], [], [], [1], [0]]
    assert [again.of_day(day)[1] for day in (3, 4, 8)] == [0, 1, 2]


def test_all_that_is_wrong_is_told_at_once_with_its_line(read):
    lines = [
        "time,x,y,what,level,sent",
        row("2026-01-05 01:00", "illness", "1", "1"),
        row("2026-02-30 01:00", "illness", "1", "1"),
        row("2026-01-05 01:00", "illness", "1", "1", x="nan"),
        row("2026-01-05 01:00", "illness", "1", "1", y="far away"),
        row("2026-01-05 01:00", "illness", "1", "1", x=WEST + SIDE + 5000),
        row("2026-01-05 01:00", "plague", "1", "1"),
        row("2026-01-05 01:00", "illness", "11", "1"),
        row("2026-01-05 01:00", "illness", "1", "-2"),
        "2026-01-05 01:00,3",
        row("now", "illness", "1", "1"),
    ]
    keys = {"kind_column": "what", "priority_column": "level", "units_column": "sent"}
    with pytest.raises(CallError) as caught:
        read(lines, **keys)
    told = str(caught.value).splitlines()
    assert len(told) == 9
    for line, wanted in [
        (11, "time: 'now' is no time of the form 2026-01-31 18:05"),
        (3, "time: '2026-02-30 01:00' is no time of the form 2026-01-31 18:05"),
        (4, "x: 'nan' is no coordinate"),
        (5, "y: 'far away' is no coordinate"),
        (6, "outside the city, which is 430000 … 431000 east"),
        (
            7,
            "what: 'plague' has no kind; add it to kinds or ignore, which have: illness, building fire, traffic accident",
        ),
        (8, "level: '11' is no priority; allowed: 0 to 7"),
        (9, "sent: '-2' is no number of units; allowed: 1 to 50"),
        (10, "has 2 values, the first line names 6 columns"),
    ]:
        assert any(f"events.csv:{line}: " in text and wanted in text for text in told), (line, told)
    events = read(lines, bad="skip", **keys)
    assert len(events) == 1
    assert events.report["bad"] == 9


def test_many_problems_are_listed_in_part(read):
    lines = ["time,x,y", *(row("never") for _ in range(50))]
    with pytest.raises(CallError) as caught:
        read(lines)
    told = str(caught.value).splitlines()
    assert len(told) == SHOWN_OF_A_COLUMN + 1
    assert told[-1] == f"… and {50 - SHOWN_OF_A_COLUMN} more"


@pytest.mark.parametrize(
    ("lines", "keys", "message"),
    [
        (["a,b", "1,2"], {}, "no column 'time'; there are: a, b"),
        ([""], {}, "no column 'time'; there are: none"),
        (["time,x,y,x"], {}, "two columns are called 'x'"),
        (["time,x,y"], {"kind": "plague"}, "'plague' is no kind of incident; there are: illness"),
        (["time,x,y"], {"kind_column": "x", "kinds": {"a": "plague"}}, "'plague' is no kind of incident"),
        (["time,x,y"], {"x": None, "y": None}, "give x and y, the columns with coordinates"),
        (["time,x,y", '"2026'], {}, "unexpected end of data"),
    ],
)
def test_files_that_do_not_fit_are_refused(read, lines, keys, message):
    with pytest.raises(CallError, match=message):
        read(lines, **keys)


def test_a_missing_file_is_named(city, tmp_path):
    for name in ("none.csv", "none.gpkg"):
        settings = EventSettings(file=str(tmp_path / name), time="time", x="x", y="y", kind="illness")
        with pytest.raises(CallError, match=f"{name}: cannot be read"):
            read_events(settings, city, KINDS, START, 7)
    broken = tmp_path / "broken.gpkg"
    broken.write_bytes(b"nothing")
    settings = EventSettings(file=str(broken), time="time", kind="illness")
    with pytest.raises(CallError, match=r"broken\.gpkg: cannot be read as a table"):
        read_events(settings, city, KINDS, START, 7)


@pytest.mark.parametrize("suffix", ["gpkg", "parquet"])
def test_points_of_other_files_are_read(city, tmp_path, suffix):
    path = tmp_path / f"events.{suffix}"
    times = np.array(["2026-01-05T02:00", "2026-01-06T03:00"], "datetime64[ms]")
    table = geopandas.GeoDataFrame(
        {"time": times, "priority": [2, 0]}, geometry=geopandas.points_from_xy([EAST, WEST], [NORTH, SOUTH]), crs=CRS
    ).to_crs("EPSG:4326")
    table.to_parquet(path) if suffix == "parquet" else table.to_file(path)
    settings = EventSettings(file=str(path), time="time", kind="building fire", priority_column="priority")
    # the corner of the city moves by a hair there and back
    city_bounds = city.info.bounds
    city.info.bounds = (city_bounds[0] - 1, city_bounds[1] - 1, *city_bounds[2:])
    try:
        events = read_events(settings, city, KINDS, START, 7)
    finally:
        city.info.bounds = city_bounds
    assert (events.second / 3600).tolist() == [2, 27]
    assert events.x == pytest.approx([EAST, WEST], abs=1e-3)
    assert events.priority.tolist() == [2, 0]
    assert events.kind.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "give either kind, for all events, or kind_column"),
        ({"kind": "a", "kind_column": "b"}, "give either kind"),
        ({"kind": "a", "y": None}, "give both x and y"),
        ({"kind": "a", "crs": "EPSG:0"}, "'EPSG:0' is no CRS"),
        ({"kind": "a", "spread": "25 h"}, "less than or equal to 86400"),
        ({"kind": "a", "bad": "ignore"}, "'refuse' or 'skip'"),
        ({"kind": "a", "priorities": {"high": -1}}, "greater than or equal to 0"),
        ({"kind": "a", "time": []}, "at least 1 item"),
        ({"kind": "a", "from": "soon"}, "valid date"),
        ({"kind": "a", "time_format": "%Y %q"}, "'%Y %q' is no form of a time"),
        ({"kind": "a", "time_format": "%H:%M %z"}, "has a time zone"),
    ],
)
def test_settings_that_make_no_sense_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        EventSettings.model_validate({"file": "events.csv", "time": "time", "x": "x", "y": "y"} | keys)


TEXTS = st.sampled_from(
    [
        "2026-01-05 01:00",
        "2026-01-05T01:00+02:00",
        "2026-01-05T01:00Z",
        "9999-12-31",
        "0001-01-01",
        "-1",
        "1e400",
        "nan",
        "inf",
        "430300",
        "4580400,5",
        "",
        " ",
        "\x00",
        "é",
        '"',
        "illness",
        "2026-01",
        "25:00",
        "now",
        "today",
        "NaT",
        "None",
    ]
) | st.text(max_size=6)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(TEXTS, min_size=3, max_size=6), max_size=4), st.sampled_from(["refuse", "skip"]), st.booleans()
)
def test_whatever_a_file_holds_it_is_read_or_refused_by_name(city, tmp_path, cells, bad, repeat):
    path = tmp_path / "fuzz.csv"
    lines = ["time,x,y,what,level,sent", *(",".join(row) for row in cells)]
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    told = EventSettings(
        file=str(path),
        time="time",
        x="x",
        y="y",
        kind_column="what",
        priority_column="level",
        units_column="sent",
        bad=bad,
        repeat=repeat,
    )
    try:
        events = read_events(told, city, KINDS, START, 7)
    except CallError as error:
        assert "fuzz.csv" in str(error)
        return
    assert ((events.second >= 0) & (events.second < 7 * 86_400)).all() or repeat
    assert (events.kind < len(KINDS)).all()
    west, south, east, north = city.info.bounds
    assert ((events.x >= west) & (events.x <= east) & (events.y >= south) & (events.y <= north)).all()


def test_times_with_zones_are_those_of_their_clocks(read):
    zones = ("2026-01-05T01:00+02:00", "2026-01-05 02:00 +0100", "2026-01-05T03:00:00Z", "2026-01-05T04")
    assert (read(["time,x,y", *map(row, zones)]).second / 3600).tolist() == [1, 2, 3, 4]


def test_events_by_zone_are_at_homes_of_the_zone(city, read):
    names = zone_names(city)
    name, number = next(iter(names.items()))
    lines = ["time,where", *(f"2026-01-05 {hour:02d}:00,{name}" for hour in range(24))]
    keys = {"x": None, "y": None, "zone_column": "where"}
    events = read(lines, **keys)
    homes = np.flatnonzero(city.places.zone[: city.homes] == number)
    at = {(x, y) for x, y in zip(city.places.x[homes], city.places.y[homes], strict=True)}
    assert {(x, y) for x, y in zip(events.x, events.y, strict=True)} <= at
    again = read(lines, **keys)
    assert np.array_equal(events.x, again.x)
    with pytest.raises(CallError, match=r"events\.csv:2: where: 'Atlantis' is no zone of the city; there are: "):
        read(["time,where", "2026-01-05 00:00,Atlantis"], **keys)
    with pytest.raises(ValidationError, match="either x and y or zone_column"):
        read(lines, zone_column="where")


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_file_with_other_signs_between_its_columns_says_that_commas_are_wanted(tmp_path, sign, name):
    path = tmp_path / "events.csv"
    path.write_text(sign.join(("when", "east", "north")) + f"\n2026-01-05 10:00{sign}4,5{sign}5,1\n")
    settings = EventSettings(file=str(path), time="when", x="east", y="north", kind="illness")
    with pytest.raises(CallError, match=rf"events\.csv:1: its columns are parted by {name}; commas are wanted"):
        read_events(settings, None, ["illness"], date(2026, 1, 5), 1)

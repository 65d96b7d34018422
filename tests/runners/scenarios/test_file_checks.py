"""Files that processes name are opened by citytwin check, and by a sweep before its first run."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from cities import SOUTH, WEST, tiny_city
from response_towns import copy_of
from sumo_files import net

from citytwin.environment.city import City

HEAD = """name = "town"
[city]
{city}
[clock]
start = 2026-01-05
days = 10
"""
BUNDLE, INVENTED = 'bundle = "town.city"', "synthetic.people = 1_000"
EVENTS = """[response]
services = ["ambulance"]
[[response.events]]
file = "events.csv"
time = "time"
x = "x"
y = "y"
kind = "illness"
"""
TRAFFIC = """[traffic]
matrices = [{ file = "od.csv" }]
trip_tables = ["trips.csv"]
sumo_routes = ["cars.rou.xml"]
transit = ["feed.zip"]
"""
INSIDE = f"{WEST + 300},{SOUTH + 300}"


@pytest.fixture
def check(call):
    """Check a scenario beside a town; return the lines of what was told, and the exit code."""

    def checked(text, *, city=INVENTED, command=("check", "town.toml")):
        if city == BUNDLE and not Path("town.city").exists():
            tiny_city(60).save(Path("town.city"))
        Path("town.toml").write_text(HEAD.format(city=city) + text)
        answer = call(*command)
        return answer.code, answer.err.splitlines()

    return checked


def line_of(word):
    """Return the number of the line of the scenario with a word."""
    return 1 + next(number for number, line in enumerate(Path("town.toml").read_text().splitlines()) if word in line)


def write_feed(first, last, *, stops="s,Here,41.38,2.17\nt,There,41.39,2.18\n"):
    files = {
        "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\n" + stops,
        "routes.txt": "route_id,route_short_name,route_type\nr,1,3\n",
        "trips.txt": "route_id,service_id,trip_id\nr,all,one\n",
        "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "one,08:00:00,08:00:00,s,1\none,08:10:00,08:10:00,t,2\n",
        "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
        f"all,1,1,1,1,1,1,1,{first},{last}\n",
    }
    with zipfile.ZipFile("feed.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


# ---------------------------------------------------------------------- events


def test_events_are_told_with_their_lines(check):
    rows = [f"2026-01-05 10:00,{INSIDE}", f"-500,{INSIDE}", "2026-01-06 10:00,0,0", f"yesterday,{INSIDE}"]
    Path("events.csv").write_text("\n".join(["time,x,y", *rows]))
    code, told = check(EVENTS, city=BUNDLE)
    start = f"town.toml:{line_of('events.csv')}: response.events[0].file: {Path('events.csv').resolve()}"
    assert code == 2 and len(told) == 3
    assert any(
        line.startswith(f"{start}:3: time: '-500' is negative; a time has the form 2026-01-31 18:05") for line in told
    )
    assert any(line.startswith(f"{start}:4: x/y: the event is at 0, 0, outside the city") for line in told)
    assert any(line.startswith(f"{start}:5: time: 'yesterday' is no time") for line in told)
    code, told = check(EVENTS)
    assert code == 2 and len(told) == 2  # where an invented city will lie is not known yet


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there is no event in it, so nothing would happen"),
        ([f"2031-01-05 10:00,{INSIDE}"], "no event falls on the 10 days from 2026-01-05 on"),
    ],
)
def test_a_file_of_which_nothing_would_happen_is_refused(check, rows, message):
    Path("events.csv").write_text("\n".join(["time,x,y", *rows]))
    for city in (BUNDLE, INVENTED):
        code, told = check(EVENTS, city=city)
        assert code == 2 and len(told) == 1 and message in told[0]


def test_good_files_pass(check):
    Path("events.csv").write_text(f"time,x,y\n2026-01-05 10:00,{INSIDE}\n")
    for city in (BUNDLE, INVENTED):
        assert check(EVENTS, city=city) == (0, [])


def test_a_sweep_stops_before_its_first_run(check):
    Path("events.csv").write_text(f"time,x,y\n-500,{INSIDE}\n")
    file = '{ file = "events.csv", time = "time", x = "x", y = "y", kind = "injury" }'
    axis = f'[sweep.parameters]\n"response.events" = [[], [{file}]]\n'
    for text in (EVENTS, '[response]\nservices = ["ambulance"]\nevents = []\n' + axis):
        code, told = check(text, city=BUNDLE, command=("sweep", "town.toml", "--out", "results", "--workers", 1))
        assert code == 2 and "events.csv:2: time: '-500' is negative" in "\n".join(told)
        assert not Path("results", "sweep.json").exists()


def test_what_only_the_city_can_tell_is_told_where_the_city_is_there(check):
    text = """[response]
services = ["ambulance"]
[response.kinds.illness]
zones = { "Atlantis" = 2.0 }
[response.departments]
specialties = { "Saint Nowhere" = ["stroke"] }
[response.fleet.ambulance]
units = 2
stations = [{ name = "Off", longitude = 5.9, latitude = 52.5 }]
"""
    code, told = check(text, city=BUNDLE)
    assert code == 2 and len(told) == 3
    for key, message in (
        ("fleet.ambulance", "station 'Off' at"),
        ("departments.specialties", "the city has no hospital 'Saint Nowhere'"),
        ("kinds.illness.zones", "the city has no zone 'Atlantis'"),
    ):
        line = line_of(f"[response.{key}]" if key == "fleet.ambulance" else key.rpartition(".")[2] + " =")
        assert any(one.startswith(f"town.toml:{line}: response.{key}: {message}") for one in told), told
    assert check(text, city=INVENTED) == (0, [])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "[response.dispatch]\nhold_out = 2\n[response.fleet.ambulance]\nunits = 2",
            "dispatch.hold_out: 2 units are kept",
        ),
        (
            '[response.dispatch]\nmove_up = "compliance"\ncompliance = [["X"]]',
            "dispatch.compliance: there is no station",
        ),
        ('[response.kinds.illness]\nunits.ambulance.skills = ["surgery"]', "kinds.illness.units.ambulance.skills: no"),
        ("[response.fleet.ambulance]\ncrews = 0", "fleet.ambulance.crews: 1 units are on duty"),
    ],
)
def test_fleets_and_rules_are_checked_in_the_city(check, more, message):
    code, told = check('[response]\nservices = ["ambulance"]\n' + more, city=BUNDLE)
    assert code == 2 and len(told) == 1 and f": response.{message}" in told[0]


def test_a_hospital_off_the_streets_is_told(check):
    city = tiny_city(60)
    x = np.array(city.sites.x)
    x[6] += 20_000.0
    copy_of(city, sites={"x": x}).save(Path("town.city"))
    code, told = check("[response]\n", city=BUNDLE)
    assert code == 2 and told[0].startswith(f"town.toml:{line_of('[response]')}: response: hospital 0 (site 6) at")


# ---------------------------------------------------------------------- traffic


def test_files_of_traffic_are_told_all_at_once(check):
    Path("od.csv").write_text("origin,destination,trips\n0,1,many\n")
    Path("trips.csv").write_text("depart,origin,destination\n7:30,0,1\nlate,0,-1\n")
    Path("cars.rou.xml").write_text('<routes>\n<flow id="f" begin="0" end="9" number="3"/>\n</routes>')
    Path("feed.zip").write_bytes(b"no archive")
    for city in (BUNDLE, INVENTED):
        code, told = check(TRAFFIC, city=city)
        assert code == 2 and len(told) == 5, told
        for key, words in (
            ("matrices", "od.csv:2: 0 → 1: trips is 'many', must be a number"),
            ("trip_tables", "trips.csv:3: depart is 'late'"),
            ("trip_tables", "trips.csv:3: destination is '-1'"),
            ("sumo_routes", "cars.rou.xml:2: <flow> is not read"),
            ("transit", "feed.zip: cannot be read as a zip archive"),
        ):
            start = f"town.toml:{line_of(key)}: traffic.{key}[0]"
            assert any(line.startswith(start) and words in line for line in told), (words, told)


def test_a_bundle_shows_what_does_not_fit_it(check):
    Path("od.csv").write_text("origin,destination,trips\n0,Atlantis,5\n")
    Path("trips.csv").write_text("depart,origin,destination\n7:30,0,100000\n")
    Path("cars.rou.xml").write_text('<routes><vehicle id="v" depart="0"><route edges="a"/></vehicle></routes>')
    write_feed(20260101, 20261231)
    code, told = check(TRAFFIC.replace('"od.csv"', '"od.csv", zone_name = "zone"'))
    assert (code, told) == (0, [])
    code, told = check(TRAFFIC.replace('"od.csv"', '"od.csv", zone_name = "zone"'), city=BUNDLE)
    assert code == 2
    assert any("no column 'zone'" in line or "'Atlantis'" in line for line in told)
    assert any("trips.csv:2: destination is '100000', the network has nodes 0 … " in line for line in told)
    assert any("traffic.sumo_routes: the streets are no edges of SUMO" in line for line in told)


def test_a_matrix_of_unknown_zones_and_routes_on_unknown_streets(check):
    Path("od.csv").write_text("origin,destination,trips\nAtlantis,Thule,5\n")
    zones = tiny_city(60)
    name = next(column for column in zones.layer("zones").columns if column != "geometry")
    code, told = check(f'[traffic]\nmatrices = [{{ file = "od.csv", zone_name = "{name}" }}]\n', city=BUNDLE)
    assert code == 2 and "2 zones have trips but no nodes in the network: 'Atlantis', 'Thule'" in told[0]
    net(folder=Path())
    City.from_sumo("town.net.xml").save(Path("streets.city"))
    Path("cars.rou.xml").write_text('<routes>\n<vehicle id="v" depart="0"><route edges="a z"/></vehicle></routes>')
    code, told = check('[traffic]\nsumo_routes = ["cars.rou.xml"]\n', city='bundle = "streets.city"')
    assert code == 2 and "cars.rou.xml:2: vehicle 'v' drives on edge 'z', which the network does not hold" in told[0]


@pytest.mark.parametrize("last", [20260114, 20260113])
def test_feeds_hold_from_the_first_day_to_the_last(check, last):
    write_feed(20260101, last)
    code, told = check('[traffic]\ntransit = ["feed.zip"]\n')
    if last == 20260114:
        assert (code, told) == (0, [])
    else:
        assert code == 2 and "feed.zip: 2026-01-14 is outside the feed's validity, 2026-01-01 … 2026-01-13" in told[0]


def test_a_day_on_which_nobody_moves_is_refused(check):
    code, told = check("[traffic]\nresidents = false\n")
    assert (
        code == 2
        and f"town.toml:{line_of('residents')}: traffic.residents: residents make no trips and none" in told[0]
    )
    assert check("[traffic]\nresidents = false\ngates = {}\n")[0] == 0


# ---------------------------------------------------------------------- what only the city can tell

STATION = f"""[response]
services = ["ambulance"]
[response.fleet.ambulance]
units = 3
stations = [{{ name = "Mid", x = {WEST + 300}, y = {SOUTH + 300} }}]
"""


def test_a_compliance_table_for_more_units_than_there_are_is_named_with_its_line(check):
    tables = """[response.dispatch]
move_up = "compliance"
[[response.dispatch.compliance]]
hold = [["Mid"]]
[[response.dispatch.compliance]]
on_duty = {most}
hold = [["Mid"]]
"""
    assert check(STATION + tables.format(most=3), city=BUNDLE) == (0, [])
    code, (told,) = check(STATION + tables.format(most=4), city=BUNDLE)
    assert code == 2 and "the service ambulance never has more than 3" in told
    assert told.startswith(f"town.toml:{line_of('on_duty')}: response.dispatch.compliance[1].on_duty: ")


def test_what_a_city_says_of_a_swept_value_names_the_line_of_the_value(check):
    swept = '[sweep.parameters]\n"response.dispatch.hold_out" = [\n0,\n9,  # too many\n]\n'
    code, (told,) = check(STATION + swept, city=BUNDLE)
    assert code == 2 and told.startswith(f"town.toml:{line_of('too many')}: response.dispatch.hold_out: 9 units")
    Path("points.csv").write_text("response.dispatch.hold_out\n0\n1\n9\n")
    code, (told,) = check(STATION + '[sweep]\ndesign = "list"\nfile = "points.csv"\n', city=BUNDLE)
    assert code == 2 and told.startswith("points.csv:4: response.dispatch.hold_out: 9 units")

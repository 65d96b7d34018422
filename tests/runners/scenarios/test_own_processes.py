"""A process of another package calls for help: the guide's, installed by its entry point."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from installed import install

from citytwin.agents.emergencies import Emergency
from citytwin.agents.extensions import extensions
from citytwin.agents.response.kinds import SERVICES
from citytwin.agents.response.scenes import CallError
from citytwin.agents.response.tasks import Outcome
from citytwin.runners.model import CityModel
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario

GUIDE = (Path(__file__).parents[3] / "docs" / "response.md").read_text(encoding="utf-8")
SECTION = GUIDE.partition("## Calls from your own process\n")[2].partition("\n## ")[0]
(CODE,) = re.findall(r"^```python\n(.*?)^```", SECTION, re.S | re.M)
PACKAGE, USE = re.findall(r"^```toml\n(.*?)^```", SECTION, re.S | re.M)
TOWN = """
name = "town"
seed = 4
[city]
synthetic = { people = 3_000, seed = 2 }
[clock]
days = 2
[response]
calls = 0
departments.bays_per_100_000 = 0
[response.fleet.fire]
units = 5
[response.fleet.ambulance]
units = 3
[response.fleet.police]
units = 3
[output]
tables = ["incidents"]
"""


@pytest.fixture
def surge(tmp_path, monkeypatch):
    """The guide's package, installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    points = tomllib.loads(PACKAGE)["project"]["entry-points"]["citytwin.processes"]
    ((name, value),) = points.items()
    module, _, what = value.partition(":")
    install(folder, monkeypatch, {name: what}, module=module, text=CODE, group="citytwin.processes")
    yield
    extensions.cache_clear()


@pytest.mark.usefixtures("surge")
def test_flooded_and_collapsed_buildings_have_whom_their_kinds_ask_for_come(call):
    Path("town.toml").write_text(TOWN + USE)
    done = call("run", "town.toml", "--out", "results")
    assert done.code == 0, done.err
    results = Results(Path("results"))
    table = results.table("incidents")
    assert set(table["cause"]) == {"surge"}
    assert table["outcome"].isin([Outcome.TREATED, Outcome.TRANSPORTED]).all() and np.isfinite(table["arrived"]).all()
    city = CityModel(Scenario.from_text(TOWN)).city
    lowest = np.argsort(city.places.y[: city.homes], kind="stable")

    table["service"] = table["service"].map({int(number): name for name, number in SERVICES.items()})
    houses = table[table["kind"] == "flooded house"]
    assert houses.groupby("incident")["service"].apply(sorted).tolist() == [["fire", "police"]] * 20
    engines = houses[houses["service"] == "fire"].sort_values("called")
    assert engines["called"].tolist() == [6 * 3600 + 60 * number for number in range(20)]
    assert engines["x"].to_numpy() == pytest.approx(city.places.x[lowest[:20]])
    assert engines["y"].to_numpy() == pytest.approx(city.places.y[lowest[:20]])
    assert engines["unit"].nunique() > 1

    ruin = table[table["kind"] == "collapsed building"]
    assert ruin["incident"].nunique() == 1 and (ruin["called"] == 7 * 3600).all()
    of = {name: ruin[ruin["service"] == name] for name in SERVICES}
    assert len(of["fire"]) == 3 and of["fire"]["unit"].nunique() == 3  # several engines at one place
    assert len(of["police"]) == 2 and of["police"]["unit"].nunique() == 2
    assert len(of["ambulance"]) >= 1
    assert of["ambulance"]["began"].min() >= of["fire"]["done"].max()  # rescued first
    assert results.info["context"]["own"]["surge"]["class"] == "my_surge:Surge"


@pytest.mark.usefixtures("surge")
def test_a_second_day_and_a_kind_of_ones_own():
    text = (
        TOWN + '[surge]\nday = 1\nflooded = 3\ncollapsed = 0\n[response.kinds."flooded house"]\nunits.fire.number = 2\n'
    )
    model = CityModel(Scenario.from_text(text))
    tables = model.run()
    incidents = tables["incidents"]
    assert len(incidents["called"]) == 6 and (incidents["called"] >= 86_400 + 6 * 3600).all()
    quiet = CityModel(Scenario.from_text(TOWN)).run()
    assert len(quiet["incidents"]["called"]) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "plague"}, "somebody asks for help of the kind 'plague'; there are: illness"),
        ({"place": 10**9}, r"a flooded house is at place 1000000000; the city has 0 … \d+, and −1 is for none"),
        ({"place": -2}, "a flooded house is at place -2"),
        ({"person": 3_000, "place": -1}, "a flooded house is at person 3000; the city has 0 … 2999"),
        ({"place": -1}, "has neither place nor point nor person"),
        ({"second": -5.0}, "has second -5.0 and severity 0.5"),
        ({"severity": 2.0}, "severity is from 0 to 1"),
        ({"severity": float("nan")}, "severity is from 0 to 1"),
    ],
)
def test_what_nobody_could_come_to_is_refused(wrong, message):
    model = CityModel(Scenario.from_text(TOWN))
    told = {"second": 60.0, "kind": "flooded house", "cause": "somebody", "place": 0} | wrong
    model.emergencies.post(Emergency(**told))
    with pytest.raises(CallError, match=message):
        model.step()


def test_a_cause_is_a_process_and_no_case():
    model = CityModel(Scenario.from_text(TOWN))
    for number in range(300):
        model.emergencies.post(Emergency(60.0, "flooded house", f"house {number}", place=0))
    with pytest.raises(CallError, match="emergencies have more than 256 causes; name the process, not the case"):
        model.step()

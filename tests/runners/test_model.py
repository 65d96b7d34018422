"""The city model: steps, seeds, copies, Mesa's ways of using a model, and processes of others."""

import copy
import datetime
import gc
import pickle
import weakref
from pathlib import Path
from typing import Any, ClassVar

import mesa
import numpy as np
import pytest
from pydantic import BaseModel

from citytwin.agents import extensions
from citytwin.agents.citizens import Citizen
from citytwin.agents.process import Process
from citytwin.agents.rows import Column
from citytwin.environment.city import City
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios import processes
from citytwin.runners.scenarios.scenario import Scenario


def equal(one: dict, other: dict) -> bool:
    """Return whether two runs have the same tables, to the bit."""
    return one.keys() == other.keys() and all(
        one[table].keys() == other[table].keys()
        and all(one[table][name].tobytes() == other[table][name].tobytes() for name in one[table])
        for table in one
    )


def test_the_clock(tiny: Scenario, town: City) -> None:
    model = CityModel(tiny, town)
    assert (model.day, model.date, model.time, model.running) == (0, datetime.date(2026, 1, 5), 0, True)
    model.step()
    assert (model.day, model.date, model.time, model.steps) == (1, datetime.date(2026, 1, 6), 1, 1)
    model.run()
    assert (model.day, model.running) == (25, False)
    with pytest.raises(RuntimeError, match="the clock has ended after 25 days"):
        model.step()


def test_everybody_is_counted_every_day(tiny: Scenario, town: City) -> None:
    tables = CityModel(tiny, town).run()
    series = tables["series"]
    whole = sum(series[name] for name in ("susceptible", "exposed", "infectious", "recovered"))
    assert np.all(whole == len(town.people))
    assert np.array_equal(series["day"], np.arange(25))
    assert series["date"][24] == np.datetime64("2026-01-29")
    assert np.array_equal(np.cumsum(series["new_infections"]), series["cumulative_infections"])
    assert tables["summary"]["infections"] == series["new_infections"].sum() > 15
    assert tables["summary"]["people"] == len(town.people)


def test_citizens_are_the_people_of_the_city(tiny: Scenario, town: City) -> None:
    model = CityModel(tiny, town)
    assert len(model.citizens) == len(town.people)
    assert np.array_equal(model.citizens.column("age"), town.people.age)
    assert np.array_equal(model.citizens.column("compliance"), model.presence.compliance)
    assert model.authority in model.agents
    model.run()
    sick = model.citizens.select(where=lambda c: c.health > 0)
    assert len(sick) == model.outputs()["summary"]["infections"][0]


def test_policies_act_when_they_say(tiny: Scenario, town: City) -> None:
    tables = CityModel(tiny, town).run()
    in_force = tables["series"]["policy.schools closed"]
    assert np.array_equal(np.flatnonzero(in_force), np.arange(8, 20))
    assert tables["summary"]["days_in_force.schools closed"] == 12
    working = tables["series"]["policy.work less"]
    assert tables["summary"]["days_in_force.work less"] == working.sum() > 0


def test_only_the_seed_decides(tiny: Scenario, town: City) -> None:
    first = CityModel(tiny, town, seed=7).run()
    assert equal(first, CityModel(tiny, town, seed=7, threads=2).run())
    assert equal(first, CityModel(tiny, town, rng=7).run())
    assert equal(first, CityModel(tiny.with_parameters({"seed": 7}), town).run())
    assert not equal(first, CityModel(tiny, town, seed=8).run())
    assert CityModel(tiny, town).seed_number == 3


@pytest.mark.parametrize("seed", [-1, True, 1.5, "x", 2**63])
def test_a_seed_that_is_no_whole_number_is_refused(tiny: Scenario, town: City, seed: Any) -> None:
    with pytest.raises(ValueError, match=r"a whole number from 0 to 2\^63 − 1 is wanted"):
        CityModel(tiny, town, seed=seed)


def test_tables_are_written_where_they_are_asked_for(tiny: Scenario, town: City) -> None:
    assert set(CityModel(tiny, town).run()) == {"summary", "series"}
    asked = tiny.with_parameters({"output.tables": ["infections"], "output.by_zone": True})
    tables = CityModel(asked, town).run()
    assert set(tables) == {"summary", "series", "zone_series", "infections"}
    assert len(tables["infections"]["person"]) == tables["summary"]["infections"][0]
    zones = len(town.zones)
    by_day = tables["zone_series"]["new_infections"].reshape(25, zones).sum(axis=1)
    assert np.array_equal(by_day, tables["series"]["new_infections"])
    assert np.array_equal(tables["zone_series"]["zone"][:zones], np.arange(zones))


BUSY = """\
name = "a busy town"
[city]
synthetic.people = 1_000
[clock]
days = 40
[hospitals]
beds_per_1000 = 20.0
icu_per_1000 = 8.0
occupied = 0.5
[epidemic]
disease = "covid"
r0 = 6.0
initial_infections = 40
[[policy]]
name = "schools closed"
close = ["school"]
from = 7
until = 14
[[policy]]
name = "beds are short"
reduce = { leisure = 0.5 }
when = "hospital_occupancy >= 0.5"
[[policy]]
name = "tests"
from = 3
test = { symptomatic = 0.5, random = 0.02 }
isolate = {}
[output]
by_age = true
by_zone = true
tables = ["hospital_series", "cells", "infections"]
"""


@pytest.fixture(scope="module")
def busy(town: City) -> tuple[CityModel, dict]:
    """A run with everything on, in which all are as ill as people over 80."""
    old = dict(town.people) | {"age": np.full(len(town.people), 85, np.uint8)}
    tables = ("households", "places", "sites", "buildings", "zones", "nodes", "links")
    city = City(town.info, {name: dict(getattr(town, name)) for name in tables} | {"people": old}, town.schedules)
    model = CityModel(Scenario.from_text(BUSY), city)
    return model, model.run()


def test_beds_fill_and_are_counted_by_hospital(busy: tuple[CityModel, dict]) -> None:
    model, tables = busy
    hospitals, series = tables["hospital_series"], tables["series"]
    assert len(hospitals["day"]) == 40  # one hospital
    assert set(hospitals["beds"]) == {6}  # half of 20 per 1,000 of 600 people
    assert hospitals["patients"].max() == 6
    assert (hospitals["icu_patients"] <= hospitals["icu_beds"]).all()
    assert np.array_equal(hospitals["patients"] + hospitals["icu_patients"], series["hospital_patients"])
    assert np.array_equal(hospitals["turned_away"], series["turned_away"])
    summary = {name: value[0] for name, value in tables["summary"].items()}
    assert summary["peak_hospital_patients"] == series["hospital_patients"].max()
    assert summary["turned_away"] == series["turned_away"].sum() > 0
    assert summary["admissions"] == series["admissions"].sum() >= 6
    in_force = series["policy.beds are short"]
    assert np.array_equal(in_force, hospitals["patients"] >= 3) or in_force.any()
    lie = model.citizens.column("hospital") >= 0
    assert lie.sum() == series["hospital_patients"][-1]
    assert np.array_equal(lie, model.citizens.column("bed") > 0)


def test_short_beds_cost_lives(busy: tuple[CityModel, dict]) -> None:
    model, tables = busy
    enough = Scenario.from_text(BUSY.replace("20.0", "900.0").replace("8.0", "900.0"))
    without = CityModel(enough, model.city).run()
    assert without["series"]["turned_away"].sum() == 0
    assert tables["summary"]["deaths"][0] > without["summary"]["deaths"][0] > 0


def test_figures_by_age_and_cell_add_up(busy: tuple[CityModel, dict]) -> None:
    model, tables = busy
    by_age, series, cells = tables["age_series"], tables["series"], tables["cells"]
    assert by_age["age_from"][:9].tolist() == list(range(0, 90, 10))
    table = by_age["new_infections"].reshape(40, 9)
    assert np.array_equal(table.sum(axis=1), series["new_infections"])
    assert not table[:, :8].any()  # everybody is 85
    assert np.array_equal(by_age["new_deaths"].reshape(40, 9).sum(axis=1), series["new_deaths"])
    assert cells["residents"].sum() == len(model.city.people)
    assert cells["infections"].sum() == series["new_infections"].sum() == len(tables["infections"]["person"])
    assert cells["deaths"].sum() == series["new_deaths"].sum() > 0
    assert np.array_equal(tables["zone_series"]["new_deaths"].reshape(40, -1).sum(axis=1), series["new_deaths"])


def test_lost_days_and_tests_are_added_up(busy: tuple[CityModel, dict]) -> None:
    _, tables = busy
    series, summary = tables["series"], tables["summary"]
    for name in ("lost_school_days", "lost_work_days", "tests", "positives"):
        assert summary[name][0] == series[name].sum() > 0
    assert summary["isolated_days"][0] == series["isolated"].sum() > 0
    closed = series["policy.schools closed"] == 1
    weekday = series["day"] % 7 < 5
    assert series["lost_school_days"][closed & weekday].min() > series["lost_school_days"][~closed].max()


class Careful(Citizen):
    """Somebody who stays at home when ill."""

    def stays_home_when_ill(self) -> bool:
        """Stay."""
        return True


def test_people_who_stay_at_home_when_ill_infect_fewer(tiny: Scenario, town: City) -> None:
    ordinary = CityModel(tiny, town).run()["summary"]
    careful = CityModel(tiny, town, citizen_class=Careful).run()["summary"]
    assert careful["lost_work_days"][0] > ordinary["lost_work_days"][0]
    assert careful["infections_work"][0] < ordinary["infections_work"][0]


# ---------------------------------------------------------------------- copies


def test_a_copy_goes_on_as_the_model_does(tiny: Scenario, town: City) -> None:
    model = CityModel(tiny, town)
    for _ in range(10):
        model.step()
    copied, pickled = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    undisturbed = CityModel(tiny, town).run()
    assert copied.city is town
    for other in (copied, pickled, model):
        assert equal(other.run(), undisturbed)


def test_copies_do_not_touch_each_other(tiny: Scenario, town: City) -> None:
    model = CityModel(tiny, town)
    model.step()
    copied = copy.deepcopy(model)
    copied.run()
    assert model.day == 1
    assert len(model.citizens.select(where=lambda c: c.health > 0)) == 15


def test_a_pickled_model_holds_the_path_of_its_city_and_not_the_city(
    tiny: Scenario, town: City, tmp_path: Path
) -> None:
    city = City.load(town.save(tmp_path / "town.city"))
    model = CityModel(tiny, city)
    model.step()
    assert b"town.city" in pickle.dumps(model)
    again = pickle.loads(pickle.dumps(model))
    assert again.city.path == city.path
    assert again.presence.city is again.city
    assert equal(again.run(), CityModel(tiny, town).run())


def test_models_are_freed(tiny: Scenario, town: City) -> None:
    models = []
    for seed in range(5):
        model = CityModel(tiny, town, seed)
        model.step()
        models.append(weakref.ref(model))
    del model
    gc.collect()
    assert [alive() for alive in models] == [None] * 5


# ---------------------------------------------------------------------- Mesa's ways


def test_the_data_collector_has_the_series(tiny: Scenario, town: City) -> None:
    model = CityModel(tiny, town)
    series = model.run()["series"]
    frame = model.datacollector.get_model_vars_dataframe()
    assert len(frame) == 25
    for name in frame.columns:
        assert frame[name].tolist() == series[name].tolist()


def test_batch_run(tiny: Scenario, town: City) -> None:
    given: dict[str, Any] = {"scenario": [tiny], "city": [town], "threads": 1}
    options: dict[str, Any] = {"number_processes": 1, "display_progress": False}
    if "rng" in mesa.batch_run.__code__.co_varnames:  # Mesa 3.5 names the seeds apart
        rows = mesa.batch_run(CityModel, given, rng=[5, 6], **options)
    else:
        rows = mesa.batch_run(CityModel, given | {"seed": [5, 6]}, **options)
    expected = [CityModel(tiny, town, seed).run()["summary"]["infections"][0] for seed in (5, 6)]
    assert [row["cumulative_infections"] for row in rows] == expected


class Counted(CityModel):
    """A model that collects what it wants, as Mesa's own examples do."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.datacollector = mesa.DataCollector(model_reporters={"day": "day"})

    def step(self) -> None:
        """Step and collect."""
        super().step()
        self.datacollector.collect(self)


def test_a_collector_of_ones_own_collects_once_a_step(tiny: Scenario, town: City) -> None:
    model = Counted(tiny, town)
    model.step()
    model = copy.deepcopy(model)
    model.run()
    assert model.datacollector.get_model_vars_dataframe()["day"].tolist() == list(range(1, 26))
    rows = mesa.batch_run(
        Counted,
        {"scenario": [tiny], "city": [town]},
        number_processes=1,
        data_collection_period=1,
        display_progress=False,
        **({"rng": [5]} if "rng" in mesa.batch_run.__code__.co_varnames else {"iterations": 1}),
    )
    assert [row["day"] for row in rows] == list(range(1, 26))


def test_a_copy_still_collects_for_itself(tiny: Scenario, town: City) -> None:
    model = copy.deepcopy(CityModel(tiny, town))
    model.run()
    assert len(model.datacollector.get_model_vars_dataframe()) == 25


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((3,), {}, "scenario: a Scenario, a path or the name of a shipped one is wanted, not 3"),
        (("quickstart", "x.city"), {}, r"city: a City is wanted, as City.load\(path\) returns, not 'x.city'"),
        (("quickstart",), {"citizen_class": mesa.Agent}, "citizen_class: Citizen or a class derived from it is wanted"),
        (("quickstart",), {"citizen_class": 5}, "citizen_class: .*not 5"),
    ],
)
def test_arguments_of_another_kind_are_named(arguments: tuple, options: dict, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        CityModel(*arguments, **options)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of affine, called by rasterio
def test_the_space_is_made_when_it_is_asked_for(tiny: Scenario, town: City) -> None:
    model = CityModel(tiny, town)
    assert model.space is model.space
    assert model.space.crs == town.info.crs
    assert len(model.space.agents) > 0
    model.step()


class Cautious(Citizen):
    """Somebody who never leaves home."""

    worry = Column("f4", 1.0)

    def goes_out(self) -> bool:
        """Stay at home."""
        return self.worry < 0.5


def test_a_class_of_citizens_decides_for_itself(tiny: Scenario, town: City) -> None:
    model = CityModel(tiny, town, citizen_class=Cautious)
    model.run()
    summary = model.outputs()["summary"]
    away = [name for name in summary if name.startswith("infections_") and name != "infections_home"]
    assert len(away) > 3
    assert all(summary[name][0] == 0 for name in away)
    assert isinstance(next(iter(model.citizens)), Cautious)


class Forgetful(Citizen):
    """Somebody whose author forgot to return."""

    def goes_out(self) -> bool:  # type: ignore[return]
        """Decide, and keep it to oneself."""
        self.age > 60  # noqa: B015


def test_a_decision_that_is_not_returned_is_an_error(tiny: Scenario, town: City) -> None:
    with pytest.raises(TypeError, match=r"Forgetful\.goes_out returned None; it must return True .* or False"):
        CityModel(tiny, town, citizen_class=Forgetful).step()


# ---------------------------------------------------------------------- processes of others


class NoiseSettings(BaseModel, extra="forbid"):
    """Section of a process that a package could add."""

    loudness: float = 1.0


class Noise(Process):
    """A process that counts its own seconds."""

    section: ClassVar[str] = "noise"
    Settings: ClassVar[type[BaseModel]] = NoiseSettings
    indicators: ClassVar[dict[str, str]] = {"noise": "seconds passed"}
    table_names: ClassVar[tuple[str, ...]] = ("sounds",)
    figure = "noise_seconds"

    def __init__(self, model: Any, settings: NoiseSettings):
        super().__init__(model, settings)
        self.spans: list[tuple[float, float]] = []

    def advance(self, start: float, end: float) -> None:
        """Note the span."""
        self.spans.append((start, end))

    def indicator_values(self) -> dict[str, float]:
        """Return the seconds so far."""
        return {"noise": self.spans[-1][1] if self.spans else 0.0}

    def series(self) -> dict[str, int | float]:
        """Return loudness times seconds so far."""
        return {self.figure: self.indicator_values()["noise"] * self.settings.loudness}

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return a row a span."""
        return {"sounds": {"start": np.array([start for start, _ in self.spans])}}


class _Point:
    """Stands for an entry point."""

    value = "a_package:Noise"

    def __init__(self, what: Any):
        self.what = what

    def load(self) -> Any:
        return self.what


def use(monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    for module in (extensions, processes):
        monkeypatch.setattr(module, "extensions", lambda _: {"noise": _Point(what)})


NOISY = """\
name = "noisy"
[city]
synthetic.people = 1_000
[clock]
days = 4
[epidemic]
disease = "covid"
[noise]
loudness = 2.0
[[policy]]
name = "hush"
close = ["leisure"]
when = "noise > 100_000"
[output]
tables = ["sounds"]
"""


def test_a_process_of_another_package_joins_in(monkeypatch: pytest.MonkeyPatch, town: City) -> None:
    use(monkeypatch, Noise)
    scenario = Scenario.from_text(NOISY)
    assert list(scenario.processes) == ["epidemic", "noise"]
    tables = CityModel(scenario, town).run()
    assert tables["series"]["noise_seconds"].tolist() == [2 * 86_400.0 * day for day in (1, 2, 3, 4)]
    assert tables["sounds"]["start"].tolist() == [0, 86_400, 172_800, 259_200]
    assert tables["series"]["policy.hush"].tolist() == [0, 0, 1, 1]  # 86,400 s on day 1, 172,800 s on day 2


def test_two_processes_must_not_use_one_name(monkeypatch: pytest.MonkeyPatch, town: City) -> None:
    class Same(Noise):
        figure = "infectious"

    use(monkeypatch, Same)
    with pytest.raises(ValueError, match="process 'noise': there is a figure 'infectious' already"):
        CityModel(Scenario.from_text(NOISY), town)


def test_an_entry_point_that_is_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, int)
    with pytest.raises(extensions.EntryPointError, match=r"entry point 'noise' .*\(a_package:Noise\) is no subclass"):
        Scenario.from_text(NOISY)

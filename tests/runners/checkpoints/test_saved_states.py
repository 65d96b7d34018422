"""A saved and restored model is the one that went on, in everything that can be reached from it and in all it leaves."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from checkpoint_scenarios import EPIDEMIC, EVERYTHING, assert_same_tables
from hypothesis import given, settings
from hypothesis import strategies as st
from model_twins import MADE_AGAIN, differences

from citytwin.agents.authorities import Policy
from citytwin.agents.citizens import Citizen
from citytwin.agents.columns import Column
from citytwin.agents.epidemic.contagion import Contagion
from citytwin.agents.epidemic.epidemic import Epidemic
from citytwin.agents.traffic.traffic import Traffic
from citytwin.environment.city import City
from citytwin.runners.checkpoints.graph import not_saved
from citytwin.runners.checkpoints.reader import StateError
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.documents import shipped
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.tables import StoreError

LAST = {"outbreak-control": 64, "school-closure": 40, "ambulances": 5, "superblock": 1}
"""Days that shipped scenarios are run for; 30 where it says nothing."""


@pytest.fixture(scope="module")
def people() -> City:
    return City.synthetic(1_000, seed=2)


def stepped(model: CityModel, day: int) -> CityModel:
    while model.day < day:
        model.step()
    return model


def restored(model: CityModel, folder: Path, **options: object) -> CityModel:
    path = folder / f"day-{model.day}.state"
    model.save(path)
    return type(model).from_state(path, model.city, **options)


# ---------------------------------------------------------------------- shipped scenarios


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_scenarios_go_on_to_the_bit(name: str, people: City, tmp_path: Path) -> None:
    scenario = Scenario.load(name)
    data = scenario.to_dict()
    data.pop("sweep", None)
    if name == "superblock":  # its block lies in a larger city, and it has one day
        del data["design"]
        data["clock"]["days"] = 2
        data["traffic"]["learning"] = 1
    scenario = Scenario.from_dict(data)
    model = CityModel(scenario, people)
    last = LAST.get(name, 30)
    others = []
    for day in (1, last // 3, last - 2, last):
        if day > model.day or day == last:
            stepped(model, day)
            other = restored(model, tmp_path) if not (tmp_path / f"day-{day}.state").exists() else None
            if other is not None:
                assert differences(model, other) == []
                others.append(other)
    end = min(last + 2, scenario.clock.days)
    stepped(model, end)
    for other in others:
        assert_same_tables(model.outputs(), stepped(other, end).outputs())


@pytest.mark.parametrize("threads", [1, 2])
def test_everything_at_once_goes_on_to_the_bit(threads: int, people: City, tmp_path: Path) -> None:
    scenario = Scenario.from_text(EVERYTHING)
    model = CityModel(scenario, people)
    others = []
    for day in (1, 3):
        stepped(model, day)
        others.append(restored(model, tmp_path, threads=threads))
        assert threads > 1 or differences(model, others[-1]) == []
    stepped(model, 5)
    for other in others:
        assert_same_tables(model.outputs(), stepped(other, 5).outputs())


def test_an_epidemic_with_all_measures_is_restored_whole_on_every_day(people: City, tmp_path: Path) -> None:
    model = CityModel(Scenario.from_text(EPIDEMIC), people)
    again = CityModel(Scenario.from_text(EPIDEMIC), people)
    while model.running:
        model.step()
        again.step()
        again = restored(again, tmp_path)
        assert differences(model, again) == []
    assert_same_tables(model.outputs(), again.outputs())


@settings(max_examples=10)
@given(
    day=st.integers(1, 24),
    fatigue=st.sampled_from([0.0, 0.4]),
    trigger=st.sampled_from(["incidence > 500", "reported > 200", "hospital_occupancy > 0.3"]),
    doses=st.integers(0, 60),
    threads=st.integers(1, 2),
)
def test_any_day_and_policies(people: City, day: int, fatigue: float, trigger: str, doses: int, threads: int) -> None:
    scenario = Scenario.from_text(EPIDEMIC).with_parameters(
        {
            "policy.schools closed.fatigue": fatigue,
            "policy.lockdown.when": trigger,
            "policy.vaccine.vaccinate.per_day": doses,
        }
    )
    model = stepped(CityModel(scenario, people), day)
    with tempfile.TemporaryDirectory() as folder:
        other = restored(model, Path(folder), threads=threads)
    assert_same_tables(stepped(model, 26).outputs(), stepped(other, 26).outputs())


# ---------------------------------------------------------------------- what users add


class Worried(Citizen):
    worry = Column("f4", 0.2, doc="0 careless … 1 anxious")

    def goes_out(self) -> bool:
        self.worry = min(self.worry + 0.01, 1.0)
        return self.random_float("courage") > self.worry

    def complies(self, policy: Policy) -> bool:  # noqa: ARG002
        return self.worry > 0.25


class Weekends(Policy):
    def decide(self, model: CityModel) -> bool:
        self.asked = [*getattr(self, "asked", []), model.day]
        return model.date.weekday() >= 5


class Diary:
    compare_me = True

    def __init__(self, model: CityModel):
        self.model = model
        self.pages: dict[int, np.ndarray] = {}


class Told(CityModel):
    """A model of one's own, with columns added, objects, agents with columns that come and go, and Mesa's luck."""

    def __init__(self, *args: object, **options: object):
        super().__init__(*args, **options)
        self.diary = Diary(self)
        self.authority.add(Weekends("weekends", close=["leisure"], compliance=0.8))
        self.mood = self.citizens.table.attach("mood", Column("f8", 0.5))
        self.walks: set[int] = set()

    def step(self) -> None:
        super().step()
        self.mood += self.random.random() + self.rng.random()
        self.diary.pages[self.day] = self.mood
        self.walks.add(self.random.randrange(100))
        Visitor.create_agents(self, 3, since=self.day)
        self.table(Visitor).remove([self.day])
        if self.day == 2:
            self.first = self.table(Visitor).view(0)


class Visitor(Worried):
    since = Column("i4", 0)


def test_classes_columns_and_objects_of_ones_own_go_on(people: City, tmp_path: Path) -> None:
    scenario = Scenario.from_text(EPIDEMIC)
    model = stepped(Told(scenario, people, citizen_class=Worried), 5)
    other = restored(model, tmp_path, citizen_class=Worried)
    assert differences(model, other) == []
    assert other.mood.base is other.citizens.table._store["mood"]  # what was shared still is
    assert other.first.since == 1
    assert other.first.model is other
    assert_same_tables(stepped(model, 12).outputs(), stepped(other, 12).outputs())
    assert model.mood.tolist() == other.mood.tolist()
    assert model.walks == other.walks
    assert len(other.table(Visitor).agents) == len(model.table(Visitor).agents) == 12 * 2
    assert other.authority.policies[-1].asked == list(range(12))


def test_what_is_not_saved_is_named_twice() -> None:
    """The list of the twin has all that classes leave out, so that nobody leaves out anything in passing."""
    for cls in (Contagion, Traffic, CityModel):
        own = cls.__dict__["not_saved"]
        assert {name for name in own if name not in ("_in_step", "_first_day")} <= MADE_AGAIN[cls.__name__]


def test_the_twin_finds_an_attribute_that_was_left_out(
    people: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = stepped(CityModel(Scenario.from_text(EPIDEMIC), people), 4)
    model.processes[0].more = {"of": [np.arange(3)]}
    assert differences(model, restored(model, tmp_path)) == []
    monkeypatch.setattr(Epidemic, "not_saved", ("cases",))
    not_saved.cache_clear()
    try:
        model.save(tmp_path / "without")
        other = CityModel.from_state(tmp_path / "without", people)
    finally:
        not_saved.cache_clear()
    assert any(".cases" in path for path in differences(model, other))


# ---------------------------------------------------------------------- refusals


def test_a_model_is_saved_between_steps_only(people: City, tmp_path: Path) -> None:
    model = CityModel(Scenario.from_text(EPIDEMIC), people)
    model.processes[0].wake = lambda _: model.save(tmp_path / "s")
    with pytest.raises(RuntimeError, match="between two steps"):
        model.step()
    with pytest.raises(RuntimeError, match="in the midst of one, or one failed"):
        model.save(tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_saved_is_named(people: City, tmp_path: Path) -> None:
    model = Told(Scenario.from_text(EPIDEMIC), people)
    with (
        (tmp_path / "log").open("w") as model.diary.log,
        pytest.raises(ValueError, match=r"diary\.log is a _io\.TextIOW"),
    ):
        model.save(tmp_path / "s")
    model.diary.log = np.array([None])
    with pytest.raises(
        ValueError, match=r"diary\.log is an array of Python objects, which cannot be saved; keep a list"
    ):
        model.save(tmp_path / "s")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_scheduled_events_cannot_be_saved(people: City, tmp_path: Path) -> None:
    model = CityModel(Scenario.from_text(EPIDEMIC), people)
    event = model.schedule_event(model.remove_all_agents, at=3.5)
    with pytest.raises(RuntimeError, match="1 scheduled events wait"):
        model.save(tmp_path / "s")
    event.cancel()
    model.save(tmp_path / "s")


def test_states_and_models_that_do_not_fit(people: City, tmp_path: Path) -> None:
    scenario = Scenario.from_text(EPIDEMIC)
    model = stepped(CityModel(scenario, people), 2)
    model.save(tmp_path / "s")
    with pytest.raises(StoreError, match=r"s: cannot be written \(exists already\)"):
        model.save(tmp_path / "s")
    with pytest.raises(RuntimeError, match="the model stands on day 2"):
        model.restore(tmp_path / "s")
    with pytest.raises(StateError, match="saved in another city"):
        CityModel.from_state(tmp_path / "s", City.synthetic(1_000, seed=3))
    with pytest.raises(StateError, match="saved under another scenario"):
        CityModel(scenario.with_parameters({"epidemic.r0": 2.0}), people).restore(tmp_path / "s")
    told = stepped(Told(scenario, people), 2)
    told.save(tmp_path / "told")
    with pytest.raises(StateError, match="a model of test_saved_states:Told was saved, this is a citytwin"):
        CityModel.from_state(tmp_path / "told", people)
    with pytest.raises(StateError, match=r"nowhere: not a saved state \(no state\.json\)"):
        CityModel.from_state(tmp_path / "nowhere")

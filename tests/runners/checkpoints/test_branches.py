"""Branches: futures of one past; a branch with the seed of the past is the run that was never saved."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from checkpoint_scenarios import EPIDEMIC, EVERYTHING, assert_same_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.environment.city import City
from citytwin.runners.checkpoints.reader import StateError
from citytwin.runners.compare import compare
from citytwin.runners.model import CityModel
from citytwin.runners.preparation import sweep_tasks
from citytwin.runners.run import execute_run, run
from citytwin.runners.scenarios.documents import ScenarioError
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.sweep import sweep

PAST = EPIDEMIC.replace("from = 12\n", "from = 14\n")
DAY = 10
LATE = """\
[[policy]]
name = "masks"
masks = { places = ["shop", "leisure"], source = 0.5, wearer = 0.3 }
from = 11
[[policy]]
name = "isolation"
isolate = { at = "onset", household = true }
from = 2026-01-17
"""


@pytest.fixture(scope="module")
def people() -> City:
    return City.synthetic(1_000, seed=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, people: City) -> Path:
    """A folder with a past of ten days and its scenario."""
    folder = tmp_path_factory.mktemp("branches")
    (folder / "past.toml").write_text(PAST)
    model = CityModel(Scenario.load(folder / "past.toml"), people)
    while model.day < DAY:
        model.step()
    model.save(folder / "day10.state")
    return folder


def branch(place: Path, text: str = PAST, *, days: int = 30) -> Scenario:
    """Return a scenario that goes on from the past."""
    text = text.replace("days = 30", f'days = {days}\nfrom = "day10.state"')
    return Scenario.from_text(text, label="branch.toml", folder=place)


def whole(text: str = PAST, *, days: int = 30) -> Scenario:
    """Return the same scenario from its first day on."""
    return Scenario.from_text(text.replace("days = 30", f"days = {days}"))


# ---------------------------------------------------------------------- what a branch is


@pytest.mark.parametrize(
    ("text", "days"),
    [
        (PAST, 30),
        (PAST, 34),
        (PAST.replace("[hospitals]", LATE + "[hospitals]"), 30),
        (PAST.replace("from = 14\n", "from = 10\n"), 30),
        (PAST.replace("limit = { shop = 0.5 }", "limit = { shop = 0.1 }\ncompliance = 0.5"), 30),
        (PAST.replace("until = 20", "until = 12"), 30),
        (PAST.replace("until = 20", 'until = "incidence < 10"'), 30),
        (
            PAST.replace(
                '\n[[policy]]\nname = "by turns"\nrotate = { work = 2 }\nlimit = { shop = 0.5 }\nfrom = 14', ""
            ),
            30,
        ),
    ],
    ids=["as it was", "longer", "later policies", "earlier", "other", "ends earlier", "ends on a condition", "dropped"],
)
def test_a_branch_under_the_seed_of_the_past_is_the_unbroken_run(
    place: Path, people: City, text: str, days: int
) -> None:
    model = CityModel(branch(place, text, days=days), people)
    assert model.day == DAY
    assert_same_tables(model.run(), CityModel(whole(text, days=days), people).run())
    assert list(model.datacollector.model_vars["infectious"]) == [row["infectious"] for row in model._records.series]


@settings(max_examples=8)
@given(
    start=st.integers(DAY, 20),
    compliance=st.sampled_from([0.0, 0.3, 1.0]),
    threads=st.integers(1, 2),
    what=st.sampled_from(
        ['close = ["leisure"]', "level = 2", "work_from_home = 0.5", 'vaccinate = { product = "mrna", per_day = 9 }']
    ),
)
def test_any_later_policy(place: Path, people: City, start: int, compliance: float, threads: int, what: str) -> None:
    policy = f'[[policy]]\nname = "new"\n{what}\nfrom = {start}\ncompliance = {compliance}\n'
    text = PAST.replace("[hospitals]", policy + "[hospitals]")
    one = CityModel(branch(place, text, days=24), people, threads=threads).run()
    assert_same_tables(one, CityModel(whole(text, days=24), people).run())


def test_streets_and_ambulances_branch_too(people: City, tmp_path: Path) -> None:
    text = EVERYTHING.replace("days = 30", "days = 5").replace("from = 8\nuntil = 20", "from = 3\nuntil = 4")
    text = text.replace("from = 12", "from = 2")
    model = CityModel(Scenario.from_text(text), people)
    for _ in range(2):
        model.step()
    model.save(tmp_path / "s")
    later = text.replace("days = 5", 'days = 5\nfrom = "s"').replace("from = 2\n[[", "from = 4\n[[")
    one = CityModel(Scenario.from_text(later, folder=tmp_path), people).run()
    assert_same_tables(one, CityModel(Scenario.from_text(later.replace('from = "s"\n', "")), people).run())


def test_other_seeds_share_the_past_and_part_after_it(place: Path, people: City) -> None:
    runs = {seed: CityModel(branch(place), people, seed=seed).run() for seed in (5, 6, 7)}
    new = {seed: tables["series"]["new_infections"] for seed, tables in runs.items()}
    for seed in (6, 7):
        assert new[seed][:DAY].tolist() == new[5][:DAY].tolist()
        assert new[seed][DAY:].tolist() != new[5][DAY:].tolist()
    assert new[6].tolist() != new[7].tolist()
    again = CityModel(branch(place), people, seed=6).run()
    assert_same_tables(again, runs[6])


def test_the_past_stays_and_the_future_is_drawn_anew(place: Path, people: City) -> None:
    same, other = (CityModel(branch(place), people, seed=seed) for seed in (5, 9))
    mine, its = same.citizens.table.columns, other.citizens.table.columns
    at_risk = mine["health"] <= 1
    changed = mine["resistance"] != its["resistance"]
    assert changed[at_risk].mean() > 0.99
    assert not changed[~at_risk].any()
    # exponential with mean 1, whatever has been withstood so far: mean and standard deviation within 4 standard errors
    drawn = its["resistance"][at_risk] / 2.0**40
    assert abs(drawn.mean() - 1) < 4 / np.sqrt(at_risk.sum())
    for name in mine.keys() - {"resistance"}:
        assert mine[name].tobytes() == its[name].tobytes(), name
    assert (same.presence.compliance == other.presence.compliance).all()
    assert other.seed_number == 9


def test_points_of_a_sweep_share_the_past_and_their_luck(people: City, tmp_path: Path) -> None:
    people.save(tmp_path / "small.city")
    text = PAST.replace("synthetic = { people = 1_000, seed = 2 }", 'bundle = "small.city"')
    past = Scenario.from_text(text, folder=tmp_path)
    run(past, until_day=DAY, save=tmp_path / "day10.state")
    text = text.replace("days = 30", 'days = 20\nfrom = "day10.state"')
    text += '[sweep]\nreplicates = 2\n[sweep.parameters]\n"policy.by turns.compliance" = [0.0, 1.0]\n'
    results = sweep(Scenario.from_text(text, folder=tmp_path), out=tmp_path / "out", workers=1)
    assert not results.failures
    series = results.series.pivot(index="day", columns=["point", "replicate"], values="new_infections")
    before, after = series.loc[: DAY - 1], series.loc[DAY:]
    assert all((before[run_] == before[0, 0]).all() for run_ in before)
    assert not (after[0, 0] == after[0, 1]).all()
    assert not (after[0, 0] == after[1, 0]).all()
    found = compare(results.summary)
    assert found.loc[found["point"] == 1, "pairs"].eq(2).all()
    alone = CityModel(
        Scenario.from_text(text, folder=tmp_path).at_point({"policy.by turns.compliance": 1.0}), seed=6
    ).run()
    assert after[1, 1].tolist() == alone["series"]["new_infections"][DAY:].tolist()


def test_a_past_that_changed_since_the_sweep_began_is_noticed(place: Path, people: City, tmp_path: Path) -> None:
    people.save(tmp_path / "small.city")
    shutil.copytree(place / "day10.state", tmp_path / "day10.state")
    tasks, _, context = sweep_tasks(
        branch(tmp_path, PAST.replace("from = 14", "from = 11").replace("until = 20", "until = 11"), days=12),
        tmp_path / "cities",
    )
    assert len(execute_run(tasks[0], context)["series"]["day"]) == 12
    head = tmp_path / "day10.state" / "state.json"
    head.write_text(head.read_text().replace('"date": "2026-01-15"', '"date": "2026-01-14"'))
    with pytest.raises(StateError, match="is another saved state than when the sweep began"):
        execute_run(tasks[0], context)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "r0 = 5.0",
            "r0 = 4.0",
            r"branch\.toml:11: epidemic\.r0: would have changed the past \(it was 5\.0, given 4\.0\)",
        ),
        ("transmissibility = 1.4", "transmissibility = 1.5", r"epidemic\.strain.*would have changed the past"),
        ("per_day = 0.5", "per_day = 0.4", r"epidemic\.imports.*would have changed the past"),
        ("seed = 2 }", "seed = 3 }", r"city\.synthetic\.seed: would have changed the past"),
        ("[hospitals]", "[hospitals]\nbeds_per_1000 = 1.0", r"hospitals\.beds_per_1000: would have changed the past"),
        ("by_age = true", "by_age = false", r"output\.by_age: would have changed the past"),
        ("start = 2026-01-05", "start = 2026-01-06", r"clock\.start: would have changed the past"),
        ("days = 30", "days = 10", r"clock\.days: the past reaches to day 10; give more days than that"),
        ("compliance = 0.8\nfatigue", "compliance = 0.7\nfatigue", r"schools closed.* only its end may be another"),
        ("until = 20", "until = 9", r"policy\.schools closed\.until: 'schools closed' ended before day 10, or would"),
        (
            "from = 14\n",
            "from = 9\n",
            r"policy\.by turns\.from: 'by turns' would have begun before day 10; give from = 10",
        ),
        ("from = 14\n", "compliance = 0.2\n", r"'by turns' would have begun before day 10"),
        ('name = "tests"', 'name = "test"', r"'tests' was in force before day 10; keep it, with until = 10"),
    ],
)
def test_what_would_have_changed_the_past_is_refused(
    place: Path, people: City, old: str, new: str, message: str
) -> None:
    assert old in PAST
    days = 10 if new == "days = 10" else 30
    text = PAST if days == 10 else PAST.replace(old, new)
    text = text.replace("from = 8\nuntil = 20", "from = 8").replace("from = 14\n", "") if days == 10 else text
    scenario = branch(place, text, days=days)
    with pytest.raises(ScenarioError, match=message):
        scenario.check_files()
    with pytest.raises(ScenarioError, match=message):
        CityModel(scenario, people)


def test_states_that_cannot_be_gone_on_from(place: Path, people: City, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"clock\.from: .*not a saved state"):
        branch(tmp_path).check_files()
    shutil.copytree(place / "day10.state", tmp_path / "day10.state")
    (tmp_path / "day10.state" / "arrays.npy").write_bytes(b"")
    with pytest.raises(ScenarioError, match=r"clock\.from: .*arrays\.npy|clock\.from: .*damaged"):
        CityModel(branch(tmp_path), people)
    with pytest.raises(ScenarioError, match=r"clock\.from: .*saved in another city"):
        CityModel(branch(place), City.synthetic(1_000, seed=4))


def test_a_checkpoint_serves_its_own_seed_only(people: City, tmp_path: Path) -> None:
    from citytwin.runners.checkpoints.running import Checkpoints

    scenario = whole()
    checkpoints = Checkpoints(tmp_path / "run", DAY)
    model = checkpoints.begin(lambda: CityModel(scenario, people))
    while model.day < DAY:
        model.step()
        checkpoints.after_step(model)
    (tmp_path / "run" / "day-00010").rename(tmp_path / "day10.state")
    assert_same_tables(CityModel(branch(tmp_path), people).run(), CityModel(scenario, people).run())
    with pytest.raises(
        ScenarioError, match="holds only what has changed in a run with seed 5; other seeds need a whole"
    ):
        branch(tmp_path, PAST.replace("seed = 5", "seed = 6")).check_files()
    with pytest.raises(ScenarioError, match="cannot go on with seed 8; save the whole state"):
        CityModel(branch(tmp_path), people, seed=8)


def test_a_branch_can_be_saved_and_gone_on_with(place: Path, people: City, tmp_path: Path) -> None:
    model = CityModel(branch(place), people, seed=6)
    for _ in range(4):
        model.step()
    model.save(tmp_path / "day14.state")
    other = CityModel.from_state(tmp_path / "day14.state", people)
    assert other.day == DAY + 4
    assert_same_tables(model.run(), other.run())

"""Sweeps that grow: until a figure is known, within a budget, and with more points, replicates or values."""

from pathlib import Path

import numpy as np
import pytest

from citytwin.environment.city import City
from citytwin.runners.compare import interval
from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.outcome import SweepError
from citytwin.runners.model import CityModel
from citytwin.runners.points.growing import first_batch, next_runs, standing, wanted_runs
from citytwin.runners.points.layout import layout
from citytwin.runners.points.settings import SweepSettings
from citytwin.runners.points.tasks import TaskMaker, extended
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.sweep import plan_sweep, sweep

HEAD = """\
name = "growing"
seed = 4
[city]
bundle = "{bundle}"
[clock]
days = 12
[epidemic]
disease = "covid"
r0 = 3.0
initial_infections = 20
[sweep]
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return City.synthetic(1_000, seed=2).save(tmp_path_factory.mktemp("town") / "town.city")


def swept(bundle, text):
    return Scenario.from_text(HEAD.format(bundle=bundle) + text)


def runs_of(results, columns=("attack_rate", "infections_home")):
    """Return by values of the point and replicate the seed of a run and what it came to."""
    names = results.info["parameters"]
    frame = results.summary
    return {
        (*(row[name] for name in names), row["replicate"]): (row["seed"], *(row[name] for name in columns))
        for row in frame.to_dict("records")
    }


def attempts(out):
    return [entry.run_id for entry in entries(out) if entry.state == "done"]


R0 = '[sweep.parameters]\n"epidemic.r0" = [1.5, 6.0]\n'
UNTIL = 'until = { indicator = "attack_rate", half_width = 0.004, at_least = 3, at_most = 9, of = "difference" }\n'


@pytest.fixture(scope="module")
def until_known(bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("until") / "out"
    return sweep(swept(bundle, UNTIL + R0), out=out, workers=1)


def test_replicates_are_made_until_the_difference_is_known(until_known):
    frame = until_known.summary.pivot_table(index="replicate", columns="point", values="attack_rate")
    differences = (frame[1] - frame[0]).to_numpy()
    low, high = interval(differences, 0.95)
    known = (high - low) / 2 <= 0.004
    assert 3 <= len(frame) <= 9
    assert known or len(frame) == 9
    assert len(frame) > 3, "the first three are too few for this width, so that it grew"
    before = interval(differences[:3], 0.95)
    assert (before[1] - before[0]) / 2 > 0.004
    assert frame.notna().all().all()  # point 0 has every replicate that point 1 has
    assert sorted(set(until_known.summary["seed"])) == [4 + r for r in range(len(frame))]
    said = f"attack_rate is known to ± 0.004 at {2 if known else 1} of 2 points."
    assert standing(until_known)[0].startswith(said)


def test_a_sweep_that_grew_is_finished_when_it_is_resumed(until_known, bundle):
    out = until_known.directory
    before = attempts(out)
    again = sweep(swept(bundle, UNTIL + R0), out=out, workers=1, resume=True)
    assert attempts(out) == before
    assert runs_of(again) == runs_of(until_known)


def test_a_budget_ends_it_and_a_larger_one_goes_on_with_the_same_decisions(until_known, bundle, tmp_path):
    out = tmp_path / "out"
    small = sweep(swept(bundle, UNTIL + 'budget = "7 runs"\n' + R0), out=out, workers=1)
    assert len(small.summary) == len(attempts(out)) == 7
    assert small.summary["point"].value_counts().to_dict() == {0: 4, 1: 3}
    assert standing(small)[-1].startswith("The budget of 7 runs is spent: 7 runs were made in ")
    with pytest.raises(SweepError, match="7 runs that are part of this one; go on with --resume --extend"):
        sweep(swept(bundle, UNTIL + R0), out=out, workers=1, resume=True)
    whole = sweep(swept(bundle, UNTIL + R0), out=out, workers=1, extend=True)
    assert runs_of(whole) == runs_of(until_known)
    assert len(set(attempts(out))) == len(attempts(out))


def test_a_budget_of_time_ends_it_too(bundle, tmp_path):
    """The pilot spends it: a run takes far more than a hundredth of a second."""
    text = 'replicates = 50\nbudget = "0.0005 CPU min"\n' + R0
    results = sweep(swept(bundle, text), out=tmp_path / "out", workers=1)
    assert len(results.summary) == 8
    assert results.summary["point"].value_counts().to_dict() == {0: 4, 1: 4}
    [said] = standing(results)
    assert said.startswith("The budget of 0.0005 CPU min is spent: 8 runs were made")
    assert "92 more are wanted" in said


def test_an_extended_sweep_is_the_one_that_was_begun_larger(bundle, tmp_path):
    """Expected are runs made one by one in this process, each from its point and seed."""
    large = swept(bundle, 'replicates = 3\n[sweep.parameters]\n"epidemic.r0" = [6.0, 3.0, 1.5]\n')
    out = tmp_path / "out"
    first = runs_of(sweep(swept(bundle, "replicates = 2\n" + R0), out=out, workers=1))
    results = sweep(large, out=out, workers=1, extend=True)
    expected = {}
    for point in large.points():
        for replicate, seed in enumerate(large.seeds()):
            made = CityModel(large.at_point(point), City.load(bundle), seed).run()["summary"]
            figures = (float(np.ravel(made[name])[0]) for name in ("attack_rate", "infections_home"))
            expected[point["epidemic.r0"], replicate] = (seed, *figures)
    assert runs_of(results) == expected
    assert first == {key: value for key, value in expected.items() if key[0] != 3.0 and key[1] < 2}
    assert len(attempts(out)) == len(set(attempts(out))) == 9  # nothing was made twice
    assert [point["epidemic.r0"] for point in results.points] == [1.5, 6.0, 3.0]
    again = sweep(large, out=out, workers=1, resume=True)  # an ordinary resumption knows it
    assert runs_of(again) == expected
    assert len(attempts(out)) == 9


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("days = 12", "days = 13"), "holds a sweep of another scenario"),
        (("seed = 4", "seed = 5"), "holds a sweep of another scenario|has seed 5 in the design"),
        (("replicates = 2", "replicates = 1"), "the design has 1 replicates of each point, fewer than there are"),
        (("[1.5, 6.0]", "[6.0, 7.0]"), r"no point of the design has the values of p0000-r0000 \(epidemic.r0 = 1.5"),
        (("[1.5, 6.0]", '[1.5, 6.0]\n"epidemic.initial_infections" = [20]'), "no point of the design has the values"),
    ],
)
def test_what_is_no_larger_sweep_is_refused(bundle, tmp_path, change, said):
    text = HEAD.format(bundle=bundle) + "replicates = 2\n" + R0
    out = tmp_path / "out"
    plan_sweep(Scenario.from_text(text), out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    with pytest.raises(SweepError, match=said):
        plan_sweep(Scenario.from_text(text.replace(*change)), out, extend=True)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_values_of_another_type_are_refused(bundle, tmp_path):
    text = '[sweep.parameters]\n"epidemic.initial_infections" = [10, 20]\n"epidemic.r0" = [2]\n'
    plan_sweep(swept(bundle, text), tmp_path / "out")
    with pytest.raises(SweepError, match=r"the values of 'epidemic.r0' there are stored as int, .* as float"):
        plan_sweep(swept(bundle, text.replace("[2]", "[2, 2.5]")), tmp_path / "out", extend=True)


def test_a_directory_without_a_sweep_cannot_be_extended(bundle, tmp_path):
    with pytest.raises(SweepError, match="does not exist, so there is nothing to resume"):
        plan_sweep(swept(bundle, R0), tmp_path / "none", extend=True)


def test_a_figure_that_nobody_knows_costs_one_run(bundle, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(SweepError, match=r"no figure 'atack_rate' in the summary; .*\(did you mean 'attack_rate'\?\)"):
        sweep(swept(bundle, UNTIL.replace("attack", "atack") + R0), out=out, workers=1)
    assert len(attempts(out)) == 1


def test_other_files_may_be_named_where_a_sweep_is_extended(bundle, tmp_path):
    """Those it was begun with must be as they were."""
    shipped = (Path(__file__).parents[3] / "agents/epidemic/diseases/influenza.toml").read_text(encoding="utf-8")
    for name in ("one.toml", "two.toml"):
        (tmp_path / name).write_text(shipped, encoding="utf-8")
    text = HEAD.format(bundle=bundle) + '[sweep.parameters]\n"epidemic.disease" = ["one.toml"]\n'
    larger = text.replace('["one.toml"]', '["one.toml", "two.toml"]')
    out = tmp_path / "out"
    plan_sweep(Scenario.from_text(text, folder=tmp_path), out)
    assert len(plan_sweep(Scenario.from_text(larger, folder=tmp_path), out, extend=True)) == 2
    assert len(Results(out).info["context"]["files"]) == 2
    (tmp_path / "one.toml").write_text(shipped.replace("# ", "#  ", 1) + "\n", encoding="utf-8")
    plan_sweep(Scenario.from_text(larger, folder=tmp_path), out, extend=True)  # what it says is the same
    lines = shipped.splitlines()
    number = next(n for n, line in enumerate(lines) if line.startswith("r0"))
    lines[number] = "r0 = 1.77"
    (tmp_path / "one.toml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SweepError, match=r"one\.toml: is not what it was"):
        plan_sweep(Scenario.from_text(larger, folder=tmp_path), out, extend=True)


# ---------------------------------------------------------------------- decisions without runs


def maker_of(**keys):
    settings = SweepSettings.model_validate(keys)
    points = layout(settings, 1).points
    return TaskMaker(settings, 1, points, [""] * len(points))


def test_under_a_budget_points_get_replicates_in_turn():
    made = maker_of(replicates=3, budget="5 runs", parameters={"x": [1, 2]})
    assert first_batch(made) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
    assert first_batch(maker_of(replicates=2, parameters={"x": [1, 2]})) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    tasks = made.tasks(first_batch(made))
    assert wanted_runs(made, tasks, [{}, {}]) == [(1, 2)]
    assert next_runs(made, tasks, [{}, {}], 0.0) == []


def test_points_are_counted_by_their_numbers_in_the_results():
    """In the larger design the points lie in another order than in the results."""
    old = maker_of(replicates=2, budget="99 runs", parameters={"x": [1, 2]})
    tasks = old.tasks(first_batch(old))
    new = maker_of(replicates=3, budget="99 runs", parameters={"x": [0, 2, 1]}).continuing(tasks)
    assert new.numbers == [2, 1, 0]
    runs = next_runs(new, tasks, [{}] * 3, 0.0)
    assert runs == [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2)]
    added = extended(tasks, new, runs)[len(tasks) :]
    assert [task["run_id"] for task in added] == [
        "p0002-r0000",
        "p0002-r0001",
        "p0002-r0002",
        "p0001-r0002",
        "p0000-r0002",
    ]
    assert next_runs(new, [*tasks, *added], [{}] * 3, 0.0) == []


def test_time_is_given_out_by_the_mean_cost_so_far():
    made = maker_of(replicates=1000, budget="10 CPU min", parameters={"x": [1, 2]})
    tasks = made.tasks(first_batch(made))
    assert len(tasks) == 8
    # 600 s less 80 s at 10 s a run: 52 runs are left, of which half are given out
    assert len(next_runs(made, tasks, [{}, {}], 80.0)) == 26
    assert next_runs(made, tasks, [{}, {}], 595.0) == []
    assert np.array_equal(next_runs(made, tasks, [{}, {}], 520.0), [(0, 4)])

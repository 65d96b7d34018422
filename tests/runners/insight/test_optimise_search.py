"""Searches on problems with a known front: found, constraints kept, the same whatever happens to the processes."""

import signal
import time

import numpy as np
import optimise_toys
import pandas as pd
import pytest
from optimise_toys import found_files, make_search, optimum, start_search
from sweep_toys import wait_for

from citytwin.runners.insight.optimise_text import optimise_text
from citytwin.runners.insight.pareto import chosen
from citytwin.runners.results import Results
from citytwin.runners.sweep import SweepError


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A search by one worker, never interrupted."""
    out = tmp_path_factory.mktemp("search") / "optimum"
    return optimum(make_search(), out, workers=1)


def binh_front():
    """Return the front of Binh and Korn's problem, (n, 2): x = y up to 3, then y = 3 up to x = 5."""
    both = np.linspace(0, 3, 1001)
    x, y = np.concatenate([both, np.linspace(3, 5, 1001)]), np.concatenate([both, np.full(1001, 3.0)])
    found = optimise_toys.binh(x, y)
    return np.stack([found["cost"], found["harm"]], 1)


def distance_to(front, points):
    """Return the mean distance of points (n, 2) from a front, both goals in units of what they range over on it."""
    span = np.ptp(front, axis=0)
    return np.mean([np.sqrt((((front - point) / span) ** 2).sum(1).min()) for point in points])


def goals_of(found):
    """Return cost and harm of the front without their luck, (n, 2)."""
    truth = []
    for number in found.weighed.front:
        parameters = found.weighed.of(number).parameters
        values = optimise_toys.binh(parameters["toy.x"], parameters["toy.y"])
        truth.append([values["cost"], values["harm"]])
    return np.array(truth)


class TestFront:
    def test_of_binh_and_korn(self, tmp_path):
        """300 trials come within 2 % of the range of the goals in the mean, and near both of its ends."""
        found = optimum(make_search(trials=300), tmp_path / "optimum", workers=2)
        truth = goals_of(found)
        front = binh_front()
        assert distance_to(front, truth) < 0.02
        assert len(truth) >= 20
        assert truth[:, 0].min() < 10 and truth[:, 0].max() > 100  # of 0 to 136

    def test_of_zitzler_by_hand(self, tmp_path):
        """ZDT1 with two variables: f₂ = 1 − √f₁ where y = 0; 250 trials come within 0.05 of it in the mean."""
        parameters = {"toy.x": {"from": 0, "to": 1}, "toy.y": {"from": 0, "to": 1}}
        search = make_search(
            {"problem": "zdt1", "luck": 0.0}, trials=250, replicates=1, parameters=parameters, constraints={}
        )
        weighed = optimum(search, tmp_path / "optimum", workers=2).weighed
        x = np.linspace(0, 1, 2001)
        points = [[weighed.of(number).means[name] for name in ("cost", "harm")] for number in weighed.front]
        assert distance_to(np.stack([x, 1 - np.sqrt(x)], 1), np.array(points)) < 0.05

    def test_constraints_are_kept(self, unbroken):
        weighed = unbroken.weighed
        assert weighed.feasible
        assert set(weighed.front) <= weighed.feasible
        for judged in weighed.candidates:
            truth = optimise_toys.binh(judged.parameters["toy.x"], judged.parameters["toy.y"])
            assert (judged.number in weighed.feasible) == (truth["inside"] <= 25 and truth["outside"] >= 7.7)

    def test_one_goal_by_tpe(self, tmp_path):
        """The least harm under the constraints is 4, at x = 5, y = 3."""
        found = optimum(make_search(goals={"harm": "least"}, trials=80), tmp_path / "optimum", workers=2)
        [best] = found.weighed.front
        assert found.facts["method"] == "tpe"
        assert goals_of(found)[0, 1] < 4.6
        assert found.weighed.of(best).parameters["toy.x"] > 4.5
        assert found.weighed.knee is None

    def test_most_is_the_least_of_the_opposite(self, tmp_path):
        found = optimum(make_search(goals={"cost": "most"}, constraints={}, trials=40), tmp_path / "optimum", workers=2)
        assert goals_of(found)[0, 0] > 120  # of 136


class TestCommonLuck:
    def test_all_candidates_have_the_same_seeds(self, unbroken):
        summary = Results(unbroken.directory).summary
        searched = summary[summary["replicate"] < 2]
        assert sorted(searched["seed"].unique()) == [7, 8]
        assert (searched.groupby("point")["seed"].nunique() == 2).all()

    def test_differences_are_free_of_luck(self, unbroken):
        """Luck shifts a goal alike for all candidates of a seed, so that paired differences are exact."""
        weighed = unbroken.weighed
        base = optimise_toys.binh(2, 0)["cost"]
        for judged in weighed.candidates:
            truth = optimise_toys.binh(judged.parameters["toy.x"], judged.parameters["toy.y"])["cost"]
            assert judged.difference("cost", weighed.baseline) == pytest.approx([truth - base] * 3, abs=1e-9)
            middle, low, high = judged.level("cost")
            assert low < middle < high

    def test_a_candidate_is_not_run_twice(self, tmp_path):
        parameters = {"toy.x": {"from": 0, "to": 3, "integer": True}, "toy.y": {"from": 0, "to": 2, "integer": True}}
        found = optimum(make_search(parameters=parameters), tmp_path / "optimum", workers=2)
        assert len(found.weighed.candidates) <= 12
        assert found.counts["runs"] == 2 * (1 + len(found.weighed.candidates)) + 8 * len(found.weighed.fresh)
        assert found.counts["trials"] == 60
        points = Results(found.directory).points
        assert all(isinstance(point["toy.x"], int) for point in points[1:])


class TestJudgedAgain:
    def test_by_seeds_that_the_search_has_not_seen(self, unbroken):
        """What is told is the mean over the runs with fresh seeds, and those alone."""
        weighed = unbroken.weighed
        summary = Results(unbroken.directory).summary
        again = summary[summary["replicate"] >= 2]
        assert set(again["seed"]) == set(range(9, 17))
        assert set(again["point"]) == {0, *chosen(weighed)} == set(weighed.fresh)
        table = pd.read_parquet(unbroken.directory / "pareto.parquet").set_index("candidate")
        for point, runs in again.groupby("point"):
            assert len(runs) == 8
            assert table.loc[point, "cost, fresh seeds"] == pytest.approx(runs["cost"].mean())
        assert table.loc[sorted(weighed.fresh)[1:], "holds"].eq(True).all()
        assert table.loc[~table.index.isin(sorted(weighed.fresh)[1:]), "holds"].isna().all()
        differences = [f"difference of cost{seeds}" for seeds in ("", ", fresh seeds")]
        there = table.loc[sorted(weighed.fresh), differences]
        assert there[differences[1]].to_numpy() == pytest.approx(there[differences[0]].to_numpy())  # luck is common

    def test_a_constraint_that_fresh_seeds_break_is_told(self, tmp_path):
        """With fresh seeds ``inside`` is larger by 8: of what kept 25 all above 17 breaks it."""
        found = optimum(make_search({"tighter_from": 9}), tmp_path / "optimum", workers=2)
        weighed = found.weighed
        truth = {number: weighed.of(number).means["inside"] <= 17 for number in chosen(weighed)}
        assert set(truth.values()) == {True, False}
        told = {one["candidate"]: one for one in found.facts["fresh"]["candidates"]}
        assert {number: told[number]["holds"] for number in truth} == truth
        assert all(told[number]["broken"] == ([] if holds else ["inside"]) for number, holds in truth.items())
        text = " ".join(optimise_text(weighed, found.counts).split())
        assert f"{sum(truth.values())} of {len(truth)} candidates hold by the fresh seeds" in text
        for number, holds in truth.items():
            assert (f"Candidate {number} does not hold: breaks inside <= 25, with " in text) == (not holds)

    def test_another_number_of_fresh_seeds_is_another_search(self, tmp_path):
        optimum(make_search(trials=10, fresh_replicates=2), tmp_path / "optimum", workers=2)
        for other in (3, 4):
            with pytest.raises(SweepError, match="not those that follow from its results; begin a new search"):
                optimum(make_search(trials=10, fresh_replicates=other), tmp_path / "optimum", resume=True)

    def test_a_run_that_fails_leaves_its_candidate_unknown(self, unbroken, tmp_path):
        first = 2 * (1 + len(unbroken.weighed.candidates))
        runs = [f"r{first + 8 * place:06d}" for place in (0, 2)]  # of the scenario as written, and of the second chosen
        found = optimum(make_search({"raises": runs}), tmp_path / "optimum", workers=2)
        second = chosen(found.weighed)[1]
        table = pd.read_parquet(found.directory / "pareto.parquet").set_index("candidate")
        assert table.loc[second, "holds"] is None
        assert table.loc[chosen(found.weighed)[0], "holds"]  # by its constraints: there is nothing to compare it with
        text = " ".join(optimise_text(found.weighed, found.counts).split())
        assert f"Candidate {second}: a run failed, so that nothing is known of it." in text
        assert "The scenario as written breaks a constraint there, or has no figures" in text


class TestWhateverHappens:
    def test_two_workers_give_the_same_bytes(self, unbroken, tmp_path):
        optimum(make_search(), tmp_path / "optimum", workers=2)
        assert found_files(tmp_path / "optimum") == found_files(unbroken.directory)

    @pytest.mark.parametrize(
        "how, searching",
        [(signal.SIGKILL, True), (signal.SIGINT, True), (signal.SIGKILL, False)],
        ids=["killed", "interrupted", "killed while judging again"],
    )
    def test_stopped_and_resumed_gives_the_same_bytes(self, unbroken, tmp_path, how, searching):
        out, marks = tmp_path / "optimum", tmp_path / "marks"
        marks.mkdir()
        context = {"marks": str(marks)}
        process = start_search(out, context=context, workers=2)
        runs = 50 if searching else 2 * (1 + len(unbroken.weighed.candidates)) + 20
        wait_for(lambda: len(list(marks.iterdir())) >= runs)
        process.send_signal(how)
        said = process.communicate()[1]
        assert not (out / "optimise.json").exists()
        assert how == signal.SIGKILL or "go on with --resume" in said
        time.sleep(0.2)  # its workers end when they see that it is gone
        again = optimum(make_search(context), out, workers=1, resume=True)
        assert found_files(out) == found_files(unbroken.directory)
        assert len({path.name for path in marks.iterdir()}) <= again.counts["runs"] + 4  # made anew: those in hand

    def test_a_finished_one_is_not_run_again(self, unbroken):
        before = found_files(unbroken.directory)
        sweep = (unbroken.directory / "sweep.json").read_bytes()
        optimum(make_search(), unbroken.directory, workers=1, resume=True)
        assert found_files(unbroken.directory) == before
        assert (unbroken.directory / "sweep.json").read_bytes() == sweep

    def test_another_search_is_refused(self, unbroken):
        with pytest.raises(SweepError, match=r"holds another search:(.|\n)*first run that differs"):
            optimum(make_search(replicates=3), unbroken.directory, resume=True)


class TestFailures:
    def test_failed_runs_do_not_stop_it(self, tmp_path):
        """Where x is above 3 all runs fail: the search goes on with the others, and they stay out of the front."""
        found = optimum(make_search({"raises_above": 3.0}), tmp_path / "optimum", workers=2)
        failed = [judged for judged in found.weighed.candidates if judged.means is None]
        assert failed and all(judged.parameters["toy.x"] > 3 for judged in failed)
        assert found.counts["failed_runs"] == 2 * len(failed) == len(found.failed)
        assert found.weighed.front
        assert all(found.weighed.of(number).parameters["toy.x"] <= 3 for number in found.weighed.front)
        text = " ".join(optimise_text(found.weighed, found.counts).split())
        assert f"{len(failed)} candidates failed ({2 * len(failed)} runs)" in text
        table = pd.read_parquet(found.directory / "pareto.parquet").set_index("candidate")
        assert (table.loc[[judged.number for judged in failed], "state"] == "failed").all()

    def test_one_failed_replicate_fails_its_candidate(self, tmp_path):
        found = optimum(make_search({"raises": ["r000005"]}), tmp_path / "optimum", workers=2)
        assert [judged.number for judged in found.weighed.candidates if judged.means is None] == [2]
        assert "no luck in r000005" in found.failed["r000005"]

    def test_a_process_that_dies_takes_one_run_with_it(self, tmp_path):
        found = optimum(make_search({"dies": ["r000010"]}, trials=10), tmp_path / "optimum", workers=2)
        assert list(found.failed) == ["r000010"]

    def test_with_failures_any_number_of_workers_gives_the_same(self, tmp_path):
        search = make_search({"raises_above": 3.0})
        for workers in (1, 2):
            optimum(search, tmp_path / str(workers), workers=workers)
        assert found_files(tmp_path / "1") == found_files(tmp_path / "2")
        optimum(search, tmp_path / "2", workers=1, resume=True)
        assert found_files(tmp_path / "1") == found_files(tmp_path / "2")

    def test_without_the_scenario_as_written_there_are_no_differences(self, tmp_path):
        found = optimum(make_search({"raises": ["r000000"]}, trials=10), tmp_path / "optimum", workers=2)
        assert found.facts["baseline"]["constraints_kept"] is None
        assert found.facts["front"][0]["indicators"]["cost"]["difference"]["mean"] is None
        assert found.facts["front"][0]["indicators"]["cost"]["mean"] is not None

    def test_all_failing_stops_it_with_the_reason(self, tmp_path):
        with pytest.raises(SweepError, match=r"all 18 runs of a batch failed; see .*/errors"):
            optimum(make_search({"raises_above": -1.0}), tmp_path / "optimum", workers=1)
        assert not (tmp_path / "optimum" / "optimise.json").exists()

"""Candidates weighed: who is beaten, who keeps the constraints, where the knee lies; and what [optimise] may say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from citytwin.runners.insight.optimise_text import fresh_sentences, kept_text, nearest_to_feasible, optimise_text
from citytwin.runners.insight.pareto import Judged, chosen, knee, undominated, verdict, weigh
from citytwin.runners.insight.settings import Bound, OptimiseSettings, parse_bound

PARAMETERS = {"toy.x": {"from": 0, "to": 10}}


def settings(**changes):
    """Return settings with two goals and a constraint."""
    given = {"goals": {"cost": "least", "good": "most"}, "constraints": {"beds": "<= 10"}, "parameters": PARAMETERS}
    return OptimiseSettings.model_validate(given | changes)


def judged(number, cost, good, beds, x=1.0):
    """Return a candidate; numbers stand for equal figures of two runs."""
    figures = {"cost": cost, "good": good, "beds": beds}
    return Judged(number, {"toy.x": x}, {name: np.broadcast_to(np.array(v, float), 2) for name, v in figures.items()})


@given(arrays(np.int8, st.tuples(st.integers(0, 30), st.integers(1, 3)), elements=st.integers(0, 5)))
def test_undominated_rows_are_those_of_the_definition(costs):
    costs = costs.astype(float)
    wanted = set()
    for row in {tuple(row) for row in costs.tolist()}:
        beaten = any((other <= row).all() and (other < row).any() for other in costs)
        wanted |= set() if beaten else {row}
    kept = undominated(costs)
    found = [tuple(costs[row].tolist()) for row in kept]
    assert found == sorted(wanted)
    assert all(row == np.flatnonzero((costs == costs[row]).all(1))[0] for row in kept)  # of equal ones the first


@given(arrays(float, st.tuples(st.integers(3, 20), st.just(2)), elements=st.floats(-100, 100)), st.floats(0.1, 10))
def test_the_knee_does_not_depend_on_units(front, factor):
    scaled = front * [factor, 1] + [3, 0]
    span = np.ptp(front, axis=0)
    if (span > 1e-6).all():
        sizes = [(((rows - rows.min(0)) / np.ptp(rows, axis=0)) ** 2).sum(1) for rows in (front, scaled)]
        assert sizes[0][knee(front)] == pytest.approx(sizes[0][knee(scaled)])


def test_knee_of_a_bent_front():
    assert knee(np.array([[0, 10], [1, 2], [9, 1], [10, 0]])) == 1


def test_weighed():
    """The third breaks the constraint, the fourth is beaten by the first, the fifth equals the second."""
    candidates = [judged(1, 1, 5, 9), judged(2, 3, 7, 10), judged(3, 0, 9, 11), judged(4, 2, 5, 1), judged(5, 3, 7, 2)]
    found = weigh(settings(), judged(0, 2, 2, 2), candidates)
    assert found.feasible == {1, 2, 4, 5}
    assert found.front == (1, 2)
    assert found.knee is None  # of two
    assert found.of(0) is found.baseline


def test_candidates_that_failed_are_left_out():
    found = weigh(settings(), judged(0, 2, 2, 2), [Judged(1, {"toy.x": 1.0}, None), judged(2, 1, 1, 1)])
    assert found.front == (2,)
    assert kept_text(found, found.of(1)) == "failed"


def test_a_constraint_that_luck_may_break_has_a_mark():
    sure, unsure = judged(1, 1, 1, [8, 9]), judged(2, 1, 1, [4, 15])
    found = weigh(settings(), judged(0, 2, 2, 2), [sure, unsure])
    # t interval of two: 6.31 standard errors on either side (printed table), 8.5 ± 3.2 and 9.5 ± 34.7
    assert kept_text(found, sure) == "kept?"
    assert kept_text(found, judged(3, 1, 1, [8, 8.1])) == "kept"
    assert kept_text(found, unsure) == "kept?"
    assert kept_text(found, judged(3, 1, 1, [11, 11.1])) == "broken"
    assert kept_text(found, judged(3, 1, 1, [10, 11.1])) == "broken?"


def test_without_a_feasible_one_the_nearest_is_told():
    candidates = [judged(1, 1, 1, 30), judged(2, 2, 2, 12), judged(3, 3, 3, 20)]
    found = weigh(settings(), judged(0, 2, 2, 2), candidates)
    assert found.front == ()
    assert nearest_to_feasible(found).number == 2
    text = optimise_text(found, {"trials": 10, "runs": 8, "failed_runs": 0})
    assert "No candidate keeps all constraints; loosen them" in text
    assert "The one nearest to it:" in " ".join(text.split())


def test_all_failed_is_told():
    found = weigh(settings(), judged(0, 2, 2, 2), [Judged(1, {"toy.x": 1.0}, None)])
    text = optimise_text(found, {"trials": 1, "runs": 3, "failed_runs": 2})
    assert "1 trial of 1 different candidate, 3 runs; 1 candidate failed (2 runs); 0 keep all constraints" in text
    assert nearest_to_feasible(found) is None


def test_what_is_told_of_goals():
    counts = {"trials": 10, "runs": 8, "failed_runs": 0}
    same = weigh(settings(), judged(0, 2, 2, 2), [judged(1, 1, 5, 2, x=10.0), judged(2, 1, 6, 2, x=9.95)])
    text = " ".join(optimise_text(same, counts).split())
    assert "cost is the same for all candidates, so it decides nothing" in text
    assert "One candidate is best in all goals" in text
    assert "At the end of its range in all candidates shown: x" in text
    alone = weigh(settings(replicates=1), judged(0, 2, 2, 2), [judged(1, 1, 5, 2), judged(2, 2, 6, 2)])
    assert "One seed only" in optimise_text(alone, counts)


def test_ends_of_a_logarithmic_range_are_near_in_its_own_measure():
    """From 0.001 to 1 a value of 0.005 lies at a quarter of the way, 0.00105 at its lower end."""
    ranges = {"toy.x": {"from": 0.001, "to": 1, "scale": "log"}}
    for x, told in ((0.005, False), (0.00105, True)):
        found = weigh(settings(parameters=ranges), judged(0, 2, 2, 2), [judged(1, 1, 5, 2, x=x)])
        text = optimise_text(found, {"trials": 10, "runs": 4, "failed_runs": 0})
        assert ("At the end of its range" in text) == told


def again(*fresh, baseline=(2, 2, 2), **changes):
    """Return candidates that were equal by the search, the scenario as written too, and came to these by fresh seeds."""
    candidates = [judged(number, number, number, 2) for number in range(1, len(fresh) + 1)]
    found = weigh(settings(**changes), judged(0, 2, 2, 2), candidates)
    judgements = [judged(0, *baseline), *(judged(number, *figures) for number, figures in enumerate(fresh, 1))]
    return replace(found, fresh={one.number: one for one in judgements})


class TestFreshSeeds:
    def test_who_holds(self):
        """Baseline: cost 2 (least), good 2 (most), 2 beds (<= 10). Exact figures: no interval leaves anything open."""
        found = again((1, 1, 2), (2, 2, 2), (3, 1, 2), (1, 3, 11), (2, 3, 10))
        told = [verdict(found, number) for number in range(1, 6)]
        assert [one.holds for one in told] == [True, False, False, False, True]
        assert [one.beaten for one in told] == [False, True, True, False, False]
        assert [one.broken for one in told] == [(), (), (), ("beds",), ()]
        assert all(one.sure for one in told[:1] + told[4:])
        lines = fresh_sentences(found)
        assert lines[0] == (
            "2 of 5 candidates hold by the fresh seeds: the constraints are kept and a goal is served better than by the "
            "scenario as written."
        )
        assert lines[1:] == [
            "Candidate 2 does not hold: in no goal better than the scenario as written.",
            "Candidate 3 does not hold: in no goal better than the scenario as written.",
            "Candidate 4 does not hold: breaks beds <= 10, with 11.00 (11.00 … 11.00).",
        ]

    def test_what_an_interval_leaves_open(self):
        """t interval of two: 6.31 standard errors on either side; the difference of cost is −1 ± 0.6, then −1 ± 6.3."""
        found = again(([0.9, 1.1], 2, 2), ([0, 2], 2, 2), (1, 2, [9.9, 10]))
        assert [verdict(found, number).holds for number in (1, 2, 3)] == [True, True, True]
        assert [verdict(found, number).sure for number in (1, 2, 3)] == [True, False, False]
        assert "; of 2 of them an interval leaves it open (holds?)." in fresh_sentences(found)[0]

    def test_a_baseline_that_breaks_a_constraint_is_no_measure(self):
        found = again((3, 1, 2), baseline=(2, 2, 11))
        assert verdict(found, 1).holds
        assert fresh_sentences(found)[0] == "1 of 1 candidate holds by the fresh seeds: the constraints are kept."
        assert "that a candidate is better is not asked" in fresh_sentences(found)[1]

    def test_who_was_not_judged_again_is_not_told(self):
        found = weigh(settings(), judged(0, 2, 2, 2), [judged(1, 1, 1, 2)])
        assert verdict(found, 1) is None
        assert "fresh" not in optimise_text(found, {"trials": 10, "runs": 4, "failed_runs": 0})

    def test_chosen(self):
        """Of a front those at its ends, the knee, and others evenly between; with one goal the ten best."""
        line = weigh(settings(), judged(0, 2, 2, 2), [judged(n, n, n, 2) for n in range(1, 60)])
        assert len(chosen(line)) in (15, 16)
        assert {1, 59, line.knee} <= set(chosen(line))
        assert np.ptp(np.diff([n for n in chosen(line) if n != line.knee])) <= 5
        alone = weigh(settings(goals={"good": "most"}), judged(0, 2, 2, 2), [judged(n, n, n, 2) for n in range(1, 60)])
        assert chosen(alone) == list(range(59, 49, -1))


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("fresh", [False, True])
def test_text_fits_a_terminal(width, fresh):
    many = [judged(number, number, number, 2, x=number / 10) for number in range(1, 60)]
    found = weigh(settings(), judged(0, 2, 2, 2), many)
    if fresh:
        found = replace(found, fresh={number: found.of(number) for number in (0, *chosen(found))})
    text = optimise_text(found, {"trials": 59, "runs": 120, "failed_runs": 0}, width)
    assert max(map(len, text.splitlines())) <= width
    assert "59 candidates that no other one beats" in " ".join(text.split())
    assert f"{found.knee} (knee)" in text


class TestSettings:
    def test_bounds(self):
        assert parse_bound("<= 500") == Bound("<=", 500.0)
        assert parse_bound(">=-1.5e2") == Bound(">=", -150.0)
        assert Bound("<=", 500).excess(600) == pytest.approx(0.2)
        assert Bound(">=", 0).excess(-3) == 3
        assert Bound(">=", 4).excess(4) == 0

    @pytest.mark.parametrize("text", ["500", "< 500", "<= many", "<= 1e999", "<= 5; import os", ""])
    def test_what_is_no_bound(self, text):
        with pytest.raises(ValueError, match='must be "<= number" or ">= number"'):
            parse_bound(text)

    def test_method_follows_the_goals(self):
        assert settings().searched_by == "nsga2"
        assert settings(goals={"cost": "least"}).searched_by == "tpe"
        assert settings(goals={"cost": "least"}, method="nsga2").searched_by == "nsga2"
        assert settings().generation == 10
        assert settings(population=20).generation == 20
        assert settings(constraints={"cost": "<= 3"}).indicators == ["cost", "good"]

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"goals": {}}, "at least 1"),
            ({"goals": {"cost": "fewer"}}, "'least' or 'most'"),
            ({"constraints": {"cost": ">= 5"}}, "contradict each other"),
            ({"constraints": {"good": "<= 5"}}, "contradict each other"),
            ({"parameters": {}}, "at least 1"),
            ({"parameters": {"toy.x": {"from": 3, "to": 3}}}, "must be greater than 'from'"),
            ({"parameters": {"toy.x": {"from": 3, "to": 5, "steps": 3}}}, "may lie anywhere in its range"),
            ({"parameters": {"toy.x": [1, 2]}}, "Choice"),
            ({"trials": 1}, "greater than or equal to 10"),
            ({"population": 300}, "at most the trials"),
            ({"population": 20, "method": "tpe"}, 'method = "nsga2" alone'),
            ({"aim": 1}, "Extra inputs"),
        ],
    )
    def test_mistakes(self, changes, message):
        with pytest.raises(ValidationError, match=message):
            settings(**changes)

"""The winner's curse: how much better than it is the best of many equal candidates looks, and that fresh seeds end it.

Formula: of k candidates that are all equal, each judged by the mean over n runs with normal luck of standard deviation s,
the best looks better than it is by s / sqrt(n) times E(k), the expected greatest of k standard normal numbers,
E(k) = k * integral of x * phi(x) * Phi(x)^(k - 1) dx (Teichroew 1956, Annals of Mathematical Statistics 27:410-426, whose
table has E(2) = 0.56419, E(10) = 1.53875 and E(20) = 1.86748). Judged by other runs it is on average no better than it is,
and better than the scenario as written, which is equal too, in half of all searches.

Replicates: 300 searches; accepted error: four standard errors of their mean, taken from their spread.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from citytwin.runners.insight import trials
from citytwin.runners.insight.pareto import verdict
from citytwin.runners.insight.settings import OptimiseSettings

SEARCHES = 300
CANDIDATES = 20
REPLICATES = 4
FRESH = 9
LUCK = 3.0


def expected_greatest(count):
    """Return E(k)."""
    return quad(lambda x: count * x * norm.pdf(x) * norm.cdf(x) ** (count - 1), -10, 10, epsabs=1e-10)[0]


def luck_of(task):
    """Return what a run comes to: luck alone, which follows from candidate and seed."""
    bits = int(np.float64(task["parameters"].get("toy.x", 0.5)).view(np.uint64))
    return LUCK * np.random.default_rng([bits, task["seed"]]).normal()


@pytest.fixture(scope="module")
def searches():
    """Return what searches among equal candidates found: one generation, so that all are drawn at random."""
    settings = OptimiseSettings.model_validate(
        {
            "goals": {"loss": "least"},
            "trials": CANDIDATES,
            "method": "nsga2",
            "population": CANDIDATES,
            "replicates": REPLICATES,
            "fresh_replicates": FRESH,
            "parameters": {"toy.x": {"from": 0, "to": 1}},
        }
    )
    figures = {}

    def figures_of(_out, runs, _names, _done):
        return {"loss": np.array([figures[run] for run in runs])}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "_figures", figures_of)
        return [searched(trials.Search(settings, {}, 1000 * number, "", {}), figures) for number in range(SEARCHES)]


def searched(search, figures):
    """Make all runs that a search asks for, and return what it found."""
    batches, done = search.batches(Path()), None
    while True:
        try:
            tasks = batches.send(done)
        except StopIteration as stop:
            return stop.value
        figures |= {task["run_id"]: luck_of(task) for task in tasks}
        done = {task["run_id"] for task in tasks}


def four_errors(values):
    return 4 * np.std(values, ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("count, printed", [(2, 0.56419), (10, 1.53875), (20, 1.86748)])
def test_expected_greatest_against_the_printed_table(count, printed):
    assert expected_greatest(count) == pytest.approx(printed, abs=5e-6)


def test_the_search_flatters_what_it_chose(validity, searches):
    assert all(len(found.candidates) == CANDIDATES for found in searches)
    best = [found.of(found.front[0]).means["loss"] for found in searches]
    optimism = LUCK / np.sqrt(REPLICATES) * expected_greatest(CANDIDATES)
    what = f"best of {CANDIDATES} equal candidates, mean of {REPLICATES} runs each, as the search sees it (truth 0)"
    validity("curse", what, np.mean(best), -optimism, four_errors(best), source="Teichroew 1956")
    assert four_errors(best) < 0.1 * optimism


def test_fresh_seeds_do_not(validity, searches):
    again = [found.fresh[found.front[0]].means["loss"] for found in searches]
    what = "the same, judged again on fresh seeds"
    validity("curse", what, np.mean(again), 0.0, four_errors(again), source="independence of the runs")
    assert np.std(again, ddof=1) == pytest.approx(LUCK / np.sqrt(FRESH), rel=4 / np.sqrt(2 * SEARCHES))


def test_half_of_what_looked_better_than_the_scenario_as_written_holds(validity, searches):
    better = [found.of(found.front[0]).difference("loss", found.baseline)[0] < 0 for found in searches]
    holds = [verdict(found, found.front[0]).holds for found in searches]
    assert np.mean(better) > 0.9
    what = "share of plans that looked better than their equal and hold on fresh seeds"
    validity("curse", what, np.mean(holds), 0.5, four_errors(holds), source="symmetry of the luck")


def test_the_interval_by_fresh_seeds_holds_the_truth_as_often_as_it_says(validity, searches):
    """90 % of the intervals hold 0; those of the search, of what it chose, hardly ever do so often."""
    held = {True: [], False: []}
    for found in searches:
        for fresh, judged in ((True, found.fresh[found.front[0]]), (False, found.of(found.front[0]))):
            _, low, high = judged.level("loss")
            held[fresh].append(low <= 0 <= high)
    what = "share of 90 % intervals by fresh seeds that hold the truth"
    validity("curse", what, np.mean(held[True]), 0.9, 4 * np.sqrt(0.9 * 0.1 / SEARCHES), source="Student's interval")
    assert np.mean(held[False]) < 0.7

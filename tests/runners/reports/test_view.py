"""Comparisons of many points: which are shown, in what order, and what a terminal gets to see."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_scenarios import TINY

from citytwin.runners.compare import compare
from citytwin.runners.reports.describe import comparison_facts
from citytwin.runners.reports.report import text_report
from citytwin.runners.reports.report_page import html_report
from citytwin.runners.reports.view import view_of
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.tables import StoreError

SEEDS = 3


def results(points=500, missing=(), lost=(), own_seeds=False):
    """Return results whose attack rate falls with r0, which falls with the number of the point; deaths are at random.

    ``missing``: points without a run; ``lost``: (point, replicate) of single runs; ``own_seeds``: whether points share none.
    """
    generator = np.random.default_rng(1)
    rows = [
        {
            "run_id": f"p{point}-r{replicate}",
            "point": point,
            "replicate": replicate,
            "seed": 1 + replicate + 100 * point * own_seeds,
            "epidemic.r0": 3 - point / points,
            "attack_rate": 0.9 - 0.8 * point / points + 0.01 * replicate,
            "infections": 900 - point,
            "deaths": int(generator.integers(1, 1000)),
            "reproduction_early": 1.5 + point,
        }
        for point in range(points)
        for replicate in range(SEEDS)
        if point not in missing and (point, replicate) not in lost
    ]
    independent = '[sweep]\nseeds = "independent"\nreplicates = 3\n[sweep.parameters]\n"epidemic.r0" = [2, 3]\n'
    info = {
        "scenario": Scenario.from_text(TINY + independent * own_seeds).to_dict(),
        "context": {"files": {}, "city_facts": []},
        "parameters": ["epidemic.r0"],
        "points": [{"point": point, "parameters": {"epidemic.r0": 3 - point / points}} for point in range(points)],
        "replicates": list(range(SEEDS)),
        "runs": points * SEEDS,
        "versions": {"citytwin": "0"},
        "started": "2026-01-05T12:00:00+00:00",
    }
    return Results.in_memory({"summary": pa.Table.from_pandas(pd.DataFrame(rows))}, info)


def points_in(text):
    """Return the numbers of the points in the first table of a report."""
    table = text.partition("Difference to")[0]
    return [int(found.group(1)) for found in re.finditer(r"^ +(\d+)  ", table, re.MULTILINE)]


def test_pairs_are_said():
    text = " ".join(text_report(results(3)).split())
    assert (
        "Difference to point 0: mean of the differences, runs of the same seed paired (90% interval, Student’s t)"
        in text
    )
    assert "npaired" not in text and " of 3 " not in text


def test_points_without_common_seeds_are_compared_and_said_to_be_unpaired():
    found = results(3, own_seeds=True)
    text = " ".join(text_report(found).split())
    assert "Difference to point 0: difference of the means, unpaired (90% interval, Welch’s t)" in text
    assert text.count(" unpaired −") == 2
    assert "Unpaired: 2 points and point 0 share no seed, so the luck of both stays in the difference" in text
    assert 'This sweep has seeds = "independent"' in text
    facts = comparison_facts(found)
    assert [one["paired"] for one in facts] == [True, False, False]
    assert facts[1]["measures"]["attack_rate"]["low"] < facts[1]["measures"]["attack_rate"]["difference"] < 0
    page = html_report(found)
    assert "Difference of the means, unpaired (90% interval, Welch’s t). Unpaired: 2 points and point 0" in page
    assert page.count(">unpaired<") >= 2


def test_how_many_of_the_seeds_pair_up_is_said():
    text = " ".join(text_report(results(3, lost=[(1, 2), (2, 0), (2, 1), (2, 2)])).split())
    assert " 1 2 of 3 −" in text
    assert "Pairs n of m: of 1 point only the seeds that both points have are compared." in text
    mixed = results(3)
    own = mixed.summary["seed"].where(mixed.summary["point"] < 2, mixed.summary["seed"] + 50)
    mixed.summary["seed"] = own
    text = " ".join(text_report(mixed).split())
    assert "Student’s t); where there is no pair difference of the means, unpaired (90% interval, Welch’s t)" in text
    assert "Unpaired: 1 point and point 0 share no seed" in text


def test_few_points_are_all_shown():
    view = view_of(results(40))
    assert view.points == tuple(range(40))
    assert view.note == ""


def test_of_many_both_ends_are_shown_after_the_baseline():
    view = view_of(results(), baseline=7)
    assert view.points == (7, *range(499, 489, -1), *(point for point in range(9, -1, -1) if point != 7))
    assert "20 of 500 points: those with the least and the most attack rate, 10 each, after the baseline" in view.note


def test_a_terminal_shows_them_with_their_differences():
    many = results()
    text = text_report(many)
    assert points_in(text) == list(view_of(many).points)
    assert len(text.splitlines()) < 70
    assert max(map(len, text.splitlines())) <= 120
    assert "20 of 500 points" in text


def test_points_without_a_figure_come_last():
    many = results(60)
    table = many.summary
    table.loc[table["point"].isin([10, 20]), "deaths"] = np.nan
    view = view_of(many, names=["deaths"], sort="deaths", limit=60)
    means = table.groupby("point")["deaths"].mean().dropna().sort_values()
    assert set(view.points[-2:]) == {10, 20}
    assert [means[point] for point in view.points[:-2]] == means.tolist()


def test_order_and_figures_can_be_chosen():
    many = results()
    view = view_of(many, names=["deaths", "reproduction_early"], sort="deaths", limit=3)
    means = many.summary.groupby("point")["deaths"].mean().sort_values(kind="stable")
    wanted = [*means.index[:3], *means.index[-3:]]
    assert list(view.points) == [0, *(point for point in wanted if point != 0)]
    text = text_report(many, view=view)
    assert "deaths" in text and "reproduction_early" in text and "attack rate," not in text
    facts = comparison_facts(many, 0, view)
    assert [point["point"] for point in facts] == list(view.points)
    assert set(facts[1]["measures"]) == {"deaths", "reproduction_early"}
    assert facts[1]["parameters"] == many.points[facts[1]["point"]]
    json.dumps(facts, allow_nan=False)


def test_few_points_can_be_sorted():
    view = view_of(results(5), sort="attack_rate")
    assert view.points == (4, 3, 2, 1, 0)
    assert view.note == ""


def test_points_without_runs_are_counted():
    many = results(60, missing=(59, 58))
    view = view_of(many, limit=2)
    assert view.points == (0, 57, 56, 1)
    assert view.note.endswith("; 2 points have no run")
    whole = view_of(results(5, missing=(4,)), sort="attack_rate")
    assert whole.points == (3, 2, 1, 0, 4)
    assert "no run" in text_report(results(5, missing=(4,)), view=whole)


def test_mistakes_are_told():
    many = results(3)
    with pytest.raises(
        StoreError, match=r"'death' is no figure of the summary \(did you mean 'deaths'\?\); there are: "
    ):
        view_of(many, names=["death"])
    with pytest.raises(StoreError, match="'run_id' is no figure"):
        view_of(many, sort="run_id")
    with pytest.raises(StoreError, match="baseline 3: there are points 0 to 2"):
        view_of(many, 3)
    with pytest.raises(StoreError, match="baseline 2: no run of this point is in the results; points with runs: 0, 1"):
        compare(results(3, missing=(2,)).summary, 2)


def test_many_points_are_compared_at_once():
    """Every point against the plain way: pairs of one seed, their mean."""
    many = results(300)
    frame = compare(many.summary, 5)
    assert len(frame) == 300 * 3
    base = many.summary[many.summary["point"] == 5].set_index("seed")["deaths"]
    for point in (0, 5, 299):
        runs = many.summary[many.summary["point"] == point].set_index("seed")["deaths"]
        [found] = frame[(frame["point"] == point) & (frame["measure"] == "deaths")].to_dict("records")
        assert found["difference"] == pytest.approx((runs - base).mean(), abs=1e-9)
        assert found["pairs"] == SEEDS

"""The answer: ranks, what is shown, and the picture of a plan."""

import numpy as np
import pytest

from citytwin.agents.response.siting.plan import SitingError
from citytwin.runners.siting.answer import facts, ranked, text
from citytwin.runners.siting.pictures import draw
from citytwin.runners.siting.site import answer
from citytwin.runners.siting.trials import BETTER_HIGH


@pytest.fixture(scope="module")
def found(question):
    return answer(question, sizes=[2, 3], replicates=2)


@pytest.mark.parametrize("by", BETTER_HIGH)
def test_the_best_of_each_size_come_first_and_today_stays(found, by):
    order = ranked(found.plans, by, 1)
    for size in (2, 3):
        mine = [plan for plan in order if plan.plan.size == size]
        values = [plan.mean(by) for plan in found.plans if plan.plan.size == size]
        assert mine[0].mean(by) == (np.nanmax(values) if BETTER_HIGH[by] else np.nanmin(values))
        assert len(mine) <= 2
        assert any("as today" in plan.plan.methods for plan in mine)
    assert [plan.plan.size for plan in order] == sorted(plan.plan.size for plan in order)


def test_units_are_as_busy_as_the_first_simulation_says(found):
    load = found.today.mean("busy") * 2
    assert found.busy == {2: pytest.approx(min(load / 2, 1.0)), 3: pytest.approx(min(load / 3, 1.0))}


def test_the_text_names_every_station_of_the_best_plan(found):
    said = text(found)
    best = next(plan for plan in facts(found)["plans"] if plan["plan"] == found.plans.index(found.best) + 1)
    assert all(f"{station['units']}  {station['name']}" in said for station in best["stands"])
    assert ("given up: Corner" in said) == all(station["name"] != "Corner" for station in best["stands"])


def test_the_picture_marks_stations_and_what_is_late(found):
    figure = draw(found, found.today)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.texts if label.get_text() == "2"] == ["2"]
    labels = [entry.get_text() for entry in axes.get_legend().get_texts()]
    late = found.seconds(found.today.plan.units) > 180
    assert late.any()
    assert labels == ["station and its units", "hospital", "main road", "later than 3 min"]
    hatched = next(drawn for drawn in axes.collections if drawn.get_hatch())
    assert len(hatched.get_paths()) == late.sum()
    assert axes.get_title(loc="left") == f"Tiny: ambulance, plan {found.plans.index(found.today) + 1}"


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"methods": ["luck"]}, "--method luck: there are"), ({"by": "beauty"}, "--by beauty: there are in_time")],
)
def test_words_that_are_none(question, asked, said):
    with pytest.raises(SitingError, match=said):
        answer(question, **asked)

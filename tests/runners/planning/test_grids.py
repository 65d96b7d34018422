"""Tables of who gains and who loses: what is left out, and figures that there are not."""

import numpy as np
import pandas as pd
import pytest

from citytwin.runners.planning.change import Change
from citytwin.runners.planning.grids import CELLS, FEW, ZONES, grids


def reached(by: str, groups: list[str], before: list[float], after: list[float]) -> list[dict]:
    """Rows of jobs and schools by walk within both limits."""
    return [
        {
            "by": by,
            "group": group,
            "people": 10 + number,
            "mode": "walk",
            "minutes": minutes,
            "kind": kind,
            "before": before[number],
            "after": after[number],
            "share_before": 0.5,
            "share_after": 0.25,
        }
        for number, group in enumerate(groups)
        for minutes in (15.0, 30.0)
        for kind in ("jobs", "schools", "care")
    ]


def test_zones_that_lose_most_access_come_first_and_nothing_has_no_share() -> None:
    zones = [f"zone {number}" for number in range(2 * ZONES + 3)]
    after = [float(number) for number in range(len(zones))]
    rows = reached("all", ["everybody"], [8.0], [4.0]) + reached(
        "zone", zones, [0.0, *[10.0] * (len(zones) - 1)], after
    )
    rows[-6]["after"] = 0.0
    first, second = list(grids(Change(1, access=pd.DataFrame(rows))))
    assert first[1][0] == ["", "jobs", "change", "schools, %", "change", "care, %", "change"]
    assert first[1][1][1] == ["  walk", "8", "−4.0", "50.0", "−25.0", "50.0", "−25.0"]
    shown = {row[0].strip(): row[2] for row in second[1][1]}
    assert shown["everybody"] == "−50.0"
    assert list(shown)[2] == zones[-1]  # the last one reaches none of its ten any more
    assert shown[zones[-1]] == "−100.0"
    assert shown["zone 1"] == "−90.0"
    assert second[2] == "3 zones between these are left out; --json has all"
    nothing = reached("all", ["everybody"], [0.0], [3.0])
    assert list(grids(Change(1, access=pd.DataFrame(nothing))))[1][1][1][0][2] == "–"


def test_cells_of_few_people_are_not_named() -> None:
    rng = np.random.default_rng(1)
    rows = [
        {
            "by": "zone",
            "group": f"zone {zone}",
            "mode": mode,
            "people": float(FEW + (zone - 3)),
            "before": 10.0,
            "change": float(change),
            "better": 0.5,
            "worse": 0.25,
        }
        for zone in range(9)
        for mode, change in zip(("car", "walk"), rng.normal(size=2), strict=True)
    ]
    head, (heads, shown), note = next(grids(Change(1, cross=pd.DataFrame(rows))))
    named = [row for row in rows if row["people"] >= FEW]
    order = sorted(named, key=lambda row: -row["change"])
    wanted = [f"  {row['group']}, {row['mode']}" for row in (*order[:CELLS], *order[-CELLS:])]
    assert [row[0] for row in shown] == ["by zone of home and mode", *wanted]
    assert (
        note
        == f"Of groups with {FEW} people or more; {len(named) - 2 * CELLS} between these are left out, --json has all"
    )
    assert heads[1] == "people"
    assert head.startswith("Who loses and who gains most")


@pytest.mark.parametrize("incomes", [True, False])
def test_evenness_without_incomes_or_anything_to_share(incomes: bool) -> None:
    sides = {"gini": (0.25, 0.5), "theil": (0.5, 0.0), "worst_tenth": (1.0, 3.0), "worst_change": (0.0, 2.0)}
    sides |= {"theil_between_zone": (0.25, 0.0), "theil_within_zone": (0.25, 0.0)}
    sides |= {"theil_between_income": (float("nan"), 0.0)} if incomes else {}
    _, (heads, rows), note = next(grids(Change(1, even={"travel": sides})))
    assert rows == [
        ["minutes of travel", "0.2500", "+0.2500", "0.5000", "50.0 → 0.0", *(["–"] if incomes else []), "1.0", "+2.0"]
    ]
    assert len(heads) == len(rows[0])
    assert note == "Travel of the tenth that loses most: +2.00 min a day"

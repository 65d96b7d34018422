"""Who gains and who loses: reading a run's rows, pairing trips, changes by group, and the tables of the command."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from citytwin.runners.cli import app
from citytwin.runners.planning.change import compared
from citytwin.runners.planning.evenness import evenness
from citytwin.runners.planning.gains import (
    NOTABLE,
    Grouping,
    changes,
    crossed,
    day_minutes,
    gains,
    groupings,
    mode_names,
)
from citytwin.runners.planning.reading import (
    Pairs,
    batches,
    link_days,
    paired_trips,
    rows_of,
    with_pairs,
)
from citytwin.runners.results import Results
from citytwin.runners.storage import shards, store
from citytwin.runners.storage.tables import StoreError, to_tables


def test_rows_of_a_run_are_those_that_were_written(planned) -> None:
    for run, day in planned.days.items():
        rows = rows_of(planned.results, "trips", run, ("person", "depart", "arrive"))
        assert all(np.array_equal(rows[name], day.trips[name]) for name in rows)
    with pytest.raises(StoreError, match="table 'trips' has no column price; there are: run_id, "):
        rows_of(planned.results, "trips", run, ("price",))


def test_a_run_is_read_by_row_group_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP", 100)
    tasks = [{"run_id": f"r{n}", "point": n, "replicate": 0, "seed": 1, "parameters": {}} for n in range(3)]
    (tmp_path / store.TASKS).write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (tmp_path / store.MANIFEST).write_text("{}")
    results = object.__new__(Results)
    results.directory = tmp_path
    for number, task in enumerate(tasks):
        values = np.arange(250) + 1000 * number
        store.commit(tmp_path, task["run_id"], to_tables(task, {"links": {"left": values}}, {}))
        if number == 1:  # the third run stays staged
            store.Store(tmp_path, ["r0", "r1"], 2, {}).seal(0)
    sizes = {}
    for number, task in enumerate(tasks):
        pieces = [piece["left"] for piece in batches(results, "links", task["run_id"], ("left",))]
        assert np.array_equal(np.concatenate(pieces), np.arange(250) + 1000 * number)
        sizes[task["run_id"]] = [len(piece) for piece in pieces]
    assert sizes == {"r0": [100, 100, 50], "r1": [50, 100, 100], "r2": [250]}


def random_trips(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    depart = rng.integers(0, 50, count).astype(float)  # many leave at once
    arrive = np.where(rng.random(count) < 0.1, np.nan, depart + rng.integers(1, 600, count))
    columns = {"day": (0, 2), "person": (-1, 12), "purpose": (0, 2), "mode": (0, 5)}
    drawn = {name: rng.integers(*ends, count) for name, ends in columns.items()}
    return drawn | {"depart": depart, "arrive": arrive}


def by_person(trips: dict[str, np.ndarray]) -> dict[tuple[int, int, int], int]:
    """Row of each trip by day, person and how many of the person's trips of the day began before."""
    found, seen = {}, defaultdict(int)
    for row in sorted(range(len(trips["person"])), key=lambda row: (trips["depart"][row], row)):
        who = int(trips["day"][row]), int(trips["person"][row])
        if who[1] >= 0:
            found[*who, seen[who]] = row
            seen[who] += 1
    return found


@pytest.mark.parametrize("seed", range(5))
def test_trips_are_paired_by_person_and_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    old, new = random_trips(rng, 150), random_trips(rng, 130)
    first, second = by_person(old), by_person(new)
    expected = {
        key: (new["arrive"][second[key]] - new["depart"][second[key]], old["arrive"][row] - old["depart"][row])
        for key, row in first.items()
        if key in second and old["purpose"][row] == new["purpose"][second[key]]
    }
    pairs = paired_trips(old, new)
    assert len(pairs.person) == len(expected)
    assert len(pairs.alone) == len(first) + len(second) - 2 * len(expected)
    assert pairs.days == 2
    found = sorted(zip(pairs.day, pairs.person, np.nan_to_num(pairs.after, nan=-1), strict=True))
    wanted = sorted((day, person, np.nan_to_num(after, nan=-1)) for (day, person, _), (after, _) in expected.items())
    assert np.allclose(found, wanted)
    assert np.nansum(pairs.before) == pytest.approx(np.nansum([before for _, before in expected.values()]))


def test_a_run_paired_with_itself_changes_nothing() -> None:
    trips = random_trips(np.random.default_rng(9), 200)
    pairs = paired_trips(trips, trips)
    assert len(pairs.alone) == 0
    assert np.array_equal(pairs.before, pairs.after, equal_nan=True)


@pytest.mark.parametrize("seed", range(5))
def test_changes_by_group_as_counted_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, days = 80, 2
    times = rng.integers(0, 400, (2, count)).astype(float)
    times[rng.random((2, count)) < 0.15] = np.nan
    ids = {
        name: rng.integers(*ends, count) for name, ends in (("day", (0, days)), ("person", (0, 15)), ("mode", (0, 3)))
    }
    pairs = Pairs(ids["day"], ids["person"], ids["mode"], ids["mode"], times[0], times[1], days, np.arange(0))
    group, alone = rng.integers(-1, 4, count), rng.integers(-1, 4, 30)
    columns = changes(pairs, Grouping("test", list("abcde"), group, alone))
    assert columns["unpaired"].tolist() == [(alone == number).sum() / days for number in range(5)]
    for number in range(5):
        members = sorted(set(pairs.person[group == number].tolist()))
        before, change, better, worse, stranded = [], [], 0, 0, 0
        for member in members:
            rows = [row for row in range(count) if group[row] == number and pairs.person[row] == member]
            done = [row for row in rows if not np.isnan(times[:, row]).any()]
            lost = [row for row in rows if not np.isnan(times[0, row]) and np.isnan(times[1, row])]
            won = [row for row in rows if np.isnan(times[0, row]) and not np.isnan(times[1, row])]
            before.append(sum(times[0, row] for row in done) / days / 60)
            change.append(sum(times[1, row] - times[0, row] for row in done) / days / 60)
            stranded += (len(lost) - len(won)) / days
            if bool(lost) != bool(won):
                worse, better = worse + bool(lost), better + bool(won)
            else:
                worse, better = worse + (change[-1] > NOTABLE / 60), better + (change[-1] < -NOTABLE / 60)
        assert columns["people"][number] == len(members)
        assert columns["stranded"][number] == pytest.approx(stranded)
        if members:
            expected = np.mean(before), np.mean(change), better / len(members), worse / len(members)
            found = [columns[name][number] for name in ("before", "change", "better", "worse")]
            assert found == pytest.approx(expected)
        else:
            assert np.isnan(columns["change"][number])


def test_gains_are_the_mean_of_the_pairs_of_runs(planned) -> None:
    frame, cross, even = gains(planned.results, 1, 0)
    everybody = frame[frame["by"] == "all"].iloc[0]
    means, people = [], []
    for replicate in range(2):
        old, new = (planned.days[f"p{point:04d}-r{replicate:04d}"].trips for point in range(2))
        change = (new["arrive"] - new["depart"]) - (old["arrive"] - old["depart"])
        assert np.array_equal(old["person"], new["person"])
        people.append(len(set(old["person"].tolist())))
        means.append(change.sum() / 60 / people[-1])
    assert everybody["change"] == pytest.approx(np.mean(means))
    assert everybody["people"] == np.mean(people)
    assert list(even)[:2] == ["gini", "theil"]
    assert even["worst_change"][1] >= everybody["change"]
    for by in ("zone", "age", "income"):
        parts = np.add(even[f"theil_between_{by}"], even[f"theil_within_{by}"])
        assert parts == pytest.approx(even["theil"], rel=1e-9)
        whole, part = (table[table["by"] == by] for table in (frame, cross))
        sums = [(table["people"] * table["change"]).sum() for table in (part, whole)]
        assert sums[0] == pytest.approx(sums[1], rel=1e-2)  # means of pairs of runs, whose people differ
    assert set(cross["mode"]) == {"car", "transit", "walk"}
    assert everybody["low"] < everybody["change"] < everybody["high"]
    zones = frame[frame["by"] == "zone"]
    assert zones["people"].sum() == everybody["people"]
    assert (zones["people"] * zones["change"]).sum() == pytest.approx(
        everybody["people"] * everybody["change"], rel=1e-2
    )
    assert frame[frame["by"] == "age"]["group"].tolist() == ["0–17", "18–29", "30–64", "65+"]
    walkers = frame[(frame["by"] == "mode") & (frame["group"] == "walk")].iloc[0]
    assert (walkers["change"], walkers["better"], walkers["worse"]) == (0, 0, 0)
    same = gains(planned.results, 0, 0)
    assert (same.travel["change"] == 0).all()
    assert (same.cross["change"] == 0).all()


def test_a_person_counts_in_each_mode_by_which_they_go(planned) -> None:
    rng = np.random.default_rng(4)
    trips = [random_trips(rng, 400) for _ in range(2)]
    pairs = paired_trips(*trips)
    grouping = next(g for g in groupings(planned.city, pairs) if g.by == "age")
    cells = crossed(grouping, pairs)
    columns = changes(pairs, cells)
    modes = mode_names()
    assert cells.names == [name for name in grouping.names for _ in modes]
    for group in range(len(grouping.names)):
        for mode in range(len(modes)):
            rows = (grouping.group == group) & (pairs.mode_before == mode)
            number = group * len(modes) + mode
            assert columns["people"][number] == len(set(pairs.person[rows].tolist()))
            both = rows & np.isfinite(pairs.before) & np.isfinite(pairs.after)
            total = (pairs.after - pairs.before)[both].sum() / pairs.days / 60
            assert (
                columns["people"][number] * columns["change"][number] == pytest.approx(total, nan_ok=True)
                or not rows.any()
            )


def test_evenness_is_that_of_minutes_a_person() -> None:
    person = np.array([0, 0, 1, 2, 3, 3, 4])
    before = np.array([300.0, 300, 600, 600, 400, 200, 600])
    after = np.array([300.0, 900, 600, np.nan, 400, 200, 600])
    mode = np.zeros(7, np.int64)
    who, first, second = day_minutes(Pairs(mode, person, mode, mode, before, after, 1, np.arange(0)))
    assert who.tolist() == [0, 1, 3, 4]
    assert first.tolist() == [10, 10, 10, 10]  # the fifth no longer arrives
    assert second.tolist() == [20, 10, 10, 10]
    found = evenness(first, second, {"zone": np.array([0, 0, 1, 1])})
    assert found["gini"][0] == pytest.approx(0)
    minutes = np.array([20.0, 10, 10, 10])
    apart = np.abs(minutes[:, None] - minutes).mean() / (2 * minutes.mean())
    assert found["gini"][1] == pytest.approx(apart)
    share = minutes / minutes.sum()
    assert found["theil"] == pytest.approx((0, (share * np.log(4 * share)).sum()), abs=1e-12)
    zones = np.array([15.0, 15, 10, 10])
    share = zones / zones.sum()
    assert found["theil_between_zone"][1] == pytest.approx((share * np.log(4 * share)).sum())
    assert sum(found[f"theil_{part}_zone"][1] for part in ("between", "within")) == pytest.approx(found["theil"][1])
    assert found["worst_tenth"] == pytest.approx((10, 20))
    assert found["worst_change"] == pytest.approx((0, 10))
    least = evenness(first, second, {}, most_is_worst=False)
    assert least["worst_tenth"] == pytest.approx((10, 10))
    assert least["worst_change"] == pytest.approx((0, 0))
    assert evenness(np.zeros(0), np.zeros(0), {}) == {}


def test_cars_of_the_household_part_people_too(planned) -> None:
    trips = random_trips(np.random.default_rng(2), 300)
    cars = np.zeros(len(planned.city.households), np.uint8)
    household = planned.city.people.household
    cars[household[3]], cars[household[8]] = 1, 3
    grouping = next(g for g in groupings(planned.city, paired_trips(trips, trips), cars) if g.by == "cars")
    people = paired_trips(trips, trips).person
    assert np.array_equal(grouping.group, np.minimum(cars, 2)[household[people]])
    assert {grouping.names[group] for group in grouping.group[household[people] == household[8]]} == {
        "two cars or more"
    }


def test_link_days_add_up_to_the_ways_of_the_trips(planned) -> None:
    for run, day in planned.days.items():
        sums, days = link_days(planned.results, run, len(planned.city.links))
        passed = np.bincount(np.concatenate(list(day.ways.values())), minlength=len(planned.city.links))
        assert days == 1
        assert np.array_equal(sums["left"], passed)
        assert (sums["peak"] <= sums["left"]).all()
        assert sums["peak"].max() > 0
        by_car = np.isin(day.order, list(day.ways))
        spent = (day.trips["arrive"] - day.trips["depart"])[by_car].sum()
        assert sums["seconds"].sum() == pytest.approx(spent)
    with pytest.raises(StoreError, match=r"names link \d+, its city has 7"):
        link_days(planned.results, run, 7)


def test_the_command_shows_who_gains_and_who_loses(planned, tmp_path: Path) -> None:
    words = ["compare", str(planned.results.directory), "--area", str(planned.file)]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "tables")], env={"COLUMNS": "100"})
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if str(tmp_path) not in line]  # paths are as long as they are
    assert max(map(len, lines)) <= 100
    for text in (
        "Point 1 against point 0",
        "everybody",
        "by zone of home",
        "by income of the household and mode",
        "What residents reach",
        "minutes of travel",
        "vehicle-km",
        "through traffic, no buses",
        "Hours and delay are those on the streets",
    ):
        assert text in done.stdout
    facts = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert "travel" not in facts[0]
    assert {row["by"] for row in facts[1]["travel"]} == {"all", "mode", "age", "income", "zone"}
    assert {row["by"] for row in facts[1]["cross"]} == {"age", "income", "zone"}
    assert {row["of"] for row in facts[1]["evenness"]} == {"travel", "jobs_walk", "jobs_bicycle", "jobs_car"}
    assert {row["place"] for row in facts[1]["traffic"]} == {"city", "Block"}
    assert set(facts[1]["rat_runs"]) == {"city", "Block"}
    names = ("access", "cross", "evenness", "traffic", "travel")
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == [f"{name}.parquet" for name in names]
    for name in names:
        table = pd.read_parquet(tmp_path / "tables" / f"{name}.parquet")
        assert (table["point"] == 1).all()
        assert len(table) == len(facts[1][name])
    assert (
        CliRunner().invoke(app, [*words, "--out", str(tmp_path / "tables")]).exit_code == 0
    )  # its own may be replaced
    (tmp_path / "tables" / "travel.parquet").write_text("mine")
    taken = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "tables")])
    assert "was not made by citytwin" in str(taken.exception)


def test_results_without_trips_are_compared_as_before(swept: Path) -> None:
    done = CliRunner().invoke(app, ["compare", str(swept)])
    assert done.exit_code == 0
    assert "against point" not in done.stdout
    wrong = CliRunner().invoke(app, ["compare", str(swept), "--area", "area.geojson"])
    assert isinstance(wrong.exception, StoreError)
    assert 'write tables = ["links"] under [output]' in str(wrong.exception)
    green = CliRunner().invoke(app, ["compare", str(swept), "--green", "parks.geojson"])
    assert "no table 'trips' was kept" in str(green.exception)


def test_points_without_common_seeds_are_left_out(planned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trips of one person and seed are paired; where there is no such pair, the other figures are compared all the same."""
    results = planned.results
    own = results.summary.assign(seed=results.summary["seed"] + 100 * results.summary["point"])
    monkeypatch.setitem(results.__dict__, "summary", own)
    assert with_pairs(results, 0) == []
    assert list(compared(results, 0)) == []
    with pytest.raises(StoreError, match="have no seed in common"):
        gains(results, 1, 0)

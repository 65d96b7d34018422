"""Ambulances of Auckland as JEMSS.jl models them: 14 stations, 16 units, 280 calls a day, its streets, residents and laws.

**Load.** The mean number of busy units is rate × mean cycle (Little 1961), and at least rate × (scene + share brought ×
handover) = 280/1440 · (12 + 0.8 · 12) = 4.20, which leaves out the ways. Accepted: four standard errors of the number of
calls and of the mean cycle. What the units are busy adds up to what the calls took, to the rounding of a second's millionth.

**Response.** JEMSS publishes no results here, so the median is held against 2,268 counties of the USA (Byrne et al. 2019):
median of county medians 9 min, quartiles 7 and 11 min. Single calls spread more than medians of counties do: one service of
16 units, half of them busy, with a Poisson process of calls and exponential work, so that the nearest unit is often away.

**Policies** are compared on the same calls: each further unit raises the share within 8 min; a priority for which units are
called away is answered sooner, one that they are called away from later. Times of travel at the peak are assumed: 1.3 times
those of the file, from 7 to 9 and from 16 to 18 o'clock; JEMSS has one set for all hours.

S. Ridler, A. Mason, A. Raith (2022), European Journal of Operational Research 298 (3); J. P. Byrne et al. (2019), JAMA
Surgery 154 (4); data: tests/DATA.md.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.spatial import cKDTree

from citytwin.agents.response.jemss import read_jemss
from citytwin.environment.network.jemss import numbers, read_sections

CRS = "EPSG:2193"
DAY = 86_400.0
WARM_UP = 1
UNITS = [*range(14), 6, 3]
"""Station of each: one everywhere, second ones in the centre and in Manukau."""
FURTHER = [12, 2, 9, 11]
BUSY = slice(2, 8)
"""States from being sent to being free."""
PEAK = 1.3
JEMSS = "JEMSS.jl, its Auckland model"
BYRNE = "Byrne et al. 2019, 2,268 counties of the USA"


@pytest.fixture(scope="module")
def auckland(survey):
    return read_jemss(survey / "auckland_ems", CRS)


def replicate(service, days, seed, units=UNITS, redispatch=(), peak=None):
    """Return the calls after the first day, what became of them, and seconds (units,) busy from then on."""
    centre = service.centre(units, redispatch=redispatch)
    centre.add(service.tasks(days + WARM_UP, seed=seed))
    for day in range(WARM_UP + days if peak is not None else 0):
        for hour, roads in ((7, peak), (9, service.free_roads), (16, peak), (18, service.free_roads)):
            centre.run((24 * day + hour) * 3600.0)
            centre.change_roads(roads)
            if (day, hour) == (0, 18):
                centre.run(WARM_UP * DAY)
                before = centre.spent()
    if peak is None:
        centre.run(WARM_UP * DAY)
        before = centre.spent()
    centre.run((WARM_UP + days) * DAY)
    table = {name: np.array(centre.table()[name]) for name in ("called", "priority", "sent", "arrived", "free", "unit")}
    table["response"] = table["arrived"] - table["called"]
    busy = (centre.spent() - before)[:, BUSY].sum(axis=1)
    later = table["called"] >= WARM_UP * DAY
    return table, later, busy


def response(service, *arguments, **words):
    """Return seconds from call to arrival and priorities after the first day; whoever waits at the end has not arrived."""
    table, later, _ = replicate(service, *arguments, **words)
    return table["response"][later], table["priority"][later]


def test_tables_are_read_as_jemss_means_them(auckland, survey, validity):
    folder = survey / "auckland_ems"
    assert (auckland.per_day, len(auckland.stations), len(auckland.hospitals), auckland.lights) == (280, 14, 4, 2)
    tasks = auckland.tasks(20, seed=1)
    assert np.all(tasks.ready - tasks.called == pytest.approx(50.0))
    shares = np.bincount(tasks.priority) / len(tasks)
    assert shares == pytest.approx([0.57, 0.245, 0.185], abs=4 * np.sqrt(0.25 / len(tasks)))
    # a time of cover is the target less the delay of dispatch, in days
    path = folder / "demand" / "coverage" / "1" / "demand_coverage_1.csv"
    cover = numbers(read_sections(path), "coverTimes", "coverTime", path) * DAY
    for target, seconds in zip(auckland.targets, cover, strict=True):
        validity("Auckland", "time of cover and 50 s, s", seconds + 50.0, target, 0.001, source=JEMSS)
    # the roads are left only where the table says so, at the nearest such node
    network, allowed = auckland.roads.network, auckland.roads.off_road
    assert not allowed.all()
    assert allowed[tasks.node].all()
    assert allowed[auckland.place].all()
    nodes = np.flatnonzero(allowed)
    away, _ = cKDTree(np.column_stack([network.x[nodes], network.y[nodes]])).query(np.column_stack([tasks.x, tasks.y]))
    speed = np.where(tasks.priority < 2, 47.0, 33.0) / 3.6
    np.testing.assert_allclose(tasks.access, away / speed, rtol=1e-5)
    assert np.all(auckland.roads.seconds[0] <= auckland.roads.seconds[1])


@pytest.fixture(scope="module")
def month(auckland):
    return [replicate(auckland, 30, seed) for seed in (1, 2)]


def check_load(runs, days, validity, form):
    calls = sum(later.sum() for _, later, _ in runs)
    busy = sum(seconds.sum() for *_, seconds in runs) / (len(runs) * days * DAY)
    cycle = np.concatenate([(table["free"] - table["sent"])[later] for table, later, _ in runs])
    cycle = cycle[np.isfinite(cycle)]
    theory = 280 / DAY * cycle.mean()
    error = busy * np.sqrt(1 / calls + (cycle.std() / cycle.mean()) ** 2 / calls)
    validity("Auckland", f"busy units in Auckland, {form}", busy, within=(4.20, 16.0), source=JEMSS + ", without ways")
    what = f"busy units in Auckland, rate × mean cycle, {form}"
    validity("Auckland", what, busy, theory, 4 * error, source="Little 1961")


def test_load_is_rate_times_cycle(month, validity):
    check_load(month, 30, validity, "60 days")
    for table, _, busy in month:  # and what units are busy is what calls take
        free = np.where(np.isnan(table["free"]), np.inf, table["free"])
        took = np.clip(free, WARM_UP * DAY, 31 * DAY) - np.clip(table["sent"], WARM_UP * DAY, 31 * DAY)
        assert busy.sum() == pytest.approx(np.nansum(took), rel=1e-9)
        for unit in range(len(UNITS)):
            assert busy[unit] == pytest.approx(np.nansum(took[table["unit"] == unit]), rel=1e-9)


def check_response(runs, validity, form):
    minutes = np.concatenate([table["response"][later] for table, later, _ in runs]) / 60
    minutes = minutes[np.isfinite(minutes)]
    low, median, high = np.percentile(minutes, [25, 50, 75])
    what = f"median response in Auckland, min, {form}"
    validity("Auckland", what, median, within=(7.0, 11.0), source=BYRNE)
    assert high - median > median - low  # a long tail of late ones
    assert minutes.mean() > median
    assert low < 7.0  # single calls spread more than medians of counties
    assert high > 11.0


def test_response_lies_where_counties_do(month, validity):
    check_response(month, validity, "60 days")


@pytest.mark.full
def test_design_of_jemss(auckland, validity):
    """40 replications of 250 days after one of warming up, 2.8 million calls."""
    runs = [replicate(auckland, 250, seed) for seed in range(40)]
    check_load(runs, 250, validity, "40 x 250 days")
    check_response(runs, validity, "40 x 250 days")


def test_ties_go_to_the_first_unit(month):
    for table, *_ in month:
        calls = np.bincount(table["unit"][table["unit"] >= 0], minlength=len(UNITS))
        assert calls[6] > calls[14]  # both stand in the centre
        assert calls[3] > calls[15]


def test_each_further_unit_answers_more_in_time(auckland):
    shares = []
    for units in range(14, len(UNITS) + len(FURTHER) + 1):
        seconds, _ = response(auckland, 30, 1, units=[*UNITS, *FURTHER][:units])
        shares.append((seconds <= 480).mean())
    assert np.all(np.diff(shares) > 0)


def test_calling_units_away_helps_whom_it_is_for(auckland):
    means, calls = {}, None
    for name, pairs in auckland.redispatch.items():
        seconds, priority = response(auckland, 60, 3, redispatch=pairs)
        assert calls is None or np.array_equal(calls, priority)  # the same calls
        calls = priority
        means[name.removeprefix("redispatch_")] = [np.nanmean(seconds[priority == p]) for p in range(3)]
    high, middle, low = (dict(zip(means, column, strict=True)) for column in zip(*means.values(), strict=True))
    assert high["lower_to_high"] < high["low_to_high"] < high["off"]
    assert middle["low_to_higher"] < middle["off"] < middle["lower_to_high"]
    assert low["off"] < low["low_to_high"] < low["low_to_higher"]


@pytest.fixture(scope="module")
def slow(auckland):
    """The streets of the peak."""
    return auckland.travel.roads([PEAK * seconds for seconds in auckland.roads.seconds])


@pytest.mark.full
def test_design_of_jemss_with_peak_hours(auckland, slow, validity):
    """40 replications of 250 days; calls, and what chance says of them, are those without a peak."""
    found = {}
    for name, peak in (("", None), (" with peak hours", slow)):
        runs = [replicate(auckland, 250, seed, peak=peak) for seed in range(40)]
        if peak is not None:
            check_load(runs, 250, validity, f"40 x 250 days{name}")
        minutes = np.concatenate([table["response"][later] for table, later, _ in runs]) / 60
        hour = np.concatenate([table["called"][later] for table, later, _ in runs]) % DAY / 3600
        found[name] = minutes, ((hour >= 7) & (hour < 9)) | ((hour >= 16) & (hour < 18))
    (plain, rush), (jammed, _) = found.values()
    both = np.isfinite(plain) & np.isfinite(jammed)
    what = "median response in Auckland, min, 40 x 250 days with peak hours"
    validity("Auckland", what, np.median(jammed[both]), within=(7.0, 11.0), source=BYRNE)
    # the way is longer by the factor, which leaves out the delay of dispatch; while units are away longer, others wait
    longer = jammed[both & rush].mean() / plain[both & rush].mean()
    what = "response at the peak by the same calls' without one"
    validity("Auckland", what, longer, within=(1.0, 2 * PEAK - 1), source="ways are 1.3 times as long, assumed")


def test_peak_hours_are_slower(auckland, slow):
    plain, _, _ = replicate(auckland, 20, 4)
    jammed, later, _ = replicate(auckland, 20, 4, peak=slow)
    assert np.array_equal(plain["called"], jammed["called"])
    hour = plain["called"] % DAY / 3600
    peak = ((hour >= 7) & (hour < 9)) | ((hour >= 16) & (hour < 18))
    longer = jammed["response"] - plain["response"]
    longer, peak = longer[later & np.isfinite(longer)], peak[later & np.isfinite(longer)]
    # on roads that are slower by 30 % the way is, and the delay of dispatch is not
    assert 0.1 < longer[peak].mean() / np.nanmean(plain["response"]) < 0.5
    night = ((hour >= 0) & (hour < 6))[later & np.isfinite(jammed["response"] - plain["response"])]
    assert abs(longer[night].mean()) < 0.1 * longer[peak].mean()


def test_replications_in_threads_are_those_one_by_one(auckland):
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda seed: response(auckland, 5, seed)[0], (5, 6)))
    for seed, seconds in zip((5, 6), together, strict=True):
        assert np.array_equal(seconds, response(auckland, 5, seed)[0], equal_nan=True)

"""Calls for emergency services: a Poisson process of each person, and real accidents as one.

Theory. Candidates at the greatest rate r* that each become a call with chance r(person, t) / r* make a Poisson process of
rate r(person, t) (Lewis & Shedler 1979). So the number of calls of a day is Poisson with the summed rate; given the number,
the times are independent with density proportional to the rate; and calls of groups of people are independent. Calls at
points come at the moments where the integral of the rate passes a Poisson process of rate 1, which is exact too.

Real. Accidents with injured people in Barcelona (tests/DATA.md): the rate by hour of the week of 2017 and 2018 is fitted,
and 2019 is judged by it. The index of dispersion of single hours is near 1, so accidents are close to a Poisson process;
what is above is the seasons and the days off that a table by hour of the week does not know.
"""

from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from cities import tiny_city
from scipy import stats

from citytwin.agents.presence import Presence
from citytwin.agents.response.calls import DAY, YEAR, Calls
from citytwin.agents.response.demand import poisson_tasks, scene_points
from citytwin.agents.response.events import EventSettings, read_events
from citytwin.agents.response.kinds import kinds_of, shipped
from citytwin.agents.response.rates import fit_rates
from citytwin.agents.response.scenes import Scenes

MONDAY = date(2026, 1, 5)
DAYS = 350
RATE = 8000.0  # calls per 1,000 people and year at ages from 40 to 69; below half of it, above three times
ALMOST_NEVER = 1e-4
"""Chance below which a test of a law that holds is taken to have failed."""


@pytest.fixture(scope="module")
def day_by_day():
    """Second, weekday, person and zone of the calls of 50 weeks in a small city, and the city."""
    city = tiny_city(300)
    hours = np.ones(24)
    hours[8:20] = 3.0
    kind = {
        "rate": {"from_age": [0, 40, 70], "value": [RATE / 2, RATE, 3 * RATE]},
        "hours": hours.tolist(),
        "weekdays": [1, 1, 1, 1, 1, 2, 0.5],
        "zones": {"North West": 0.5},
        "units": {"police": 1, "ambulance": 1},
    }
    kinds = kinds_of({name: {"rate": 0} for name in kinds_of()} | {"test": kind})
    presence = Presence(city, 1)
    calls = Calls(city, presence, kinds, shipped().services, 11, scenes=Scenes(city))
    found = []
    for day in range(DAYS):
        presence.begin_day(day)
        tasks = calls.of_day(day, MONDAY + timedelta(days=day))
        mine = tasks.person >= 0
        found.append(
            np.stack([tasks.called[mine] - day * DAY, np.full(mine.sum(), day), tasks.person[mine], tasks.zone[mine]])
        )
    return city, np.concatenate(found, axis=1)


def expected(city):
    """Return the mean number of calls in each hour of a week of each person, (people, 7, 24), from the schedule alone."""
    factor = np.ones(24)
    factor[8:20] = 3.0
    week = np.array([1, 1, 1, 1, 1, 2, 0.5])
    by_age = np.select([city.people.age < 40, city.people.age < 70], [RATE / 2, RATE], 3 * RATE) / (1000 * YEAR * 24)
    presence = Presence(city, 1)
    mean = np.empty((len(city.people), 7, 24))
    for weekday in range(7):
        zones = np.array([city.places.zone[presence.places_at(weekday, slot)] for slot in range(96)])
        there = np.where(zones == 2, 0.5, 1.0).reshape(24, 4, -1).mean(axis=1).T
        mean[:, weekday] = by_age[:, None] * there * (factor / factor.mean()) * week[weekday] / week.mean()
    return mean


def test_calls_of_every_group_and_hour_are_poisson_with_their_rate(day_by_day):
    city, (second, day, person, zone) = day_by_day
    mean = expected(city) * DAYS / 7
    assert len(second) == pytest.approx(mean.sum(), abs=4 * np.sqrt(mean.sum()))
    hour = (second // 3600).astype(int)
    by_hour = np.zeros((7, 24))
    np.add.at(by_hour, (day.astype(int) % 7, hour), 1)
    statistic = ((by_hour - mean.sum(axis=0)) ** 2 / mean.sum(axis=0)).sum()
    assert ALMOST_NEVER < stats.chi2.sf(statistic, 7 * 24) < 1 - ALMOST_NEVER
    by_person = np.bincount(person.astype(int), minlength=len(city.people))
    statistic = ((by_person - mean.sum(axis=(1, 2))) ** 2 / mean.sum(axis=(1, 2))).sum()
    assert ALMOST_NEVER < stats.chi2.sf(statistic, len(city.people)) < 1 - ALMOST_NEVER
    assert (zone == 2).any()


def test_days_have_poisson_counts(day_by_day):
    city, (_, day, *_) = day_by_day
    mean = expected(city).sum(axis=(0, 2))
    count = np.bincount(day.astype(int), minlength=DAYS)
    statistic = ((count - mean[np.arange(DAYS) % 7]) ** 2 / mean[np.arange(DAYS) % 7]).sum()
    assert ALMOST_NEVER < stats.chi2.sf(statistic, DAYS) < 1 - ALMOST_NEVER


def test_times_within_an_hour_are_uniform_given_their_number(day_by_day):
    _, (second, *_) = day_by_day
    assert stats.kstest(second % 3600 / 3600, "uniform").pvalue > ALMOST_NEVER


def test_calls_at_points_are_a_poisson_process():
    rate = np.where((np.arange(24) >= 8) & (np.arange(24) < 20), 90.0, 30.0)
    tasks = poisson_tasks(rate, 100, scene_points([0]), [1.0], {"illness": kinds_of()["illness"]}, seed=3)
    called = np.sort(tasks.called)
    through = np.concatenate([[0.0], np.cumsum(rate)])
    integral = called // DAY * rate.sum() + np.interp(called % DAY / 3600, np.arange(25), through)
    assert stats.kstest(np.diff(integral), "expon").pvalue > ALMOST_NEVER
    by_hour = np.bincount((called // 3600).astype(int), minlength=2400).reshape(100, 24)
    statistic = ((by_hour - rate) ** 2 / rate).sum()
    assert ALMOST_NEVER < stats.chi2.sf(statistic, 2400) < 1 - ALMOST_NEVER


JEMSS = {
    # calls a day, shares of priorities, delay of dispatch, mean time at the scene, share brought, handover, and from these
    # the offered load without travel in erlang: calls / 1440 min · (scene + share · handover)
    "Auckland": (280, (0.57, 0.245, 0.185), "50 s", "12 min", 0.8, {"law": "exponential", "mean": "12 min"}, 4.20),
    "Edmonton": (
        192,
        (0.75, 0, 0.25),
        "40 s",
        "12 min",
        0.75,
        {"law": "weibull", "shape": 2.5, "scale": "34.3 min"},
        4.64,
    ),
    "Manhattan": (451.2, (0.42, 0, 0.58), "2.5 min", "7.6 min", 0.85, {"law": "exponential", "mean": "4 min"}, 3.45),
    "Utrecht": (
        151.2,
        (0.67, 0, 0.33),
        "3 min",
        "12 min",
        0.8,
        {"law": "weibull", "shape": 1.5, "scale": "18 min"},
        2.62,
    ),
}
"""The city models of JEMSS.jl (2024-06, folder data/cities)."""


@pytest.mark.parametrize("name", JEMSS)
def test_published_cities_have_their_offered_load(name, validity):
    calls, shares, delay, scene, brought, handover, load = JEMSS[name]
    kind = {
        "units": {"ambulance": {"scene": {"law": "exponential", "mean": scene}, "turnout": "0 s", "clear": "0 s"}},
        "priority": shares,
        "call_taking": delay,
        "transported": brought,
        "handover": handover,
    }
    days = 1000
    tasks = poisson_tasks(
        calls / 24, days, scene_points([0]), [1.0], {"call": kinds_of({"call": kind})["call"]}, seed=1
    )
    busy = (tasks.scene.astype(float) + tasks.handover).sum() / (days * DAY)
    # a compound Poisson sum: variance over squared mean is at most 2 / calls for times with CV below 1
    what = f"{name}: busy ambulances without travel (erlang)"
    validity(
        "calls",
        what,
        busy,
        load,
        load * 4 * np.sqrt(2 / (calls * days)) + 0.005,
        source="JEMSS.jl 2024-06, data/cities",
    )
    assert np.bincount(tasks.priority, minlength=3) / len(tasks) == pytest.approx(
        shares, abs=4 * 0.5 / np.sqrt(len(tasks))
    )


# ---------------------------------------------------------------------- Barcelona


@pytest.fixture(scope="module")
def accidents(survey):
    """Moments of the distinct accidents of each year, by their hour."""
    import geopandas

    shapes = geopandas.read_file(survey / "barcelona_city" / "geo" / "barris.geojson").to_crs("EPSG:32631")
    info = SimpleNamespace(crs="EPSG:32631", bounds=tuple(shapes.total_bounds))
    found = {}
    for year in (2017, 2018, 2019):
        settings = EventSettings.model_validate(
            {
                "file": str(survey / "barcelona_city" / "incidents" / f"{year}_accidents.csv"),
                "time": ["NK_Any", "Mes_any", "Dia_mes", "Hora_dia"],
                "time_format": "%Y %m %d %H",
                "spread": "1 h",
                "x": "Longitud",
                "y": "Latitud",
                "crs": "EPSG:4326",
                "case_column": "Numero_expedient",
                "kind": "traffic accident",
                "from": date(year, 1, 1),
            }
        )
        events = read_events(settings, SimpleNamespace(info=info), ["traffic accident"], date(year, 1, 1), 365)
        found[year] = np.datetime64(f"{year}-01-01", "s") + events.second.astype("timedelta64[s]")
    return found


@pytest.fixture(scope="module")
def fitted(accidents):
    return fit_rates(np.concatenate([accidents[2017], accidents[2018]]), date(2017, 1, 1), date(2018, 12, 31))


def test_accidents_of_2019_follow_the_rates_of_the_years_before(accidents, fitted, validity):
    source = "Ajuntament de Barcelona, accidents 2017–2019"
    # distinct cases among 11,025 rows
    validity("calls", "Barcelona: accidents read of 2019", len(accidents[2019]), 10_015, source=source)
    judged = fit_rates(accidents[2019], date(2019, 1, 1), date(2019, 12, 31))
    mean = fitted.rate * judged.hours
    # the rates come from two years, the counts from one: variance of the difference is mean · (1 + 1/2)
    what = "Barcelona: accidents expected in 2019 by the rates of 2017 and 2018"
    validity("calls", what, mean.sum(), judged.count.sum(), 3 * np.sqrt(1.5 * mean.sum()), source=source)
    _, degrees, chance = fitted.rhythm_test(judged)
    assert degrees == 23
    what = "Barcelona: chance of a larger chi-square of the rhythm by hour, 2019 against 2017 and 2018"
    validity("calls", what, chance, within=(0.01, None), source=source)
    by_week = ((judged.count - mean) ** 2 / (1.5 * mean)).sum()
    what = "Barcelona: the same by hour of the week"
    validity("calls", what, stats.chi2.sf(by_week, 7 * 24), within=(0.01, None), source=source)


def test_accidents_are_nearly_a_poisson_process(fitted, validity):
    found = fitted.index_of_dispersion
    source = "Ajuntament de Barcelona, accidents 2017 and 2018"
    validity("calls", "Barcelona: variance over mean of the accidents of an hour", found, 1.0, 0.1, source=source)
    statistic, degrees, chance = fitted.dispersion_test()
    assert statistic / degrees == pytest.approx(found)
    assert chance < 0.001  # with 17,352 degrees of freedom even 8 % more than Poisson shows: seasons, holidays


def test_shipped_accidents_have_the_rhythm_of_barcelona(fitted):
    hours, weekdays = kinds_of()["traffic accident"].factors()
    ours = fitted.factors()
    assert np.abs(hours - np.array(ours[0])).max() < 0.01
    assert np.abs(weekdays - np.array(ours[1])).max() < 0.01


def test_generated_accidents_have_the_rhythm_they_were_fitted_to(fitted):
    weeks = 104
    kind = {"traffic accident": kinds_of()["traffic accident"]}
    tasks = poisson_tasks(fitted.per_hour(), 7 * weeks, scene_points([0]), [1.0], kind, seed=5)
    called = np.unique(tasks.called)  # three services are asked for each
    made = fit_rates(
        np.datetime64("2018-01-01", "s") + called.astype("timedelta64[s]"),
        date(2018, 1, 1),
        date(2018, 1, 1) + timedelta(days=7 * weeks - 1),
    )
    mean = fitted.rate * made.hours
    statistic = ((made.count - mean) ** 2 / mean).sum()
    assert ALMOST_NEVER < stats.chi2.sf(statistic, 168) < 1 - ALMOST_NEVER
    assert made.index_of_dispersion == pytest.approx(1.0, abs=4 * np.sqrt(2 / made.degrees.sum()))

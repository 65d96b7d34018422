"""Contacts of a day against the POLYMOD survey.

POLYMOD: 7,290 participants of eight European countries named 97,904 contacts of one day, 13.43 a participant (Mossong et
al. 2008, PLoS Med 5:e74; figures recomputed from the survey's tables). A contact of the city is another person who spends
at least a quarter of an hour in the same place at the same time. It counts with the crowding factor of the place, as in
the epidemic: in shops and venues people meet min(1, c(N)/(N - 1)) of those around. Who meets in two places counts once,
with the larger factor. A city of 30,000, 3,000 residents, the seven days of a week. The standard error of the means is
below 0.2; the accepted error is the 20 % by which surveys of one country differ among themselves.
"""

import os
from pathlib import Path

import numpy as np
import pandas
import pytest

from citytwin.agents.epidemic.rates import crowding
from citytwin.environment.city import City
from citytwin.environment.places import PlaceKind

PER_DAY = 13.43  # contacts a day, all countries
WEEKEND = (0.70, 0.80)  # contacts of a weekend day by those of a weekday, 10.9 by 14.3 in the survey
BANDS = (0, 5, 10, 15, 20, 30, 40, 50, 60, 70, 120)
BY_AGE = (10.2, 14.8, 18.2, 17.6, 13.6, 14.1, 13.8, 12.3, 9.2, 6.9)
SETTINGS = {  # contacts a participant
    3.56: (PlaceKind.HOME,),
    2.47: (PlaceKind.WORK,),
    2.85: (PlaceKind.KINDERGARTEN, PlaceKind.PRIMARY, PlaceKind.SECONDARY, PlaceKind.UNIVERSITY),
    2.75: (PlaceKind.LEISURE,),
}


def met(city, day_type, factor, person):
    """Return whom a resident meets where: {place: residents}, and the factor of each of the different people."""
    schedule = city.schedules[day_type]
    places: dict[int, set[int]] = {}
    people: dict[int, float] = {}
    for place, start, end in schedule.visits_of(person):
        rows = slice(schedule.place_first[place], schedule.place_first[place + 1])
        there = (schedule.visitor_start[rows] < end) & (schedule.visitor_end[rows] > start)
        others = set(schedule.visitor[rows][there].tolist()) - {person}
        places.setdefault(place, set()).update(others)
        for other in others:
            people[other] = max(people.get(other, 0.0), factor[place])
    return places, people


@pytest.fixture(scope="module")
def contacts():
    city = City.synthetic(30_000, seed=3)
    who = np.arange(0, 30_000, 10)
    types = len(city.schedules)
    counted, near, kinds = np.zeros((types, len(who))), np.zeros((types, len(who))), np.zeros((types, len(PlaceKind)))
    for day_type in range(types):
        factor = np.concatenate([np.ones(city.homes), crowding(city, day_type)])
        for row, person in enumerate(who.tolist()):
            places, people = met(city, day_type, factor, person)
            counted[day_type, row], near[day_type, row] = sum(people.values()), len(people)
            for place, others in places.items():
                kinds[day_type, city.places.kind[place]] += len(others) * factor[place] / len(who)
    week = np.array(city.info.week)
    return {"counted": counted[week], "near": near[week], "kinds": kinds[week], "age": city.people.age[who]}


@pytest.mark.skipif(
    "CITYTWIN_DATA" not in os.environ, reason="CITYTWIN_DATA is unset; tests/DATA.md says what it holds"
)
def test_expected_figures_are_those_of_the_survey():
    folder = Path(os.environ["CITYTWIN_DATA"]) / "contact_matrices" / "polymod"
    person = pandas.read_csv(folder / "participants.csv", usecols=["part_id", "part_age_exact", "dayofweek"])
    contact = pandas.read_csv(folder / "contacts.csv", usecols=["part_id"])
    number = contact.groupby("part_id").size().reindex(person["part_id"]).fillna(0).to_numpy()
    assert number.mean() == pytest.approx(PER_DAY, abs=0.005)
    band = np.digitize(person["part_age_exact"], BANDS) - 1
    assert [number[band == b].mean() for b in range(len(BY_AGE))] == pytest.approx(BY_AGE, abs=0.05)
    weekend = person["dayofweek"].isin([0, 6])  # Sunday and Saturday
    weekday = person["dayofweek"].isin([1, 2, 3, 4, 5])
    assert WEEKEND[0] < number[weekend].mean() / number[weekday].mean() < WEEKEND[1]


def test_contacts_a_day(contacts):
    assert contacts["counted"].mean() == pytest.approx(PER_DAY, rel=0.2)


def test_fewer_at_the_weekend(contacts):
    by_day = contacts["counted"].mean(1)
    assert WEEKEND[0] < by_day[5:].mean() / by_day[:5].mean() < WEEKEND[1]
    assert by_day[5] == pytest.approx(by_day[6], rel=0.2)
    near = contacts["near"].mean(1)
    assert near[5:].max() < 1.35 * near[:5].mean()  # no crowds either, where everybody present would count


def test_shape_by_age(contacts):
    band = np.searchsorted(BANDS, contacts["age"], side="right") - 1
    found = np.bincount(band, contacts["counted"].mean(0)) / np.bincount(band)
    assert set(np.argsort(found)[-2:]) == {2, 3}  # 10 to 19 years
    assert found[:7].min() > found[8] > found[9]  # fall after 60
    # 40 % a band: with whole classes meeting, the young have somewhat more than the survey, and adults somewhat less
    assert found == pytest.approx(BY_AGE, rel=0.4)
    assert np.corrcoef(found, BY_AGE)[0, 1] > 0.9


def test_contacts_by_setting(contacts):
    kinds = contacts["kinds"].mean(0)
    for wanted, members in SETTINGS.items():
        assert kinds[list(members)].sum() == pytest.approx(wanted, rel=0.3)


def test_heavy_right_tail(contacts):
    """The survey has a squared coefficient of variation of 0.62 among the days of participants; Poisson gives 0.07."""
    day = contacts["counted"][0]
    assert day.var() / day.mean() ** 2 > 0.3

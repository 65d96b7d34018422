"""Contacts of a day against the POLYMOD survey.

POLYMOD: 7,290 participants of eight European countries named 97,904 contacts of one day, 13.43 a participant (Mossong et
al. 2008, PLoS Med 5:e74; figures recomputed from the survey's tables). A contact of the city is another person who spends
at least a quarter of an hour in the same place at the same time. It counts with the crowding factor of the place, as in
the epidemic: in shops and venues people meet min(1, c(N)/(N - 1)) of those around. Who meets in two places counts once,
with the larger factor. A city of 60,000, 6,000 residents, the seven days of a week. Children took part in the survey more
often than by their share of the people, so its figures are weighted by the ages of the city. The accepted error by age is
the 20 % by which surveys of one country differ among themselves; the standard errors are 1 to 4 %.

Other sources are of other sizes: with the ages of Germany the matrices of Mistry et al. 2021 (Nat. Commun. 12:323) have
11.8 contacts a day, those of Prem et al. 2021 (PLoS Comput. Biol. 17:e1009098) 8.3, and 18.5 with those of Italy.
"""

import numpy as np
import pandas
import pytest

from citytwin.agents.epidemic.rates import crowding
from citytwin.environment.city import City
from citytwin.environment.places import PlaceKind

PER_DAY = 13.43  # contacts a day of a participant, all countries
WEEKEND = (0.70, 0.80)  # contacts of a weekend day by those of a weekday, 10.9 by 14.3 in the survey
BANDS = (0, 5, 10, 15, 20, 30, 40, 50, 60, 70, 120)
BY_AGE = (10.2, 14.8, 18.2, 17.6, 13.6, 14.1, 13.8, 12.3, 9.2, 6.9)
EDUCATION = (PlaceKind.KINDERGARTEN, PlaceKind.PRIMARY, PlaceKind.SECONDARY, PlaceKind.UNIVERSITY)
SETTINGS = {  # column of the survey, kinds of places, contacts of a participant by age
    "home": (("cnt_home",), (PlaceKind.HOME,), (4.41, 4.58, 4.27, 3.69, 3.03, 3.53, 3.43, 3.04, 2.92, 2.73)),
    "work": (("cnt_work",), (PlaceKind.WORK,), (0.05, 0.03, 0.08, 0.83, 3.96, 5.26, 5.48, 3.89, 1.25, 0.36)),
    "school": (("cnt_school",), EDUCATION, (2.32, 6.40, 8.90, 7.31, 1.41, 0.66, 0.87, 0.83, 0.26, 0.03)),
    "leisure": (("cnt_leisure",), (PlaceKind.LEISURE,), (2.09, 3.13, 3.63, 4.15, 3.28, 2.56, 2.24, 2.17, 2.05, 2.13)),
}
MISTRY_GERMANY = 11.8
SOURCE = "POLYMOD, Mossong et al. 2008"
PEOPLE = 60_000


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
    city = City.synthetic(PEOPLE, seed=3)
    who = np.arange(0, PEOPLE, 10)
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


def band_of(ages):
    return np.searchsorted(BANDS, ages, side="right") - 1


def standard(by_age, ages):
    """Return the mean of figures by band, weighted by the ages of the city."""
    return np.array(by_age)[band_of(ages)].mean()


def test_expected_figures_are_those_of_the_survey(survey):
    folder = survey / "contact_matrices" / "polymod"
    person = pandas.read_csv(folder / "participants.csv", usecols=["part_id", "part_age_exact", "dayofweek"])
    columns = [column for (column,), *_ in SETTINGS.values()]
    contact = pandas.read_csv(folder / "contacts.csv", usecols=["part_id", *columns])
    number = contact.groupby("part_id").size().reindex(person["part_id"]).fillna(0).to_numpy()
    assert number.mean() == pytest.approx(PER_DAY, abs=0.005)
    band = np.digitize(person["part_age_exact"], BANDS) - 1
    assert [number[band == b].mean() for b in range(len(BY_AGE))] == pytest.approx(BY_AGE, abs=0.05)
    for column, (*_, by_age) in zip(columns, SETTINGS.values(), strict=True):
        there = contact[contact[column] == 1].groupby("part_id").size().reindex(person["part_id"]).fillna(0).to_numpy()
        assert [there[band == b].mean() for b in range(len(by_age))] == pytest.approx(by_age, abs=0.005)
    weekend = person["dayofweek"].isin([0, 6])  # Sunday and Saturday
    weekday = person["dayofweek"].isin([1, 2, 3, 4, 5])
    assert WEEKEND[0] < number[weekend].mean() / number[weekday].mean() < WEEKEND[1]


def test_contacts_a_day(contacts, validity):
    found = contacts["counted"].mean()
    wanted = standard(BY_AGE, contacts["age"])
    validity("contacts", "contacts a day", found, wanted, 0.2 * wanted, source=f"{SOURCE}, by the ages of the city")
    source = "Mistry et al. 2021, Germany"
    validity("contacts", "contacts a day", found, MISTRY_GERMANY, 0.2 * MISTRY_GERMANY, source=source)


def test_fewer_at_the_weekend(contacts, validity):
    by_day = contacts["counted"].mean(1)
    ratio = by_day[5:].mean() / by_day[:5].mean()
    validity("contacts", "contacts of a weekend day by those of a weekday", ratio, within=WEEKEND, source=SOURCE)
    assert by_day[5] == pytest.approx(by_day[6], rel=0.2)
    near = contacts["near"].mean(1)
    assert near[5:].max() < 1.35 * near[:5].mean()  # no crowds either, where everybody present would count


def test_contacts_by_age(contacts, validity):
    band = band_of(contacts["age"])
    found = np.bincount(band, contacts["counted"].mean(0)) / np.bincount(band)
    assert set(np.argsort(found)[-2:]) == {2, 3}  # 10 to 19 years
    assert found[:7].min() > found[8] > found[9]  # fall after 60
    for b, (ours, wanted) in enumerate(zip(found, BY_AGE, strict=True)):
        ages = f"{BANDS[b]} to {BANDS[b + 1] - 1}" if b < len(BY_AGE) - 1 else f"{BANDS[b]} up"
        validity("contacts", f"contacts a day, ages {ages}", ours, wanted, 0.2 * wanted, source=SOURCE)


def test_contacts_by_setting(contacts, validity):
    kinds = contacts["kinds"].mean(0)
    for name, (_, members, by_age) in SETTINGS.items():
        wanted = standard(by_age, contacts["age"])
        found = kinds[list(members)].sum()
        source = f"{SOURCE}, by the ages of the city"
        validity("contacts", f"contacts a day, {name}", found, wanted, 0.3 * wanted, source=source)


def test_heavy_right_tail(contacts, validity):
    day = contacts["counted"][0]
    what = "variance of the contacts of a day by the squared mean, 0.62 in the survey, 0.07 by Poisson's law"
    validity("contacts", what, day.var() / day.mean() ** 2, within=(0.3, None), source=SOURCE)

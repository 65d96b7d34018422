"""Secondary attack rates in households, and where infections happen (cases V10 and V11 on the page of
validity).

The secondary attack rate is that of household studies: of the susceptible housemates of an index case, the share that
this case infects itself; infections by other housemates, the later generations, do not count, and nobody catches it
elsewhere in the meantime. The index cases are the first cases of their households among those infected early in epidemics
of an invented city, so they have the ages of real ones; then each is followed in a city where everybody is alone when not
at their own home, at the rate of transmission that gives R0 in the whole city.

COVID-19: 16.6 % (54 studies; adults 28.3, children 16.8, spouses 37.8; symptomatic index 18.0, other 0.7; Madewell et al.
2020, JAMA Netw. Open 3:e2031756), 18.1 % (15.7 to 20.6; Koh et al. 2020, PLoS One 15:e0240205); accepted 14 to 22 %.
Influenza: 10 to 20 %, of 27 studies in 2009 3 to 38 % (Lau et al. 2012, Epidemiology 23:531-542). Measles: 90 % or more,
and there the later generations count, since few are spared to show whom the index would have infected.
"""

import numpy as np
import pytest
from epidemic_cities import Town

from citytwin.environment.city import SCHEMA, City
from citytwin.environment.places import PLACE_GROUPS
from citytwin.environment.schedules import Schedule

PEOPLE, SEEDS, FIRST_CASES = 50_000, range(6), 50
EARLY = 0.02  # share of the people infected until then
ADULT, COUPLE = 18, 15  # age of adults; most years between spouses


@pytest.fixture(scope="module")
def city():
    return City.synthetic(PEOPLE, seed=1)


@pytest.fixture(scope="module")
def homes(city):
    """Return the city where everybody is alone whenever not at their own home."""
    people = len(city.people)
    tables = {table: dict(getattr(city, table)) for table in SCHEMA}
    last = np.full(people, len(city.places) - 1)
    tables["places"] = {
        name: np.concatenate([column, column[last]]) for name, column in tables["places"].items()
    }  # a place more for each person, alike to the last
    schedules = []
    for day in city.schedules:
        person = np.repeat(np.arange(people, dtype=np.int32), np.diff(day.first))
        own = day.place == city.people.household[person]
        place = np.where(own, day.place, np.int32(len(city.places)) + person)
        schedules.append(Schedule.from_visits(day.first, place, day.start, day.end, len(city.places) + people))
    return City(city.info, tables, schedules)


def early_epidemics(city, disease, r0):
    """Return the transmission and the infections table of the early days of each run."""
    tables = []
    for seed in SEEDS:
        town = Town(city, disease, seed=seed, r0=r0, initial_infections=FIRST_CASES)
        town.step()
        while town.epidemic.infections < EARLY * PEOPLE and len(town.epidemic.cases):
            town.step()
        tables.append(town.epidemic.tables()["infections"])
    return town.epidemic.transmission, tables


def housemates(city, homes, disease, r0):
    """Return what became of the housemates of index cases, one row a housemate, as columns by name."""
    household, age = np.asarray(city.people.household), np.asarray(city.people.age).astype(int)
    transmission, tables = early_epidemics(city, disease, r0)
    parts = []
    for seed, table in enumerate(tables):
        caught = table["person"][table["infector"] >= 0]
        _, at = np.unique(household[caught], return_index=True)
        index = np.sort(caught[at]).astype(np.int32)
        town = Town(homes, disease, seed=100 + seed, transmission=transmission)
        town.epidemic._first_cases = lambda *_, index=index: index
        ill = np.zeros(PEOPLE, bool)
        town.step()
        while len(town.epidemic.cases):
            town.step()
            ill |= town.citizens.table.columns["ill_since"] >= 0
        infections = town.epidemic.tables()["infections"]
        infector = np.full(PEOPLE, -1)
        infector[infections["person"]] = infections["infector"]
        index_of = np.full(city.homes, -1)
        index_of[household[index]] = index
        mate = np.flatnonzero((index_of[household] >= 0) & (index_of[household] != np.arange(PEOPLE)))
        case = index_of[household[mate]]
        # Adults come first in a household; the first two of like age are taken for spouses.
        rank, case_rank = mate - city.households.first[household[mate]], case - city.households.first[household[mate]]
        couple = (rank < 2) & (case_rank < 2) & (np.abs(age[mate] - age[case]) <= COUPLE)
        parts.append(
            {
                "by index": infector[mate] == case,
                "infected": infector[mate] >= 0,
                "adult": age[mate] >= ADULT,
                "spouse": couple & (age[mate] >= ADULT) & (age[case] >= ADULT),
                "symptomatic": ill[case],
            }
        )
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert len(columns["adult"]) > 3000
    return columns


def test_covid(city, homes, validity):
    mates = housemates(city, homes, "covid", 2.5)
    hit, adult, spouse, symptomatic = (mates[name] for name in ("by index", "adult", "spouse", "symptomatic"))
    what, source = "share of housemates infected by the index case, COVID-19, R0 2.5", "Madewell et al. 2020"
    validity("V10", what, hit.mean(), within=(0.14, 0.22), source=f"{source}; Koh et al. 2020")
    children = hit[~adult].mean()
    validity("V10", "adults by children", hit[adult].mean() / children, within=(1, None), source=f"1.68, {source}")
    others = hit[~spouse & adult].mean()
    validity("V10", "spouses by other adults", hit[spouse].mean() / others, within=(1, None), source=f"2.1, {source}")
    ratio = hit[symptomatic].mean() / hit[~symptomatic].mean()
    validity("V10", "symptomatic by other index cases", ratio, within=(1, None), source=source)


def test_influenza(city, homes, validity):
    hit = housemates(city, homes, "influenza", 1.3)["by index"]
    what = "share of housemates infected by the index case, seasonal influenza, R0 1.3"
    validity("V11", what, hit.mean(), within=(0.1, 0.2), source="10 to 20 %, Lau et al. 2012")


def test_measles(city, homes, validity):
    infected = housemates(city, homes, "measles", 15)["infected"]
    what = "share of housemates infected within the household, measles, R0 15"
    validity("V11", what, infected.mean(), within=(0.9, 1), source="90 % or more")


def test_where_infections_happen(city, validity):
    _, tables = early_epidemics(city, "covid", 2.5)
    kind = np.concatenate([table["kind"] for table in tables])
    kind = kind[kind >= 0]

    def share(*groups):
        return np.isin(kind, [member for group in groups for member in PLACE_GROUPS[group]]).mean()

    home, busy, venue = share("home"), share("education", "work", "hospital"), share("venue")
    source = "the thirds of Ferguson et al. 2006"
    validity(
        "places",
        "share of infections at home, COVID-19, R0 2.5",
        home,
        within=(0.11, 0.35),
        source="0.28 to 0.34 a case, Curmei et al. 2021; a third, Ferguson et al. 2006",
    )
    ratio = busy / venue
    what = "infections in schools and at work by those in shops and venues"
    validity("places", what, ratio, within=(0.75, 1.35), source=source)

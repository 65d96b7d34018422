"""Kernels of the epidemic against plain Python: equal to the bit, by place and by person, on any number of threads."""

import numpy as np
import pytest
from epidemic_cities import Town, city_of, disease_of, one_place, random_city
from epidemic_twin import Twin
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.agents.epidemic import contagion as module
from citytwin.agents.epidemic import kernels, sources
from citytwin.agents.epidemic.disease import Disease
from citytwin.agents.epidemic.rates import place_rates
from citytwin.agents.policies import PolicySettings
from citytwin.agents.presence import VISIT_GROUPS
from citytwin.environment.places import PlaceKind
from citytwin.environment.schedules import SLOTS_PER_DAY

DISEASE = disease_of(
    {"law": "empirical", "probability": (0.3, 0.4, 0.3)},
    {"law": "empirical", "probability": (0.1, 0.2, 0.3, 0.4)},
    susceptibility={"from_age": (0, 20, 60), "factor": (0.5, 1.0, 1.3)},
    infectiousness={"dispersion": 0.5},
)


def _days(*probability):
    return {"law": "empirical", "probability": probability}


STATES = Disease.model_validate(
    {
        "name": "test with states",
        "r0": 2,
        "routes": {"contact": 0.7, "air": 0.5},
        "immunity": {"protection": 0.9, "severe": 0.5, "half_life": 4},
        "infectiousness": {"dispersion": 2.0, "since_infection": (0.5, 1.5, 2.0, 0.7)},
        "state": [
            {"name": "exposed", "transition": [{"to": "early", "after": _days(0.7, 0.3)}]},
            {
                "name": "early",
                "infectiousness": 0.8,
                "transition": [
                    {"to": "ill", "chance": {"from_age": (0, 30), "value": (0.3, 0.7)}, "after": _days(0.5, 0.5)},
                    {"to": "recovered", "after": _days(0.2, 0.8)},
                ],
            },
            {
                "name": "ill",
                "infectiousness": (2.0, 1.0),
                "symptoms": "mild",
                "transition": [
                    {"to": "worse", "chance": 0.5, "after": _days(0.4, 0.6)},
                    {"to": "recovered", "after": _days(0, 0.5, 0.5)},
                ],
            },
            {
                "name": "worse",
                "infectiousness": 0.5,
                "symptoms": "severe",
                "transition": [
                    {"to": "dead", "chance": 0.3, "after": _days(0.5, 0.5)},
                    {"to": "recovered", "after": _days(0.5, 0.5)},
                ],
            },
        ],
    }
)
STRAINS = [
    {"name": "first"},
    {"name": "second", "transmissibility": 1.4, "severity": 1.5, "protects": {"first": 0.4}, "initial_infections": 4},
]

POLICIES = st.lists(
    st.builds(
        lambda close, reduce, start, length, compliance: {
            "close": close,
            "reduce": reduce,
            "from": start,
            "until": start + length,
            "compliance": compliance,
        },
        st.lists(st.sampled_from(sorted(VISIT_GROUPS)), max_size=4),
        st.dictionaries(st.sampled_from(sorted(VISIT_GROUPS)), st.floats(0, 1), max_size=3),
        st.integers(0, 6),
        st.integers(1, 8),
        st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    ).filter(lambda policy: policy["close"] or policy["reduce"]),
    max_size=3,
)
STATE = ("health", "health_until", "health_since", "infected_on", "ill_since", "infections", "strain", "resistance")
INFECTIONS = ("person", "infector", "place", "strain", "day")
WAYS = [("push", 1), ("push", 2), ("push", 3), ("pull", 1), ("pull", 2), ("pull", 4), ("auto", 1)]


@pytest.fixture(autouse=True, scope="module")
def small_work_is_shared_too():
    """Let threads share the work of towns of sixty people."""
    usual, module.LEAST_SHARED = module.LEAST_SHARED, 1
    yield
    module.LEAST_SHARED = usual


def town(seed, policies, transmission=3.0, *, threads=1, city=None, disease=DISEASE, strains=()):
    """Return a town with an epidemic that infects about half of it within ten days."""
    return Town(
        random_city(seed) if city is None else city,
        disease,
        policies=[PolicySettings.model_validate(policy | {"name": str(n)}) for n, policy in enumerate(policies)],
        seed=seed,
        threads=threads,
        transmission=transmission,
        initial_infections=4,
        strain=strains,
    )


def state(model):
    """Return everything that the kernels write, as arrays."""
    columns = model.citizens.table.columns
    table = model.epidemic.tables()["infections"]
    return [columns[name].copy() for name in STATE] + [table[name] for name in INFECTIONS]


def run_twin(model, days, confined):
    """Run a town and, reading its presence of every day, the twin; return the twin's state as :func:`state` does."""
    epidemic = model.epidemic
    given = epidemic.settings
    twin = Twin(
        model.presence,
        model.seed_number,
        given.disease.course(),
        given.disease.susceptibility.by_age().tolist(),
        given.disease.infectiousness.quantiles().tolist(),
        [
            place_rates(model.city, number, given.weight_by_kind(), given.disease.routes)
            for number in range(len(model.city.schedules))
        ],
        epidemic.transmission * epidemic.contagion.scale * sources.SHEDDING_UNIT / kernels.HAZARD_UNIT / SLOTS_PER_DAY,
        epidemic.contagion.scale,
        given.strains,
        given.cross_immunity().tolist(),
        given.disease.immunity,
        given.disease.immunity.half_life is None,
    )
    for day in range(days):
        model.morning(confined.get(day, []))
        model.rest_of_day()  # leaves the presence of the day as it is
        if day == 0:
            table = epidemic.tables()["infections"]
            first = [table["person"][table["strain"] == strain].tolist() for strain in range(len(given.strains))]
        twin.make_day(day, first)
    rows = np.array(twin.infections, np.int64).reshape(-1, 5).T
    named = {"health": "state", "health_until": "until", "health_since": "since"}
    return [np.array([getattr(person, named.get(name, name)) for person in twin.people]) for name in STATE] + list(rows)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    policies=POLICIES,
    confined=st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 59), max_size=30), max_size=4),
    transmission=st.sampled_from([0.3, 3.0, 30.0]),
    kind=st.sampled_from([(DISEASE, ()), (STATES, ()), (STATES, STRAINS)]),
)
def test_every_way_through_the_visits_gives_the_bits_of_plain_python(seed, policies, confined, transmission, kind):
    expected = None
    for direction, threads in WAYS:
        model = town(seed, policies, transmission, threads=threads, disease=kind[0], strains=kind[1])
        model.epidemic.contagion.direction = direction
        if expected is None:
            expected = run_twin(model, 10, confined)
        else:
            for day in range(10):
                model.morning(confined.get(day, []))
                model.rest_of_day()
        for mine, other in zip(state(model), expected, strict=True):
            assert np.array_equal(mine, other)


def test_the_random_cities_put_the_kernels_to_work():
    # The property above would hold emptily if nobody were infected, redirected or a guest.
    infections = redirected = in_homes_of_others = 0
    for seed in range(10):
        model = town(seed, [{"close": ["work", "guests"], "from": 2, "compliance": 0.8}])
        model.days(10)
        table = model.epidemic.tables()["infections"]
        infections += np.count_nonzero(table["infector"] >= 0)
        homes = model.city.people.household[table["person"]]
        in_homes_of_others += np.count_nonzero((table["kind"] == 0) & (table["place"] != homes))
        redirected += np.count_nonzero(model.presence.visits(0).altered == 2)
    assert infections > 200
    assert in_homes_of_others > 10
    assert redirected > 0


def hours_in_one_place(people):
    """Return a city of couples where everybody spends some hours in one place."""
    rng = np.random.default_rng(1)
    start = rng.integers(20, 60, people)
    end = start + rng.integers(1, 30, people)
    home = np.arange(people) // 2
    place = np.column_stack([home, np.full(people, people // 2), home])
    begin = np.column_stack([np.zeros(people), start, end])
    until = np.column_stack([start, end, np.full(people, 96)])
    day = (np.arange(people + 1) * 3, place.ravel(), begin.ravel(), until.ravel())
    return city_of(np.arange(0, people + 1, 2), [PlaceKind.WORK], [day])


CROWDS = {"all day": (one_place(300), 0.002), "some hours": (hours_in_one_place(300), 0.06)}


@pytest.mark.parametrize("direction", ["push", "pull"])
@pytest.mark.parametrize("crowd", CROWDS)
def test_curves_of_crowded_places_give_the_bits_of_pairs(crowd, direction):
    # The twin goes through all pairs.
    city, transmission = CROWDS[crowd]
    disease = disease_of(1, 5, infectiousness={"dispersion": 0.5})
    model = town(3, [{"reduce": {"work": 0.5}, "compliance": 0.5}], transmission, city=city, disease=disease)
    model.epidemic.contagion.direction = direction
    expected = run_twin(model, 8, {})
    infectious = len(model.epidemic.infectious)
    assert sources.CURVE_FROM < infectious < 280
    for mine, other in zip(state(model), expected, strict=True):
        assert np.array_equal(mine, other)


def test_infectors_are_drawn_in_proportion_to_their_hazards():
    # Nobody but three people sheds, in the ratio 1 : 2 : 5, and they meet everybody for the same time.
    model = town(1, [], city=one_place(4000))
    visits = model.presence.visits(0)
    weights = np.array([1.0, 2.0, 5.0])
    purpose = np.uint64(5)
    persons = [10, 20, 30]
    contact, slot = np.ones(len(model.city.places)), model.epidemic.contagion.slots[0]
    here = sources.activate(
        np.array(persons, np.int32),
        weights,
        visits,
        slot,
        contact,
        np.zeros(0),
        1e-3,
        model.epidemic.contagion.in_parts,
    )
    shed = (weights * 2**20).astype(np.int64)
    assert here.packed.tolist() == (shed * 2**16 + 96).tolist()
    for curve in (0, -1):
        curves = np.outer([shed.sum()], np.arange(97))
        here = here._replace(summed=np.cumsum(shed), curve=np.array([curve], np.int32), curves=curves)
        infected = np.arange(100, 4000, dtype=np.int32)
        infector, place, _ = kernels.find_infectors(
            infected, 0, len(infected), 1, here, visits, np.ones(4000, np.float32), purpose
        )
        count = np.array([np.count_nonzero(infector == person) for person in persons])
        expected = len(infected) * weights / weights.sum()
        assert np.all(place == 4000)
        # Chi-square with two degrees of freedom, 1 % point 9.21.
        assert ((count - expected) ** 2 / expected).sum() < 9.21
    sources.deactivate(here)


def test_no_place_stays_active():
    model = town(1, [])
    model.days(8)
    assert len(model.epidemic.infectious) > 0
    assert np.all(model.epidemic.contagion.slots[0] == -1)

"""A city in which three classes of people meet as a contact matrix says, and the final size that follows.

Everybody of a class is alike, so the hazard of a pair depends on its classes alone. The day has four parts: a class by
itself; classes 0 and 1; class 0 with one half of class 2 while class 1 is with the other half; then the halves change
over. Members of a class meet in all these rooms, which is taken off what they meet by themselves; without the halves, class
2 would meet more of its own than it should. Each kind of room has its own weight, which sets the rate. Five kinds of
places let everybody meet everybody, so rooms of classes 0 and 1 with class 2 share one, and the lengths of their stays have
nearly the wanted ratio. :func:`realised` gives the rates that result.
"""

import numpy as np
from epidemic_cities import city_of
from scipy.optimize import root

from citytwin.environment.places import PlaceKind

ALONE = (PlaceKind.KINDERGARTEN, PlaceKind.PRIMARY, PlaceKind.SECONDARY)
YOUNG, HALF = PlaceKind.UNIVERSITY, PlaceKind.WORK  # classes 0 and 1; either with a half of class 2
PART = 96 // 6  # slots of the first two parts of the day
LONG = 2 * PART  # slots of the others

# UK POLYMOD, ages 0-4, 5-14 and 15 up: contacts a day of a participant, by age of the contact (Mossong et al. 2008, as in
# the documentation of socialmixr), and shares of the population
SHARES = (0.0568, 0.1215, 0.8217)
CONTACTS = ((1.9158, 1.2818, 5.5583), (0.5994, 7.9461, 7.4287), (0.3882, 1.1096, 9.5941))
AGES = (2, 10, 40)
"""Age of everybody of a class."""


def symmetric(number, contacts):
    """Return contacts a day of a participant such that both sides of a pair of classes report as many."""
    total = np.array(number)[:, None] * np.array(contacts)
    return (total + total.T) / 2 / np.array(number)[:, None]


def stays(contacts):
    """Return the slots that classes 0 and 1 are with a half of class 2."""
    ratio = contacts[0][2] / contacts[1][2]
    choices = [(abs(np.log(p / q / ratio)), p, q) for p in range(1, LONG + 1) for q in range(1, LONG + 1)]
    return max(choice[1:] for choice in choices if choice[0] == min(choices)[0])


def mixing_city(number, contacts):
    """Return a city of three classes, and the weights that let them mix as a matrix.

    Args:
        number: (3,) people of each class.
        contacts: (3, 3) contacts a day of a participant, reciprocal.
    """
    people = sum(number)
    p, q = stays(contacts)
    rooms = {name: people + n for n, name in enumerate(("0", "1", "2", "01", "0a", "0b", "1a", "1b"))}
    third, fourth = 2 * PART, 2 * PART + LONG
    groups = [  # people of each, their visits
        (number[0], [("0", 0, PART), ("01", PART, third), ("0a", third, third + p), ("0b", fourth, fourth + p)]),
        (number[1], [("1", 0, PART), ("01", PART, third), ("1b", third, third + q), ("1a", fourth, fourth + q)]),
        (number[2] // 2, [("2", 0, PART), ("0a", third, third + p), ("1a", fourth, fourth + q)]),
        (number[2] - number[2] // 2, [("2", 0, PART), ("1b", third, third + q), ("0b", fourth, fourth + p)]),
    ]
    first, columns, begin = [np.zeros(1, np.int64)], [], 0
    for size, plan in groups:
        day, now = [], 0
        for room, start, end in plan:
            day += [(-1, now, start)] * (start > now) + [(rooms[room], start, end)]
            now = end
        day += [(-1, now, 96)] * (now < 96)
        visits = np.tile(np.array(day), (size, 1))
        home = np.repeat(np.arange(begin, begin + size), len(day))
        visits[:, 0] = np.where(visits[:, 0] < 0, home, visits[:, 0])
        columns.append(visits)
        first.append(first[-1][-1] + len(day) * np.arange(1, size + 1))
        begin += size
    visits = np.concatenate(columns)
    kinds = [*ALONE, YOUNG, HALF, HALF, HALF, HALF]
    days = [(np.concatenate(first), visits[:, 0], visits[:, 1], visits[:, 2])]
    city = city_of(np.arange(people + 1), kinds, days, age=np.repeat(AGES, number))
    rate = np.array(contacts) / np.array(number)  # of a pair
    weights = {YOUNG: rate[0, 1] / PART, HALF: rate[0, 2] / p}
    for a, kind in enumerate(ALONE):
        weights[kind] = (rate[a, a] - _in_company(weights, p, q)[a]) / PART
    largest = max(weights.values())
    return city, {kind.name.lower(): weight / largest for kind, weight in weights.items()}


def _in_company(weights, p, q):
    """Return the rate at which two members of a class meet in rooms with another class, for classes 0, 1 and 2."""
    young, half = weights[YOUNG] * PART, weights[HALF]
    return young + 2 * half * p, young + 2 * half * q, half * (p + q) / 2


def realised(contacts, weights):
    """Return the hazard (3, 3) that a member of a has from one infectious member of b in a day, at a transmission of 1."""
    p, q = stays(contacts)
    by_kind = {kind: weights[kind.name.lower()] for kind in (*ALONE, YOUNG, HALF)}
    hazard = np.diag([by_kind[kind] * PART for kind in ALONE]) + np.diag(_in_company(by_kind, p, q))
    hazard[0, 1] = hazard[1, 0] = by_kind[YOUNG] * PART
    hazard[0, 2] = hazard[2, 0] = by_kind[HALF] * p
    hazard[1, 2] = hazard[2, 1] = by_kind[HALF] * q
    return hazard / 96


def dominant(matrix):
    """Return the largest eigenvalue."""
    return np.abs(np.linalg.eigvals(matrix)).max()


def final_sizes(next_generation, seeded=0.0):
    """Return the share z of each class ever infected, z_a = 1 − (1 − seeded) exp(−Σ_b K_ab z_b).

    Args:
        next_generation: (classes, classes) K_ab, infections of a member of a by a wholly infected class b.
        seeded: share infected at the start.
    """
    found = root(lambda z: z - 1 + (1 - seeded) * np.exp(-next_generation @ z), np.full(len(next_generation), 0.9))
    assert found.success
    return found.x

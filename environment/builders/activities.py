"""What residents do all day: roles by age, pupils to schools and classes, workers to jobs and teams."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..places import PlaceKind, Role, SiteKind
from ..randomness import key, uniform, uniforms
from .households import ADULT_AGE, quota

LARGEST_ROOM = 30  # people who learn or work in one room; the larger teams of the field's models are split likewise
# Pupils a class by quantile, drawn for each school: POLYMOD participants name 14, 19, 23, 27, 30 at 10, 25, 50, 75, 90 %
# (Mossong et al. 2008); the ends are assumed.
CLASS_QUANTILES = (0.0, 0.10, 0.25, 0.50, 0.75, 0.90, 1.0)
CLASS_SIZES = (12.0, 14.0, 19.0, 23.0, 27.0, 30.0, 30.0)
# Size of a class relative to that: OECD means are 21 pupils in primary and 23 in lower secondary schools (Education at a
# Glance 2019); kindergarten groups have about 20 children and those of nurseries about 10 (assumed).
LEVEL_SIZE = {SiteKind.KINDERGARTEN: 0.65, SiteKind.PRIMARY: 0.90, SiteKind.SECONDARY: 1.05}
STUDY_GROUP = 25  # students, assumed
# People a team, drawn for each employer (assumed). Most firms are smaller than that, so the median room of work has 3 or 4
# people; yet most people work for the larger firms, and a worker shares the room with 11 others on average.
TEAM_SIZES = (8, 26)
COMMUTE_SCALE = 2_500.0  # m, distance over which the chance to commute falls by e (assumed)
_CELLS = 20  # commuting is balanced between at most 20 x 20 squares

SMALL_CHILD = 6  # years, age below which a child at home has an adult there
# Chance of each role by age, from the youngest age of the row, before the care of small children (assumed; about 72 % of
# ages 18 to 64 at work in the end).
# columns: at home, kindergarten, primary, secondary, student, worker, retired
_ROLE_AGES = np.array([0, 3, 6, 11, 16, 18, 20, 25, 30, 55, 60, 65, 70, 75])
_ROLES = np.array(
    [
        [0.68, 0.32, 0, 0, 0, 0, 0],
        [0.07, 0.93, 0, 0, 0, 0, 0],
        [0.01, 0, 0.99, 0, 0, 0, 0],
        [0.01, 0, 0, 0.99, 0, 0, 0],
        [0.04, 0, 0, 0.86, 0, 0.10, 0],
        [0.10, 0, 0, 0.25, 0.30, 0.35, 0],
        [0.12, 0, 0, 0, 0.38, 0.50, 0],
        [0.17, 0, 0, 0, 0.10, 0.73, 0],
        [0.18, 0, 0, 0, 0, 0.82, 0],
        [0.20, 0, 0, 0, 0, 0.76, 0.04],
        [0.20, 0, 0, 0, 0, 0.58, 0.22],
        [0.02, 0, 0, 0, 0, 0.15, 0.83],
        [0, 0, 0, 0, 0, 0.06, 0.94],
        [0, 0, 0, 0, 0, 0.02, 0.98],
    ]
)
_AT_HOME, _KINDERGARTEN, _RETIRED = int(Role.AT_HOME), int(Role.KINDERGARTEN), int(Role.RETIRED)  # numba freezes these
_LEVELS = (SiteKind.KINDERGARTEN, SiteKind.PRIMARY, SiteKind.SECONDARY)
_STEP_IN = {  # who teaches a level where no school of its own is known
    SiteKind.KINDERGARTEN: (SiteKind.PRIMARY, SiteKind.SECONDARY),
    SiteKind.PRIMARY: (SiteKind.SECONDARY, SiteKind.KINDERGARTEN),
    SiteKind.SECONDARY: (SiteKind.PRIMARY, SiteKind.KINDERGARTEN),
    SiteKind.UNIVERSITY: (),
}
FLOOR_AREA_PER_JOB = {  # m2, assumed
    SiteKind.WORK: 30.0,
    SiteKind.SHOP: 60.0,
    SiteKind.LEISURE: 60.0,
    SiteKind.HOSPITAL: 50.0,
}
RESIDENTS_PER_VENUE = {SiteKind.SHOP: 180.0, SiteKind.LEISURE: 110.0}
"""Residents for one shop and for one place to go out to: restaurants, clubs, gyms, halls, churches (assumed)."""
_STATION_STAFF = 24.0  # people at a fire, ambulance or police station, assumed


@dataclass
class Activities:
    """Rooms beyond the homes, and who learns or works where.

    Attributes:
        role: uint8 (people,), :class:`places.Role`.
        room: int32 (people,) room of each person, −1 for none.
        room_kind: uint8 (rooms,), :class:`places.PlaceKind`.
        room_site: int32 (rooms,).
        report: figures worth keeping (pupils without a school, mean commute).
    """

    role: NDArray[np.uint8]
    room: NDArray[np.int32]
    room_kind: NDArray[np.uint8]
    room_site: NDArray[np.int32]
    report: dict[str, float]


def assign_activities(first, age, home_x, home_y, sites: dict, seed: int) -> Activities:
    """Give every resident a role, and pupils, students and workers a room.

    Args:
        first: int32 (households + 1,) first person of each household, adults first.
        age: uint8 (people,).
        home_x, home_y: (people,) m.
        sites: ``kind, x, y, capacity, floor_area`` of every site.
        seed: everything is drawn from it.
    """
    kinds = sites["kind"]
    university = bool((kinds == SiteKind.UNIVERSITY).any())
    role = _draw_roles(first, age, _role_steps(university), key(seed, "role"))
    room = np.full(len(age), -1, np.int32)
    rooms = _Rooms()
    report: dict[str, float] = {}

    unserved = 0
    for level in (*_LEVELS, SiteKind.UNIVERSITY):
        pupils = np.flatnonzero(role == (Role.STUDENT if level == SiteKind.UNIVERSITY else int(level)))
        schools = next((s for k in (level, *_STEP_IN[level]) if len(s := np.flatnonzero(kinds == k))), None)
        if not len(pupils):
            continue
        if schools is None:
            unserved += len(pupils)
            role[pupils] = Role.AT_HOME
            continue
        chosen = _nearest_with_room(pupils, schools, home_x, home_y, sites)
        if level == SiteKind.UNIVERSITY:
            size = np.full(len(kinds), float(STUDY_GROUP))
        else:
            luck = uniforms(key(seed, "class size"), np.arange(len(kinds)), 0)
            size = LEVEL_SIZE[level] * np.interp(luck, CLASS_QUANTILES, CLASS_SIZES)
        order = np.lexsort((pupils, age[pupils], chosen))
        room[pupils[order]] = rooms.split(chosen[order], size, np.full(len(kinds), level))
    if unserved:
        report["pupils without a school"] = unserved
    teaching = np.arange(len(rooms.kind))  # every class and study group has one teacher

    workers = np.flatnonzero(role == Role.WORKER)
    if len(workers):
        report |= _assign_jobs(workers, room, rooms, teaching, home_x, home_y, sites, seed)
    for kind in (SiteKind.SHOP, SiteKind.LEISURE):  # venues stand open even if nobody works there
        closed = np.setdiff1d(np.flatnonzero(kinds == kind), np.array(rooms.site, np.int64))
        rooms.add(np.full(len(closed), int(kind)), closed)
    return Activities(role, room, np.array(rooms.kind, np.uint8), np.array(rooms.site, np.int32), report)


def jobs_by_floor_area(sites: dict) -> NDArray[np.float64]:
    """Return the jobs that each site has room for, teachers aside, (sites,)."""
    kinds = sites["kind"]
    jobs = np.zeros(len(kinds))
    for kind, area in FLOOR_AREA_PER_JOB.items():
        chosen = np.flatnonzero(kinds == kind)
        if len(chosen):
            jobs[chosen] = np.maximum(_sizes(sites, chosen) / area, 1.0)
    jobs[(kinds >= SiteKind.FIRE_STATION) & (kinds <= SiteKind.POLICE_STATION)] = _STATION_STAFF
    return jobs


def expected_workers(age: NDArray[np.uint8]) -> float:
    """Return the number of workers to be expected among people of these ages, a few per cent too many."""
    steps = _role_steps(university=True)
    return float((steps[age, Role.WORKER] - steps[age, Role.STUDENT]).sum())


class _Rooms:
    """Rooms as they are made: kind and site of each."""

    def __init__(self) -> None:
        self.kind: list[int] = []
        self.site: list[int] = []

    def add(self, kind: NDArray, site: NDArray) -> NDArray[np.int32]:
        """Append rooms and return their numbers."""
        numbers = len(self.kind) + np.arange(len(site))
        self.kind += kind.tolist()
        self.site += site.tolist()
        return numbers.astype(np.int32)

    def split(self, site: NDArray, size: NDArray, kind: NDArray, further: NDArray | None = None) -> NDArray[np.int32]:
        """Split the people of each site into rooms of about equal size; ``site`` is sorted, one entry a person.

        ``size``, ``kind`` and ``further`` are by site: wanted people a room, kind of the first room, kind of the others.
        No room has more than :data:`LARGEST_ROOM` people.
        """
        present, start, number = np.unique(site, return_index=True, return_counts=True)
        parts = np.maximum(np.rint(number / size[present]), np.ceil(number / LARGEST_ROOM)).astype(np.int64)
        first = np.concatenate([[0], np.cumsum(parts)[:-1]])
        room_kind = np.repeat((kind if further is None else further)[present], parts)
        room_kind[first] = kind[present]
        numbers = self.add(room_kind, np.repeat(present, parts))
        group = np.repeat(np.arange(len(present)), number)
        rank = np.arange(len(site)) - start[group]
        return numbers[first[group] + rank * parts[group] // number[group]]


def _role_steps(university: bool) -> NDArray[np.float64]:
    """Return cumulative chances of the roles for each age; without a university students work or stay at home."""
    table = _ROLES.copy()
    if not university:
        table[:, Role.WORKER] += 0.6 * table[:, Role.STUDENT]
        table[:, Role.AT_HOME] += 0.4 * table[:, Role.STUDENT]
        table[:, Role.STUDENT] = 0
    row = np.searchsorted(_ROLE_AGES, np.arange(256), side="right") - 1
    return np.cumsum(table / table.sum(1, keepdims=True), axis=1)[row]


@njit(cache=True, nogil=True)
def _draw_roles(first, age, steps, draw_key):
    """Draw roles by age; where a small child stays at home, one of the first two adults of the household does too.

    The small child of a lone adult with work goes to a kindergarten instead.
    """
    role = np.empty(age.size, np.uint8)
    for home in range(first.size - 1):
        adults, cared_for, needed = 0, False, False
        for i in range(first[home], first[home + 1]):
            u = uniform(draw_key, i, 0)
            r = 0
            while r < 6 and u >= steps[age[i], r]:
                r += 1
            role[i] = r
            home_all_day = r in (_AT_HOME, _RETIRED)
            if age[i] >= ADULT_AGE:
                adults += 1
                cared_for |= home_all_day
            elif age[i] < SMALL_CHILD:
                needed |= home_all_day
        if not needed or cared_for:
            continue
        if adults > 1:
            role[first[home] + int(2 * uniform(draw_key, first[home], 1))] = _AT_HOME
            continue
        for i in range(first[home] + adults, first[home + 1]):
            if age[i] < SMALL_CHILD:
                role[i] = _KINDERGARTEN
    return role


def _sizes(sites: dict, chosen: NDArray) -> NDArray[np.float64]:
    """Return floor areas of sites; unknown ones count as the median of the known."""
    area = np.asarray(sites["floor_area"], float)[chosen].copy()
    known = area > 0
    area[~known] = np.median(area[known]) if known.any() else 1.0
    return area


def _nearest_with_room(pupils, schools, home_x, home_y, sites) -> NDArray[np.int64]:
    """Send pupils to the nearest school that has room; the nearest pupils choose first.

    Capacities known from the source are kept in proportion; together all schools have 15 % more seats than pupils.
    """
    seats = np.where(sites["capacity"][schools] > 0, sites["capacity"][schools], 0.0).astype(float)
    area = _sizes(sites, schools)
    known = seats > 0
    seats[~known] = area[~known] * (seats[known].sum() / area[known].sum() if known.any() else 1.0)
    left = np.ceil(seats / seats.sum() * 1.15 * len(pupils)).astype(np.int64)
    tree = cKDTree(np.stack([sites["x"][schools], sites["y"][schools]], 1))
    points, which = np.unique(np.stack([home_x[pupils], home_y[pupils]], 1), axis=0, return_inverse=True)
    near = min(6, len(schools))
    distance, choice = tree.query(points, k=near)
    distance, choice = distance.reshape(-1, near)[which.ravel()], choice.reshape(-1, near)[which.ravel()]
    result = np.full(len(pupils), -1, np.int64)
    waiting = np.arange(len(pupils))
    for rank in range(near):
        waiting = waiting[np.lexsort((waiting, distance[waiting, rank], choice[waiting, rank]))]
        wish = choice[waiting, rank]
        starts = np.searchsorted(wish, np.arange(len(schools)))
        place = np.arange(len(waiting)) - starts[wish]
        served = place < left[wish]
        result[waiting[served]] = wish[served]
        left -= np.bincount(wish[served], minlength=len(schools))
        waiting = waiting[~served]
        if not len(waiting):
            break
    result[waiting] = choice[waiting, 0]  # all near schools are full: squeeze in
    return schools[result]


def _assign_jobs(workers, room, rooms, teaching, home_x, home_y, sites, seed) -> dict[str, float]:
    """Bring workers to jobs by a doubly constrained gravity model between squares, then into rooms."""
    kinds = sites["kind"]
    weight = jobs_by_floor_area(sites)
    teachers = np.bincount(np.array(rooms.site, np.int64)[teaching], minlength=len(kinds))
    if weight.sum() + teachers.sum() == 0:
        return {"workers without a workplace": float(len(workers))}
    teaching_jobs = int(teachers.sum())
    teachers_share = min(1.0, len(workers) / max(teaching_jobs, 1))
    spare = max(len(workers) - teaching_jobs, 0)
    jobs = teachers * teachers_share + (weight / weight.sum() * spare if weight.sum() else 0.0)

    home, work = _squares(home_x[workers], home_y[workers], sites["x"], sites["y"])
    flows, destinations = _commuting(home, work, jobs, sites, home_x[workers], home_y[workers])
    order = np.lexsort((uniforms(key(seed, "commuters"), workers, 0), home))
    going = np.repeat(np.tile(destinations, len(flows)), flows.ravel())  # square of work of each worker in `order`
    order = order[np.lexsort((uniforms(key(seed, "job"), workers[order], 0), going))]
    arrivals = flows.sum(0)

    target = np.full(len(kinds), 0)
    site_of = np.empty(len(workers), np.int64)
    is_teacher = np.zeros(len(workers), bool)
    filled = 0
    for square, number in zip(destinations.tolist(), arrivals.tolist(), strict=True):
        here = np.flatnonzero((work == square) & (jobs > 0))
        class_jobs = np.repeat(here, teachers[here])[:number]
        rest = number - len(class_jobs)
        other = weight[here] if weight[here].sum() > 0 else teachers[here].astype(float)
        staff = np.repeat(here, quota(other, rest)) if rest else np.empty(0, np.int64)
        site_of[filled : filled + number] = np.concatenate([class_jobs, staff])
        is_teacher[filled : filled + len(class_jobs)] = True
        filled += number
    people = workers[order]

    classes = teaching[np.argsort(np.array(rooms.site, np.int64)[teaching], kind="stable")]
    class_site = np.array(rooms.site, np.int64)[classes]
    teaching_people = np.flatnonzero(is_teacher)
    teaching_people = teaching_people[np.argsort(site_of[teaching_people], kind="stable")]
    rank = np.arange(len(teaching_people)) - np.searchsorted(site_of[teaching_people], site_of[teaching_people])
    room[people[teaching_people]] = classes[np.searchsorted(class_site, site_of[teaching_people]) + rank]

    staff = np.flatnonzero(~is_teacher)
    staff = staff[np.argsort(site_of[staff], kind="stable")]
    low, high = TEAM_SIZES
    target = low + (high - low) * uniforms(key(seed, "team size"), np.arange(len(kinds)), 0)
    room_kind = np.full(len(kinds), int(PlaceKind.WORK))
    room_kind[kinds == SiteKind.HOSPITAL] = PlaceKind.HOSPITAL
    for kind in (
        SiteKind.SHOP,
        SiteKind.LEISURE,
    ):  # one team is in the venue with its visitors, others behind the scenes
        room_kind[kinds == kind] = int(kind)
    further = np.where(kinds == SiteKind.HOSPITAL, room_kind, int(PlaceKind.WORK))
    room[people[staff]] = rooms.split(site_of[staff], target, room_kind, further)
    commute = np.hypot(sites["x"][site_of] - home_x[people], sites["y"][site_of] - home_y[people])
    return {"mean commute, m": round(float(commute.mean()), 1)}


def _squares(home_x, home_y, site_x, site_y) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number homes and sites by square of a common grid."""
    west, south = min(home_x.min(), site_x.min()), min(home_y.min(), site_y.min())
    side = max(home_x.max() - west, site_x.max() - west, home_y.max() - south, site_y.max() - south, 1.0) / _CELLS
    side = max(side * 1.000001, 250.0)

    def number(x, y):
        return ((x - west) // side).astype(np.int64) * (_CELLS + 1) + ((y - south) // side).astype(np.int64)

    return number(home_x, home_y), number(site_x, site_y)


def _commuting(home, work, jobs, sites, home_x, home_y) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return whole commuters between squares, rows in order of the squares of homes, and the squares of jobs.

    Flow ∝ workers · jobs · exp(−distance / COMMUTE_SCALE), balanced so that rows meet workers and columns jobs
    (Wilson 1967, doubly constrained gravity model).
    """
    origins, row = np.unique(home, return_inverse=True)
    workers = np.bincount(row)
    destinations, column = np.unique(work[jobs > 0], return_inverse=True)
    total = np.bincount(column, jobs[jobs > 0])

    def centre(group, x, y, weight):
        amount = np.bincount(group, weight)
        return np.bincount(group, weight * x) / amount, np.bincount(group, weight * y) / amount

    ox, oy = centre(row, home_x, home_y, np.ones(len(home)))
    dx, dy = centre(column, sites["x"][jobs > 0], sites["y"][jobs > 0], jobs[jobs > 0])
    flow = np.exp(-np.hypot(ox[:, None] - dx, oy[:, None] - dy) / COMMUTE_SCALE)
    flow = np.maximum(flow, 1e-12)
    for _ in range(50):
        flow *= (total / total.sum() * workers.sum() / flow.sum(0))[None, :]
        flow *= (workers / flow.sum(1))[:, None]
    # rounding row by row keeps workers exact; what it leaves over is carried to the next row of the column
    whole = np.empty(flow.shape, np.int64)
    carry = np.zeros(len(destinations))
    for i in range(len(origins)):
        wanted = np.maximum(flow[i] + carry, 0.0)
        whole[i] = quota(wanted if wanted.sum() > 0 else flow[i], int(workers[i]))
        carry += flow[i] - whole[i]
    return whole, destinations

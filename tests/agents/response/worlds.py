"""Small random worlds of emergency response, for the kernel and for its twin."""

from dataclasses import dataclass

import numpy as np
from dispatch_twin import Hospital, Streets, Task, Twin, Unit

from citytwin.agents.response import board
from citytwin.agents.response.dispatch import Centre, Departments, Fleet, make_rules
from citytwin.agents.response.doors import BEDS_USED, BOARDERS, DOOR, USED
from citytwin.agents.response.tasks import Outcome, Tasks
from citytwin.agents.response.travel import Travel
from citytwin.environment.network.network import Network
from citytwin.environment.roads import Access

NUMBERS = {
    "dispatch": {"nearest": board.NEAREST, "coverage": board.COVERAGE},
    "queue": {"first": board.FIRST, "closest": board.CLOSEST},
    "hospital": {
        "nearest": board.NEAREST_HOSPITAL,
        "diverting": board.DIVERTING,
        "least time": board.LEAST_TIME,
    },
    "move": {"home": board.HOMEWARD, "maximal cover": board.MAXIMAL_COVER, "compliance": board.COMPLIANCE},
}
STATES = (
    "off", "idle", "sent", "at scene", "to hospital", "at door", "handover", "clearing", "returning",
)  # fmt: skip
STAMPS = ("sent", "left", "arrived", "began", "done", "at_hospital", "bay", "free")


def streets(nodes, links):
    """Return a network of links between pairs of nodes; what they cost is said elsewhere."""
    ends = np.array(links, np.int32).reshape(-1, 2)
    ones = np.ones(len(ends))
    return Network(
        x=np.arange(nodes, dtype=float),
        y=np.zeros(nodes),
        start=ends[:, 0].copy(),
        end=ends[:, 1].copy(),
        length=ones,
        speed=ones,
        lanes=ones,
        capacity=ones,
        access=np.full(len(ends), int(Access.CAR), np.uint8),
        rank=np.zeros(len(ends), np.uint8),
        way=np.arange(len(ends)),
        through=np.ones(nodes, bool),
    )


def _numbered(name, value):
    """Return the numbers of rules that are given by their names, one or one for each service."""
    if name in NUMBERS and isinstance(value, list):
        return [NUMBERS[name][rule] for rule in value]
    return NUMBERS[name].get(value, value) if name in NUMBERS else value


def grid_links(columns, rows):
    """Return the links of a grid, both ways."""
    pairs = []
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            if column + 1 < columns:
                pairs += [(here, here + 1), (here + 1, here)]
            if row + 1 < rows:
                pairs += [(here, here + columns), (here + columns, here)]
    return pairs


@dataclass
class World:
    """What both are made of. ``changes`` are (second, what, values), sorted; what is "roads", "bays" or "beds"."""

    nodes: int
    links: list
    seconds: list
    stations: list
    hospitals: list
    fleet: Fleet
    departments: Departments
    rules: dict
    tasks: Tasks
    changes: list
    end: float

    def centre(self):
        """Return the centre of the package without tasks, and its travel."""
        travel = Travel(streets(self.nodes, self.links), [*self.stations, *self.hospitals])
        given = {name: _numbered(name, value) for name, value in self.rules.items()}
        if given.get("cover"):
            points = given["cover"]["points"]
            first = np.cumsum([0, *(len(row) for row in points)]).astype(np.int32)
            point = np.array([p for row in points for p in row], np.int32)
            given["cover"] = (first, point, np.array(given["cover"]["demand"]))
        rules = make_rules(stations=len(self.stations), units=len(self.fleet), **given)
        return Centre(travel.roads(self.seconds), self.fleet, self.departments, rules), travel

    def twin(self):
        """Return the twin without tasks."""
        fleet, given = self.fleet, self.departments
        bits = [{9 + bit for bit in range(3) if value >> bit & 1} for value in range(8)]
        units = [
            Unit(
                u, int(fleet.station[u]), bits[fleet.serves[u]], bits[fleet.aids[u]], int(fleet.skills[u]),
                int(fleet.lights[u]), int(fleet.normal[u]), float(fleet.turnout_factor[u]),
            )
            for u in range(len(fleet))
        ]  # fmt: skip
        hospitals = [
            Hospital(
                int(given.bays[h]),
                int(given.beds[h]),
                int(given.divert[h]),
                int(given.offers[h]),
                float(given.mean_stay[h]),
            )
            for h in range(len(given))
        ]
        shifts = [(float(time), int(unit), bool(begins)) for time, unit, begins in fleet.shifts]
        rules = self.rules | {"redispatch": set(self.rules.get("redispatch", ()))}
        return Twin(self.ways(self.seconds), self.stations, self.hospitals, units, hospitals, rules, shifts)

    def ways(self, seconds):
        return [Streets(self.nodes, self.links, cost) for cost in seconds]

    def twin_tasks(self):
        """Return the tasks of the twin."""
        t = self.tasks
        names = ("turnout", "scene", "handover", "clear", "stay", "bed", "access", "patience")
        return [
            Task(
                row, float(t.ready[row]), int(t.node[row]), int(t.service[row]), int(t.priority[row]), int(t.skill[row]),
                bool(t.transport[row]), int(t.specialty[row]), int(t.hospital[row]), int(t.after[row]),
                *(float(getattr(t, name)[row]) for name in names),
            )
            for row in range(len(t))
        ]  # fmt: skip

    def run_centre(self, stops=(), parts=1, dispatcher=None):
        """Return the centre at the end, stopping at further moments and getting the tasks in several parts."""
        centre, travel = self.centre()
        centre.dispatcher = dispatcher
        batches = self._batches(parts)
        begins = [0.0] + [float(batch.ready[0]) for batch in batches[1:]]
        moments = sorted(
            [(time, 1, n, None) for n, time in enumerate(stops)]
            + [(time, 0, n, (what, values)) for n, (time, what, values) in enumerate(self.changes)]
            + [(time, -1, n, ("tasks", batch)) for n, (time, batch) in enumerate(zip(begins, batches, strict=True))],
            key=lambda moment: moment[:3],
        )
        for time, _, _, change in moments:
            centre.run(time)
            if change is None:
                continue
            what, values = change
            if what == "tasks":
                centre.add(values)
            elif what == "roads":
                centre.change_roads(travel.roads(values))
            else:
                centre.change_hospitals(**{what: np.array(values, np.int32)})
        centre.run(self.end)
        return centre

    def run_twin(self):
        """Return the twin at the end."""
        twin = self.twin()
        twin.add(self.twin_tasks())
        for time, what, values in self.changes:
            twin.run(time)
            if what == "roads":
                twin.change_roads(self.ways(values))
            else:
                twin.change_hospitals(**{what: values})
        twin.run(self.end)
        return twin

    def _batches(self, parts):
        """Return the tasks in several tables, none of which refers to another."""
        t = self.tasks
        cuts = [0]
        for cut in np.linspace(0, len(t), parts + 1).astype(int)[1:-1]:
            crossing = (np.arange(len(t)) >= cut) != (t.after >= cut)
            if cut > cuts[-1] and not np.any(crossing & (t.after >= 0)):
                cuts.append(int(cut))
        out = []
        for begin, end in zip(cuts, [*cuts[1:], len(t)], strict=True):
            columns = {name: getattr(t, name)[begin:end] for name in t.__dataclass_fields__}
            columns["after"] = np.where(columns["after"] >= 0, columns["after"] - begin, -1).astype(np.int32)
            out.append(Tasks(**columns))
        return out


def assert_equal(centre, twin):
    """What became of every task and unit is the same."""
    table, tasks = centre.table(), twin.tasks
    outcome = [Outcome(value).name.lower().replace("_", " ") for value in table["outcome"]]
    assert outcome == [task.outcome for task in tasks]
    assert table["unit"].tolist() == [task.unit for task in tasks]
    for name in STAMPS:
        wanted = np.array([task.stamps.get(name, np.nan) for task in tasks])
        np.testing.assert_allclose(table[name], wanted, rtol=0, atol=1e-9, err_msg=name)
    assert table["at"].tolist() == [task.at for task in tasks]
    for name in ("diverted", "called_away", "queued", "unreachable"):
        assert table[name].tolist() == [getattr(task, name) for task in tasks], name
    spent = []
    for unit in twin.units:
        unit.spent[unit.state] = unit.spent.get(unit.state, 0.0) + twin.now - unit.since
        spent.append([unit.spent.get(state, 0.0) for state in STATES])
    np.testing.assert_allclose(centre.spent(), spent, rtol=0, atol=1e-6)
    wanted = [[h.used(), len(h.in_bed), len(h.door), len(h.boarders)] for h in twin.hospitals]
    assert centre.state.doors.hospital[:, [USED, BEDS_USED, DOOR, BOARDERS]].tolist() == wanted


def random_world(seed, *, rules, tied=False, services=1, sparse=False):
    """Return a world.

    Args:
        seed: of the random numbers.
        rules: as ``make_rules`` takes them, rules by their names; cover and compliance are made where they are needed.
        tied: whether times are whole tens of seconds, so that many things happen at one moment.
        services: how many there are.
        sparse: whether streets are one way here and there and closed elsewhere.
    """
    rng = np.random.default_rng(seed)

    def seconds(low, high, size):
        return rng.integers(low // 10, high // 10 + 1, size) * 10.0 if tied else rng.uniform(low, high, size)

    columns, rows = rng.integers(2, 6, 2)
    nodes = int(columns * rows)
    links = grid_links(columns, rows)
    if sparse:
        links = [pair for pair in links if rng.random() > 0.15]
    cost = seconds(10, 60, len(links))
    costs = [cost, cost * 1.5]
    stations, hospitals = int(rng.integers(2, 5)), int(rng.integers(0, 4))
    places = rng.integers(0, nodes, stations + hospitals).tolist()
    units = int(rng.integers(3, 9))
    serves = 1 << rng.integers(0, services, units)
    serves |= np.where(rng.random(units) < 0.15, 1 << rng.integers(0, services, units), 0)
    aids = np.where(rng.random(units) < 0.3, 1 << rng.integers(0, services, units), 0) & ~serves
    neighbour = rng.random(units) < 0.1
    serves, aids = np.where(neighbour, 0, serves), np.where(neighbour, aids | serves, aids)
    end = 6000.0
    shifts = []
    for unit in np.flatnonzero(rng.random(units) < 0.4):
        begins = bool(rng.integers(2))
        for time in np.sort(seconds(10, 5000, rng.integers(1, 4))):
            shifts.append((time, unit, begins))
            begins = not begins
    shifts.sort()
    fleet = Fleet(
        station=rng.integers(0, stations, units).astype(np.int32),
        serves=serves.astype(np.int32),
        aids=aids.astype(np.int32),
        skills=rng.choice([0, 1, 3], units).astype(np.int32),
        lights=np.zeros(units, np.int32),
        normal=rng.integers(0, 2, units).astype(np.int32),
        turnout_factor=rng.choice([1.0, 0.5, 2.0], units),
        shifts=np.array(shifts, float).reshape(-1, 3),
    )
    departments = Departments(
        bays=rng.choice([-1, 0, 1, 1, 2, 3], hospitals).astype(np.int32),
        beds=rng.choice([-1, 0, 1, 2], hospitals).astype(np.int32),
        divert=rng.integers(0, 3, hospitals).astype(np.int32),
        offers=rng.choice([255, 1, 3, 5], hospitals).astype(np.int32),
        mean_stay=rng.uniform(100, 900, hospitals),
    )
    count = int(rng.integers(10, 41))
    ready = np.sort(seconds(0, 4000, count))
    after = np.where(
        (rng.random(count) < 0.2) & (np.arange(count) > 0), (np.arange(count) * rng.random(count)).astype(int), -1
    )
    tasks = Tasks.of(
        ready=ready,
        node=rng.integers(0, nodes, count),
        service=9 + rng.integers(0, services, count),
        priority=rng.integers(0, 4, count),
        skill=rng.choice([0, 0, 0, 1, 2], count),
        access=rng.choice([0.0, 0.0, 12.5], count),
        turnout=seconds(0, 80, count),
        scene=seconds(30, 600, count),
        transport=rng.random(count) < 0.6,
        handover=seconds(10, 200, count),
        clear=rng.choice([0.0, 30.0], count),
        stay=rng.uniform(50, 1500, count),
        bed=np.where(rng.random(count) < 0.5, rng.uniform(50, 3000, count), 0.0),
        patience=rng.choice([np.inf, np.inf, 600.0, 100.0, 0.0], count),
        specialty=rng.choice([0, 0, 0, 1, 2], count),
        hospital=np.where(rng.random(count) < 0.1, rng.integers(0, max(hospitals, 1), count), -1) if hospitals else -1,
        after=after,
    )
    changes = []
    for time in np.sort(seconds(100, 4500, rng.integers(0, 5))):
        what = rng.choice(["roads", "roads", "bays", "beds"]) if hospitals else "roads"
        if what == "roads":
            factor = np.where(rng.random(len(links)) < 0.3, np.inf, rng.choice([0.5, 1.0, 2.0], len(links)))
            changes.append((float(time), what, [cost * factor for cost in costs] if rng.random() < 0.7 else costs))
        else:
            changes.append((float(time), what, rng.integers(-1, 4, hospitals).tolist()))
    moves = rules.get("move", "home")
    if "maximal cover" in moves or "coverage" in rules.values():
        points = int(rng.integers(3, 9))
        cover = [np.flatnonzero(rng.random(points) < 0.5).tolist() for _ in range(stations)]
        rules = rules | {"cover": {"points": cover, "demand": rng.uniform(0.5, 3, points).tolist()}}
    if "compliance" in moves:
        tables = [[] for _ in range(3)]
        for service in tables:
            for on_duty in sorted({rng.integers(0, 2), *rng.integers(2, units + 2, rng.integers(0, 3)).tolist()}):
                table = np.zeros((rng.integers(1, units + 1) + 1, stations), int)
                for free, row in enumerate(table):
                    np.add.at(row, rng.integers(0, stations, free), 1)
                service.append((int(on_duty), table.tolist()))
        rules = rules | {"compliance": tables}
    return World(
        nodes, links, costs, places[:stations], places[stations:], fleet, departments, rules, tasks, changes, end
    )

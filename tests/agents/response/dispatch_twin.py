"""The dispatch centre again in plain Python, written from its rules: the next event is the first of all.

Nothing is shared with the kernel but the definitions: times of travel are whole milliseconds of shortest paths, found here
by Dijkstra's algorithm on lists; durations are the float32 seconds of the tasks.
"""

import heapq
import math
from dataclasses import dataclass, field

FOREVER = math.inf
AVAILABLE = ("idle", "returning")


class Streets:
    """Shortest ways in one mode."""

    def __init__(self, nodes, links, seconds):
        self.arcs = [[] for _ in range(nodes)]
        for (start, end), cost in zip(links, seconds, strict=True):
            if cost < FOREVER:
                self.arcs[start].append((end, max(round(1000 * cost), 1)))
        self.away = [self._from(node) for node in range(nodes)]

    def _from(self, origin):
        found, heap = {}, [(0, origin)]
        while heap:
            cost, node = heapq.heappop(heap)
            if node not in found:
                found[node] = cost
                for head, step in self.arcs[node]:
                    heapq.heappush(heap, (cost + step, head))
        return found

    def time(self, origin, goal):
        """Return ms, infinite where there is no way."""
        return self.away[origin].get(goal, FOREVER)

    def step(self, node, goal):
        """Return the next node on the way and ms to it: over the first link that is on a shortest way."""
        rest = self.time(node, goal)
        return next((head, cost) for head, cost in self.arcs[node] if cost + self.time(head, goal) == rest)


@dataclass
class Task:
    number: int
    ready: float
    node: int
    service: int
    priority: int
    skill: int
    transport: bool
    specialty: int
    hospital: int
    after: int
    turnout: float
    scene: float
    handover: float
    clear: float
    stay: float
    bed: float
    access: float
    patience: float
    outcome: str = "to come"
    unit: int = -1
    at: int = -1
    stamps: dict = field(default_factory=dict)
    diverted: bool = False
    called_away: int = 0
    queued: bool = False
    unreachable: bool = False


@dataclass
class Unit:
    number: int
    station: int
    serves: set
    aids: set
    skills: int
    lights: int
    normal: int
    factor: float
    node: int = 0
    home: int = -1
    state: str = "idle"
    on_duty: bool = True
    task: Task | None = None
    place: int = -1
    goal: int = -1
    target: int = -1
    mode: int = 0
    left: float = 0.0
    due: float = FOREVER
    since: float = 0.0
    spent: dict = field(default_factory=dict)


@dataclass
class Hospital:
    bays: int
    beds: int
    divert: int
    offers: int
    mean_stay: float
    stays: list = field(default_factory=list)
    in_bed: list = field(default_factory=list)
    boarders: list = field(default_factory=list)
    door: list = field(default_factory=list)

    def used(self):
        return len(self.stays) + len(self.boarders)

    def full(self):
        return self.bays >= 0 and self.used() >= self.bays

    def settle(self, now):
        """End stays until now in their order; a bed is freed before a bay of the same moment."""
        while True:
            bed = min(self.in_bed, default=FOREVER)
            bay, _, task = min(self.stays, key=lambda stay: stay[:2], default=(FOREVER, 0, None))
            if min(bed, bay) > now or min(bed, bay) == FOREVER:
                return
            if bed <= bay:
                self.in_bed.remove(bed)
                self.to_beds(bed)
            else:
                self.stays = [stay for stay in self.stays if stay[2] is not task]
                if task.bed > 0 and self.beds >= 0:
                    self.boarders.append(task)
                    self.to_beds(bay)

    def to_beds(self, now):
        while self.boarders and (self.beds < 0 or len(self.in_bed) < self.beds):
            task = self.boarders.pop(0)
            if self.beds >= 0:
                self.in_bed.append(now + task.bed)

    def admit(self, task, now):
        if self.bays >= 0:
            self.stays.append((now + max(task.stay, task.handover), task.number, task))
            assert self.used() <= self.bays

    def next_bay(self, now):
        """Return when somebody at the door may come in, by what is known now."""
        if not self.door:
            return FOREVER
        if not self.full():
            return now
        bay = min((stay[0] for stay in self.stays), default=FOREVER)
        return min(bay, min(self.in_bed, default=FOREVER) if self.boarders else FOREVER)


class Twin:
    """The centre: ``rules`` are the arguments of ``make_rules``."""

    def __init__(self, streets, stations, hospital_nodes, units, hospitals, rules, shifts=()):
        self.streets, self.station_nodes, self.hospital_nodes = streets, stations, hospital_nodes
        self.units, self.hospitals, self.shifts = units, hospitals, list(shifts)
        self.rules = {
            "dispatch": "nearest", "queue": "first", "hospital": "nearest", "move": "home", "hold_out": 0, "hold_from": 1,
            "loss": False, "scene_lights": 8, "hospital_lights": 0, "aid_after": FOREVER, "busy": 0.3,
            "busy_memory": 86_400.0, "redispatch": set(), "target": [FOREVER], "cover": None, "compliance": [[], [], []],
        } | rules  # fmt: skip
        move = self.rules["move"]
        self.moves = [move] * 3 if isinstance(move, str) else move
        self.busy, self.busy_since = dict.fromkeys((9, 10, 11), self.rules["busy"]), 0.0
        self.tasks, self.to_come, self.waiting, self.decide = [], [], [], []
        self.now, self.duty_changed = 0.0, True
        starts = {}
        for _, unit, begins in self.shifts:
            starts.setdefault(unit, not begins)
        for unit in units:
            unit.place = unit.home = unit.station
            unit.node = stations[unit.station]
            unit.on_duty = starts.get(unit.number, True)
            unit.state = "idle" if unit.on_duty else "off"

    # ---------------------------------------------------------------- small words

    def way(self, mode):
        return self.streets[mode]

    def become(self, unit, state):
        unit.spent[unit.state] = unit.spent.get(unit.state, 0.0) + self.now - unit.since
        unit.since, unit.state = self.now, state

    def free(self, unit):
        return unit.on_duty and unit.state in AVAILABLE

    def colleagues(self, unit):
        """Free units that share a service with a unit, which counts as free itself."""
        return sum(u is unit or (self.free(u) and bool(u.serves & unit.serves)) for u in self.units)

    def kept_back(self, unit, priority):
        held = bool(unit.serves) and priority >= self.rules["hold_from"]
        return held and self.colleagues(unit) <= self.rules["hold_out"]

    def scene_mode(self, unit, priority):
        return unit.lights if priority < self.rules["scene_lights"] else unit.normal

    def position(self, unit, streets=None):
        """Return the next node of a unit and when it can leave from there."""
        if unit.state not in ("sent", "to hospital", "returning"):
            return unit.node, self.now
        if self.now <= unit.left:
            return unit.node, unit.left
        way = (streets or self.streets)[unit.mode]
        node, left = unit.node, 1000.0 * (self.now - unit.left)
        while left > 0 and node != unit.target and way.time(node, unit.target) < FOREVER:
            head, cost = way.step(node, unit.target)
            if left < cost:
                return head, self.now + 0.001 * (cost - left)
            left -= cost
            node = head
        return node, self.now

    def covered(self, services):
        """Count the free units of services that cover each demand point from their stations."""
        counts = [0] * len(self.rules["cover"]["demand"])
        for unit in self.units:
            if unit.serves & services and self.free(unit):
                for point in self.rules["cover"]["points"][unit.home]:
                    counts[point] += 1
        return counts

    # ---------------------------------------------------------------- from outside

    def add(self, tasks):
        self.tasks += tasks
        self.to_come = sorted(self.to_come + tasks, key=lambda task: (task.ready, task.number))

    def change_roads(self, streets):
        """Everybody under way goes on from the next node; whoever waits is looked at again, the most urgent first."""
        old, self.streets = self.streets, streets
        again, self.waiting = self.waiting, []
        for unit in self.units:
            if unit.state not in ("sent", "to hospital", "returning"):
                continue
            unit.node, leave = self.position(unit, old)
            on_foot = unit.state == "sent" and unit.node == unit.target and self.now > unit.left and leave == self.now
            unit.left = leave
            if on_foot:
                continue
            rest = self.way(unit.mode).time(unit.node, unit.target)
            if unit.state == "sent":
                task = unit.task
                if rest == FOREVER:
                    task.called_away += 1
                    task.unreachable = True
                    self.call_off(task)
                    again.append(task)
                    unit.task = None
                    self.send_home(unit, unit.home, unit.node, leave)
                else:
                    unit.due = leave + 0.001 * rest + task.access
                continue
            if unit.state == "to hospital" and rest == FOREVER:
                found, _ = self.choose_hospital(unit.task, unit.mode, unit.node, fixed=-1)
                if found >= 0:
                    unit.task.at, unit.task.diverted = found, True
                    unit.target = self.hospital_nodes[found]
                    rest = self.way(unit.mode).time(unit.node, unit.target)
            unit.due = leave + 0.001 * rest if rest < FOREVER else FOREVER
        again.sort(key=lambda task: (task.priority, task.ready, task.number))
        self.decide += [("task", task) for task in reversed(again)]

    def change_hospitals(self, bays=None, beds=None):
        for place, hospital in enumerate(self.hospitals):
            hospital.settle(self.now)
            hospital.bays = hospital.bays if bays is None else bays[place]
            hospital.beds = hospital.beds if beds is None else beds[place]
            hospital.to_beds(self.now)

    # ---------------------------------------------------------------- decisions

    def call_off(self, task):
        task.outcome, task.unit = "waiting", -1
        task.stamps.pop("sent"), task.stamps.pop("left")

    def put_off(self, task):
        """Let a task wait."""
        task.outcome, task.unit, task.queued = "waiting", -1, True
        self.waiting.append(task)
        for unit in self.waiting_for(task):
            unit.due = max(self.now, task.ready + task.patience)

    def waiting_for(self, task):
        return [
            u
            for u in self.units
            if u.state == "at scene" and u.task.after == task.number and "began" not in u.task.stamps
        ]

    def release(self, task):
        for unit in self.waiting_for(task):
            self.begin_scene(unit)

    def begin_scene(self, unit):
        unit.task.stamps["began"] = self.now
        unit.due = self.now + unit.task.scene

    def assign(self, unit, task, node, leave, arrive):
        if unit.state != "sent":
            self.become(unit, "sent")
        unit.task, unit.place, unit.target, unit.node, unit.left = task, -1, task.node, node, leave
        unit.mode = self.scene_mode(unit, task.priority)
        unit.due = arrive
        task.unit, task.outcome = unit.number, "in service"
        task.stamps |= {"sent": self.now, "left": leave}

    def dispatch(self, task):
        if self.now - task.ready > task.patience:
            task.outcome = "cancelled"
            self.release(task)
            return
        rules, arrive, start, able = self.rules, {}, {}, False
        for unit in self.units:
            calls = (
                unit.state == "sent" and (unit.task.priority, task.priority) in rules["redispatch"]
                if unit.task
                else False
            )
            if (
                not unit.on_duty
                or task.service not in unit.serves | unit.aids
                or not (unit.state in AVAILABLE or calls)
            ):
                continue
            if task.skill & ~unit.skills or (unit.state in AVAILABLE and self.kept_back(unit, task.priority)):
                continue
            able = True
            if unit.state == "idle":
                node, leave = unit.node, self.now + task.turnout * unit.factor
            else:
                node, leave = self.position(unit)
            away = self.way(self.scene_mode(unit, task.priority)).time(node, task.node)
            if away < FOREVER:
                start[unit.number] = node, leave
                arrive[unit.number] = leave + 0.001 * away + task.access
        own = [u for u in arrive if task.service in self.units[u].serves]
        others = [u for u in arrive if u not in own]
        near, aider = min(own, key=arrive.get, default=None), min(others, key=arrive.get, default=None)
        chosen = near
        latest = task.ready + self.of_priority(rules["target"], task.priority)
        if near is not None and rules["dispatch"] == "coverage" and arrive[near] <= latest:
            counts = self.covered({task.service})
            losses = {}
            for u in (u for u in own if arrive[u] <= latest):
                losses[u] = 0.0
                if self.free(self.units[u]):
                    for point in rules["cover"]["points"][self.units[u].home]:
                        losses[u] += rules["cover"]["demand"][point] * self.busy[task.service] ** (counts[point] - 1)
            chosen = min(losses, key=lambda u: (losses[u], arrive[u], u))
        if aider is not None and (
            near is None or (arrive[near] - task.ready > rules["aid_after"] and arrive[aider] < arrive[near])
        ):
            chosen = aider
        if chosen is None:
            if rules["loss"]:
                task.outcome = "lost"
                self.release(task)
                return
            task.unreachable |= able and not arrive
            self.put_off(task)
            return
        unit = self.units[chosen]
        if unit.state == "sent":
            unit.task.called_away += 1
            self.call_off(unit.task)
            self.decide.append(("task", unit.task))
        self.assign(unit, task, *start[chosen], arrive[chosen])
        if self.move_rule(unit) == "compliance":
            self.comply(min(unit.serves))

    @staticmethod
    def of_priority(values, priority):
        return values[min(priority, len(values) - 1)]

    def next_waiting(self, unit, here):
        """Return the waiting task that a free unit takes."""
        for priority in range(8):
            if self.kept_back(unit, priority):
                return None
            way, offers = self.way(self.scene_mode(unit, priority)), []
            for service in sorted(unit.serves | unit.aids):
                line = [task for task in self.waiting if task.service == service and task.priority == priority]
                for task in sorted(line, key=lambda task: (task.ready, task.number)):
                    if self.now - task.ready > task.patience:
                        task.outcome = "cancelled"
                        self.waiting.remove(task)
                    elif not task.skill & ~unit.skills:
                        away = way.time(here, task.node)
                        if away == FOREVER:
                            task.unreachable = True
                            continue
                        offers.append(
                            (task.ready if self.rules["queue"] == "first" else away, service, task.ready, task.number)
                        )
                        if self.rules["queue"] == "first":
                            break
            if offers:
                return self.tasks[min(offers)[3]]
        return None

    def place_free(self, unit):
        """Let a free unit take a waiting task or go to a station."""
        here, leave = self.position(unit)
        task = self.next_waiting(unit, here) if unit.on_duty else None
        if task is not None:
            self.waiting.remove(task)
            if unit.state == "idle":
                leave = self.now + task.turnout * unit.factor
            away = self.way(self.scene_mode(unit, task.priority)).time(here, task.node)
            self.assign(unit, task, here, leave, leave + 0.001 * away + task.access)
            return
        if unit.state in AVAILABLE:
            return
        home = unit.station
        if unit.on_duty and self.move_rule(unit) == "maximal cover":
            counts, busy, most = self.covered(unit.serves), self.busy[min(unit.serves)], -1.0
            for station, node in enumerate(self.station_nodes):
                if self.way(unit.normal).time(here, node) == FOREVER:
                    continue
                gain = 0.0
                for point in self.rules["cover"]["points"][station]:
                    gain += self.rules["cover"]["demand"][point] * (1.0 - busy) * busy ** counts[point]
                if gain > most:
                    most, home = gain, station
        self.send_home(unit, home, here, self.now)
        if unit.on_duty and self.move_rule(unit) == "compliance":
            self.comply(min(unit.serves))

    def send_home(self, unit, station, node, leave):
        unit.home, unit.place, unit.node, unit.left, unit.mode = station, -1, node, leave, unit.normal
        unit.goal, unit.target = station, self.station_nodes[station]
        away = self.way(unit.normal).time(node, unit.target)
        if unit.state != "returning":
            self.become(unit, "returning")
        if away == 0 and leave <= self.now:
            self.at_station(unit)
        else:
            unit.due = leave + 0.001 * away if away < FOREVER else FOREVER

    def at_station(self, unit):
        unit.place, unit.node, unit.due = unit.goal, self.station_nodes[unit.goal], FOREVER
        if unit.on_duty:
            self.become(unit, "idle")
        elif unit.place == unit.station:
            self.become(unit, "off")
        else:
            self.send_home(unit, unit.station, unit.node, self.now)

    def move_rule(self, unit):
        """Return the rule of the first service of a unit; those of none go home."""
        return self.moves[min(unit.serves) - 9] if unit.serves else "home"

    def comply(self, service):
        """Move free units from stations with too many to those that lack one, the quickest move first."""
        on_duty = [unit for unit in self.units if service in unit.serves and unit.on_duty]
        mine = [unit for unit in on_duty if self.free(unit)]
        tables = self.rules["compliance"][service - 9]
        table = max((entry for entry in tables if entry[0] <= len(on_duty)), default=tables[0])[1]
        lacking = list(table[min(len(mine), len(table) - 1)])
        for unit in mine:
            lacking[unit.home] -= 1
        while True:
            moves = []
            for unit in mine:
                if lacking[unit.home] < 0:
                    node, leave = self.position(unit)
                    for station, wanted in enumerate(lacking):
                        away = self.way(unit.normal).time(node, self.station_nodes[station])
                        if wanted > 0 and away < FOREVER:
                            rest = self.rest(unit)
                            moves.append((away + rest, unit.number, station, node, leave))
            if not moves:
                return
            _, number, station, node, leave = min(moves)
            lacking[self.units[number].home] += 1
            lacking[station] -= 1
            self.send_home(self.units[number], station, node, leave)

    def rest(self, unit):
        """Return ms until a unit is at its next node."""
        if unit.state != "returning":
            return 0.0
        return 1000.0 * (self.position(unit)[1] - self.now)

    def choose_hospital(self, task, mode, node, fixed):
        """Return a hospital, −1 if none can be reached, and whether a nearer one was passed by."""
        way = self.way(mode)
        away = [way.time(node, place) for place in self.hospital_nodes]
        if fixed >= 0:
            return (fixed if away[fixed] < FOREVER else -1), False
        reached = [h for h in range(len(self.hospitals)) if away[h] < FOREVER]
        offering = [h for h in reached if task.specialty == 0 or self.hospitals[h].offers >> task.specialty & 1]
        choice = offering or reached
        if not choice:
            return -1, False
        nearest = min(choice, key=lambda h: (away[h], h))
        if self.rules["hospital"] == "nearest":
            return nearest, False
        if self.rules["hospital"] == "diverting":
            room = [
                h
                for h in choice
                if not self.hospitals[h].full() or len(self.hospitals[h].door) < self.hospitals[h].divert
            ]
            best = min(room or choice, key=lambda h: (away[h], h))
        else:
            seconds = {}
            for h in choice:
                hospital = self.hospitals[h]
                wait = (len(hospital.door) + 1) * hospital.mean_stay / max(hospital.bays, 1) if hospital.full() else 0.0
                seconds[h] = 0.001 * away[h] + wait
            best = min(choice, key=lambda h: (seconds[h], h))
        return best, best != nearest

    # ---------------------------------------------------------------- events

    def settle_all(self):
        while self.decide:
            kind, what = self.decide.pop()
            if kind == "task":
                self.dispatch(what)
            else:
                self.place_free(what)

    def run(self, until):
        self.settle_all()
        while True:
            if self.duty_changed and not (self.shifts and self.shifts[0][0] <= self.now):
                self.duty_changed = False
                for service in (9, 10, 11):
                    if self.moves[service - 9] == "compliance":
                        self.comply(service)
            first = min(
                [(unit.due, 0, unit.number) for unit in self.units]
                + [(hospital.next_bay(self.now), 1, place) for place, hospital in enumerate(self.hospitals)]
                + [(self.shifts[0][0], 2, 0) if self.shifts else (FOREVER, 4, 0)]
                + [(self.to_come[0].ready, 3, 0) if self.to_come else (FOREVER, 4, 0)]
            )
            if not first[0] < until:
                break
            if "maximal cover" in self.moves or self.rules["dispatch"] == "coverage":
                passed = first[0] - self.busy_since
                for service in self.busy:
                    on_duty = [unit for unit in self.units if unit.on_duty and service in unit.serves]
                    if on_duty:
                        share = sum(not self.free(unit) for unit in on_duty) / len(on_duty)
                        weight = -math.expm1(-passed / self.rules["busy_memory"])
                        self.busy[service] += (share - self.busy[service]) * weight
                self.busy_since = first[0]
            self.now = first[0]
            for hospital in self.hospitals:
                hospital.settle(self.now)
            if first[1] == 0:
                self.unit_event(self.units[first[2]])
            elif first[1] == 1:
                self.hospital_event(self.hospitals[first[2]])
            elif first[1] == 2:
                self.shift_event()
            else:
                task = self.to_come.pop(0)
                self.decide.append(("task", task))
            self.settle_all()
        self.now = until
        for hospital in self.hospitals:
            hospital.settle(self.now)
        for task in [task for task in self.waiting if until - task.ready > task.patience]:
            task.outcome = "cancelled"
            self.waiting.remove(task)

    def hospital_event(self, hospital):
        while hospital.door and not hospital.full():
            task = min(hospital.door, key=lambda entry: entry[:2])
            hospital.door.remove(task)
            self.hand_over(hospital, task[2])

    def hand_over(self, hospital, task):
        unit = self.units[task.unit]
        hospital.admit(task, self.now)
        task.stamps["bay"] = self.now
        self.become(unit, "handover")
        unit.due = self.now + task.handover

    def shift_event(self):
        _, number, begins = self.shifts.pop(0)
        unit = self.units[number]
        unit.on_duty, self.duty_changed = bool(begins), True
        if begins and unit.state in ("off", "returning"):
            if unit.state == "off":
                self.become(unit, "idle")
            self.decide.append(("unit", unit))
        elif not begins and unit.state == "idle":
            self.send_home(unit, unit.station, unit.node, self.now)

    def unit_event(self, unit):
        task = unit.task
        if unit.state == "sent":
            task.stamps["arrived"] = self.now
            unit.node = task.node
            self.become(unit, "at scene")
            self.wait_or_begin(unit)
        elif unit.state == "at scene" and "began" not in task.stamps:
            self.wait_or_begin(unit)
        elif unit.state == "at scene":
            task.stamps["done"] = self.now
            mode = unit.lights if task.priority < self.rules["hospital_lights"] else unit.normal
            place, diverted = -1, False
            if task.transport:
                place, diverted = self.choose_hospital(task, mode, task.node, task.hospital)
            self.release(task)
            if place >= 0:
                task.at, task.diverted = place, diverted
                self.become(unit, "to hospital")
                unit.target, unit.mode, unit.left = self.hospital_nodes[place], mode, self.now
                unit.due = self.now + 0.001 * self.way(mode).time(task.node, unit.target)
            else:
                task.outcome = "without hospital" if task.transport else "treated"
                self.clear(unit)
        elif unit.state == "to hospital":
            hospital = self.hospitals[task.at]
            task.stamps["at_hospital"] = self.now
            unit.node = self.hospital_nodes[task.at]
            if not hospital.full() and not hospital.door:
                self.hand_over(hospital, task)
            else:
                hospital.door.append((task.priority, self.count(), task))
                self.become(unit, "at door")
                unit.due = FOREVER
        elif unit.state == "handover":
            task.outcome = "transported"
            self.clear(unit)
        elif unit.state == "clearing":
            self.make_free(unit)
        else:
            self.at_station(unit)

    arrivals = 0

    def count(self):
        self.arrivals += 1
        return self.arrivals

    def clear(self, unit):
        self.become(unit, "clearing")
        unit.due = self.now + unit.task.clear
        if unit.task.clear == 0:
            self.make_free(unit)

    def make_free(self, unit):
        unit.task.stamps["free"] = self.now
        unit.task, unit.due = None, FOREVER
        self.decide.append(("unit", unit))

    def wait_or_begin(self, unit):
        """Begin at a scene, unless the task that must be done before is still to be done by somebody."""
        before = self.tasks[unit.task.after] if unit.task.after >= 0 else None
        if before is None or before.outcome not in ("to come", "waiting", "in service") or "done" in before.stamps:
            self.begin_scene(unit)
        elif before.outcome != "waiting":
            unit.due = FOREVER
        elif self.now < before.ready + before.patience:
            unit.due = before.ready + before.patience
        else:
            self.waiting.remove(before)
            before.outcome = "cancelled"
            self.release(before)

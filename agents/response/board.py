"""What the kernels of emergency response work on: columns of their tables, numbers of states and rules, and what they share.

Tables hold what is read together in one row: units, tasks, hospitals. Names in capitals are their columns.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

OFF, IDLE, SENT, AT_SCENE, TO_HOSPITAL, AT_DOOR, HANDOVER, CLEARING, RETURNING = range(9)
"""States of units. ``SENT`` is from being sent to arriving, turnout included; ``IDLE`` is at a station."""
STATES = 9

STATE, TASK, PLACE, NODE, GOAL, STATION, HOME, DUTY, MODE, PASSED, DRIVEN, REST = range(12)
"""Columns of units: state; task or −1; place where it stands or −1; node where it stands or that it left; place that it
drives to or −1 for a scene; own station; station it now belongs to; whether on duty; mode in which it drives; last node on
its way that it is known to have passed, ms from NODE to there and from there to its goal."""
UNIT_COLUMNS = 12
SERVES, AIDS, SKILLS, LIGHTS, NORMAL = range(5)
"""What a unit is: bits of the services it belongs to and that it helps out; bits of skills; modes with and without
lights."""
LEFT, SINCE = range(2)
"""Seconds: when a unit left NODE, since when it is in its state."""

SENT_AT, LEFT_AT, ARRIVED_AT, BEGAN_AT, DONE_AT, DOOR_AT, BAY_AT, FREE_AT = range(8)
"""Time stamps of tasks: unit sent, under way, arrived, work begun and done, at the hospital, handover begun, unit free."""
UNIT, HOSPITAL, OUTCOME, DIVERTED, RESENT, NEXT, QUEUED, UNREACHED = range(8)
"""What is kept of tasks: unit and hospital or −1; outcome; whether a nearer hospital was passed; how often the unit was
called away; next in a queue; whether nobody was sent at once; whether units were free but none could get there."""
TO_COME, WAITING, IN_SERVICE, TREATED, TRANSPORTED, CANCELLED, LOST, WITHOUT_HOSPITAL = range(8)

TURNOUT, SCENE, HANDOVER_TIME, CLEAR, STAY, BED, ACCESS, PATIENCE = range(8)
"""Seconds given for each task."""
AT_NODE, SERVICE, PRIORITY, SKILL, TRANSPORT, SPECIALTY, FIXED, AFTER = range(8)
"""Numbers given for each task; SERVICE is the bit of it."""
PRIORITIES = 8
SERVICES = 3

NOBODY, CHOOSE_UNIT, CHOOSE_HOSPITAL, CHOOSE_TASK, CHOOSE_STATION = range(5)
"""Questions."""
QUESTION, ABOUT_TASK, ABOUT_UNIT, ANSWERED, ANSWER = range(5)

NEAREST, COVERAGE = 0, 1
FIRST, CLOSEST = 0, 1
NEAREST_HOSPITAL, DIVERTING, LEAST_TIME = 0, 1, 2
HOMEWARD, MAXIMAL_COVER, COMPLIANCE = 0, 1, 2
DISPATCH_RULE, QUEUE_RULE, HOSPITAL_RULE, HOLD_OUT, HOLD_FROM, LOSS, SCENE_LIGHTS, HOSPITAL_LIGHTS = range(8)
"""Numbers of the rules: which rules; units kept back for priorities before ``HOLD_FROM``; whether nothing waits; priorities
below which lights are used to the scene and to the hospital."""
AID_AFTER, BUSY_MEMORY, BUSY_SINCE, CLOCK = range(4)
"""Seconds from when a task is ready beyond which others help out if they are sooner there; over how many seconds the busy
shares are smoothed, when they were last worked out; second of the last event or change."""

NEXT_TASK, NEXT_DUTY, STACKED, WAIT, CHANGED = range(5)
"""Counters: next task to become ready, next change of duty, what lies on the stack, tasks in queues, and changes of duty
since tables of compliance were looked at."""


class Roads(NamedTuple):
    """How long it takes, by mode; see :mod:`...environment.network.labels`.

    Attributes:
        first, head: int32 arcs of nodes.
        weight: int32 (modes, arcs) ms.
        out_first, out_hub, out_cost, in_first, in_hub, in_cost: labels, those of the modes one after the other;
            the firsts are (modes, nodes + 1).
        to_place, from_place: int32 (modes, nodes, places) ms; places are the stations and then the hospitals.
        next_arc: uint8 (modes, places, nodes) arc on the way to a place, counted from the first of the node; 255 for none.
        jump: int32 (modes, places, nodes) a node further on the way to a place.
        place_node: int32 (places,).
    """

    first: NDArray[np.int32]
    head: NDArray[np.int32]
    weight: NDArray[np.int32]
    out_first: NDArray[np.int32]
    out_hub: NDArray[np.int32]
    out_cost: NDArray[np.int32]
    in_first: NDArray[np.int32]
    in_hub: NDArray[np.int32]
    in_cost: NDArray[np.int32]
    to_place: NDArray[np.int32]
    from_place: NDArray[np.int32]
    next_arc: NDArray[np.uint8]
    jump: NDArray[np.int32]
    place_node: NDArray[np.int32]


class Rules(NamedTuple):
    """How is decided.

    Attributes:
        whole, real: int32 and float64, the numbers above.
        busy: float64 (services,) busy share of the units of each service that are on duty.
        redispatch: bool (8, 8) whether a unit under way to a task of the first priority may be called to one of the second.
        asks: bool (5,) which questions are put to Python.
        target: float64 (8,) seconds within which a task is to be reached from its call, by priority.
        point_first, point: int32 demand points that each station covers.
        demand: float64 (points,) their weights.
        move: int32 (services,) where free units go.
        table: int32 (rows, stations) rows of compliance tables, the stations to hold by 0, 1, … free units.
        table_rows: int32 (services, units + 1, 2) first row and rows of the table that counts with so many units on duty.
    """

    whole: NDArray[np.int32]
    real: NDArray[np.float64]
    busy: NDArray[np.float64]
    redispatch: NDArray[np.bool_]
    asks: NDArray[np.bool_]
    target: NDArray[np.float64]
    point_first: NDArray[np.int32]
    point: NDArray[np.int32]
    demand: NDArray[np.float64]
    move: NDArray[np.int32]
    table: NDArray[np.int32]
    table_rows: NDArray[np.int32]


class Doors(NamedTuple):
    """Emergency departments of hospitals, see :mod:`.doors`.

    Attributes:
        hospital: int32 (hospitals, 8), mean_stay: float64 (hospitals,) seconds.
        heap_first: int64 (2, hospitals + 1); heap_time: float64, heap_task: int32 bays and beds in use.
        line: int32 (hospitals, 9) first task at the door by priority, then the first of those who wait for a bed.
    """

    hospital: NDArray[np.int32]
    mean_stay: NDArray[np.float64]
    heap_first: NDArray[np.int64]
    heap_time: NDArray[np.float64]
    heap_task: NDArray[np.int32]
    line: NDArray[np.int32]


class State(NamedTuple):
    """What changes.

    Attributes:
        unit: int32 (units, 12), unit_time: float64 (units, 2), see above; trait: int32 (units, 5), factor: float64
            (units,) on turnout.
        spent: float64 (units, 9) seconds in each state.
        tree: float64 (2 m,) times of the next events of units and hospitals, of which ``m`` is at least as many; each
            entry is the least of its two below.
        stamp: float64 (tasks, 8), kept: int32 (tasks, 8), given: float32 (tasks, 8), fixed: int32 (tasks, 8).
        ready: float64 (tasks,), order: int32 (tasks to come,) in which they become ready.
        queue, last: int32 (3, 8) first and last task that waits, by service and priority.
        wait: int32 (tasks,) unit that waits at a scene for this task to be done, −1 for none.
        duty: float64 (changes, 3) when a unit (second column) begins or ends (1 or 0) its shift.
        doors: the emergency departments.
        counter: int64; stack: int32; ask: int32 (5,).
        chance: float64 (units,), from_node: int32 (units,), leaving: float64 (units,), way: int32 (units,): when each could
            be at the scene (not at all: infinite), from which node, leaving when, driving how many ms.
        known: int32 (2, nodes) always ``NEVER``, to work on; as are moving: int32 (units,), cover: int32 (points,) and
            lacking: int32 (stations,), of no meaning afterwards.
    """

    unit: NDArray[np.int32]
    unit_time: NDArray[np.float64]
    trait: NDArray[np.int32]
    factor: NDArray[np.float64]
    spent: NDArray[np.float64]
    tree: NDArray[np.float64]
    stamp: NDArray[np.float64]
    kept: NDArray[np.int32]
    given: NDArray[np.float32]
    fixed: NDArray[np.int32]
    ready: NDArray[np.float64]
    order: NDArray[np.int32]
    queue: NDArray[np.int32]
    last: NDArray[np.int32]
    wait: NDArray[np.int32]
    duty: NDArray[np.float64]
    doors: Doors
    counter: NDArray[np.int64]
    stack: NDArray[np.int32]
    ask: NDArray[np.int32]
    chance: NDArray[np.float64]
    from_node: NDArray[np.int32]
    leaving: NDArray[np.float64]
    way: NDArray[np.int32]
    known: NDArray[np.int32]
    moving: NDArray[np.int32]
    cover: NDArray[np.int32]
    lacking: NDArray[np.int32]

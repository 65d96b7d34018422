"""How streets, the vehicles on them and the calendar of events lie in memory.

What the kernel reads together lies together: a record of a link is two lines of the cache (64 bytes each), one of an arm is
one line, and a place of a link holds the vehicle that stands there and the gap that the last one left behind. Python sees
each field as an array: ``streets.links["left"]``.

An arm is what wants to go into a link: the end of another link (arms 0 … links − 1), or the queue of departures into it
(arms links … 2 links − 1).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

NOWHERE = 255
"""Choice in a table of routes that means: no way leads there."""

DESTINATION, PATH_AT, SIZE, FLAGS, CENTIMETRES, FREE_MILLISECONDS, FORCED, AFTER = range(8)
"""Columns of the table of vehicles: row of the tables of routes, next link in the paths, cars whose room it takes, flags,
metres and free-flow seconds driven, moves by force, and the trip that the same person makes next (−1 for none)."""
LOGGED = 1
"""Flag of a vehicle whose passages are written down."""
CLASS = 1
"""Bits right of those of the flags that hold the class of a vehicle; class 0 is not counted apart."""

MOVES, ARRIVED, FORCED_MOVES, UNREACHABLE, DEPARTED, EVENTS, WAITING, UNDER_WAY, LOG = range(9)
"""Entries of the counters."""

BUCKETS = 4096
"""Buckets of the calendar."""
PENDING = -1.0
"""Time of departure of a trip that waits for the same person's trip before."""
LINE = 64
"""Bytes that a processor fetches at once."""

LINK = np.dtype(
    [
        # what it is
        ("free", np.float64),  # s at free flow
        ("headway", np.float64),  # s that a vehicle of size 1 keeps the exit, 0 if nothing limits it
        ("gap", np.float64),  # s that a gap takes from the end of the link to its beginning
        ("entry_headway", np.float64),  # s that a vehicle of size 1 keeps the entrance
        ("place_first", np.int64),  # first of its places
        ("places", np.int32),  # vehicles of size 1 that it holds
        ("ring", np.int32),  # places in the ring; beyond those above, forced vehicles stand
        ("centimetres", np.int32),  # length
        ("end_state", np.int32),  # routing state at its end
        ("end_node", np.int32),
        ("arc_first", np.int32),  # first arc of that state
        ("window_first", np.int32),  # first green window of its signal
        ("windows", np.uint16),  # number of them, 0 without a signal
        ("closed", np.uint8),  # bit c is set where vehicles of class c may not enter
        # what is on it
        ("granted", np.bool_),  # whether a grant of its entrance is in the calendar
        ("head", np.int32),  # place in the ring where its first vehicle stands
        ("vehicles", np.int32),  # on it
        ("units", np.int32),  # sum of their sizes
        ("waiting", np.int32),  # first arm that waits for it, −1 if none does
        ("next_exit", np.float64),  # s when the exit is free again
        ("next_entry", np.float64),  # s when the entrance is
        ("current", np.float64),  # virtual time of the arm let in last
        # since the caller cleared them
        ("entered", np.int32),  # vehicles
        ("left", np.int32),  # vehicles
        ("spent", np.float64),  # s on it of those that left
    ],
    align=True,
)
"""Record of a link."""

ARM = np.dtype(
    [
        ("cost", np.float64),  # 1 / weight where arms merge
        ("share", np.float64),  # virtual time
        ("ready", np.float64),  # s since when its head is ready
        ("shared", np.int32),  # link where the virtual time counts
        ("target", np.int32),  # link for which it waits, −1 if it does not wait
        ("wait_next", np.int32),  # next arm that waits for the same link
        ("arc", np.int32),  # that the head wants to take, −1 where it follows a path
        ("vehicle", np.int32),  # the head, while it waits
        ("size", np.int32),  # of the head, while it waits
        ("queue_head", np.int32),  # first vehicle that wants to depart here, −1 if none does; others by ``queue_next``
        ("queue_tail", np.int32),  # last one
        ("timed", np.bool_),  # whether a timer of the stuck rule is in the calendar
    ],
    align=True,
)
"""Record of an arm."""

PLACE = np.dtype([("free_at", np.float64), ("exit", np.float32), ("vehicle", np.int32)])
"""Record of a place: when the gap behind whoever left it last has reached the beginning of the link (s), when the vehicle on
it has driven the link (s), and which vehicle that is. A vehicle of several units stands on the first of its places."""

EVENT = np.dtype([("time", np.float64), ("next", np.int32), ("_", np.int32)])
"""Record of an event: its time in s, and the next one in the same bucket."""

WINDOW = np.dtype([("cycle", np.float64), ("start", np.float64), ("end", np.float64)])
"""Record of a green window: s of the cycle, and s after midnight modulo the cycle at which it begins and ends."""


class Streets(NamedTuple):
    """The streets, and who is on them.

    Attributes:
        links: LINK (links,).
        arms: ARM (2 links,).
        places: PLACE, rings of all links one after the other.
        windows: WINDOW, those of one link one after the other.
        arc_link: int32 (arcs,) link that each arc of the routing graph enters.
        arc_penalty: float32 (arcs,) seconds; empty if no turn takes time.
        depart_arc: int32 (nodes, 2) state in which a trip begins, and its first arc.
    """

    links: NDArray[Any]
    arms: NDArray[Any]
    places: NDArray[Any]
    windows: NDArray[Any]
    arc_link: NDArray[np.int32]
    arc_penalty: NDArray[np.float32]
    depart_arc: NDArray[np.int32]


class State(NamedTuple):
    """The calendar, the trips and what is counted.

    Attributes:
        bucket: int32 (2, BUCKETS) first event of each bucket: readiness of arms and stuck timers, then grants of links.
        events: EVENT (5 links,): readiness of arms, then grants of links, then timers of arms.
        late: int32 (BUCKETS,) first trip that departs late in each bucket, linked by ``queue_next``.
        queue_next: int32 (trips,) next trip of the same queue.
        depart, arrive: float64 (trips,) seconds; nan where it has not happened.
        left_of: int64 (classes, links) those of ``left`` that belong to the first class, the second ….
        counters: int64, see MOVES ….
        log_vehicle, log_link, log_time: passages written down (int32, int32, float64).
    """

    bucket: NDArray[np.int32]
    events: NDArray[Any]
    late: NDArray[np.int32]
    queue_next: NDArray[np.int32]
    depart: NDArray[np.float64]
    arrive: NDArray[np.float64]
    left_of: NDArray[np.int64]
    counters: NDArray[np.int64]
    log_vehicle: NDArray[np.int32]
    log_link: NDArray[np.int32]
    log_time: NDArray[np.float64]


def aligned(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of zeros that begins with a line of the cache, so that no record of up to a line lies on two."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    raw = np.zeros(size + LINE, np.uint8)
    begin = -raw.ctypes.data % LINE
    return raw[begin : begin + size].view(kind).reshape(shape)

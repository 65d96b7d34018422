"""Flow: vehicles on their way through a network, moved from one moment to the next."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.network.graph import Graph
from ...environment.network.network import JAM_SPACING, Network, NetworkError
from . import kernels
from .layout import (
    AFTER,
    ARM,
    ARRIVED,
    BUCKETS,
    CLASS,
    DEPARTED,
    DESTINATION,
    EVENT,
    FLAGS,
    LINK,
    LOG,
    LOGGED,
    PATH_AT,
    PLACE,
    SIZE,
    UNDER_WAY,
    UNREACHABLE,
    WAITING,
    WINDOW,
    State,
    Streets,
    aligned,
)

REACTION_TIME = 1.0
"""Seconds after which a driver in a queue follows the one ahead (Newell's τ; UXsim's default). The backward wave then runs
at jam spacing over reaction time, 7.5 m/s."""

FASTEST_WAVE = 20.0
"""m/s up to which the backward wave of a link is raised so that it carries its coded capacity (assumed)."""

OVERFULL = 0.25
"""Share of the places of a link that forced vehicles may take on top, at least one (assumed)."""

LOG_SIZE = 1 << 18


class Flow:
    """All vehicles of a day and the streets they use.

    Args:
        network: the streets.
        graph: its routing states; links that are not in it carry nobody.
        depart: float64 (trips,) planned departures in seconds, rising.
        origin: int32 (trips,) node; −1 for a trip that does not use the streets and lasts ``duration``.
        destination: int32 (trips,) row of the tables of routes, −1 for trips with a path.
        destination_node: int32 (destinations,).
        previous: int32 (trips,) the same person's trip before, −1 if there is none.
        duration: float64 (trips,) seconds of trips that do not use the streets; of those that do, the least seconds between
            the arrival of the trip before and their departure, as a bus stands at a stop.
        size: int32 (trips,) cars whose room a vehicle takes.
        classes: uint8 (trips,) class of vehicles whose passages are counted apart, too; 0 for none.
        logged: bool (trips,) whose passages are written down.
        step: seconds of a bucket of the calendar, which orders events and nothing else.
        stuck: seconds after which a blocked vehicle is forced on; 0 for never.
        jam_spacing: metres of a car in a standing queue.
        wave: m/s of the backward wave; without it jam spacing over :data:`REACTION_TIME`.

    Attributes:
        streets, state: what the kernel works on, see :mod:`.layout`.
        vehicles: int32 (trips, 8), columns as in :mod:`.layout`.

    Raises:
        ValueError: if departures do not rise, or a signal does not fit.
    """

    def __init__(
        self,
        network: Network,
        graph: Graph,
        *,
        depart: NDArray[np.float64],
        origin: NDArray[np.int32],
        destination: NDArray[np.int32],
        destination_node: NDArray[np.int32],
        previous: NDArray[np.int32] | None = None,
        duration: NDArray[np.float64] | None = None,
        size: NDArray[np.int32] | None = None,
        classes: NDArray[np.uint8] | None = None,
        logged: NDArray[np.bool_] | None = None,
        step: float = 1.0,
        stuck: float = 0.0,
        jam_spacing: float = JAM_SPACING,
        wave: float | None = None,
    ):
        trips = len(depart)
        if np.any(np.diff(depart) < 0):
            raise ValueError("departures must rise; sort the trips by 'depart'")
        self.network, self.graph = network, graph
        self.step, self.stuck = float(step), float(stuck)
        self.streets = self._streets(jam_spacing, wave or jam_spacing / REACTION_TIME)
        self._headway = np.stack([self.streets.links["headway"], self.streets.links["entry_headway"]])
        self.state = _state(network.links, trips, 0 if classes is None else int(classes.max(initial=0)))
        self.vehicles = aligned((trips, 8), np.int32)
        self.vehicles[:, DESTINATION] = destination
        self.vehicles[:, PATH_AT] = -1
        self.vehicles[:, SIZE] = 1 if size is None else size
        self.vehicles[:, FLAGS] = 0 if logged is None else np.where(logged, LOGGED, 0)
        if classes is not None:
            self.vehicles[:, FLAGS] |= classes.astype(np.int32) << CLASS
        self.origin = np.ascontiguousarray(origin, np.int32)
        self.destination_node = np.ascontiguousarray(destination_node, np.int32)
        self.previous = np.full(trips, -1, np.int32) if previous is None else np.asarray(previous, np.int32)
        self.vehicles[:, AFTER] = -1
        with_before = np.flatnonzero(self.previous >= 0)
        self.vehicles[self.previous[with_before], AFTER] = with_before
        self.planned = np.zeros((2, trips))
        if duration is not None:
            self.planned[0] = duration
        self.planned[1] = depart
        self.order = np.array([0, trips], np.int64)
        self.bucket = int(depart[0] / step) if trips else 0
        self.path = np.full(1, -1, np.int32)
        self.tables = np.zeros((1, 1), np.uint8)

    # ------------------------------------------------------------------ what it is made of

    def _streets(self, jam_spacing: float, wave: float) -> Streets:
        network, graph = self.network, self.graph
        signals = network.signals
        exit_flow = network.capacity.copy()
        signal_first, windows = _windows(network)
        if signals is not None:
            exit_flow[signals.link] = signals.flow
        most = network.lanes / jam_spacing * network.speed
        exit_flow = np.minimum(exit_flow, np.where(np.isfinite(exit_flow), most * 0.99, np.inf))
        per_lane = np.where(np.isfinite(exit_flow), exit_flow / network.lanes, 0.0)
        # kj u w / (u + w) >= q  <=>  w >= q / (kj − q / u)
        least = per_lane / (1.0 / jam_spacing - per_lane / network.speed)
        waves = np.clip(least, wave, max(FASTEST_WAVE, wave))
        allowed = network.lanes / jam_spacing * network.speed * waves / (network.speed + waves)
        places = np.maximum(np.rint(network.length * network.lanes / jam_spacing), 1).astype(np.int64)
        ring = places + np.maximum(np.ceil(places * OVERFULL), 1).astype(np.int64) if self.stuck > 0 else places
        weight = np.where(np.isfinite(network.capacity), network.capacity, allowed)
        links = aligned(network.links, LINK)
        links["free"] = network.free_time
        links["headway"] = np.where(np.isfinite(exit_flow), 1.0 / np.maximum(exit_flow, 1e-12), 0.0)
        links["entry_headway"] = 1.0 / allowed
        links["gap"] = network.length / waves
        links["places"], links["ring"] = places, ring
        links["place_first"] = np.cumsum(ring) - ring
        links["centimetres"] = np.rint(network.length * 100)
        links["end_state"] = graph.end_state
        links["end_node"] = graph.node[graph.end_state]
        links["arc_first"] = graph.first[graph.end_state]
        links["window_first"], links["windows"] = signal_first[:-1], np.diff(signal_first)
        links["waiting"] = -1
        arms = aligned(2 * network.links, ARM)
        # who departs is let in like one lane of an arm
        arms["cost"] = np.concatenate([1.0 / weight, network.lanes / weight])
        for name in ("shared", "target", "queue_head"):
            arms[name] = -1
        return Streets(
            links=links,
            arms=arms,
            places=aligned(int(ring.sum()), PLACE),
            windows=windows,
            arc_link=np.asarray(graph.arc_link, np.int32),
            arc_penalty=np.asarray(graph.arc_penalty if np.any(graph.arc_penalty > 0) else [], np.float32),
            depart_arc=np.stack([graph.depart, graph.first[graph.depart]], axis=1).astype(np.int32),
        )

    def close(self, closed: NDArray[np.bool_] | NDArray[np.uint8]) -> None:
        """Let some vehicles enter some links no more; who is on them leaves. Links not named are open again.

        Args:
            closed: (links,) bit c is set where vehicles of class c may not enter; True for those of no class, 0.
        """
        self.streets.links["closed"] = closed

    def change(self, link: NDArray[np.int32], speed: NDArray[np.float64], lanes: NDArray[np.float64]) -> None:
        """Give links other speeds and lanes from now on; whoever is on them drives on as they began.

        What a link holds stays as it is.

        Args:
            link: (n,) links.
            speed: (n,) m/s.
            lanes: (n,) above 0; exits and entrances carry as much more or less.
        """
        links, network = self.streets.links, self.network
        ratio = network.lanes[link] / lanes
        links["free"][link] = network.length[link] / speed
        links["headway"][link] = self._headway[0, link] * ratio
        links["entry_headway"][link] = self._headway[1, link] * ratio

    def clear(self) -> None:
        """Set the counts of passages back to zero."""
        for name in ("entered", "left", "spent"):
            self.streets.links[name] = 0
        self.state.left_of[:] = 0

    # ------------------------------------------------------------------ moving

    def advance(self, until: float, tables: NDArray[np.uint8] | None = None) -> list[tuple[NDArray[Any], ...]]:
        """Move everybody to a moment.

        Args:
            until: seconds; whole steps are made.
            tables: uint8 (destinations, states) for vehicles without a path, see
                :func:`~citytwin.environment.network.trees.next_arcs`; those of the last call hold where none are given.

        Returns:
            Passages of the vehicles that are logged: (vehicle, link, seconds of entry) arrays, in order.
        """
        if tables is not None:
            self.tables = tables
        end = round(until / self.step)
        passages: list[tuple[NDArray[Any], ...]] = []
        while self.bucket < end:
            self.bucket = kernels.flow(
                self.streets, self.state, self.vehicles, self.tables, self.destination_node, self.path, self.origin,
                self.previous, self.planned, self.order, self.bucket, end, self.step, self.stuck,
            )  # fmt: skip
            written = int(self.state.counters[LOG])
            if written == LOG_SIZE:
                raise RuntimeError("more passages in a step than the log holds; log fewer vehicles")
            if written:
                state = self.state
                passages.append(
                    (
                        state.log_vehicle[:written].copy(),
                        state.log_link[:written].copy(),
                        state.log_time[:written].copy(),
                    )
                )
                state.counters[LOG] = 0
        return passages

    @property
    def depart(self) -> NDArray[np.float64]:
        """When each trip began, seconds; nan where it has not."""
        return np.where(self.state.depart >= 0, self.state.depart, np.nan)

    @property
    def arrive(self) -> NDArray[np.float64]:
        """When each trip ended, seconds; nan where it has not."""
        return np.where(self.state.depart >= 0, self.state.arrive, np.nan)

    @property
    def on_links(self) -> NDArray[np.int32]:
        """Number of vehicles on each link."""
        return self.streets.links["vehicles"]

    @property
    def entered(self) -> NDArray[np.int32]:
        """Vehicles that have entered each link since :meth:`clear`."""
        return self.streets.links["entered"]

    @property
    def left(self) -> NDArray[np.int32]:
        """Vehicles that have left each link since :meth:`clear`; ``state.left_of`` those of each class."""
        return self.streets.links["left"]

    @property
    def spent(self) -> NDArray[np.float64]:
        """Seconds on each link of those that have left it since :meth:`clear`."""
        return self.streets.links["spent"]

    def balance(self) -> dict[str, int]:
        """Return where all trips are; ``departed`` is the sum of the others.

        Raises:
            RuntimeError: if it is not, which would be an error of the program.
        """
        counters = self.state.counters
        found = {
            "departed": int(counters[DEPARTED]),
            "arrived": int(counters[ARRIVED]),
            "on links": int(counters[UNDER_WAY]),
            "waiting": int(counters[WAITING]),
            "without a way": int(counters[UNREACHABLE]),
        }
        departed, *others = found.values()
        if departed != sum(others) or found["on links"] != int(self.on_links.sum(dtype=np.int64)):
            raise RuntimeError(f"vehicles were lost: {found}, {self.on_links.sum()} on links")
        return found


def _windows(network: Network) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the first green window of each link (links + 1,), and WINDOW records; one over the end is cut in two."""
    signals = network.signals
    first = np.zeros(network.links + 1, np.int64)
    if signals is None:
        return first, np.zeros(0, WINDOW)
    start = (signals.offset + signals.green_start) % signals.cycle
    end = start + (signals.green_end - signals.green_start)
    over = end > signals.cycle
    link = np.concatenate([signals.link, signals.link[over]])
    windows = np.zeros(len(link), WINDOW)
    windows["cycle"] = np.concatenate([signals.cycle, signals.cycle[over]])
    windows["start"] = np.concatenate([start, np.zeros(int(over.sum()))])
    windows["end"] = np.concatenate([np.minimum(end, signals.cycle), (end - signals.cycle)[over]])
    order = np.lexsort((windows["start"], link))
    link, windows = link[order], windows[order]
    np.cumsum(np.bincount(link, minlength=network.links), out=first[1:])
    empty = windows["end"] <= windows["start"]
    if np.any(empty):
        raise NetworkError(f"signal of link {link[empty][0]}: a green window must have a length above 0")
    return first, windows


def _state(links: int, trips: int, classes: int) -> State:
    def none(*shape: int) -> NDArray[np.int32]:
        return np.full(shape, -1, np.int32)

    return State(
        bucket=none(2, BUCKETS),
        events=aligned(5 * links, EVENT),
        late=none(BUCKETS),
        queue_next=none(trips),
        depart=np.full(trips, np.nan),
        arrive=np.full(trips, np.nan),
        left_of=np.zeros((classes, links), np.int64),
        counters=np.zeros(16, np.int64),
        log_vehicle=np.zeros(LOG_SIZE, np.int32),
        log_link=np.zeros(LOG_SIZE, np.int32),
        log_time=np.zeros(LOG_SIZE),
    )

"""The process of traffic: people's days become trips, trips choose modes, vehicles flow through the streets."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...environment.design.design import events_of
from ...environment.network.graph import make_graph
from ...environment.network.lanes import lane_events, street_of, with_bus_lanes
from ...environment.network.network import Network
from ...environment.randomness import key, uniforms
from ...environment.roads import Access
from ...environment.transit.timetable import Timetable
from ..process import Process
from .burden import Burden
from .buses import call_times, riders_in
from .demand import Mode, Trips
from .events import Events
from .fleet import Fleet
from .flow import Flow
from .layout import FORCED_MOVES
from .moving import Moving, moving
from .parking import NO_PARKING, Parked, figures_of
from .plans import Plans
from .record import QUARTER, QUARTERS, LinkRecord, classes_of, trip_table
from .routes import BusWays, Router, Routes
from .settings import TrafficSettings
from .street_record import record_of_streets

if TYPE_CHECKING:
    from ..presence import Presence

SECONDS_PER_DAY = 86_400.0
LATEST = 6 * 3600.0
"""Seconds after midnight until which the trips of a day may go on (assumed); what has not arrived then is counted."""

COMMUTING = slice(30, 36)
"""Quarters of an hour from 7:30 to 9:00, when most drive to work."""

RIDING = ("bus_delay_minutes", "left_behind", "without_ride")
"""Figures of public transport: mean minutes by which buses come to stops late, full vehicles that riders saw leave, and
riders who walked all the way in the end."""

MODE_NAMES = tuple(mode.name.lower() for mode in Mode)


class Traffic(Process):
    """Trips and vehicles of every day.

    Attributes:
        streets: the streets of the city.
        network: the same with links for bus lanes after those of the streets; what vehicles move on.
        trips: trips of the latest day, with their modes.
        moving: what moved on the latest day: trips and runs of buses, row for row the flow.
        flow: vehicles of the latest day.
        fleet: the vehicles as agents.
        timetable: public transport of the latest day with the times at which vehicles came; None without.
        parked: what parking took on the latest day; None where no places are counted.
        links: passages of the latest day by quarter of an hour and link of the streets.
        expected: float64 (96, links of the network) seconds that drivers expect, by quarter of an hour.
        gaps: relative gap after each time that the first day was lived through, see :meth:`_learn`.
    """

    section: ClassVar[str] = "traffic"
    Settings = TrafficSettings
    indicators: ClassVar[dict[str, str]] = {
        "delay_per_trip": "mean delay of yesterday's trips by car, minutes",
        "vehicle_km": "distance driven by vehicles on the day before, km",
    }
    path_keys = (("transit", "*"), ("matrices", "*", "file"), ("matrices", "*", "zones"), ("trip_tables", "*"))
    table_names: ClassVar[tuple[str, ...]] = ("trips", "links", "trajectories", "emissions", "air", "noise", "parking")

    def __init__(self, model: Any, settings: TrafficSettings):
        super().__init__(model, settings)
        self.presence: Presence = model.presence
        city = self.presence.city
        if not len(city.links):
            raise ValueError("the city has no streets, so there is no traffic; take a city with streets")
        self.streets = Network.of_city(city)
        self.network = with_bus_lanes(self.streets)
        self.graph = make_graph(self.network, Access.CAR)
        self.router = Router(self.graph, model.threads)
        buses = make_graph(self.network, Access.BUS)
        self._bus_router = Router(buses, model.threads)
        # vehicles of both kinds meet in the flow
        self._both = make_graph(self.network, Access.CAR | Access.BUS)
        self.plans = Plans(
            city,
            self.network,
            self.presence,
            settings,
            model.seed_number,
            model.threads,
            model.scenario.built_designs(),
        )
        self.burden = Burden(self.streets, self.presence, settings)
        self.fleet = Fleet(model, model.vehicle_class, city.people.household, self.plans.means)
        self.expected = np.broadcast_to(self.network.free_time, (QUARTERS, self.network.links)).copy()
        # tolls that hold all day, as seconds
        self._tolls = Events(self.network, None, settings.modes.seconds_per_euro).priced(np.zeros(self.network.links))
        self.gaps: list[float] = []
        self.trips: Trips | None = None
        self.moving: Moving | None = None
        self.flow: Flow | None = None
        self.timetable: Timetable | None = None
        self.parked: Parked | None = None
        self.links: LinkRecord | None = None
        self._tables: dict[str, list[dict[str, NDArray[Any]]]] = {}
        self._series: list[dict[str, int | float]] = []

    # ------------------------------------------------------------------ days

    def advance(self, start: float, end: float) -> None:  # noqa: ARG002
        """Make the days that begin before ``end`` and have not been made; a day is made whole at its beginning."""
        while len(self._series) * SECONDS_PER_DAY < end:
            self._make_day(len(self._series))

    def _make_day(self, day: int) -> None:
        trips, metres, seconds = self.plans.of_day(day, self.model.scenario.clock.date(day), self._commuting())
        settings, transport = self.settings, self.plans.transport
        runs = transport.bus_runs(self._bus_router.graph) if transport and settings.buses and settings.streets else None
        rows = moving(trips, seconds, runs, settings.streets)
        ways = self._learn(trips, rows) if day == 0 and self.settings.learning else None
        links = LinkRecord(self.network)
        self.fleet.begin_day(trips, rows, self.plans.driver)
        events = self._events(day)
        flow, passages = self._live(rows, links, events, ways, self.fleet)
        self.fleet.end_day(flow)
        if self.settings.learning:
            seen = np.maximum(links.seconds, self.network.free_time)
            self.expected += 0.5 * (seen - self.expected)
        self.trips, self.moving, self.flow = trips, rows, flow
        self.links = record_of_streets(links, self.streets)
        streets = getattr(self.model, "streets_today", None)
        if streets is not None:
            streets.note(day, np.maximum(links.seconds, self.network.free_time))
        riding = self._ride() | {"toll_euros": events.paid} | self._park()
        self._keep(day, metres, passages, riding)

    def _events(self, day: int) -> Events:
        """Return what designs that hold for some of the time change on a day."""
        scenario = self.model.scenario
        timed = [design for design in scenario.built_designs() if design.timed]
        changes = None
        if timed:
            changes = lane_events(self.network, events_of(timed, self.presence.city, scenario.clock.date(day)))
        return Events(self.network, changes, self.settings.modes.seconds_per_euro)

    def _commuting(self) -> NDArray[np.float64] | None:
        """Return what drivers expect on links at work's begin, by which they choose how to go; None on the first day."""
        if not self._series and not self._tolls.any():
            return None
        return self.expected[COMMUTING].mean(axis=0) + self._tolls  # type: ignore[no-any-return]

    def _flow(self, rows: Moving) -> Flow:
        trips = np.arange(len(rows.trip))
        sampled = np.zeros(len(rows.depart), np.bool_)
        sampled[rows.trip] = uniforms(key(self.model.seed_number, "trajectory"), trips, 0) < self.settings.sample
        return Flow(
            self.network,
            self._both,
            depart=rows.depart,
            origin=rows.origin,
            destination=np.full(len(rows.depart), -1, np.int32),
            destination_node=np.zeros(0, np.int32),
            previous=rows.previous,
            duration=rows.seconds,
            size=rows.size,
            logged=sampled,
            classes=classes_of(rows.kind),
            stuck=self.settings.stuck,
        )

    def _live(
        self,
        rows: Moving,
        links: LinkRecord,
        events: Events,
        ways: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None,
        fleet: Fleet | None = None,
    ) -> tuple[Flow, list[tuple[NDArray[Any], ...]]]:
        """Move all vehicles of a day, and return the flow and the passages of the sample, by row of the flow.

        Args:
            rows: what moves.
            links: takes the passages.
            events: what changes on the streets during the day.
            ways: first and links of the ways of all trips by car; without it they take what is quickest when they leave.
            fleet: takes where vehicles are.
        """
        flow = self._flow(rows)
        routes = Routes(flow, self.router, rows.destination, ~rows.bus)
        lines = BusWays(flow, self._bus_router, rows)
        cars = rows.cars
        if ways is not None:
            routes.take(cars, *ways)
        passages: list[tuple[NDArray[Any], ...]] = []
        rerouting = key(self.model.seed_number, "rerouting")
        known = self.expected[0]
        sent = 0
        now = 0.0
        while now < SECONDS_PER_DAY + LATEST:
            quarter = int(now // QUARTER)
            then = min((now // self.settings.reroute + 1) * self.settings.reroute, (quarter + 1) * QUARTER)
            if self.settings.learning:
                known = self.expected[min(quarter, QUARTERS - 1)]
            changed = events.due(now)
            if changed:
                events.collect(flow)
                events.apply(flow)
            cost = events.priced(known)
            if changed and len(routes.without):
                routes.send(routes.without, cost)
            if events.closing:
                routes.avoid(cost, events.closed)
            then = min(then, events.next_second(now))
            if ways is None:
                until = int(np.searchsorted(rows.depart[cars], then))
                if until > sent:
                    routes.send(cars[sent:until], cost)
                    sent = until
                row = routes.under_way()
                if fleet is not None and fleet.asks:
                    row = fleet.reconsidering(now, flow, row)
                else:
                    window = int(now // self.settings.reroute)
                    row = row[uniforms(rerouting, row, window) < self.settings.rerouting]
                routes.again(row, cost)
            lines.send(then, cost, events)
            passages += flow.advance(then)
            now = then
            if fleet is not None:
                fleet.note(now, flow)
            if now % QUARTER == 0:
                events.collect(flow, cleared=True)
                links.note(quarter, flow)
                seen = links.seconds[min(quarter, QUARTERS - 1)]
                # half of what was known, half of what was seen (as the reference for dynamic user optimum does)
                known = np.maximum(0.5 * known + 0.5 * seen, self.network.free_time)
            balance = flow.balance()
            under_way = balance["on links"] + balance["waiting"]
            if now >= SECONDS_PER_DAY and under_way == 0 and balance["departed"] == len(rows.depart):
                break
        if now % QUARTER:
            events.collect(flow, cleared=True)
            links.note(QUARTERS - 1, flow)
        return flow, passages

    def look(self, seconds: float) -> float:
        """Put the vehicles of the model where they were at a moment of the latest day, until the next day has been made.

        Args:
            seconds: seconds after midnight.

        Returns:
            The moment shown: the last one not later at which the streets were looked at (every ``reroute`` and every
            quarter of an hour).

        Raises:
            ValueError: if no day has been simulated.
        """
        return self.fleet.show(seconds)

    def _park(self) -> dict[str, int | float]:
        """Let drivers look for places where they arrived, and return figures.

        Search and walk end their trips later; whatever they do next began as if they had found a place at once.
        """
        parking = self.plans.parking
        if parking is not None:
            assert self.trips is not None and self.moving is not None and self.flow is not None
            row = self.moving.trip
            self.parked = parked = parking.live(self.trips, self.flow.depart[row], self.flow.arrive[row])
            self.flow.state.arrive[row] += parked.seconds
            parking.suppose(parked.outlook, 0.5)
        return figures_of(self.parked)

    def _ride(self) -> dict[str, int | float]:
        """Let people ride with the vehicles as they came, and return figures.

        Whatever a rider does after a ride has been made by its planned time: that a late vehicle makes them late for it is
        neglected. Rounds by car are by car throughout, so that no car waits for a rider before that person has been home.
        """
        figures: dict[str, int | float] = dict.fromkeys(RIDING, 0)
        trips, rows, flow, transport = self.trips, self.moving, self.flow, self.plans.transport
        if transport is None:
            return figures
        assert trips is not None and rows is not None and flow is not None
        self.timetable = planned = transport.timetable
        if rows.runs is not None and len(rows.runs):
            runs, until = rows.runs, flow.bucket * flow.step
            arrival, departure = call_times(planned, runs, flow.depart[rows.run], flow.arrive[rows.run], until)
            calls = planned.trip_time_first[runs.trip] + runs.call + 1
            late = np.maximum(arrival[calls] - planned.arrival[calls], 0.0)
            figures["bus_delay_minutes"] = float(late.mean() / 60.0)
            self.timetable = planned.with_times(arrival, departure)
        row = np.flatnonzero(trips.mode == Mode.TRANSIT)
        depart = flow.depart[rows.trip[row]]
        row, depart = row[np.isfinite(depart)], depart[np.isfinite(depart)]
        arrive, rides = self.plans.ride(trips, row, depart, self.timetable)
        balance = rides.balance()
        if rows.runs is not None:
            self.fleet.board(rows, riders_in(planned, self.timetable, rows.runs, rides.load))
        figures["left_behind"] = balance["left behind"]
        figures["without_ride"] = balance["riders"] - balance["arrived"]
        flow.state.arrive[rows.trip[row]] = np.where(np.isfinite(arrive), arrive, np.nan)
        return figures

    def _learn(self, trips: Trips, rows: Moving) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Live through a day again and again, so that drivers come to know when which street is full; return their ways.

        The relative gap is the time that would be saved if everybody took the way that is quickest by the times met, those
        of the quarter in which a trip begins, over the time on the ways taken.
        """
        cars = np.flatnonzero(rows.origin[rows.trip] >= 0)
        origin, destination = trips.origin[cars], trips.destination[cars]
        quarter = np.minimum(trips.depart[cars] // QUARTER, QUARTERS - 1).astype(np.intp)
        luck = key(self.model.seed_number, "another way")
        first, link = self._quickest(origin, destination, quarter)
        for number in range(1, self.settings.learning + 1):
            met = LinkRecord(self.network)
            self._live(rows, met, self._events(0), (first, link))
            self.expected = np.maximum(met.seconds, self.network.free_time)
            new_first, new_link = self._quickest(origin, destination, quarter)
            price = self.expected + self._tolls
            taken = _way_seconds(price, quarter, first, link)
            best = _way_seconds(price, quarter, new_first, new_link)
            self.gaps.append(float(1.0 - best.sum() / max(taken.sum(), 1e-9)))
            changes = (uniforms(luck, cars, number) < 1.0 / (number + 1)) & (best < taken - 1.0)
            first, link = _mixed(changes, first, link, new_first, new_link)
        return first, link

    def _quickest(
        self, origin: NDArray[np.int32], destination: NDArray[np.int32], quarter: NDArray[np.intp]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the ways that are quickest by the expected times of the quarter of an hour in which trips begin."""
        firsts, links = [np.zeros(1, np.int64)], []
        at = 0
        for number in range(QUARTERS):
            until = int(np.searchsorted(quarter, number, side="right"))
            if until > at:
                rows = slice(at, until)
                first, link = self.router.ways(self.expected[number] + self._tolls, origin[rows], destination[rows])
                firsts.append(first[1:] + firsts[-1][-1])
                links.append(link)
                at = until
        return np.concatenate(firsts), np.concatenate(links) if links else np.zeros(0, np.int32)

    # ------------------------------------------------------------------ figures

    def _keep(
        self,
        day: int,
        metres: NDArray[np.float64],
        passages: list[tuple[NDArray[Any], ...]],
        riding: dict[str, int | float],
    ) -> None:
        assert self.trips is not None and self.flow is not None and self.links is not None
        assert self.moving is not None
        trips, flow, row = self.trips, self.flow, self.moving.trip
        table = trip_table(day, trips, flow, row, metres, self.plans.driver)
        wanted = self.model.scenario.output.tables
        if "trips" in wanted:
            self._tables.setdefault("trips", []).append(table)
        if "parking" in wanted:
            parking, parked = self.plans.parking, self.parked
            rows = NO_PARKING if parking is None or parked is None else parking.table(day, parked)
            self._tables.setdefault("parking", []).append(rows)
        if "links" in wanted:
            self._tables.setdefault("links", []).append(self.links.table(day))
        if "trajectories" in wanted:
            columns = [np.concatenate(column) for column in zip(*passages, strict=True)]
            trip, link, time = columns or [np.zeros(0)] * 3
            self._tables.setdefault("trajectories", []).append(
                {
                    "day": np.full(len(trip), day, np.int32),
                    "trip": np.searchsorted(row, np.asarray(trip, np.int32)).astype(np.int32),
                    "link": street_of(self.network, np.asarray(link, np.int32)),
                    "entered": np.asarray(time, float),
                }
            )
        driven = trips.mode == Mode.CAR
        done = driven & np.isfinite(table["arrive"])
        figures: dict[str, int | float] = {"trips": len(trips)}
        for mode, name in enumerate(MODE_NAMES):
            figures[f"trips_{name}"] = int(np.count_nonzero(trips.mode == mode))
        figures["vehicle_km"] = float(table["distance_m"][driven].sum(dtype=float) / 1000.0)
        searched = np.zeros(len(trips), np.float32) if self.parked is None else self.parked.seconds
        figures["vehicle_hours"] = float((table["arrive"] - table["depart"] - searched)[done].sum() / 3600.0)
        figures["delay_hours"] = float((table["delay_seconds"] - searched)[done].sum(dtype=float) / 3600.0)
        figures["not_arrived"] = int(np.count_nonzero(~np.isfinite(table["arrive"])))
        figures["forced_moves"] = int(flow.state.counters[FORCED_MOVES])
        burden, tables = self.burden.of_day(day, self.links)
        for name in tables.keys() & set(wanted):
            self._tables.setdefault(name, []).append(tables[name])
        self._series.append(figures | riding | burden)

    def indicator_values(self) -> dict[str, float]:
        """Return delay and distance of the day before, 0 on the first."""
        if not self._series:
            return dict.fromkeys(self.indicators, 0.0)
        last = self._series[-1]
        return {
            "delay_per_trip": 60.0 * last["delay_hours"] / max(last["trips_car"], 1),
            "vehicle_km": float(last["vehicle_km"]),
        }

    def series(self) -> dict[str, int | float]:
        """Return the figures of the latest day."""
        if not self._series:
            names = ("trips", *(f"trips_{name}" for name in MODE_NAMES))
            later = ("vehicle_km", "vehicle_hours", "delay_hours", "not_arrived", "forced_moves")
            burden = dict.fromkeys(self.burden.sums, 0.0) | dict.fromkeys(self.burden.means, float("nan"))
            counts = {name: 0.0 if name in later[:3] else 0 for name in (*later, *RIDING, "toll_euros")}
            return dict.fromkeys(names, 0) | counts | figures_of(None) | burden
        return self._series[-1]

    def summary(self) -> dict[str, int | float]:
        """Return sums over the days, shares of modes, and the gap that learning reached."""
        figures: dict[str, int | float] = {}
        for name in self.series():
            figures[name] = sum(row[name] for row in self._series)
        for name in ("bus_delay_minutes", "parking_minutes", *self.burden.means):
            figures[name] /= max(len(self._series), 1)
        for name in MODE_NAMES:
            figures[f"share_{name}"] = figures[f"trips_{name}"] / max(figures["trips"], 1)
        hours = figures["vehicle_hours"] + figures["parking_hours"]
        figures["minutes_by_car"] = 60.0 * hours / max(figures["trips_car"], 1)
        figures["route_gap"] = self.gaps[-1] if self.gaps else float("nan")
        return figures

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return trips, passages of links by quarter of an hour, and trajectories of the sample, of all days."""
        return {
            name: {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}
            for name, parts in self._tables.items()
        }


def _way_seconds(
    expected: NDArray[np.float64], quarter: NDArray[np.intp], first: NDArray[np.int64], link: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Return the seconds of ways by the times expected in the quarter of an hour in which they begin, (ways,)."""
    size = np.diff(first)
    total = np.concatenate([[0.0], np.cumsum(expected[np.repeat(quarter, size), link])])
    return total[first[1:]] - total[first[:-1]]  # type: ignore[no-any-return]


def _mixed(
    changes: NDArray[np.bool_],
    first: NDArray[np.int64],
    link: NDArray[np.int32],
    new_first: NDArray[np.int64],
    new_link: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return ways of which those that change are the new ones."""
    size = np.where(changes, np.diff(new_first), np.diff(first))
    begins = np.where(changes, new_first[:-1] + len(link), first[:-1])
    out = np.concatenate([[0], np.cumsum(size)])
    within = np.arange(out[-1]) - np.repeat(out[:-1], size)
    return out, np.concatenate([link, new_link])[np.repeat(begins, size) + within]

"""The process of traffic: people's days become trips, trips choose modes, vehicles flow through the streets."""

import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...environment.design.design import events_of
from ...environment.network.graph import make_graph
from ...environment.network.lanes import lane_events, street_of, with_bus_lanes
from ...environment.network.of_city import network_of_city
from ...environment.randomness import key, uniforms
from ...environment.roads import Access
from ...environment.transit.timetable import Timetable
from ..process import Process
from .burden import Burden
from .buses import call_times, riders_in
from .demand import Mode, Trips
from .events import Events
from .file_checks import file_problems
from .fleet import Fleet
from .flow import Flow
from .given import GivenRoutes
from .layout import FORCED_MOVES
from .learning import DISAPPOINTED, PERIODS, Drivers, Knowledge, Known, learn
from .moving import Moving, moving
from .parking import NO_PARKING, Parked, figures_of
from .plans import Plans
from .record import QUARTER, QUARTERS, LinkRecord, classes_of, trip_table
from .riders import RiderState
from .routes import BusRoutes, Router, Routes
from .settings import TrafficSettings
from .street_record import record_of_streets

if TYPE_CHECKING:
    from ...environment.city import City
    from ..presence import Presence

SECONDS_PER_DAY = 86_400.0
LATEST = 6 * 3600.0
"""Seconds after midnight until which the trips of a day may go on (assumed); what has not arrived then is counted."""

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
        knowledge: what drivers expect of the links of the network.
        gaps: relative gap after each time that the first day was lived through, see :func:`~.learning.learn`.
    """

    section: ClassVar[str] = "traffic"
    Settings = TrafficSettings
    indicators: ClassVar[dict[str, str]] = {
        "delay_per_trip": "mean delay of yesterday's trips by car, minutes",
        "vehicle_km": "distance driven by vehicles on the day before, km",
    }
    path_keys = (
        ("transit", "*"),
        ("matrices", "*", "file"),
        ("matrices", "*", "zones"),
        ("trip_tables", "*"),
        ("sumo_routes", "*"),
    )
    table_names: ClassVar[tuple[str, ...]] = ("trips", "links", "trajectories", "emissions", "air", "noise", "parking")

    # The latest day in all its detail is large, and no later day asks for it.
    not_saved: ClassVar[tuple[str, ...]] = ("trips", "moving", "flow", "timetable", "parked", "links")

    @classmethod
    def misfits(cls, settings: TrafficSettings, people: int) -> dict[str, str]:
        """Return what is wrong if nobody moves in a city where nobody lives."""
        if settings.matrices or settings.trip_tables or settings.sumo_routes:
            return {}
        if not people:
            return {
                "residents": "nobody lives in this city and no trips are given; name matrices, trip_tables or sumo_routes"
            }
        if settings.residents or settings.gates is not None or isinstance(settings.transit, tuple):
            return {}
        return {
            "residents": "residents make no trips and none are given, so the streets stay empty; name matrices, "
            "trip_tables, sumo_routes, gates or transit feeds, or let residents move"
        }

    @classmethod
    def file_problems(
        cls, settings: TrafficSettings, start: datetime.date, days: int, city: "City | None"
    ) -> dict[tuple[str | int, ...], str]:
        """Return what is wrong with matrices, tables of trips, routes and feeds."""
        return file_problems(settings, start, days, city)

    def __init__(self, model: Any, settings: TrafficSettings):
        super().__init__(model, settings)
        self.presence: Presence = model.presence
        city = self.presence.city
        if not len(city.links):
            raise ValueError("the city has no streets, so there is no traffic; take a city with streets")
        self.streets = network_of_city(city)
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
        self.knowledge = Knowledge(self.network, settings.learning > 0)
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
        date = self.model.scenario.clock.date(day)
        events = self._events(day)
        trips, metres, seconds = self.plans.of_day(day, date, self._prices(events))
        settings, transport = self.settings, self.plans.transport
        runs = transport.bus_runs(self._bus_router.graph) if transport and settings.buses and settings.streets else None
        rows = moving(trips, seconds, runs, settings.streets, self.plans.given)
        known = self._learn(trips, rows) if day == 0 and settings.learning else None
        links = LinkRecord(self.network)
        self.fleet.begin_day(trips, rows, self.plans.driver)
        flow, passages = self._live(rows, links, events, known, self.fleet)
        self.fleet.end_day(flow)
        self.knowledge.remember(links)
        self.trips, self.moving, self.flow = trips, rows, flow
        self.links = record_of_streets(links, self.streets)
        streets = getattr(self.model, "streets_today", None)
        if streets is not None:
            streets.note(day, np.maximum(links.seconds, self.network.free_time))
        riders = self._ride() | {"toll_euros": events.paid} | self._park()
        if self.plans.walked.any():
            flow.state.arrive[rows.trip] += self.plans.walked
        self._keep(day, metres, passages, riders)

    def _events(self, day: int) -> Events:
        """Return what designs that hold for some of the time change on a day and in the night after it."""
        scenario = self.model.scenario
        timed = [design for design in scenario.built_designs() if design.timed]
        changes = None
        if timed:
            until = SECONDS_PER_DAY + LATEST
            changes = events_of(timed, self.presence.city, scenario.clock.date(day), until)
            changes = lane_events(self.network, changes)
        return Events(self.network, changes, self.settings.modes.seconds_per_euro)

    def _prices(self, events: Events) -> list[tuple[float, NDArray[np.float64]]] | None:
        """Return from which second on drivers go by what in choosing how to go, None for empty streets.

        Links take what is expected in that part of the day; tolls and closures are those of the moment.
        """
        if not (self._series and self.knowledge.learns) and not events.any:
            return None
        begins = {*PERIODS, *(second for second, _ in events.spells() if second < SECONDS_PER_DAY)}
        return [(second, events.at(second).price(self.knowledge.in_period(second))) for second in sorted(begins)]

    def _learn(self, trips: Trips, rows: Moving) -> Known:
        """Live through the first day again and again, and return the routes that drivers come to take."""
        cars = rows.car_trip
        drivers = Drivers(cars, trips.origin[cars], trips.destination[cars], trips.depart[cars])

        def live(known: Known) -> LinkRecord:
            met = LinkRecord(self.network)
            self._live(rows, met, self._events(0), known)
            return met

        known, self.gaps = learn(
            self.knowledge,
            self.router,
            drivers,
            self._events(0),
            live,
            times=self.settings.learning,
            seed=self.model.seed_number,
            error=self.settings.route_error,
        )
        return known

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
        known: Known | None = None,
        fleet: Fleet | None = None,
    ) -> tuple[Flow, list[tuple[NDArray[Any], ...]]]:
        """Move all vehicles of a day, and return the flow and the passages of the sample, by row of the flow.

        Args:
            rows: what moves.
            links: takes the passages.
            events: what changes on the streets during the day.
            known: routes that all trips by car begin with; without it they take what is quickest when they leave.
            fleet: takes where vehicles are; without it nobody changes the route on the way.
        """
        flow, knowledge = self._flow(rows), self.knowledge
        given = GivenRoutes(flow, self.router, rows)
        routes = Routes(flow, self.router, rows.destination, ~rows.bus & ~given.mine)
        lines = BusRoutes(flow, self._bus_router, rows)
        cars, every = rows.cars, self.settings.reroute
        passages: list[tuple[NDArray[Any], ...]] = []
        knowledge.begin_day()
        sent = 0
        now = 0.0
        while now < SECONDS_PER_DAY + LATEST:
            quarter = min(int(now // QUARTER), QUARTERS - 1)
            then = min((now // every + 1) * every, (now // QUARTER + 1) * QUARTER, events.next_second(now))
            changed = events.advance(now, flow)
            seconds = knowledge.seconds(quarter)
            price = events.now.price(seconds)
            if changed and len(routes.without):
                routes.send(routes.without, price)
            if events.closing:
                routes.avoid(price, events.now.closed)
            until = int(np.searchsorted(rows.depart[cars], then))
            if until > sent:
                if known is None:
                    routes.send(cars[sent:until], price)
                else:
                    routes.take(cars[sent:until], *known.part(sent, until))
                sent = until
            if fleet is not None:
                routes.again(self._reconsidering(now, flow, routes.under_way(), routes, fleet), price)
            lines.send(then, seconds, events)
            given.send(then, price, events.now.closed, closing=events.closing)
            passages += flow.advance(then)
            now = then
            if fleet is not None:
                fleet.note(now, flow)
            if now % QUARTER == 0:
                events.collect(flow, cleared=True)
                links.note(quarter, flow)
                knowledge.see(quarter, links.seconds[quarter])
            balance = flow.balance()
            under_way = balance["on links"] + balance["waiting"]
            if now >= SECONDS_PER_DAY and under_way == 0 and balance["departed"] == len(rows.depart):
                break
        if now % QUARTER:
            events.collect(flow, cleared=True)
            links.note(QUARTERS - 1, flow)
        return flow, passages

    def _reconsidering(
        self, now: float, flow: Flow, row: NDArray[np.int64], routes: Routes, fleet: Fleet
    ) -> NDArray[np.int64]:
        """Return those of some rows of the flow under way whose drivers look for another route.

        It is a share of all, or those who say so themselves. Who has learned the day looks where the rest of the route
        takes longer than was expected of this quarter of an hour.
        """
        if fleet.asks:
            return fleet.reconsidering(now, flow, row)
        luck = uniforms(key(self.model.seed_number, "rerouting"), row, int(now // self.settings.reroute))
        row = row[luck < self.settings.rerouting]
        if not self.knowledge.learns:
            return row
        quarter = min(int(now // QUARTER), QUARTERS - 1)
        return routes.slower(row, self.knowledge.seconds(quarter), self.knowledge.expected[quarter], DISAPPOINTED)

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
        """Let people ride with the vehicles as they came, and return figures."""
        figures: dict[str, int | float] = dict.fromkeys(RIDING, 0)
        trips, rows, flow, transport = self.trips, self.moving, self.flow, self.plans.transport
        assert trips is not None and rows is not None and flow is not None
        self.timetable = planned = None if transport is None else transport.timetable
        if planned is not None and rows.runs is not None and len(rows.runs):
            runs, until = rows.runs, flow.bucket * flow.step
            arrival, departure = call_times(planned, runs, flow.depart[rows.run], flow.arrive[rows.run], until)
            calls = planned.trip_time_first[runs.trip] + runs.call + 1
            late = np.maximum(arrival[calls] - planned.arrival[calls], 0.0)
            figures["bus_delay_minutes"] = float(late.mean() / 60.0)
            self.timetable = planned.with_times(arrival, departure)
        depart, arrive = flow.depart[rows.trip], flow.arrive[rows.trip]
        rides = self.plans.follow(trips, flow.planned[0, rows.trip], depart, arrive, self.timetable)
        other = trips.mode != Mode.CAR
        flow.state.depart[rows.trip[other]], flow.state.arrive[rows.trip[other]] = depart[other], arrive[other]
        if rides is not None:
            assert planned is not None and self.timetable is not None
            figures["left_behind"] = rides.balance()["left behind"]
            if rows.runs is not None:
                self.fleet.board(rows, riders_in(planned, self.timetable, rows.runs, rides.load))
            begun = np.isfinite(depart[trips.mode == Mode.TRANSIT])
            figures["without_ride"] = int(np.count_nonzero(rides.state[begun] != RiderState.ARRIVED))
        return figures

    # ------------------------------------------------------------------ figures

    def _keep(
        self,
        day: int,
        metres: NDArray[np.float64],
        passages: list[tuple[NDArray[Any], ...]],
        riders: dict[str, int | float],
    ) -> None:
        assert self.trips is not None and self.flow is not None and self.links is not None
        assert self.moving is not None
        trips, flow, row = self.trips, self.flow, self.moving.trip
        table = trip_table(day, trips, flow, row, metres, self.plans.driver)
        if self.plans.walked.any():  # to and from the car: neither is a delay
            on_foot, rides = self.plans.walked.copy(), np.flatnonzero(self.plans.driver >= 0)
            on_foot[rides] = on_foot[self.plans.driver[rides]]
            table["free_seconds"] += on_foot.astype(np.float32)
            table["delay_seconds"] -= on_foot.astype(np.float32)
        # who comes before the timetable has it is on time
        riding = trips.mode == Mode.TRANSIT
        table["delay_seconds"][riding] = np.maximum(table["delay_seconds"][riding], 0.0)
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
        self._series.append(figures | riders | burden)

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

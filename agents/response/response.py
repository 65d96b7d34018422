"""The process of emergency response: calls come, units are sent, patients are brought to hospital."""

import datetime
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...environment.builders.households import quota
from ...environment.design.design import events_of
from ...environment.network.lanes import lane_events, with_bus_lanes
from ...environment.network.of_city import network_of_city
from ...environment.places import SiteKind
from ...environment.randomness import key
from ..hospitals import NONE
from ..presence import FREE
from ..process import Process
from ..responders import Responder, ResponderState
from . import board
from .calls import Calls
from .closures import Closures
from .decisions import RULES, Dispatcher, chosen, dispatcher_named
from .dispatch import Centre, Departments
from .doors import BEDS_USED, OFFERS
from .events import read_events
from .feasible import EVERYTHING, check_skills, doorsteps, offers_of, problems_in
from .fleet import DAY, Fleets
from .incidents import draws
from .kinds import SERVICES
from .record import Record
from .rules import rules_of
from .scenes import CallError, Scenes
from .settings import ResponseSettings
from .tasks import SPECIALTIES, Outcome, Tasks
from .travel import Travel

if TYPE_CHECKING:
    from ...environment.city import City
    from ..presence import Presence

EPIDEMIC, TRANSFER = "epidemic", "transfer"
INTENSIVE = SPECIALTIES.index("intensive care")
_STATES = {
    board.OFF: ResponderState.OUT_OF_SERVICE,
    board.IDLE: ResponderState.AT_STATION,
    board.SENT: ResponderState.EN_ROUTE,
    board.AT_SCENE: ResponderState.ON_SCENE,
    board.TO_HOSPITAL: ResponderState.TRANSPORTING,
    board.AT_DOOR: ResponderState.AT_HOSPITAL,
    board.HANDOVER: ResponderState.AT_HOSPITAL,
    board.CLEARING: ResponderState.CLEARING,
    board.RETURNING: ResponderState.RETURNING,
}


_SHOWN = np.array([_STATES[state] for state in range(board.STATES)], np.uint8)


class Response(Process):
    """Emergency response in a city.

    Attributes:
        calls: where calls come from.
        fleets: the units and their stations.
        centre: the dispatch centre.
        hospital_site: int32 (hospitals,) site of each hospital.
        record: figures so far.
    """

    section: ClassVar[str] = "response"
    Settings = ResponseSettings
    indicators: ClassVar[dict[str, str]] = {
        "ambulance_response": "mean response time of ambulances on the day before, minutes",
        "ambulance_busy": "share of their time on duty that ambulances were busy on the day before",
        "tasks_waiting": "calls that nobody had been sent to at the end of the day before",
        "handover_delay": "mean time from a hospital's door to the patient handed over on the day before, minutes",
    }
    path_keys = (("events", "*", "file"),)
    table_names: ClassVar[tuple[str, ...]] = ("incidents", "units", "departments")

    not_saved: ClassVar[tuple[str, ...]] = ("_events",)  # as the files say

    def __init__(self, model: Any, settings: ResponseSettings):
        super().__init__(model, settings)
        self.presence: Presence = model.presence
        city = self.presence.city
        self.network = with_bus_lanes(network_of_city(city))  # as the traffic has it
        scenes = Scenes(city, self.network)
        self.fleets = Fleets(city, settings.fleet, settings.services, scenes, model.seed_number)
        check_skills(settings, self.fleets)
        dispatcher_class = chosen(settings.dispatch.class_, getattr(model, "dispatcher_class", Dispatcher))
        self.dispatcher = dispatcher_class(model)
        self.calls = Calls(
            city,
            self.presence,
            settings.kinds,
            settings.service_times,
            model.seed_number,
            scenes=scenes,
            factor=settings.calls,
            causes=(EPIDEMIC, TRANSFER),
            skills=self.fleets.skills,
            dispatcher=self.dispatcher,
        )
        clock = model.scenario.clock
        self._events = [
            read_events(file, city, list(settings.kinds), clock.start, clock.days) for file in settings.events
        ]
        self._served = np.array([SERVICES[name] for name in self.fleets.services], np.uint8)
        fleet = self.fleets.fleet()
        sites = np.flatnonzero(city.sites.kind == SiteKind.HOSPITAL)
        self.hospital_site = sites.astype(np.int32)
        hospital_node = doorsteps(city, self.hospital_site, scenes)
        self.travel = Travel(self.network, np.concatenate([self.fleets.stations.node, hospital_node]))
        self._seconds = self._driven(0.0, settings.travel, None)
        roads = self.travel.roads(self._seconds)
        homes = scenes.at_places(city.people.household).node
        rules = rules_of(settings, self.fleets, roads, homes, self.dispatcher.asks())
        self._bays = self._all_bays()
        self.centre = Centre(roads, fleet, self._departments(), rules, dispatcher=self.dispatcher)
        targets = np.array([*settings.targets, *[settings.targets[-1]] * board.PRIORITIES])[: board.PRIORITIES]
        self.record = Record(self.centre, self.fleets, targets, len(city.zones))
        self._reserved = self._usual_beds()
        self._days = 0
        self._specialised = bool(np.any(self.centre.departments.offers != EVERYTHING))
        self._looked = 0
        self._moved: NDArray[np.int64] = np.zeros(0, np.int64)
        self._crews = self._staff_of(self.fleets.stations.site)
        self._staff = [np.flatnonzero(self._works_at(int(site))) for site in sites]
        self.table = model.table(Responder)
        self._first = len(self.table)
        Responder.create_agents(
            model,
            len(self.fleets.station),
            service=self.fleets.service,
            station=self.fleets.stations.site[self.fleets.station],
            crew=self.fleets.crew,
            shift_start=self.fleets.hours[:, 0],
            shift_end=self.fleets.hours[:, 1],
            x=self.fleets.stations.x[self.fleets.station],
            y=self.fleets.stations.y[self.fleets.station],
        )

    # ------------------------------------------------------------------ making

    @classmethod
    def file_problems(
        cls, settings: ResponseSettings, start: datetime.date, days: int, city: "City | None"
    ) -> dict[tuple[str | int, ...], str]:
        """Return what is wrong with files of events."""
        found: dict[tuple[str | int, ...], str] = {}
        for number, file in enumerate(settings.events):
            try:
                read_events(file, city, list(settings.kinds), start, days)
            except CallError as error:
                found["events", number, "file"] = str(error)
        return found

    @classmethod
    def city_problems(cls, settings: ResponseSettings, city: "City") -> list[str]:
        """Return why services could not work in a city."""
        return problems_in(settings, city)

    @classmethod
    def named_classes(cls, settings: ResponseSettings) -> dict[str, type]:
        """Return the dispatcher that the section names."""
        name = settings.dispatch.class_
        return {} if name == RULES else {f"dispatch.class {name}": dispatcher_named(name)}

    def _all_bays(self) -> NDArray[np.int32]:
        """Return the bays of each hospital if all staff are there, −1 where they are not limited."""
        per = self.settings.departments.bays_per_100_000
        hospitals = len(self.hospital_site)
        if per == 0 or not hospitals:
            return np.full(hospitals, -1, np.int32)
        city = self.presence.city
        total = max(round(per * len(city.people) / 100_000), hospitals)
        weight = np.maximum(city.sites.capacity[self.hospital_site].astype(np.int64), 1)
        return (1 + quota(weight, total - hospitals)).astype(np.int32)

    def _departments(self) -> Departments:
        told, hospitals = self.settings.departments, len(self.hospital_site)
        stays = [kind.stay.mean for kind in self.settings.kinds.values() if kind.transported > 0]
        return Departments(
            bays=self._bays,
            beds=np.full(hospitals, -1, np.int32),
            divert=np.full(hospitals, told.divert_at, np.int32),
            offers=offers_of(self.presence.city, self.hospital_site, told.specialties),
            mean_stay=np.full(hospitals, float(np.mean(stays)) if stays else 0.0),
        )

    def _usual_beds(self) -> NDArray[np.int64]:
        """Return the beds of each hospital that patients brought by ambulance usually fill.

        They are among those that ``hospitals.occupied`` says are taken, and set aside for them.
        """
        hospitals = len(self.hospital_site)
        load = 0.0
        for weekday in range(7):
            for name, calls in self.calls.expected(weekday).items():
                kind = self.settings.kinds[name]
                if "ambulance" in kind.units and kind.casualties is None:
                    load += calls / 7 / DAY * kind.transported * kind.admitted * kind.bed.mean
        beds = np.maximum(self.presence.city.sites.capacity[self.hospital_site].astype(np.int64), 1)
        if not hospitals:
            return np.zeros(0, np.int64)
        usual = quota(beds, round(load))
        shared = getattr(self.model, "hospitals", None)
        return usual if shared is None else np.minimum(usual, shared.beds[:, 0] - shared.limit[:, 0])

    def _works_at(self, site: int) -> NDArray[np.bool_]:
        city = self.presence.city
        activity = city.people.activity
        works = np.zeros(len(activity), bool)
        busy = activity >= 0
        works[busy] = city.places.site[activity[busy]] == site
        return works

    def _staff_of(self, sites: NDArray[np.int32]) -> dict[int, NDArray[np.int64]]:
        """Return the people who work at the stations of each service."""
        staff: dict[int, NDArray[np.int64]] = {}
        for name in self.fleets.services:
            mine = np.unique(self.fleets.station[self.fleets.service == SERVICES[name]])
            rows = [np.flatnonzero(self._works_at(int(site))) for site in np.unique(sites[mine]) if site >= 0]
            staff[int(SERVICES[name])] = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        return staff

    # ------------------------------------------------------------------ days

    def advance(self, start: float, end: float) -> None:  # noqa: ARG002
        """Make the days that begin before ``end`` and have not been made; a day is made whole at its beginning."""
        while self._days * DAY < end:
            self._make_day(self._days)
            self._days += 1

    def _make_day(self, day: int) -> None:
        start, end = day * DAY, (day + 1) * DAY
        date = self.model.scenario.clock.date(day)
        self._add(self.calls.of_day(day, date))
        for number, events in enumerate(self._events):
            self._add(self.calls.of_events(events, day, file=number))
        posted = getattr(self.model, "emergencies", None)
        if posted is not None:
            self._add(self._to_their_beds(self.calls.of_emergencies(posted.take(end))))
        absent = {}
        if self.settings.staff:
            absent = {service: self._absent(people) for service, people in self._crews.items()}
        self.centre.change_duty(self.fleets.duty(day, date.weekday(), absent))
        self._open_hospitals()
        closures = self._closures(date)
        moments = np.arange(start, end, self.settings.travel)
        moments = np.unique(np.concatenate([moments, start + closures.moments[closures.moments < DAY], [end]]))
        for begin, stop in itertools.pairwise(moments):
            self._drive(self._driven(begin - start, stop - start, closures.closed(begin - start)))
            self.centre.run(stop)
            if self._specialised:
                self._add(self._transfers(stop))
        self.record.note(start, end)
        self._share_beds()
        self._show()

    def _add(self, tasks: Tasks) -> None:
        """Add the tasks of services that there are."""
        kept = tasks.rows(np.isin(tasks.service, self._served))
        self.centre.add(replace(kept, ready=np.maximum(kept.ready, self.centre.now)))  # who is told late is late

    def _absent(self, people: NDArray[np.int64]) -> float:
        """Return the share of some people who do not come to work today, because they are ill, isolated or away."""
        return float((self.presence.status[people] != FREE).mean()) if len(people) else 0.0

    # ------------------------------------------------------------------ streets

    def _closures(self, date: datetime.date) -> Closures:
        """Return what designs close for some of a day."""
        timed = [design for design in self.model.scenario.built_designs() if design.timed]
        if not timed:
            return Closures(self.network, None)
        return Closures(self.network, lane_events(self.network, events_of(timed, self.presence.city, date)))

    def _driven(self, begin: float, stop: float, closed: NDArray[np.bool_] | None) -> list[NDArray[np.float64]]:
        """Return the seconds that links take for each mode of travel in a part of the day (s after midnight)."""
        free = self.network.free_time
        streets = getattr(self.model, "streets_today", None)
        seen = None if streets is None else streets.seconds(begin, stop)
        delay = np.zeros(len(free)) if seen is None else np.maximum(seen[: len(free)] - free, 0.0)
        seconds = [free / speed + share * delay for speed, share in self.fleets.driving]
        return seconds if closed is None else [np.where(closed, np.inf, mode) for mode in seconds]

    def _drive(self, seconds: list[NDArray[np.float64]]) -> None:
        """Let travel follow the streets, if they have changed."""
        if all(np.array_equal(new, old) for new, old in zip(seconds, self._seconds, strict=True)):
            return
        self._seconds = seconds
        self.centre.change_roads(self.travel.roads(seconds))

    def after_restore(self) -> None:
        """Make the tables of travel again that a saved state leaves out."""
        self.centre.roads = self.travel.roads(self._seconds)

    # ------------------------------------------------------------------ hospitals

    def _open_hospitals(self) -> None:
        """Open as many bays and beds as staff and other patients leave today.

        Whoever needs a bed and found none at all lies in a bay of the hospital nearest to their home, as far as
        ``departments.boarders`` lets them; a bay at least is always kept for emergencies (assumed).
        """
        if not len(self.hospital_site):
            return
        bays = self._bays.astype(float)
        if self.settings.departments.staff:
            bays = bays * [1.0 - self._absent(staff) for staff in self._staff]
        hospitals = getattr(self.model, "hospitals", None)
        beds = None
        if hospitals is not None:
            boarding = self._boarding(hospitals.lacking[hospitals.bed[hospitals.lacking] == NONE])
            bays = bays - np.minimum(boarding, self.settings.departments.boarders * bays)
            if self.settings.departments.beds:
                beds = self._reserved + np.maximum(hospitals.limit[:, 0] - hospitals.patients[:, 0], 0)
            # a hospital without a free bed in intensive care does not offer it today
            free = hospitals.limit[:, 1] - hospitals.patients[:, 1] - hospitals.taken[:, 1]
            offers = self.centre.departments.offers
            self.centre.state.doors.hospital[:, OFFERS] = np.where(free > 0, offers, offers & ~(1 << INTENSIVE))
        bays = np.where(self._bays < 0, -1, np.maximum(np.round(bays), 1))
        self.centre.change_hospitals(bays.astype(np.int32), None if beds is None else beds.astype(np.int32))

    def _boarding(self, people: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many of some people live nearest to each hospital."""
        city = self.presence.city
        home, sites = city.people.household[people], self.hospital_site
        if not len(people):
            return np.zeros(len(sites), np.int64)
        x, y = city.places.x[home][:, None] - city.sites.x[sites], city.places.y[home][:, None] - city.sites.y[sites]
        return np.bincount(np.hypot(x, y).argmin(axis=1), minlength=len(sites)).astype(np.int64)

    def _to_their_beds(self, tasks: Tasks) -> Tasks:
        """Return tasks of the epidemic's patients with the hospitals in which they have beds, which keep them there."""
        hospitals = getattr(self.model, "hospitals", None)
        if hospitals is None or not len(tasks) or not len(self.hospital_site):
            return tasks
        known = tasks.person >= 0
        given = self.model.citizens.table.columns["hospital"][np.maximum(tasks.person, 0)]
        return replace(
            tasks,
            hospital=np.where(known, given, tasks.hospital).astype(np.int32),
            bed=np.where(known, 0, tasks.bed).astype(np.float32),
        )

    def _share_beds(self) -> None:
        """Tell the hospitals of the city how many beds patients of ambulances take beyond those set aside for them."""
        hospitals = getattr(self.model, "hospitals", None)
        if hospitals is not None and len(self.hospital_site) and self.settings.departments.beds:
            table, now = self.centre.table(), self.centre.now
            needs = (table["specialty"] == INTENSIVE) & (table["bed"] > 0) & (table["bay"] <= now)
            lies = needs & (table["bay"] + table["stay"] + table["bed"] > now)
            intensive = np.bincount(table["at"][lies], minlength=len(self.hospital_site))
            used = self.centre.state.doors.hospital[:, BEDS_USED] - intensive - self._reserved
            hospitals.taken[:, 0], hospitals.taken[:, 1] = np.maximum(used, 0), intensive

    def _transfers(self, now: float) -> Tasks:
        """Return tasks that move on patients who lie where what they need is not offered, once each."""
        table, kind = self.centre.table(), self.settings.kinds[TRANSFER]
        offers = self.centre.departments.offers
        at, needs = table["at"][self._looked :], table["specialty"][self._looked :]
        taken = np.isfinite(table["bay"][self._looked :])
        number = list(self.settings.kinds).index(TRANSFER)
        taken &= table["kind"][self._looked :] != number
        misplaced = taken & (needs > 0) & ((offers[np.maximum(at, 0)] >> needs) & 1 == 0)
        rows = self._looked + np.flatnonzero(misplaced)
        open_ = np.flatnonzero(table["outcome"] <= Outcome.IN_SERVICE)
        self._looked = int(open_[0]) if len(open_) else len(table["outcome"])
        rows = rows[~np.isin(rows, self._moved)]
        someone = np.any((offers >> table["specialty"][rows][:, None]) & 1, axis=1) if len(rows) else np.zeros(0, bool)
        rows = rows[someone]
        self._moved = np.concatenate([self._moved, rows])
        self.centre.state.given[rows, board.BED] = 0.0  # the bed is in the other hospital
        called = np.maximum(table["bay"][rows] + self.settings.departments.transfer_after, now)
        place = self.centre.stations + table["at"][rows]
        luck = {
            purpose: draws(key(self.model.seed_number, f"response transfer {purpose}"), rows, 0 * rows)
            for purpose in ("scene", "turnout", "handover", "stay", "bed")
        }
        unit = kind.units["ambulance"]
        return Tasks.of(
            ready=called,
            kind=number,
            cause=self.calls.causes.index(TRANSFER),
            priority=int(np.argmax(kind.priorities)),
            node=self.travel.places[place],
            x=self.network.x[self.travel.places[place]],
            y=self.network.y[self.travel.places[place]],
            zone=self.presence.city.sites.zone[self.hospital_site[table["at"][rows]]],
            person=table["person"][rows],
            turnout=kind.law("ambulance", "turnout", self.settings.service_times).of(luck["turnout"]),
            scene=unit.scene.of(luck["scene"]),
            clear=kind.law("ambulance", "clear", self.settings.service_times).mean,
            transport=True,
            handover=kind.handover.of(luck["handover"]),
            stay=kind.stay.of(luck["stay"]),
            bed=table["bed"][rows],
            specialty=table["specialty"][rows],
        )

    # ------------------------------------------------------------------ responders

    def _show(self) -> None:
        """Put the responders of the model where their units are."""
        units = len(self.fleets.station)
        columns = {name: column[self._first : self._first + units] for name, column in self.table.columns.items()}
        node, doing = self.centre.positions(), self.centre.state.unit[:, board.STATE]
        columns["state"][:] = _SHOWN[doing]
        columns["task"][:] = self.centre.state.unit[:, board.TASK]
        columns["x"][:], columns["y"][:] = self.network.x[node], self.network.y[node]

    # ------------------------------------------------------------------ what it says

    def indicator_values(self) -> dict[str, float]:
        """Return the figures of the day before; 0 where nobody was reached or brought."""
        latest = self.record.latest()
        response = latest.get("ambulance_response_minutes", float("nan"))
        return {
            "ambulance_response": 0.0 if np.isnan(response) else float(response),
            "ambulance_busy": float(latest.get("ambulance_busy", 0.0)),
            "tasks_waiting": float(latest["tasks_waiting"]),
            "handover_delay": float(latest["handover_minutes"]),
        }

    def series(self) -> dict[str, int | float]:
        """Return the figures of the latest day."""
        return self.record.latest()

    def zone_series(self) -> dict[str, NDArray[Any]]:
        """Return the figures of the latest day by zone."""
        return self.record.latest_by_zone()

    def summary(self) -> dict[str, int | float]:
        """Return the figures of the run."""
        return self.record.summary()

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the tables that the scenario asks for; kinds and causes, whose numbers are the run's own, as words."""
        tables = self.record.tables(self.model.scenario.output.tables)
        if "incidents" in tables:
            for column, names in (("kind", list(self.calls.kinds)), ("cause", self.calls.causes)):
                tables["incidents"][column] = np.array(names)[tables["incidents"][column]]
        return tables

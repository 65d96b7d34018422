"""What people reach at two points: jobs, schools and care within some minutes, by mode, zone, age and income.

Cities are those that the sweep kept. On foot and by bicycle access depends on the streets alone; by car on the times that
vehicles took from 8 to 9 in the runs, where links were kept; by public transport on the timetable of the first day. What a
design changes for some hours only is seen by car alone, as far as vehicles met it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...environment.access.indicators import GREEN_METRES, green_entrances, stop_share, stop_share_of_city
from ...environment.access.points import AccessError, Opportunities, Origins, opportunities_of, residents_of
from ...environment.access.reach import nearest, reach
from ...environment.access.times import BICYCLE, CAR, TRANSIT, WALK, WALK_SPEED, Service, TravelTimes
from ...environment.groups import groups_of
from ...environment.network.network import Network
from ...environment.network.of_city import network_of_city
from ...environment.places import SiteKind
from ...environment.roads import Access
from ...environment.transit.timetable import Timetable, TransitError
from ..reports.geo import city_of
from ..scenarios.street_designs import built_designs
from .evenness import Sides, evenness
from .reading import LINKS, batches, run_pairs

if TYPE_CHECKING:
    import pandas as pd

    from ...environment.city import City
    from ..results import Results

MINUTES = (15.0, 30.0)
STOPS, GREEN = "stops", "green"
"""Kinds beside a city's opportunities: stops of public transport (SDG 11.2.1), and green space of a file."""
EVEN_MINUTES, EVEN_KIND = 30.0, "jobs"
"""What is reached of which it is told how evenly it is spread over people."""
MORNING = range(32, 36)
"""Quarters of an hour whose times by car count: 8 to 9, when public transport is looked up, too."""
_BITS = {WALK: Access.FOOT, TRANSIT: Access.FOOT, BICYCLE: Access.BICYCLE, CAR: Access.CAR}

Near = dict[tuple[str, float, str], NDArray[np.bool_]]
"""By mode, minutes (missing for a walk of so many metres) and kind: who lives near enough, (origins,)."""


class Side(NamedTuple):
    """What people reach at one point.

    Attributes:
        origins: where they live.
        kinds: of opportunities.
        reached: by mode, float64 (origins, minutes, kinds).
        near: who has stops and green space near.
    """

    origins: Origins
    kinds: tuple[str, ...]
    reached: dict[str, NDArray[np.float64]]
    near: Near


@dataclass
class Reach:
    """Works out what people reach; what is known of one point serves others with the same streets.

    Attributes:
        results: the results.
        green: file with public green space; None for none.
        notes: what a reader must know of the latest comparison.
    """

    results: "Results"
    green: Path | None = None
    notes: list[str] = field(default_factory=list)
    _before: dict[bytes, NDArray[np.float64]] = field(default_factory=dict)
    _known: dict[bytes, NDArray[np.float64]] = field(default_factory=dict)

    def compare(self, point: int, baseline: int) -> "tuple[pd.DataFrame, dict[str, Sides]]":
        """Return how access at a point differs from a baseline.

        Returns:
            A row for each group, mode, limit and kind: ``by`` (all, zone, age or income), ``group``, ``people``, ``mode``,
            ``minutes``, ``kind``, ``before`` and ``after`` (opportunities that a person reaches on average; missing for
            stops and green space), ``share_before`` and ``share_after`` (of the people who reach at least one).
            ``minutes`` is missing where so many metres are walked: 500 to a stop or 1,000 to a station, 300 to green
            space. And by mode how evenly jobs within 30 minutes are spread over people.

        Raises:
            AccessError: if the green space cannot be entered.
            PolygonError: if the file with green space cannot be read.
        """
        import pandas as pd

        self.notes.clear()
        self._before, self._known = self._known, {}  # what this comparison does not use is forgotten
        pairs = run_pairs(self.results, point, baseline)
        old = self._side(baseline, [run for _, run, _ in pairs])
        new = self._side(point, [run for _, _, run in pairs])
        heads = ["by", "row", "mode", "minutes", "kind"]
        first, second = (
            pd.DataFrame(_rows(side)).rename(columns={"mean": name, "share": f"share_{name}"})
            for side, name in ((old, "before"), (new, "after"))
        )
        table = first.merge(second.drop(columns=["group", "people"]), on=heads, sort=False)
        groups = {by: of for by, (_, of) in groups_of(city_of(self.results, baseline)).items()}
        number, kind = MINUTES.index(EVEN_MINUTES), old.kinds.index(EVEN_KIND)
        even = {}
        for mode in [mode for mode in old.reached if mode in new.reached]:
            values = [side.reached[mode][:, number, kind][side.origins.of_person] for side in (old, new)]
            even[mode] = evenness(values[0], values[1], groups, most_is_worst=False)
        shown = ["by", "group", "people", "mode", "minutes", "kind", "before", "after", "share_before", "share_after"]
        return table[shown], even

    def _side(self, point: int, runs: list[str]) -> Side:
        city = city_of(self.results, point)
        network = network_of_city(city)
        timetable = self._timetable(city, network, point)
        times = TravelTimes(
            network,
            seconds=morning_seconds(self.results, runs, network) if LINKS in self.results.tables else None,
            service=None if timetable is None else Service(timetable),
        )
        origins, offers = residents_of(city), opportunities_of(city)
        reached: dict[str, NDArray[np.float64]] = {}
        for mode in (WALK, BICYCLE, CAR, *([TRANSIT] if timetable is not None else [])):
            key = _digest(times, mode, origins, offers)
            try:
                if key in self._before:
                    self._known[key] = self._before[key]
                elif key not in self._known:
                    self._known[key] = reach(times, mode, origins, offers, MINUTES)
            except AccessError as error:
                self._note(f"Access ({mode}) is left out: {error}")
                continue
            reached[mode] = self._known[key]
        near: Near = {}
        if WALK in reached and timetable is not None:
            near[WALK, np.nan, STOPS] = stop_share(times, origins, timetable).within
        elif WALK in reached and (np.asarray(city.sites.kind) == SiteKind.TRANSPORT_STOP).any():
            near[WALK, np.nan, STOPS] = stop_share_of_city(times, origins, city).within
        if self.green is not None:
            near |= self._green(times, origins, list(reached), self.green)
        return Side(origins, offers.kinds, reached, near)

    def _green(self, times: TravelTimes, origins: Origins, modes: list[str], path: Path) -> Near:
        x, y = green_entrances(times, path)
        walk = nearest(times, WALK, origins, x, y, GREEN_METRES / WALK_SPEED)
        near: Near = {(WALK, np.nan, GREEN): np.isfinite(walk)}
        for mode in modes:
            seconds = nearest(times, mode, origins, x, y, 60.0 * max(MINUTES))
            near |= {(mode, limit, GREEN): seconds <= 60.0 * limit for limit in MINUTES}
        return near

    def _timetable(self, city: "City", network: Network, point: int) -> Timetable | None:
        """Return what runs at a point on the first day; None without public transport, with a note if it cannot be read."""
        from ...agents.traffic.settings import TrafficSettings
        from ...agents.traffic.transit import PublicTransport

        scenario = self.results.scenario.at_point(self.results.points[point])
        settings = scenario.processes.get("traffic")
        if not isinstance(settings, TrafficSettings) or settings.transit == "none":
            return None
        feeds = settings.transit if isinstance(settings.transit, tuple) else ()
        try:
            transport = PublicTransport(city, network, feeds, built_designs(scenario.city))
            transport.begin_day(scenario.clock.start)
        except TransitError as error:
            self._note(f"Access by public transport is left out: {error}")
            return None
        return transport.timetable.with_walks()

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def morning_seconds(results: "Results", runs: list[str], network: Network) -> NDArray[np.float64]:
    """Return what each link takes by car from 8 to 9, as mean over runs and days: free time where nobody drove, (links,).

    Args:
        results: results with a table ``links``.
        runs: the runs.
        network: the streets, as the table numbers them.
    """
    spent, count = np.zeros(network.links), np.zeros(network.links)
    for run in runs:
        for rows in batches(results, LINKS, run, ("quarter", "link", "left", "travel_seconds")):
            now = np.isin(rows["quarter"], MORNING)
            weight = np.maximum(rows["left"][now], 1).astype(float)  # where none left, the queue's time counts once
            spent += np.bincount(rows["link"][now], weight * rows["travel_seconds"][now], network.links)
            count += np.bincount(rows["link"][now], weight, network.links)
    return np.where(count > 0, spent / np.maximum(count, 1.0), network.free_time)


def _rows(side: Side) -> Iterator[dict[str, Any]]:
    """Yield by group, mode, limit and kind the mean of what is reached, and the share of people who reach any."""
    origins = side.origins
    groups = {"all": (["everybody"], origins.people[:, None]), **origins.groupings}
    for by, (names, people) in groups.items():
        total = people.sum(axis=0)
        lived = np.flatnonzero(total > 0)
        living = np.ascontiguousarray(people[:, lived].T)
        for mode, reached in side.reached.items():
            flat = reached.reshape(len(reached), -1)
            mean, share = (
                (living @ values / total[lived, None]).reshape(len(lived), *reached.shape[1:])
                for values in (flat, (flat > 0).astype(float))
            )
            for place, group in enumerate(lived.tolist()):
                head = {"by": by, "row": group, "group": names[group], "people": int(total[group]), "mode": mode}
                for number, limit in enumerate(MINUTES):
                    for kind, name in enumerate(side.kinds):
                        figures = {"mean": mean[place, number, kind], "share": share[place, number, kind]}
                        yield head | {"minutes": limit, "kind": name} | figures
        for (mode, limit, name), within in side.near.items():
            share = living @ within.astype(float) / total[lived]
            for place, group in enumerate(lived.tolist()):
                head = {"by": by, "row": group, "group": names[group], "people": int(total[group]), "mode": mode}
                yield head | {"minutes": limit, "kind": name, "mean": np.nan, "share": share[place]}


def _digest(times: TravelTimes, mode: str, origins: Origins, offers: Opportunities) -> bytes:
    """Return a hash of all that access by a mode depends on."""
    network = times.network
    columns: list[Any] = [origins.x, origins.y, offers.x, offers.y, offers.count]
    columns += [network.x, network.y, network.start, network.end, network.through]
    columns += [network.access & _BITS[mode], times.link_seconds(WALK if mode == TRANSIT else mode)]
    if network.turns is not None:
        columns += [getattr(network.turns, item.name) for item in fields(network.turns)]
    if mode == TRANSIT and times.service is not None:
        timetable = times.service.timetable
        columns += [getattr(timetable, item.name) for item in fields(timetable)]
    found = hashlib.blake2b(mode.encode())
    for values in columns:
        if isinstance(values, np.ndarray):
            found.update(np.ascontiguousarray(values).tobytes())
    return found.digest()

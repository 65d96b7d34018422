"""Hospitals: the beds of a city, who lies in them, and where patients go who are turned away."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from ..environment.builders.households import quota
from ..environment.places import SiteKind
from ..environment.randomness import key, uniforms
from .columns import Column

if TYPE_CHECKING:
    from ..environment.city import City
    from .tables import Table

NONE, WARD, ICU = 0, 1, 2
"""Kinds of care: no bed, a bed on a ward, a bed in intensive care."""
BEDS = (
    3.7  # ward beds per 1,000 people: 504 hospital beds per 100,000, almost 3/4 for curative care (Eurostat, EU 2017)
)
ICU_BEDS = 0.115  # per 1,000 people: 11.5 per 100,000, mean of Europe, 4.2 to 29.2 by country (Rhodes et al. 2012)
OCCUPIED = 0.75  # share of curative beds in use in ordinary times, mean of the OECD 2017
PER = 100_000
"""People by whom ``hospitalised`` is counted."""


class HospitalSettings(BaseModel):
    """The section ``[hospitals]``: beds are limited. Without it whoever needs a bed has one.

    Attributes:
        beds_per_1000: ward beds per 1,000 people of the city, shared out over its hospitals. Without it every hospital
            has the beds that the city's source gives, and those of unknown size share what is missing to 3.7.
        icu_per_1000: intensive-care beds per 1,000 people, besides those on wards, shared out like these.
        occupied: share of all beds that other patients take on every day.
        divert: whether a full hospital sends patients on to the next one with a free bed.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    beds_per_1000: float | None = Field(default=None, ge=0, le=1_000)
    icu_per_1000: float = Field(default=ICU_BEDS, ge=0, le=1_000)
    occupied: float = Field(default=OCCUPIED, ge=0, le=1)
    divert: bool = True


class Hospitals:
    """The hospitals of a city, numbered from 0.

    A city without any uses one outside, which has the beds of its people and is as near to everybody.

    Args:
        city: the city.
        settings: the section ``[hospitals]``.
        table: table of the citizens, which gets the columns ``hospital`` and ``bed``; only they are written here.
        seed: seed of the run.

    Attributes:
        site: int32 (hospitals,) site of each; −1 for the one outside.
        beds: int64 (hospitals, 2) all beds, on wards and in intensive care.
        limit: int64 (hospitals, 2) beds that other patients leave.
        patients: int64 (hospitals, 2) people in these beds.
        taken: int64 (hospitals, 2) beds that others took beyond those that other patients usually leave none of; emergency
            response writes it.
        turned_away: int64 (hospitals,) people who today found no bed where they came first; those who wait since a day
            before count no more.
        admitted: people who today came into a hospital.
        lacking: the people who when they last asked today found no bed of the care needed anywhere, in rising order.
        lacked: uint8 (n,) care that each of them needs.
    """

    indicators: ClassVar[dict[str, str]] = {
        "hospital_occupancy": (
            "patients on wards, and people who need such a bed and found none, per ward bed that other patients leave; "
            "above 1 beds are short, and without a single one it is the number of these people"
        ),
        "icu_occupancy": (
            "patients in intensive care, and people who need such a bed and found none, per bed there that other patients "
            "leave; above 1 beds are short, and without a single one it is the number of these people"
        ),
        "hospitalised": f"patients in hospital per {PER:,} people",
    }

    def __init__(self, city: "City", settings: HospitalSettings, table: "Table", seed: int):
        self.settings = settings
        self._city = city
        sites = np.flatnonzero(city.sites.kind == SiteKind.HOSPITAL)
        self.site = sites.astype(np.int32) if sites.size else np.full(1, -1, np.int32)
        self._x, self._y = city.sites.x[sites], city.sites.y[sites]
        self.beds = _beds(city, sites, settings)
        self.limit = _left(self.beds, settings, len(city.people))
        self.patients = np.zeros_like(self.beds)
        self.taken = np.zeros_like(self.beds)
        self._table = table
        table.attach("hospital", Column("i4", -1, doc="number of the hospital where the person lies, −1 for none"))
        table.attach("bed", Column("u1", NONE, doc="bed that the person has: 0 none, 1 on a ward, 2 in intensive care"))
        self._key = key(seed, "turn for a bed")
        self.lacking: NDArray[np.int64] = np.zeros(0, np.int64)
        self.lacked: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self.begin_day()

    # ------------------------------------------------------------------ beds

    @property
    def bed(self) -> NDArray[np.uint8]:
        """Care of the bed that each person has, (people,)."""
        return self._table.columns["bed"]

    def begin_day(self) -> None:
        """Count the day's admissions from nothing."""
        self.turned_away = np.zeros(len(self.site), np.int64)
        self.admitted = 0
        self._waiting, self.lacking, self.lacked = self.lacking, np.zeros(0, np.int64), np.zeros(0, np.uint8)

    def admit(self, people: ArrayLike, care: ArrayLike) -> NDArray[np.int32]:
        """Give people the bed that they need, and take the one that they leave for it.

        Everybody comes to the hospital nearest to their home (in a straight line) that has such beds at all, or if
        none has, to the nearest; patients to their own. Those who find it full go on to the nearest with a free bed,
        after those who came there first; where beds are short the order is drawn. Who finds no bed in intensive care
        lies on a ward instead if possible; who is to leave intensive care stays there until the own hospital has a
        bed on a ward. Ask for those who lack what they need again on a later day.

        Args:
            people: (n,) numbers of people, each once.
            care: (n,) what each needs, :data:`WARD` or :data:`ICU`.

        Returns:
            int32 (n,) the hospital where the person has the care needed or more, −1 where they find none.
        """
        rows, needed = np.asarray(people, np.int64), np.asarray(care, np.uint8)
        found = np.full(len(rows), -1, np.int32)
        recovering = (needed == WARD) & (self.bed[rows] == ICU)
        # In this order, since each may leave beds for the next.
        for kind, asking in ((WARD, recovering), (ICU, needed == ICU), (WARD, (needed == WARD) & ~recovering)):
            if asking.any():
                found[asking] = self._give(rows[asking], kind)
        others = ~np.isin(self.lacking, rows)
        lacking = np.concatenate([self.lacking[others], rows[found < 0]])
        order = np.argsort(lacking)
        self.lacking, self.lacked = lacking[order], np.concatenate([self.lacked[others], needed[found < 0]])[order]
        bedless = (needed == ICU) & (self.bed[rows] == NONE)
        if bedless.any():
            self._give(rows[bedless], WARD)
        return found

    def _give(self, people: NDArray[np.int64], kind: int) -> NDArray[np.int32]:
        column = self._table.columns["hospital"]
        found: NDArray[np.int32] = np.where(self.bed[people] >= kind, column[people], np.int32(-1))
        bed = kind - 1
        seeking = np.flatnonzero(self.bed[people] != kind)
        waited = np.isin(people[seeking], np.concatenate([self._waiting, self.lacking]))
        limit = self.limit[:, bed] - self.taken[:, bed]
        if not np.any(self.patients[:, bed] < limit):  # those who wait need not ask around once more
            seeking, waited = seeking[~waited], waited[~waited]
        order = np.argsort(uniforms(self._key, people[seeking], 0), kind="stable")
        seeking, waited = seeking[order], waited[order]
        away = self._distances(people[seeking], kind)
        first = np.where(np.isfinite(away.min(axis=1)), away.argmin(axis=1), -1)
        if not self.settings.divert:
            away[np.arange(len(self.site)) != first[:, None]] = np.inf
        given = np.full(len(seeking), -1, np.int64)
        waiting = np.arange(len(seeking))
        while waiting.size:
            free = limit - self.patients[:, bed] - np.bincount(given[given >= 0], minlength=len(self.site))
            near = np.where(free > 0, away[waiting], np.inf)
            target = near.argmin(axis=1)
            some = np.isfinite(near.min(axis=1))
            waiting, target = waiting[some], target[some]
            placed = _turn(target) < free[target]
            given[waiting[placed]] = target[placed]
            waiting = waiting[~placed]
        refused = (first >= 0) & (given != first) & (self.bed[people[seeking]] < kind) & ~waited
        self.turned_away += np.bincount(first[refused], minlength=len(self.site))
        got = np.flatnonzero(given >= 0)
        moved = people[seeking[got]]
        self.admitted += int((self.bed[moved] == NONE).sum())
        self.discharge(moved)
        column[moved] = given[got]
        self.bed[moved] = kind
        np.add.at(self.patients[:, bed], given[got], 1)
        found[seeking[got]] = given[got]
        return found

    def _distances(self, people: NDArray[np.int64], kind: int) -> NDArray[np.float64]:
        """Return metres from each home to each hospital, (n, hospitals); infinite where there is nothing to ask for.

        Where no hospital has such a bed, people come all the same and are turned away.
        """
        home = self._city.people.household[people]
        if self.site[0] < 0:
            away = np.zeros((len(people), 1))
        else:
            places = self._city.places
            away = np.hypot(places.x[home][:, None] - self._x, places.y[home][:, None] - self._y)
        own = self._table.columns["hospital"][people]
        inside = np.flatnonzero(own >= 0)
        away[inside, own[inside]] = -1.0
        leaving = inside[self.bed[people[inside]] > kind]
        away[leaving] = np.where(np.arange(len(self.site)) == own[leaving, None], -1.0, np.inf)
        if self.limit[:, kind - 1].any():
            away[:, self.limit[:, kind - 1] == 0] = np.inf
        return away

    def discharge(self, people: ArrayLike) -> None:
        """Empty the beds of people, who recovered or died; those who have none are passed over.

        Args:
            people: (n,) numbers of people, each once.
        """
        rows = np.asarray(people, np.int64)
        rows = rows[self.bed[rows] > NONE]
        column = self._table.columns["hospital"]
        np.subtract.at(self.patients, (column[rows], self.bed[rows].astype(np.int64) - 1), 1)
        column[rows] = -1
        self.bed[rows] = NONE

    # ------------------------------------------------------------------ figures

    def indicator_values(self) -> dict[str, float]:
        """Return the occupancies and the patients per 100,000 people as they stand now."""
        short = np.bincount(self.lacked, minlength=ICU + 1)[WARD:]
        ward, intensive = (self.patients.sum(axis=0) + short) / np.maximum(self.limit.sum(axis=0), 1)
        return {
            "hospital_occupancy": float(ward),
            "icu_occupancy": float(intensive),
            "hospitalised": float(self.patients.sum() * PER / max(len(self._city.people), 1)),
        }

    def series(self) -> dict[str, int]:
        """Return the patients, of them those in intensive care, and what happened at the doors today."""
        return {
            "hospital_patients": int(self.patients.sum()),
            "icu_patients": int(self.patients[:, ICU - 1].sum()),
            "admissions": self.admitted,
            "turned_away": int(self.turned_away.sum()),
            "without_bed": len(self.lacking),
        }

    def table(self) -> dict[str, NDArray[np.int64]]:
        """Return a row a hospital: number, site, beds that other patients leave, patients in them, turned away today.

        ``beds`` and ``patients`` are those on wards, ``icu_beds`` and ``icu_patients`` those in intensive care.
        """
        return {
            "hospital": np.arange(len(self.site)),
            "site": self.site.astype(np.int64),
            "beds": self.limit[:, 0].copy(),
            "icu_beds": self.limit[:, 1].copy(),
            "patients": self.patients[:, 0].copy(),
            "icu_patients": self.patients[:, 1].copy(),
            "turned_away": self.turned_away.copy(),
        }


def _beds(city: "City", sites: NDArray[np.int64], settings: HospitalSettings) -> NDArray[np.int64]:
    """Return the beds of each hospital, (hospitals, 2).

    Where the source does not tell, beds are shared out by the number of people who work at the hospital.
    """
    people = len(city.people)
    icu = round(settings.icu_per_1000 * people / 1_000)
    given = BEDS if settings.beds_per_1000 is None else settings.beds_per_1000
    if not sites.size:
        return np.array([[round(given * people / 1_000), icu]])
    activity = city.people.activity
    staff = np.bincount(city.places.site[activity[activity >= 0]] + 1, minlength=len(city.sites) + 1)[1:][sites]
    wards = city.sites.capacity[sites].astype(np.int64)
    unknown = np.flatnonzero(wards == 0)
    if unknown.size:
        missing = max(0, round(given * people / 1_000) - int(wards.sum()))
        wards[unknown] = quota(np.maximum(staff[unknown], 1), missing)
    if settings.beds_per_1000 is not None:
        wards = _shared(wards, round(settings.beds_per_1000 * people / 1_000))
    return np.stack([wards, _shared(wards, icu)], axis=1)


def _left(beds: NDArray[np.int64], settings: HospitalSettings, people: int) -> NDArray[np.int64]:
    """Return the beds that other patients leave in each hospital, (hospitals, 2).

    The numbers of a small town are rounded once: 2.3 beds of which a quarter is free are 1 bed.
    """
    per_1000 = settings.beds_per_1000
    wards = beds[:, 0].sum() if per_1000 is None else per_1000 * people / 1_000
    icu = settings.icu_per_1000 * people / 1_000
    left = [round((1 - settings.occupied) * float(total)) for total in (wards, icu)]
    return np.stack([_shared(beds[:, kind], total) for kind, total in enumerate(left)], axis=1)


def _shared(weights: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    return quota(weights, total) if weights.any() else np.zeros(len(weights), np.int64)


def _turn(target: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each of (n,) how many before it have the same target."""
    order = np.argsort(target, kind="stable")
    ranked = target[order]
    starts = np.searchsorted(ranked, ranked)
    turn = np.empty(len(target), np.int64)
    turn[order] = np.arange(len(target)) - starts
    return turn

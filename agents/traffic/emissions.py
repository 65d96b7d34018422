"""Emissions: grams of CO2, nitrogen oxides and particles that vehicles leave on each link in each hour.

Exhaust follows the mean speed on the link by the curves of the EMEP/EEA guidebook, wear of tyres, brakes and road the
distance. Both stand with sources in ``emission_factors.toml``. Engines are warm: cold starts are not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...environment import toml
from ...environment.network.network import Network
from ..vehicles import VehicleKind

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from ...environment.grid import CityGrid

POLLUTANTS = ("co2", "nox", "pm10", "pm25")
"""What is emitted, in the order of the first axis of all results; exhaust particles count as PM2.5 and PM10."""
QUARTERS = 96
HOURS = 24
_STEP = 0.1  # km/h between the speeds at which a mix of classes is tabulated; the error is below 1e-5
_BY_KIND = {kind: f"left_{kind.name.lower()}" for kind in VehicleKind}
_TOP = 130.0  # km/h, the fastest that any curve knows

Fleet = Mapping[VehicleKind, Mapping[str, float]]
"""Share of each class among the vehicles of a kind, by distance driven: ``{VehicleKind.CAR: {"car petrol 5": 1.0}}``."""


class EmissionError(ValueError):
    """Traffic or a fleet that no emissions follow from; the message says what is wrong and what is allowed."""


@dataclass(frozen=True)
class Curve:
    """Emission by speed: ``(a v² + b v + c + d/v) / (e v² + f v + g) · (1 − reduction)``, v in km/h.

    Attributes:
        classes: classes of vehicles it holds for.
        pollutant: "nox" or "pm" in g/km, "energy" in MJ/km.
        coefficients: a, b, c, d, e, f, g.
        reduction: share taken off.
        speeds: slowest and fastest speed in km/h; beyond them the value at the nearer one holds.
        check: speed in km/h and the value there.
        check_from: "Appendix 4" if the source gives that value, "copy" if it was computed from the row.
        source: row of the source.
    """

    classes: tuple[str, ...]
    pollutant: str
    coefficients: tuple[float, ...]
    reduction: float
    speeds: tuple[float, float]
    check: tuple[float, float]
    check_from: str
    source: str

    def at(self, speed: ArrayLike) -> NDArray[np.float64]:
        """Return the factor at speeds in km/h, in their shape."""
        a, b, c, d, e, f, g = self.coefficients
        v = np.clip(np.asarray(speed, float), *self.speeds)
        return (a * v * v + b * v + c + d / v) / (e * v * v + f * v + g) * (1.0 - self.reduction)


@dataclass(frozen=True)
class Factors:
    """All factors of the data file.

    Attributes:
        curves: by class and pollutant.
        carbon: grams of CO2 per MJ by fuel.
        wear: g/km of PM10 and of PM2.5 by vehicle, tyres, brakes and road together.
        fleet: the mix that holds where none is given.
    """

    curves: dict[tuple[str, str], Curve]
    carbon: dict[str, float]
    wear: dict[str, tuple[float, float]]
    fleet: Fleet

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes: vehicle, fuel and Euro class."""
        burning = dict.fromkeys(name for name, _ in self.curves)
        return (*burning, *(f"{vehicle} electric" for vehicle in self.wear))


@cache
def factors() -> Factors:
    """Return the factors of ``emission_factors.toml``."""
    text = resources.files(__package__).joinpath("emission_factors.toml").read_text(encoding="utf-8")
    data = toml.parse(text)
    curves: dict[tuple[str, str], Curve] = {}
    for row in data["curve"]:
        fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        curve = Curve(**fields)
        curves |= {(name, curve.pollutant): curve for name in curve.classes}
    wear = {
        vehicle: (float(sum(sizes["pm10"].values())), float(sum(sizes["pm25"].values())))
        for vehicle, sizes in data["wear"].items()
    }
    fleet = {VehicleKind[kind.upper()]: mix for kind, mix in data["fleet"].items()}
    return Factors(curves, data["carbon"], wear, fleet)


def class_factors(name: str, speed: ArrayLike) -> NDArray[np.float64]:
    """Return what vehicles of a class emit per kilometre.

    Args:
        name: class, for example "car diesel 6d" or "car electric" (:attr:`Factors.classes`).
        speed: (n,) mean speed in m/s, standing included.

    Returns:
        float64 (4, n) g/km by :data:`POLLUTANTS`.

    Raises:
        EmissionError: if there is no such class.
    """
    known = factors()
    if name not in known.classes:
        raise EmissionError(f"no class of vehicles '{name}'; there are: {', '.join(known.classes)}")
    vehicle, fuel = name.split()[:2]
    kmh = np.atleast_1d(np.asarray(speed, float)) * 3.6
    result = np.zeros((len(POLLUTANTS), len(kmh)))
    if fuel != "electric":
        exhaust = known.curves[name, "pm"].at(kmh)
        result[0] = known.curves[name, "energy"].at(kmh) * known.carbon[fuel]
        result[1] = known.curves[name, "nox"].at(kmh)
        result[2:] = exhaust
    result[2:] += np.array(known.wear[vehicle])[:, None]
    return result


def check_fleet(fleet: Fleet) -> None:
    """Raise EmissionError unless every class exists and the shares of each kind are not negative and sum to 1."""
    for kind, mix in fleet.items():
        name = VehicleKind(kind).name.lower()
        for part, share in mix.items():
            class_factors(part, 10.0)
            if not 0.0 <= share <= 1.0:
                raise EmissionError(f"fleet: {name}: '{part}' has share {share}; allowed are 0 to 1")
        total = sum(mix.values())
        if abs(total - 1.0) > 1e-6:
            raise EmissionError(f"fleet: {name}: shares sum to {total:.6g}; they must sum to 1")


def mean_factors(kind: VehicleKind, speed: ArrayLike, fleet: Fleet | None = None) -> NDArray[np.float64]:
    """Return what the vehicles of a kind emit per kilometre on average.

    Args:
        kind: kind of vehicle.
        speed: (n,) m/s.
        fleet: mix of classes, that of the data file by default.

    Returns:
        float64 (4, n) g/km by :data:`POLLUTANTS`; 0 for bicycles.

    Raises:
        EmissionError: if the fleet has no mix for the kind.
    """
    fleet = factors().fleet if fleet is None else fleet
    speed = np.atleast_1d(np.asarray(speed, float))
    if kind == VehicleKind.BICYCLE:
        return np.zeros((len(POLLUTANTS), len(speed)))
    if kind not in fleet:
        known = ", ".join(VehicleKind(k).name.lower() for k in fleet)
        raise EmissionError(f"fleet: no classes for {VehicleKind(kind).name.lower()}; there are mixes for: {known}")
    return sum(
        (share * class_factors(name, speed) for name, share in fleet[kind].items()), np.zeros((len(POLLUTANTS), 1))
    )


def link_grams(table: Mapping[str, Any], network: Network, fleet: Fleet | None = None) -> NDArray[np.float64]:
    """Return what traffic leaves on each link in each hour of the day.

    A vehicle emits on a link as it leaves it, over the whole length of the link at the mean speed of its quarter.

    Args:
        table: links table of one day (of several days the grams are added): columns ``quarter`` (0–95), ``link``,
            ``speed`` (m/s), and either ``left`` (vehicles that left the link, taken for cars; the cars' mix may hold
            classes of trucks, too) or columns by kind instead, ``left_car, left_bus, left_truck …``.
        network: the links and their lengths.
        fleet: mix of classes by kind, that of the data file by default.

    Returns:
        float64 (4, links, 24) grams by :data:`POLLUTANTS`, link and hour.

    Raises:
        EmissionError: if a column is missing, a link or quarter does not exist, a speed is no number, or the fleet has
            no mix for a kind of vehicle.
    """
    if fleet is not None:
        check_fleet(fleet)
    left = _left(table)
    quarter, link = (_whole(table, name, top) for name, top in (("quarter", QUARTERS), ("link", network.links)))
    speed = _column(table, "speed").astype(float)
    row_grams = np.zeros((len(POLLUTANTS), len(link)))
    grid = np.arange(0.0, _TOP + _STEP / 2, _STEP) / 3.6
    for kind, count in left.items():
        rows = np.flatnonzero(count)
        _check_rows(link, quarter, count, speed)
        curve = mean_factors(kind, grid, fleet)
        driven = count[rows] * network.length[link[rows]] / 1000.0  # km
        position = np.minimum(speed[rows] * 3.6, _TOP) / _STEP
        below = np.minimum(position.astype(np.int64), len(grid) - 2)
        part = position - below
        for number, factor in enumerate(curve):  # straight lines between neighbours in the table
            row_grams[number, rows] += driven * (factor[below] + part * np.diff(factor)[below])
    cell = link * HOURS + quarter // (QUARTERS // HOURS)
    size = network.links * HOURS
    return np.stack([np.bincount(cell, row, size).reshape(-1, HOURS) for row in row_grams])


def hourly_flows(
    table: Mapping[str, Any], network: Network, heavy_share: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return traffic by hour as noise is computed from it (:func:`~citytwin.environment.air.noise.street_power`).

    Args:
        table, network: as for :func:`link_grams`.
        heavy_share: of vehicles that the table does not tell by kind.

    Returns:
        Light vehicles an hour, heavy ones (trucks, buses, fire engines), and their mean speed in m/s, float64 (links, 24)
        each; the speed is nan where nothing drove.

    Raises:
        EmissionError: as :func:`link_grams`.
    """
    quarter, link = (_whole(table, name, top) for name, top in (("quarter", QUARTERS), ("link", network.links)))
    speed = _column(table, "speed").astype(float)
    cell = link * HOURS + quarter // (QUARTERS // HOURS)
    size = network.links * HOURS
    flows = np.zeros((2, size))
    fast = np.zeros(size)
    told = any(name in table for name in _BY_KIND.values())
    for kind, count in _left(table).items():
        if kind == VehicleKind.BICYCLE:
            continue
        _check_rows(link, quarter, count, speed)
        heavy = float(kind in (VehicleKind.TRUCK, VehicleKind.BUS, VehicleKind.FIRE_ENGINE)) if told else heavy_share
        passed = np.bincount(cell, count, size)
        flows += np.outer([1.0 - heavy, heavy], passed)
        fast += np.bincount(cell, np.where(count > 0, count * speed, 0.0), size)
    total = flows.sum(axis=0)
    mean = np.divide(fast, total, out=np.full(size, np.nan), where=total > 0)
    return flows[0].reshape(-1, HOURS), flows[1].reshape(-1, HOURS), mean.reshape(-1, HOURS)


def cell_grams(grams: NDArray[np.float64], shares: "csr_matrix", grid: "CityGrid") -> NDArray[np.float64]:
    """Spread the grams of links over the cells that they cross.

    Args:
        grams: (4, links, hours) as of :func:`link_grams`.
        shares: share of each link's length in each cell (:func:`~citytwin.environment.air.cells.link_shares`).
        grid: the grid.

    Returns:
        float64 (4, hours, rows, columns); its sum is that of ``grams`` where no link leaves the grid.
    """
    pollutants, links, hours = grams.shape
    by_link = grams.transpose(1, 0, 2).reshape(links, pollutants * hours)
    return np.asarray(shares.T @ by_link).T.reshape(pollutants, hours, *grid.shape)


# ------------------------------------------------------------------ columns


def _column(table: Mapping[str, Any], name: str) -> NDArray[Any]:
    if name not in table:
        raise EmissionError(f"links table: no column '{name}'; there are: {', '.join(map(str, table.keys()))}")
    return np.asarray(table[name])


def _whole(table: Mapping[str, Any], name: str, count: int) -> NDArray[np.int64]:
    values = _column(table, name).astype(np.int64)
    if len(values) and (values.min() < 0 or values.max() >= count):
        wrong = values[(values < 0) | (values >= count)][0]
        raise EmissionError(f"links table: {name} {wrong} does not exist; there are 0 to {count - 1}")
    return values


def _check_rows(
    link: NDArray[np.int64], quarter: NDArray[np.int64], count: NDArray[np.float64], speed: NDArray[np.float64]
) -> None:
    wrong = ~((count >= 0) & np.isfinite(count)) | ((count > 0) & ~((speed >= 0) & np.isfinite(speed)))
    bad = np.flatnonzero(wrong)
    if len(bad):
        row = int(bad[0])
        raise EmissionError(
            f"links table, row {row} (link {link[row]}, quarter {quarter[row]}): {count[row]:g} vehicles left at "
            f"{speed[row]:g} m/s; both must be numbers, not below 0 ({len(bad)} rows in all)"
        )


def _left(table: Mapping[str, Any]) -> dict[VehicleKind, NDArray[np.float64]]:
    """Return vehicles that left, by kind."""
    given = {kind: _column(table, name).astype(float) for kind, name in _BY_KIND.items() if name in table}
    return given or {VehicleKind.CAR: _column(table, "left").astype(float)}

"""How soon help came, in pictures: how response times are spread, their median by the hour of the call, and by zone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import ZONE_TABLE
from ..reports.curves import GREY, PALETTE, point_looks
from ..reports.geo import Shown, about, city_of, write_layer
from ..reports.labels import point_label, short_names
from ..reports.maps import draw_layer, save_figure
from ..storage.tables import StoreError
from .reading import runs_of
from .response import SERVICES, Responses, responses_of

if TYPE_CHECKING:
    import geopandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...environment.city import City
    from ..results import Results

MAP = "response"
"""What ``citytwin map --what`` calls it."""
_KEYS = {"ambulance": 10, "fire": 9, "police": 11}
_SOMEBODY = {"ambulance": "an ambulance", "fire": "a fire engine", "police": "the police"}
_LATEST = 0.97
"""Share of the calls that the axis of times spans."""
_FEW = 10
"""Calls of a part of the day from which its median is drawn (assumed)."""


def draw_times(results: "Results") -> "Figure":
    """Draw by service the share of calls reached within a time, and the median response by the hour of the call.

    Lines are points of the sweep, all runs of a point together. Dotted: the target of the first priority.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = sorted(set(results.summary["point"].tolist()))
    looks = point_looks(results) if len(results.points) > 1 else {points[0]: (PALETTE[0], "-")}
    calls = {
        point: [responses_of(results, point, run) for run in runs_of(results, point).values()]
        for point in points
        if point in looks
    }
    services = [s for s in SERVICES if any((run.service == s).any() for runs in calls.values() for run in runs)]
    figure = Figure(figsize=(10.0, 2.5 * len(services) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(services), 2, squeeze=False)
    settings = results.scenario.at_point(results.points[points[0]]).processes["response"]
    for (left, right), service in zip(axes, services, strict=True):
        hours = _hours(calls, service)
        for point, runs in calls.items():
            _draw_point(left, right, runs, service, looks[point], hours)
        _say_if_empty(left, "no call was reached")
        _say_if_empty(right, f"fewer than {_FEW} calls reached\nin every part of the day: no median")
        left.axvline(settings.targets[0] / 60.0, color=GREY, linewidth=0.9, linestyle=":")  # type: ignore[attr-defined]
        left.set_ylim(0, 100)
        left.set_xlim(0, None)
        left.set_ylabel(f"{SERVICES[service]}\ncalls reached, %", fontsize=9)
        right.set_ylim(0, 1.05 * max(right.dataLim.y1, 1.0))
        right.set_xlim(0, 24)
        right.set_xticks(range(0, 25, 4))
        right.set_ylabel("median response, min", fontsize=9)
        for one in (left, right):
            one.tick_params(labelsize=8)
            one.spines[["top", "right"]].set_visible(False)
            one.grid(color="#e4e7ea", linewidth=0.6)
    axes[-1, 0].set_xlabel("minutes from the call", fontsize=9)
    axes[-1, 1].set_xlabel("hour of the call", fontsize=9)
    _name_points(figure, results, {point: looks[point] for point in calls})
    return figure


def _hours(calls: dict[int, list[Responses]], service: int) -> int:
    """Return how many hours are put together, so that a point has enough calls in most of them."""
    several = [np.concatenate([run.hour[run.service == service] for run in runs]) for runs in calls.values()]
    for hours in (1, 2, 3, 4, 6):
        if all(np.median(np.bincount(hour // hours, minlength=24 // hours)) >= _FEW for hour in several):
            return hours
    return 8


def _draw_point(
    left: "Axes", right: "Axes", runs: list[Responses], service: int, look: tuple[str, Any], hours: int
) -> None:
    mine = [run.service == service for run in runs]
    minutes = np.concatenate([run.minutes[rows] for run, rows in zip(runs, mine, strict=True)])
    part = np.concatenate([run.hour[rows] for run, rows in zip(runs, mine, strict=True)]) // hours
    there = np.isfinite(minutes)
    if not there.any():
        return
    reached = np.sort(minutes[there])
    share = 100.0 * np.arange(1, len(reached) + 1) / len(minutes)  # whom nobody reached keeps it below 100
    shown = int(np.ceil(_LATEST * len(reached)))
    drawn: dict[str, Any] = {"color": look[0], "linestyle": look[1], "linewidth": 1.6}
    left.step(np.r_[0, reached[:shown]], np.r_[0, share[:shown]], where="post", **drawn)
    medians = [
        np.median(minutes[there & (part == p)]) if np.sum(there & (part == p)) >= _FEW else np.nan
        for p in range(24 // hours)
    ]
    right.plot((np.arange(24 // hours) + 0.5) * hours, medians, marker="o", markersize=3, **drawn)


def _say_if_empty(axes: "Axes", why: str) -> None:
    """Write into axes in which no line has a point to show why that is."""
    if not any(np.isfinite(np.asarray(line.get_ydata(), float)).any() for line in axes.get_lines()):
        axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", fontsize=9, color=GREY)


def _name_points(figure: "Figure", results: "Results", looks: dict[int, tuple[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    if len(looks) < 2:
        return
    names = short_names(results.info["parameters"])
    lines = [
        Line2D([], [], color=colour, linestyle=style, linewidth=1.9, label=point_label(results.points[point], names))
        for point, (colour, style) in looks.items()
    ]
    figure.legend(handles=lines, loc="outside lower left", ncols=2, frameon=False, fontsize=8.5, handlelength=2.6)


# ---------------------------------------------------------------------- zones


def has_response_zones(results: "Results") -> bool:
    """Return whether results hold response times by zone."""
    return ZONE_TABLE in results.tables and bool(_services(results))


def _services(results: "Results") -> list[str]:
    columns = set(results.table(ZONE_TABLE).columns)
    return [name for name in _KEYS if f"{name}_response_minutes" in columns]


def reached_services(results: "Results", point: int) -> list[str]:
    """Return the services of which zones were kept and that reached anybody at a point."""
    if not has_response_zones(results):
        return []
    kept = results.table(ZONE_TABLE)
    kept = kept[kept["point"] == point]
    return [name for name in _services(results) if (kept[f"{name}_reached"] > 0).any()]


def response_layer(results: "Results", city: "City", point: int) -> "geopandas.GeoDataFrame":
    """Return a row a zone: number, name, residents, and of each service what came of its calls.

    ``…_calls`` and ``…_reached`` (calls of a run), ``…_response_minutes`` (mean over all that were reached), ``…_in_time``
    (share of them).
    """
    import geopandas

    layer = city.layer("zones")
    if layer is None:
        raise StoreError("the city has no map of its zones")
    kept = results.table(ZONE_TABLE)
    kept = kept[kept["point"] == point]
    zones = np.arange(len(layer))
    runs = kept["run_id"].nunique()
    residents = np.bincount(city.places.zone[city.people.household], minlength=len(zones))
    columns: dict[str, Any] = {
        "zone": zones,
        "name": layer["name"] if "name" in layer else zones.astype(str),
        "residents": residents,
    }
    for name in _services(results):
        minutes = (kept[f"{name}_reached"] * kept[f"{name}_response_minutes"]).fillna(0.0)
        sums = kept.assign(minutes=minutes).groupby("zone")[
            [f"{name}_calls", f"{name}_reached", f"{name}_in_time", "minutes"]
        ]
        total = sums.sum().reindex(zones, fill_value=0)
        reached = total[f"{name}_reached"].to_numpy(float)
        known = np.where(reached > 0, reached, np.nan)
        columns[f"{name}_calls"] = total[f"{name}_calls"].to_numpy(float) / runs
        columns[f"{name}_reached"] = reached / runs
        columns[f"{name}_response_minutes"] = total["minutes"].to_numpy(float) / known
        columns[f"{name}_in_time"] = total[f"{name}_in_time"].to_numpy(float) / known
    return geopandas.GeoDataFrame(columns, geometry=layer.geometry.to_numpy(), crs=city.info.crs)


def draw_zones(results: "Results", city: "City", point: int, service: str, facts: dict[str, Any]) -> "Figure":
    """Draw how soon a service comes on average in each zone, and where its stations are; zones without calls stay blank."""
    layer = response_layer(results, city, point)
    column = f"{service}_response_minutes"
    shown = Shown(column, f"minutes until {_SOMEBODY[service]} is there, mean")
    figure = draw_layer(city, layer[layer[f"{service}_reached"] > 0], shown, facts)
    axes = figure.axes[0]
    x, y = _stations(results, city, point, service)
    axes.scatter(x, y, s=60, marker="^", color="#1b1f24", edgecolors="white", linewidths=0.8, zorder=6, label="station")
    legend = axes.get_legend()
    handles = [*(legend.legend_handles if legend else []), *axes.get_legend_handles_labels()[0]]
    axes.legend(
        handles=[handle for handle in handles if handle is not None],
        loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, borderaxespad=0,
    )  # fmt: skip
    return figure


def _stations(results: "Results", city: "City", point: int, service: str) -> tuple[Any, Any]:
    from ...agents.response.fleet import Fleets, service_of
    from ...agents.response.scenes import Scenes

    settings = results.scenario.at_point(results.points[point]).processes["response"]
    fleets = Fleets(city, settings.fleet, settings.services, Scenes(city), 0)  # type: ignore[attr-defined]
    mine = [n for n, (name, fleet) in enumerate(fleets.fleets.items()) if service_of(name, fleet) == service]
    rows = np.unique(fleets.station[np.isin(fleets.of, mine)])
    return fleets.stations.x[rows], fleets.stations.y[rows]


def write_response(results: "Results", folder: Path, point: int) -> list[Path]:
    """Write response by zone as ``response.parquet``, and a PNG of each service.

    Raises:
        StoreError: if it was not kept, there is no such point, or a file cannot be written.
        CityError: if the city is no longer where it was.
    """
    if not has_response_zones(results):
        where = results.directory or "the results"
        raise StoreError(f"{where}: no response by zone was kept; write by_zone = true under [output] and run again")
    city = city_of(results, point)
    facts = about(results, city, point) | {
        "figures": "calls, reached: of a run; response_minutes: mean over all that were reached; in_time: share of them"
    }
    layer = response_layer(results, city, point)
    written = [write_layer(layer, folder / "response.parquet", facts)]
    for service in reached_services(results, point):
        figure = draw_zones(results, city, point, service, facts)
        written.append(save_figure(figure, folder / f"response-{service}.png"))
    return written

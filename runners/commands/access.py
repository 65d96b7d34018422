"""Command for accessibility: what people reach from where they live, by mode and time, and who is left out."""

import contextlib
import json
import shutil
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from .common import JsonOption, app

if TYPE_CHECKING:
    import geopandas
    import pandas

    from ...environment.access import Access, Near, Opportunities, Origins, TravelTimes
    from ...environment.city import City
    from ...environment.network.network import Network
    from ...environment.transit.timetable import Timetable

MODE_NAMES = {"walk": "walk", "bike": "bicycle", "bicycle": "bicycle", "car": "car", "transit": "transit"}
TABLES = (".parquet", ".gpkg")
ZONES = 30
"""Zones shown, those with most people."""
FEW = 0.2
"""Share of the busiest hour's departures below which a window counts as one in which hardly anything runs; assumed."""
_AROUND = 10_000.0
"""Metres around the streets within which stops of a feed are read."""


@app.command("access")
def access(
    city: Annotated[
        Path, typer.Argument(metavar="CITY", help="A city bundle; or, with --points, an OpenStreetMap extract.")
    ],
    mode: Annotated[str, typer.Option("--mode", help="walk, bike, car, transit: any of them.")] = "walk,bike,car",
    minutes: Annotated[str, typer.Option("--minutes", help="Limits of travel time.")] = "15,30,45,60",
    gtfs: Annotated[
        list[Path] | None,
        typer.Option("--gtfs", metavar="FEED", help="Timetable, a .zip; any number of times. Without: invented lines."),
    ] = None,
    date: Annotated[str | None, typer.Option("--date", help="Day of the timetable, as 2019-05-14.")] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="HH:MM", help="First departure by public transport.")
    ] = "08:00",
    window: Annotated[int, typer.Option("--window", min=1, max=1440, help="Minutes over which departures are.")] = 60,
    points: Annotated[
        Path | None,
        typer.Option("--points", metavar="FILE", help="CSV: id, lon, lat and counts (population, jobs, schools …)."),
    ] = None,
    green: Annotated[
        Path | None, typer.Option("--green", metavar="FILE", help="Areas of green space: .geojson or .gpkg.")
    ] = None,
    show: Annotated[str | None, typer.Option("--show", help="Opportunity by zone and in the picture.")] = None,
    cell: Annotated[float, typer.Option("--cell", help="Side of the cells of the layer, m.")] = 100.0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write all figures: .parquet, or .gpkg for QGIS.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw a map: .png, .svg or .pdf.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads; results do not depend on it.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Say how many jobs, schools, clinics and shops people reach within some minutes, and who is left out.

    Points with a column population are where people set out; otherwise the residents of the city do. The other columns of
    points are what is reached; without points it is what the city has.

    \b
    Examples:
        citytwin access town.city --mode walk,bike,car --minutes 15,30 --picture access.png
        citytwin access town.city --mode walk,transit --gtfs feed.zip --date 2026-05-12 --out access.gpkg
        citytwin access town.osm.pbf --points hexagons.csv --mode walk,bike --show jobs
    """
    from ...environment.access import Access as Result
    from ...environment.access import AccessError, Service, TravelTimes, reach
    from ..progress import progress_bar, sign_of_life
    from ..reports.files import PICTURES, check_target

    modes = _modes(mode)
    limits = _limits(minutes)
    depart = _clock(start)
    for path, suffixes in ((out, TABLES), (picture, PICTURES)):
        if path is not None:
            check_target(path, suffixes)
    with sign_of_life("reading"):
        place, network, attribution, title = _read_place(city)
        origins, opportunities = _read_points(place, points, network, cell)
        timetable, notes = _timetable(place, network, gtfs or [], date, "transit" in modes)
    if show is not None and show not in opportunities.kinds:
        raise AccessError(f"--show {show}: there are {', '.join(opportunities.kinds)}")
    shown = show or ("jobs" if "jobs" in opportunities.kinds else opportunities.kinds[0])
    service = None
    if timetable is not None and "transit" in modes:
        service = Service(timetable, depart=depart, window=window * 60.0)
        notes += _window_notes(timetable, service.depart, service.window, start)
    times = TravelTimes(network, service=service, threads=threads)
    reached = {}
    with progress_bar("junctions") as move:
        for each in modes:
            reached[each] = reach(times, each, origins, opportunities, limits, partial(_show, move, f"({each})"))
    result = Result(origins, opportunities.kinds, limits, reached)
    cut_off = times.snap("walk", origins.x, origins.y).node < 0
    if cut_off.any():
        notes.append(
            f"{int(cut_off.sum())} points with {origins.people[cut_off].sum():,.0f} people are more than 1 km from any "
            "street that is connected: they reach nothing."
        )
    near = _near(times, origins, place, timetable if gtfs else None, green)
    table = result.table()
    facts = _facts(title, result, table, near, notes)
    if out is not None:
        _write(result, table, place, network, facts, out)
    if picture is not None:
        _draw(result, network, shown, [title, attribution], picture)
    typer.echo(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else _text(facts, table, limits, shown))
    for path, what in ((out, "Figures"), (picture, "Map")):
        if path is not None:
            typer.echo(f"{what}: {path}", err=as_json)


def _show(move: Callable[[int, int, float | None, str], None], what: str, done: int, total: int) -> None:
    move(done, total, None, what)


# ---------------------------------------------------------------------- what was asked for


def _modes(text: str) -> tuple[str, ...]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in MODE_NAMES]
    if unknown or not names:
        raise typer.BadParameter(f"'{text}': write any of walk, bike, car, transit, with commas", param_hint="--mode")
    return tuple(dict.fromkeys(MODE_NAMES[name] for name in names))


def _limits(text: str) -> tuple[float, ...]:
    from ...environment.access.reach import checked_minutes

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"'{text}': write numbers with commas, as in 15,30", param_hint="--minutes") from None
    return tuple(dict.fromkeys(sorted(checked_minutes(values).tolist())))


def _clock(text: str) -> float:
    hours, _, rest = text.partition(":")
    if not (hours.isdigit() and rest.isdigit() and int(hours) < 24 and int(rest) < 60):
        raise typer.BadParameter(f"'{text}': write a time of day as in 08:00", param_hint="--from")
    return int(hours) * 3600.0 + int(rest) * 60.0


def _read_place(path: Path) -> "tuple[City | None, Network, str, str]":
    """Return the city (None for an extract), its streets, whom maps must name, and a title."""
    from ...environment.access.streets import read_streets
    from ...environment.city import City
    from ...environment.network.of_city import network_of_city

    if path.is_file():
        network, attribution = read_streets(path)
        return None, network, attribution, path.name.split(".")[0]
    place = City.load(path)
    said = dict.fromkeys(source.attribution for source in place.info.sources if source.attribution)
    return place, network_of_city(place), "   ".join(said), place.info.name


def _read_points(
    place: "City | None", path: Path | None, network: "Network", cell: float
) -> "tuple[Origins, Opportunities]":
    from ...environment.access import AccessError, opportunities_of, read_points, residents_of

    if not 1 <= cell <= 100_000:
        raise AccessError(f"--cell {cell:g}: give the side of the cells in metres, from 1 to 100,000")
    origins, opportunities = read_points(path, network.crs) if path is not None else (None, None)
    if origins is None:
        if place is None:
            column = "a column population" if path else "--points with a column population"
            raise AccessError(f"streets alone say nothing of people: give {column}, or a city bundle")
        if not len(place.people):
            raise AccessError(f"{place.info.name}: nobody lives in this city; give --points with a column population")
        origins = residents_of(place, cell)
    if opportunities is None:
        if place is None:
            raise AccessError(f"{path}: no column counts what may be reached; add one, for example jobs")
        opportunities = opportunities_of(place)
    return origins, opportunities


def _timetable(
    place: "City | None", network: "Network", feeds: list[Path], date: str | None, wanted: bool
) -> "tuple[Timetable | None, list[str]]":
    """Return what runs, with walks between stops, and what a reader must know of it."""
    from ...environment.access import AccessError
    from ...environment.transit.gtfs import read_gtfs
    from ...environment.transit.invented import invented_timetable

    if feeds:
        if date is None:
            raise AccessError("--gtfs needs --date, a day on which the feeds are valid, as in --date 2019-05-14")
        low_x, high_x = network.x.min() - _AROUND, network.x.max() + _AROUND
        low_y, high_y = network.y.min() - _AROUND, network.y.max() + _AROUND
        within = (float(low_x), float(low_y), float(high_x), float(high_y))
        return read_gtfs(feeds, date, crs=network.crs, within=within).with_walks(), []
    if not wanted:
        return None, []
    if place is None:
        raise AccessError("transit needs a timetable: give --gtfs FEED.zip and --date")
    note = "Public transport is invented: no feed was given (--gtfs). Lines and headways are plausible, not real."
    return invented_timetable(place).with_walks(), [note]


def _window_notes(timetable: "Timetable", depart: float, window: float, start: str) -> list[str]:
    """Say so if hardly anything runs when people set out: many public feeds are excerpts."""
    hours = np.histogram(timetable.departure, np.arange(0.0, 24.5) * 3600.0)[0]
    inside = ((timetable.departure >= depart) & (timetable.departure < depart + window)).sum() * 3600.0 / window
    if inside >= FEW * hours.max():
        return []
    busiest = int(hours.argmax())
    return [
        f"From {start} on the timetable has {inside:,.0f} calls an hour, {hours.max():,} in the hour from {busiest:02d}:00: "
        f"hardly anything runs then. Is it an excerpt? Try --from {busiest:02d}:00."
    ]


def _near(
    times: "TravelTimes", origins: "Origins", place: "City | None", timetable: "Timetable | None", green: Path | None
) -> "dict[str, Near]":
    from ...environment.access import green_share, stop_share
    from ...environment.access.indicators import stop_share_of_city
    from ...environment.places import SiteKind

    near = {}
    if timetable is not None:
        near["sdg_11_2_1"] = stop_share(times, origins, timetable)
    elif place is not None and (np.asarray(place.sites.kind) == SiteKind.TRANSPORT_STOP).any():
        near["sdg_11_2_1"] = stop_share_of_city(times, origins, place)
    if green is not None:
        near["green_300_m"] = green_share(times, origins, green)
    return near


# ---------------------------------------------------------------------- what it came to


def _facts(
    title: str, result: "Access", table: "pandas.DataFrame", near: "dict[str, Near]", notes: list[str]
) -> dict[str, Any]:
    whole = table[table["by"] == "all"]
    columns = ["mode", "minutes", "kind", "mean", "share_any", "gini", "worst_tenth"]
    rows = [
        {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in row.items()}
        for row in whole[columns].to_dict("records")
    ]
    grouped = table[table["by"].isin(list(result.origins.groupings))]
    groups = grouped[["by", "group", "mode", "minutes", "kind", "people", "mean", "share_any"]]
    return {
        "city": title,
        "people": float(result.origins.people.sum()),
        "points": len(result.origins),
        "everybody": rows,
        "groups": json.loads(groups.to_json(orient="records")),
        "near": {name: found.share for name, found in near.items()},
        "notes": notes,
    }


def _text(facts: dict[str, Any], table: "pandas.DataFrame", limits: tuple[float, ...], shown: str) -> str:
    width = min(shutil.get_terminal_size((100, 24)).columns, 140)
    lines = [f"{facts['city']}: {facts['people']:,.0f} people at {facts['points']:,} points", ""]
    lines.append(f"{'within':<18}{'reach':<15}{'mean':>12}{'at least one':>14}{'Gini':>7}{'worst-off tenth':>17}")
    before = ""
    for row in facts["everybody"]:
        head = f"{row['minutes']:g} min, {row['mode']}"
        share, uneven, worst = row["share_any"], row["gini"], row["worst_tenth"]
        lines.append(
            f"{head if head != before else '':<18}{row['kind'][:14]:<15}{_number(row['mean']):>12}"
            f"{'–' if share is None else f'{share:.1%}':>14}{'–' if uneven is None else f'{uneven:.2f}':>7}"
            f"{_number(worst):>17}"
        )
        before = head
    lines += _zone_lines(table, limits, shown, width)
    if "sdg_11_2_1" in facts["near"]:
        lines += [
            "",
            f"Within 500 m of a bus or tram stop or 1 km of rail (SDG 11.2.1): {facts['near']['sdg_11_2_1']:.1%}",
        ]
    if "green_300_m" in facts["near"]:
        lines += ["", f"Within 300 m of green space: {facts['near']['green_300_m']:.1%}"]
    for note in facts["notes"]:
        lines += ["", *textwrap.wrap(note, width)]
    return "\n".join(lines)


def _zone_lines(table: "pandas.DataFrame", limits: tuple[float, ...], shown: str, width: int) -> list[str]:
    rows = table[(table["by"] == "zone") & (table["kind"] == shown) & (table["people"] > 0)]
    if not len(rows):
        return []
    modes = list(dict.fromkeys(rows["mode"]))
    kept = limits if 33 + 13 * len(modes) * len(limits) <= width else limits[-1:]
    heads = [(mode, limit) for mode in modes for limit in kept]
    wide = rows.pivot_table(index=["group", "people"], columns=["mode", "minutes"], values="mean", sort=False)
    wide = wide.reset_index().sort_values("people", ascending=False, kind="stable")
    lines = ["", f"{shown} reached, by zone", f"{'zone':<22}{'people':>11}"]
    lines[-1] += "".join(f"{f'{mode} {limit:g}':>13}" for mode, limit in heads)
    for _, row in wide.head(ZONES).iterrows():
        figures = "".join(f"{_number(float(row[head])):>13}" for head in heads)
        lines.append(f"{str(row['group', ''])[:21]:<22}{row['people', '']:>11,.0f}{figures}")
    if len(wide) > ZONES:
        lines.append(f"… and {len(wide) - ZONES} zones of fewer people; --out writes all")
    return lines


def _number(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


# ---------------------------------------------------------------------- files


def _write(
    result: "Access",
    table: "pandas.DataFrame",
    place: "City | None",
    network: "Network",
    facts: dict[str, Any],
    path: Path,
) -> None:
    from ..reports.geo import ABOUT
    from ..storage.tables import StoreError

    said = json.dumps({"city": facts["city"], "notes": facts["notes"]}, ensure_ascii=False)
    part = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".parquet":
            import pyarrow
            from pyarrow import parquet

            whole = pyarrow.Table.from_pandas(table, preserve_index=False)
            metadata = {**(whole.schema.metadata or {}), ABOUT: said.encode()}
            parquet.write_table(whole.replace_schema_metadata(metadata), part, compression="zstd")
        else:
            import pyogrio

            part.unlink(missing_ok=True)
            for number, (name, layer) in enumerate(_layers(result, place, network).items()):
                more = {"dataset_metadata": {ABOUT.decode(): said}} if number == 0 else {"append": True}
                pyogrio.write_dataframe(layer, part, driver="GPKG", layer=name, **more)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None


def _layers(result: "Access", place: "City | None", network: "Network") -> "dict[str, geopandas.GeoDataFrame]":
    """Return zones, if there are any, and cells or points."""
    import geopandas

    places = result.layer().set_crs(network.crs)
    layers = {"points" if result.origins.grid is None else "cells": places}
    zones = place.layer("zones") if place is not None else None
    columns = result.zone_columns()
    if zones is not None and columns:
        layers = {
            "zones": geopandas.GeoDataFrame(columns, geometry=zones.geometry.to_numpy(), crs=network.crs)
        } | layers
    return layers


def _draw(result: "Access", network: "Network", shown: str, words: list[str], path: Path) -> None:
    """Draw a map for each mode: what people reach within the longest time, on one scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    from ...environment.access.summary import column_name
    from ...environment.roads import RoadRank
    from ..reports.maps import INK, PAPER, _draw_scale, save_figure

    layer = result.layer()
    modes, limit = list(result.reached), result.minutes[-1]
    lived = layer["people"].to_numpy() > 0
    layer = layer[lived] if lived.any() else layer
    values = {mode: layer[column_name(shown, mode, limit)].to_numpy(float) for mode in modes}
    top = max(1.0, *(float(np.nanmax(each)) for each in values.values()))
    west, south, east, north = layer.total_bounds
    margin = 0.03 * max(east - west, north - south, 1.0)
    ratio = min(max((north - south) / max(east - west, 1.0), 0.5), 1.8)
    columns = min(len(modes), 2)
    rows = -(-len(modes) // columns)
    figure = Figure(figsize=(4.6 * columns + 1.2, 4.6 * ratio * rows + 1.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    squares = _squares(result, layer)
    main = np.flatnonzero(network.rank <= RoadRank.SECONDARY)
    ends = np.stack([network.start[main], network.end[main]], 1)
    streets = np.stack([network.x[ends], network.y[ends]], 2)
    scale = PowerNorm(0.5, 0.0, top)  # by root, or modes that reach little would all look alike
    drawn: Any = None
    for axes, mode in zip(panels, modes, strict=False):
        axes.set_facecolor(PAPER)
        axes.set_aspect("equal")
        axes.set_xlim(west - margin, east + margin)
        axes.set_ylim(south - 3 * margin, north + margin)  # room for the scale bar
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color("#c8ccd0")
        drawn = PolyCollection(squares, array=values[mode], cmap="cividis", norm=scale, linewidths=0)
        axes.add_collection(drawn)
        axes.add_collection(LineCollection(list(streets), colors="white", linewidths=0.5, alpha=0.6))
        _draw_scale(axes, east - west + 2 * margin)
        axes.set_title(mode, loc="left", fontsize=11)
    for axes in panels[len(modes) :]:
        axes.set_visible(False)
    bar = figure.colorbar(drawn, ax=list(panels), shrink=0.6, pad=0.02)
    bar.set_label(f"{shown} reached within {limit:g} minutes (number)", fontsize=9)
    bar.ax.yaxis.set_major_formatter("{x:,.0f}")
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]
    title = f"{words[0][:1].upper()}{words[0][1:]}: {shown} within {limit:g} minutes"
    figure.suptitle(title, x=0.012, ha="left", fontsize=14, fontweight="bold")
    note = "   ".join(word for word in (words[1], network.crs, "white lines: main roads") if word)
    figure.supxlabel(note, x=0.012, ha="left", fontsize=8.5, color=INK)
    save_figure(figure, path)


def _squares(result: "Access", layer: "geopandas.GeoDataFrame") -> list[Any]:
    """Return what is coloured: the cells, or around each point a hexagon as wide as the points are apart."""
    import shapely
    from scipy.spatial import cKDTree

    if result.origins.grid is not None:
        return [shapely.get_coordinates(shape) for shape in layer.geometry]
    spots = shapely.get_coordinates(layer.geometry.to_numpy())
    apart = 200.0
    if len(spots) > 1:
        apart = float(np.median(cKDTree(spots).query(spots, k=2)[0][:, 1]))
    angle = np.arange(6) * np.pi / 3
    corners = apart / np.sqrt(3.0) * np.stack([np.cos(angle), np.sin(angle)], 1)
    return list(spots[:, None, :] + corners)

"""Commands about results: compare points, write a report, draw maps."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOption, ResultsArgument, app


@app.command()
def compare(
    results: ResultsArgument,
    baseline: Annotated[int, typer.Option("--baseline", min=0, help="Point with which the others are compared.")] = 0,
    area: Annotated[
        Path | None,
        typer.Option("--area", metavar="FILE", help="Polygons (.geojson, .gpkg) whose through traffic is shown."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how each point of a sweep differs from a baseline, runs of one seed paired.

    Where the results have trips and links: who gains and who loses travel time, vehicle-km, and streets that became
    rat runs; with --area, through traffic inside and what was displaced around it.

    \b
    Examples:
        citytwin compare results/quickstart --baseline 0
        citytwin compare results/superblock --area superblock.geojson
    """
    from ..planning.text import planning_facts, planning_text
    from ..report import text_report
    from ..results import Results

    opened = Results(results)
    if as_json:
        from ..describe import comparison_facts

        points = comparison_facts(opened, baseline)
        planning = planning_facts(opened, baseline, area)
        facts = [point | planning.get(point["point"], {}) for point in points]
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        text = planning_text(opened, baseline, area)
        typer.echo(text_report(opened, baseline) + (f"\n\n{text}" if text else ""))


@app.command()
def report(
    results: ResultsArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML file to write; report.html in the results if left out.")
    ] = None,
    baseline: Annotated[int, typer.Option("--baseline", min=0, help="Point with which the others are compared.")] = 0,
) -> None:
    """Write a page with picture, tables and origin of the numbers: one HTML file that stands alone.

    \b
    Example:
        citytwin report results/quickstart --out report.html
    """
    from ..report import write_report
    from ..results import Results

    path = write_report(Results(results), out or results / "report.html", baseline)
    typer.echo(f"Report: {path}")


@app.command("map")
def map_results(
    results: ResultsArgument,
    point: Annotated[int, typer.Option("--point", min=0, help="Point of the sweep that is shown.")] = 0,
    what: Annotated[
        str, typer.Option("--what", help="What the picture shows: attack, infections or deaths.")
    ] = "attack",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files; maps in the results if left out.")
    ] = None,
) -> None:
    """Put infections and deaths on the map, by zone and by grid cell: GeoParquet for QGIS, and pictures.

    The scenario has to keep them: [output] with by_zone = true, tables = ["cells"], or both.

    \b
    Examples:
        citytwin map results/quickstart
        citytwin map results/quickstart --point 3 --what deaths --out maps/
    """
    from ..geo import SHOWN, write_maps
    from ..results import Results

    if what not in SHOWN:
        raise typer.BadParameter(f"'{what}' is not available; allowed: {', '.join(SHOWN)}", param_hint="--what")
    for path in write_maps(Results(results), out or results / "maps", point, SHOWN[what]):
        typer.echo(f"Map: {path}")

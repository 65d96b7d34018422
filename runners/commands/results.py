"""Commands about results: compare points, write a report, draw maps."""

import json
import shutil
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
    green: Annotated[
        Path | None,
        typer.Option("--green", metavar="FILE", help="Public green space (.geojson, .gpkg) that residents may reach."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write the tables of streets in full, as Parquet.")
    ] = None,
    measure: Annotated[
        str,
        typer.Option("--measure", metavar="COLUMNS", help="Figures shown, columns of the summary with commas between."),
    ] = "",
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="COLUMN", help="Order the points by this figure, the least first.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="Show the N first and the N last points of the order alone."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how each point of a sweep differs from a baseline, runs of one seed paired where there are any.

    Of more than 40 points the 10 with the least and the 10 with the most of the first figure are shown; --measure,
    --sort and --limit choose otherwise. --json has all points but where --limit is given.

    Where the results have incidents: how soon help came, by service, priority and zone.
    Where they have trips and links: who gains and who loses travel time by zone, age, income and mode; jobs,
    schools and care that residents reach within 15 and 30 minutes; vehicle-km, and streets that became rat runs; and of
    superblocks, or the polygons of --area, through traffic inside and what was displaced around. With the tables air and
    noise: what traffic lays on whom at home.

    \b
    Examples:
        citytwin compare results/quickstart --baseline 0
        citytwin compare results/sampled --measure deaths,lost_school_days --sort deaths --limit 5
        citytwin compare results/superblock --area superblock.geojson --green parks.geojson --out compared/
    """
    from ..planning.change import compared, write_changes
    from ..planning.response_text import response_facts, response_text
    from ..planning.text import planning_text
    from ..reports.report import WIDTH, text_report
    from ..reports.view import view_of
    from ..results import Results

    opened = Results(results)
    names = [name.strip() for name in measure.split(",") if name.strip()]
    every = as_json and limit is None
    view = view_of(opened, baseline, names=names, sort=sort, limit=len(opened.points) if every else limit)
    changes = list(compared(opened, baseline, area, green, None if out is not None else view.points))
    written = [] if out is None else write_changes(opened, changes, baseline, out)
    if as_json:
        from ..reports.describe import comparison_facts

        planning = {change.point: change.facts() for change in changes}
        response = response_facts(opened, baseline, view.points)
        facts = [
            point | planning.get(point["point"], {}) | response.get(point["point"], {})
            for point in comparison_facts(opened, baseline, view)
        ]
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        width = min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH)
        report = text_report(opened, baseline, width, view)
        shown = [change for change in changes if change.point in view.points]
        texts = [report, planning_text(opened, shown, baseline), response_text(opened, baseline, view.points)]
        typer.echo("\n\n".join(text for text in texts if text))
    for path in written:
        typer.echo(f"Table: {path}", err=as_json)


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
    from ..reports.report import write_report
    from ..results import Results

    path = write_report(Results(results), out or results / "report.html", baseline)
    typer.echo(f"Report: {path}")


@app.command("map")
def map_results(
    results: ResultsArgument,
    point: Annotated[int, typer.Option("--point", min=0, help="Point of the sweep that is shown.")] = 0,
    what: Annotated[
        str | None,
        typer.Option(
            "--what",
            help="Shown: attack, infections, deaths; flow, speed, delay, co2, nox, pm10 of streets; air; noise; response.",
        ),
    ] = None,
    baseline: Annotated[
        int, typer.Option("--baseline", min=0, help="Point from which maps of streets show the difference.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files; maps in the results if left out.")
    ] = None,
) -> None:
    """Put results on the map: GeoParquet and GeoPackage for QGIS, and pictures.

    Infections and deaths by zone and by grid cell, where the scenario keeps them: [output] with by_zone = true,
    tables = ["cells"], or both. Flow, speed, delay and emissions by street, where it keeps tables = ["links"]; of a
    second point also how they differ from the baseline. Concentrations and noise of traffic, where it keeps
    tables = ["air", "noise"]. How soon ambulances, fire engines and police come, by zone, where it has [response] and
    by_zone = true.

    \b
    Examples:
        citytwin map results/quickstart
        citytwin map results/quickstart --point 3 --what deaths --out maps/
        citytwin map results/superblock --point 1 --what flow
    """
    from ..planning.burden import BURDEN_TABLES, write_burden
    from ..planning.reading import LINKS
    from ..planning.response_pictures import MAP, has_response_zones, write_response
    from ..planning.streets import STREET_FIGURES, write_streets
    from ..reports.geo import SHOWN, has_areas, write_maps
    from ..results import Results

    if what is not None and what not in (*SHOWN, *STREET_FIGURES, *BURDEN_TABLES, MAP):
        allowed = ", ".join([*SHOWN, *STREET_FIGURES, *BURDEN_TABLES, MAP])
        raise typer.BadParameter(f"'{what}' is not available; allowed: {allowed}", param_hint="--what")
    opened = Results(results)
    folder = out or results / "maps"
    streets = what in STREET_FIGURES or (what is None and LINKS in opened.tables)
    written = write_streets(opened, folder, point, baseline, STREET_FIGURES[what or "flow"]) if streets else []
    burden = [name for name in BURDEN_TABLES if name == what or (what is None and name in opened.tables)]
    for name in burden:
        written += write_burden(opened, folder, point, name)
    response = what == MAP or (what is None and has_response_zones(opened))
    written += write_response(opened, folder, point) if response else []
    if not (streets or burden or response) or (what is None and has_areas(opened)):
        written += write_maps(opened, folder, point, SHOWN[what or "attack"])
    for path in written:
        typer.echo(f"Map: {path}")


@app.command("animate")
def animate_results(
    results: ResultsArgument,
    out: Annotated[Path, typer.Option("--out", help="File to write: ….gif.")],
    point: Annotated[int, typer.Option("--point", min=0, help="Point of the sweep that is shown.")] = 0,
    day: Annotated[int, typer.Option("--day", min=0, help="Day of the run, 0 the first.")] = 0,
) -> None:
    """Show a day on the streets as moving pictures: colour for speed, width for flow, by quarter of an hour.

    The scenario has to keep [output] tables = ["links"].

    \b
    Example:
        citytwin animate results/superblock --out day.gif
    """
    from ..planning.animation import animate
    from ..progress import progress_bar
    from ..results import Results

    with progress_bar("pictures") as move:
        path = animate(Results(results), out, point, day, progress=lambda done, total: move(done, total, None, ""))
    typer.echo(f"Animation: {path}")

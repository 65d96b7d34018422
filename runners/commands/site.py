"""Command for siting: where stations and units should stand, by plans that are judged by simulation."""

import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from .common import SOME_FAILED, JsonOption, app, failure_text, is_mistake


@app.command("site")
def site(
    where: Annotated[
        str, typer.Argument(metavar="CITY|SCENARIO", help="A city bundle, or a scenario, whose [response] then holds.")
    ],
    service: Annotated[str, typer.Option("--service", help="ambulance, fire or police.")] = "ambulance",
    units: Annotated[
        str | None, typer.Option("--units", help="Units in all: 12, or a sweep: 8,10,12 or 8-14. Without: as today.")
    ] = None,
    stations: Annotated[int | None, typer.Option("--stations", help="Stations at most.")] = None,
    standard: Annotated[
        str | None,
        typer.Option("--standard", metavar="TIME", help="In time is within, as '8 min'. Without: targets by priority."),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="What plans aim at; any of these.")
    ] = "coverage,expected,median,centre",
    candidates: Annotated[
        str,
        typer.Option(
            "--candidates", metavar="WHERE", help="stations, sites (and hospitals), grid, or .csv, .geojson, .gpkg."
        ),
    ] = "grid",
    keep: Annotated[bool, typer.Option("--keep", help="Each of today's stations keeps a unit.")] = False,
    by: Annotated[
        str, typer.Option("--by", help="Rank by in_time, median, p90, mean, worst_zone or gini.")
    ] = "in_time",
    plans: Annotated[int, typer.Option("--plans", min=1, help="Plans shown of each number of units.")] = 5,
    replicates: Annotated[int, typer.Option("--replicates", min=1, max=1000, help="Runs of each plan.")] = 8,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="Days of a run.")] = 14,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes; results do not depend on it.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for plans, cover, stations and maps.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say where stations and units should stand: plans, judged by simulation of the same calls, ranked, with intervals.

    Plans aim at calls covered within the standard (coverage), at those with a free unit in time (expected), at a short mean
    way (median) or a short longest way (centre). Today's stations may be used by every plan.

    \b
    Examples:
        citytwin site town.city
        citytwin site town.city --units 8-14 --stations 6 --keep --out plans
        citytwin site scenario.toml --service fire --standard "10 min" --candidates plots.geojson --json
    """
    from ..progress import progress_bar, sign_of_life
    from ..run import claimed
    from ..siting.answer import facts, text
    from ..siting.files import write
    from ..siting.question import read_question, units_of
    from ..siting.site import answer

    sizes = None if units is None else units_of(units)
    folder = contextlib.nullcontext() if out is None else claimed(out)
    with folder, tempfile.TemporaryDirectory() as built, progress_bar("runs") as move:
        with sign_of_life("reading the city") as say:
            question = read_question(where, service, Path(built), standard=standard, days=days)
            try:
                found = answer(
                    question,
                    sizes=sizes,
                    methods=[name.strip() for name in method.split(",") if name.strip()],
                    candidates=candidates,
                    stations=stations,
                    keep=keep,
                    replicates=replicates,
                    by=by,
                    most=plans,
                    workers=workers,
                    say=say,
                    done=lambda done, total: move(done, total, None, ""),
                )
            except Exception as error:  # a dispatcher of the scenario's own may raise what it likes
                if is_mistake(error):
                    raise
                failure = failure_text(error)
            else:
                failure = ""
        if failure:
            typer.echo(failure, err=True)
            raise typer.Exit(SOME_FAILED)
        if as_json:
            said = json.dumps(facts(found), indent=2, ensure_ascii=False)
        else:
            said = text(found, min(shutil.get_terminal_size((100, 24)).columns, 140))
        if out is not None:
            write(found, out)
    typer.echo(said)
    if out is not None:
        typer.echo(f"Plans, cover and maps: {out}", err=as_json)

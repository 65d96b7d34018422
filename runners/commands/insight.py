"""Commands that tell what a sweep teaches, and look for the best policy."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from .common import (
    JsonOption,
    ResultsArgument,
    ScenarioArgument,
    SetOption,
    app,
    exit_where_failed,
    load,
)


@app.command()
def sensitivity(
    results: ResultsArgument,
    of: Annotated[
        str, typer.Option("--of", metavar="INDICATORS", help="Columns of the summary, with commas between them.")
    ] = "attack_rate",
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw the bars: ….png, ….svg or ….pdf.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the estimates as a table: ….parquet.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which swept parameters move an indicator, with intervals and the share of luck.

    By the design of the sweep: "saltelli" gives Sobol indices (shares of the variance), "morris" elementary effects,
    any other (lhs, sobol, random, grid, list) rank correlations.

    \b
    Examples:
        citytwin sensitivity results/ --of attack_rate,deaths
        citytwin sensitivity results/ --of deaths --picture deaths.svg --out deaths.parquet
    """
    from ..insight.sensitivity import sensitivity as analysed
    from ..insight.sensitivity_files import save_picture, save_table
    from ..insight.sensitivity_text import WIDTH, sensitivity_text
    from ..results import Results

    indicators = [name.strip() for name in of.split(",") if name.strip()]
    if not indicators:
        raise typer.BadParameter("names no column; write for example attack_rate,deaths", param_hint="--of")
    found = analysed(Results(results), indicators)
    if as_json:
        typer.echo(json.dumps(found.facts(), indent=2, ensure_ascii=False))
    else:
        typer.echo(sensitivity_text(found, min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH)))
    if picture is not None:
        typer.echo(f"Picture: {save_picture(found, picture)}", err=as_json)
    if out is not None:
        typer.echo(f"Table: {save_table(found, out)}", err=as_json)


@app.command("optimise")
def optimise_policy(
    scenario: ScenarioArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory to make; results/<name>-optimum if left out.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", help="Candidates tried, in place of the number in the file.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that run side by side; one a core if left out.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search that was stopped.")] = False,
    changes: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Look for the policy that serves the goals of [optimise] best and keeps its constraints.

    Of several goals the Pareto front is shown: the compromises that no other candidate beats in all of them. All
    candidates are judged by the same seeds; what is chosen is judged again by fresh ones, as its success was partly luck.
    Ctrl-C stops after the runs in hand; --resume goes on.

    \b
    Examples:
        citytwin optimise closures.toml --out best/ --workers 2
        citytwin optimise closures.toml --out best/ --resume
    """
    from ..insight.optimise import PICTURE, TABLE, optimise
    from ..insight.optimise_text import WIDTH, optimise_text
    from ..progress import progress_bar, sign_of_life
    from ..scenarios.cities import slug

    loaded = load(scenario, changes)
    out = out or Path("results") / f"{slug(loaded.name)}-optimum"

    def moved(done: int, failed: int, total: int, left: float | None) -> None:
        say("")
        move(done + failed, total, left, f"{failed} failed" if failed else "")

    with progress_bar("runs") as move, sign_of_life("checking scenario and city") as say:
        found = optimise(loaded, out=out, trials=trials, workers=workers, resume=resume, progress=moved, told=say)
    if as_json:
        typer.echo(json.dumps(found.facts | {"directory": str(out)}, indent=2, ensure_ascii=False))
    else:
        width = min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH)
        typer.echo(optimise_text(found.weighed, found.counts, width))
        typer.echo(f"\nPicture: {out / PICTURE}\nTable: {out / TABLE}\nResults: {out}")
    exit_where_failed(found.failed)

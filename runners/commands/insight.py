"""Commands that tell what a sweep teaches, and look for the best policy."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOption, ResultsArgument, app


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

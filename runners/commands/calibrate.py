"""The command that fits parameters of a scenario to observations."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOption, ScenarioArgument, SetOption, app, exit_where_failed, load


@app.command("calibrate")
def calibrate_all(
    scenario: ScenarioArgument,
    data: Annotated[
        Path, typer.Option("--data", metavar="CSV", help="Observations: a column date or day, and columns of figures.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory to make; results/<name>-fit if left out.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that run side by side; one a core if left out.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a calibration that was stopped.")] = False,
    changes: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Fit the parameters that [calibrate] of a scenario names to observations, with intervals.

    Ctrl-C stops after the runs in hand; --resume goes on.

    \b
    Examples:
        citytwin calibrate school.toml --data in-bed.csv --out fit/
        citytwin calibrate school.toml --data in-bed.csv --out fit/ --resume
    """
    from ..calibrate.fit import calibrate, settings_of
    from ..calibrate.text import fit_text
    from ..progress import progress_bar, sign_of_life
    from ..scenarios.cities import slug

    loaded = load(scenario, changes)
    out = out or Path("results") / f"{slug(loaded.name)}-fit"

    def moved(done: int, failed: int, total: int, left: float | None) -> None:
        say("")
        move(done + failed, total, left, f"{failed} failed" if failed else "")

    with progress_bar("runs") as move, sign_of_life("checking scenario, data and city") as say:
        fit = calibrate(loaded, data, out=out, workers=workers, resume=resume, progress=moved, told=say)
    if as_json:
        typer.echo(json.dumps(fit.facts | {"directory": str(out)}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{fit_text(fit.facts, settings_of(loaded))}\n\nPicture: {out / 'predictive.png'}\nResults: {out}")
        typer.echo(f"The nearest run again: citytwin run {out / 'best.toml'}")
    exit_where_failed(fit.failed)

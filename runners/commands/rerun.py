"""Command that makes a run of a sweep again."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import SOME_FAILED, JsonOption, ResultsArgument, TrustOption, app

if TYPE_CHECKING:
    from ..rerun import Rerun


@app.command("rerun")
def rerun_one(
    directory: ResultsArgument,
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="A run, as status and the tables name it.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Results directory to make for it; none is kept if left out.")
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Run it in this process and enter Python's debugger where it raises.")
    ] = False,
    trust_code: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make one run of a sweep again and say whether it comes to the same, bit for bit.

    \b
    Examples:
        citytwin rerun results/mine p0003-r0001
        citytwin rerun results/mine p0003-r0001 --debug
    """
    from .. import rerun as again
    from ..trust import check_code

    if not trust_code:
        check_code(directory)
    if debug:
        again.debug(directory, run_id)
        return
    found = again.rerun(directory, run_id, out)
    if as_json:
        facts = {name: value for name, value in vars(found).items() if name != "out"}
        typer.echo(json.dumps(facts | {"same": found.same, "out": out and str(out)}, indent=2, ensure_ascii=False))
    else:
        typer.echo(rerun_text(found))
    if found.failure or found.differences:
        raise typer.Exit(SOME_FAILED)


def rerun_text(found: "Rerun") -> str:
    """Return what came of it, for people; of a run that fails with its traceback."""
    if found.failure:
        lines = [found.failure, *([found.traceback] if found.traceback else [])]
    elif not found.stored:
        lines = [f"{found.run_id} was made; it is not among the results, so there is nothing to compare with."]
    elif found.same:
        lines = [f"{found.run_id} came to the same: every table is equal bit for bit ({', '.join(found.tables)})."]
    else:
        lines = [f"{found.run_id} came to something else:"]
        lines += [f"  {table}: {where}" for table, where in found.differences.items()]
    if found.program:
        lines += ["The sweep was planned with another program:", *(f"  {line}" for line in found.program)]
    if found.out is not None:
        lines.append(f"Results: {found.out}")
    return "\n".join(lines)

"""Commands around everything else: example scenarios, and kernels that are compiled beforehand."""

from pathlib import Path
from typing import Annotated

import typer

from .common import app


@app.command()
def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to put the examples in.")]) -> None:
    """Copy the example scenarios into a folder, to change them.

    \b
    Example:
        citytwin init my-scenarios
    """
    from ..scenarios.documents import Problem, ScenarioError, Where, shipped

    examples = shipped()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = [file.name for file in examples.values() if (directory / file.name).exists()]
        if there:
            message = f"holds {', '.join(there)} already; choose another folder"
            raise ScenarioError([Problem(Where(str(directory)), "", message)])
        for file in examples.values():
            (directory / file.name).write_bytes(file.read_bytes())
    except OSError as error:
        message = f"cannot be written ({error.strerror or error})"
        raise ScenarioError([Problem(Where(str(directory)), "", message)]) from None
    listed = "\n".join(f"  {directory / file.name}" for file in examples.values())
    typer.echo(f"{listed}\n\nTry: citytwin check {directory / 'quickstart.toml'}")


@app.command()
def warm() -> None:
    """Compile all kernels into the cache, so that the first run need not wait for it.

    \b
    Example:
        citytwin warm
    """
    import time

    from ..progress import sign_of_life
    from ..run import warm as compile_kernels

    began = time.perf_counter()
    with sign_of_life("compiling kernels"):
        compile_kernels()
    typer.echo(f"Kernels are compiled ({time.perf_counter() - began:.1f} s).")

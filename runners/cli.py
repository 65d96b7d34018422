"""The command line: ``citytwin …``. What a command needs is imported when it runs, so that ``--help`` is quick.

Exit codes: 0 done, 1 some runs failed (they are named), 2 the request is wrong, 75 its time was over
and there is more to do (``--resume``), 130 stopped by Ctrl-C.
"""

import io
import sys

import typer

from .commands.common import INTERRUPTED, STOPPED, WRONG_REQUEST, StoppedError, app, is_mistake


def main() -> None:
    """Run the command line; a user's mistake ends in its message, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack some sign of a table
    try:
        app()
    except StoppedError as stopped:
        typer.echo(str(stopped), err=True)
        sys.exit(INTERRUPTED)
    except (KeyboardInterrupt, SystemExit) as early:  # before any command has begun
        if isinstance(early, SystemExit) and early.code != INTERRUPTED:
            raise
        typer.echo(STOPPED, err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not is_mistake(error):
            raise
        typer.echo(str(error), err=True)
        sys.exit(WRONG_REQUEST)

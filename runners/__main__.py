"""``python -m citytwin.runners`` is the command line."""

from .cli import main

main()

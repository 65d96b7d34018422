"""``python -m citytwin`` is the command line."""

from .runners.cli import main

main()

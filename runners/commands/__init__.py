"""The commands of the command line, a file a group; importing the room puts them all in place."""

from importlib import import_module

GROUPS = (
    "scenarios",
    "clusters",
    "status",
    "rerun",
    "calibrate",
    "results",
    "insight",
    "around",
    "cities",
    "design",
    "assign",
    "access",
    "site",
)
"""The files with commands, in the order of ``--help``."""

for _group in GROUPS:
    import_module(f".{_group}", __name__)

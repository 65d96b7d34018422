"""Packages of others, as far as entry points go: a module and the description that an installer leaves beside it."""

import importlib
import sys

from citytwin.agents.extensions import extensions

RULES = """
import citytwin as ct


class Last(ct.Dispatcher):
    def choose_unit(self, task, units):
        return units[-1].number if units else None


class Failing(ct.Dispatcher):
    def choose_unit(self, task, units):
        raise KeyError("no such rule")


class Leaving(ct.Dispatcher):
    def choose_unit(self, task, units):
        raise SystemExit(3)


class Waiting(ct.Citizen):
    pass


NOTHING = "no class"
"""


def install(folder, monkeypatch, points, *, module="own_rules", text=RULES, group="citytwin.dispatchers"):
    """Write a module into a folder and install it with entry points: name → what it names in the module."""
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"[{group}]", *(f"{name} = {module}:{what}" for name, what in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)
    importlib.invalidate_caches()
    extensions.cache_clear()

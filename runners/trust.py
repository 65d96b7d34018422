"""Code that a results directory names: results may come from others, and are not to run what they brought along.

``sweep.json`` says by import path how a run is made, and where classes of a user's own are. Whoever begins or resumes a
sweep says so himself, and is told where the directory says otherwise. Commands that know nothing but the directory run no
other functions than ours, unless they are told to.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engine import manifest as manifests
from .engine.outcome import SweepError

if TYPE_CHECKING:
    from .scenarios.own_classes import Record

_MESA = f"{manifests.PACKAGE}.runners.mesa_adapter:execute_run"
_OURS = (_MESA, *(f"{manifests.PACKAGE}.runners.run:{name}" for name in ("execute_run", "warm")))
"""Functions that a sweep of ours names. Others of the package are not meant to be called so, and might import anything."""


def check_code(directory: str | Path) -> None:
    """Refuse a sweep whose runs import what is not ours.

    Classes that a scenario names by entry points are those of packages that are installed here; they need no consent.

    Raises:
        SweepError: naming the code, and what to do.
        ManifestError: if the directory is no sweep.
    """
    directory = Path(directory)
    if found := _foreign(manifests.read_manifest(directory)):
        shown = "\n  ".join(found)
        raise SweepError(
            f"{directory}: its runs import code that is not citytwin's:\n  {shown}\n"
            "If you know it, and who wrote it, say --trust-code."
        )


def _foreign(manifest: manifests.Manifest) -> list[str]:
    """Return the code of others that a worker would import, in lines to be shown."""
    context = _table(manifest.get("context"))
    named = {"function that makes a run": manifest.get("execute")}
    if context.get("warm"):
        named["function that warms up"] = context["warm"]
    lines = [f"{what}: {path}" for what, path in named.items() if path not in _OURS]
    if manifest.get("execute") == _MESA:
        lines.append(f"model: {context.get('model')}")
    return lines + own_classes(manifest)


def own_classes(manifest: manifests.Manifest) -> list[str]:
    """Return the classes of a user's own that were given to a sweep, in lines to be shown."""
    context = _table(manifest.get("context"))
    if not context.get("own"):
        return []
    from .scenarios.own_classes import KINDS  # late, as it brings scenarios

    own: dict[str, Record] = _table(context["own"])
    records = {kind: _table(own[kind]) for kind in KINDS if kind in own}
    return [
        f"{kind}: {record.get('class')}" + (f" in {record['file']}" if "file" in record else "")
        for kind, record in records.items()
    ]


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

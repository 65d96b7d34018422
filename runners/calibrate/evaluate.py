"""One run of a calibration, in a worker: the scenario with its parameters, of which the compared figures are kept."""

from collections.abc import Mapping
from typing import Any

from ..model import Outputs
from ..run import execute_run
from .settings import of_model

EVALUATE = f"{__name__}:evaluate"


def evaluate(task: Mapping[str, Any], context: Mapping[str, Any]) -> Outputs:
    """Make one run and return its summary, and of its series the days and the figures that are compared.

    Args:
        task: ``city`` (path of a bundle), ``seed`` and ``parameters`` of the run, and what it is made for.
        context: ``model``, the scenario as every run has it, its ``files``, and ``figures``, the wanted names.
    """
    shared = {"scenario": context["model"], "files": context["files"]}
    tables = execute_run({**task, "parameters": of_model(task["parameters"])}, shared)
    series = {name: tables["series"][name] for name in ("day", "date", *context["figures"])}
    return {"summary": tables["summary"] | {"stage": task["stage"], "batch": task["batch"]}, "series": series}

"""Sweep your own ``mesa.Model`` with this runner: committed runs, resume, failures told apart, Parquet.

The model is made as ``Model(**parameters, rng=seed)`` (or ``seed=seed``, whichever it takes) and stepped; what its
``DataCollector`` gathers about the model becomes the table ``series``, the latest values the row of ``summary``.
"""

import hashlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .engine.limits import Limits
from .engine.outcome import SweepError
from .engine.worker import load
from .scenarios.documents import suggestion
from .storage.tables import Outputs, StoreError

if TYPE_CHECKING:
    from .engine.supervisor import Progress
    from .results import Results
    from .sweep import Resume

EXECUTE = f"{__name__}:execute_run"
COLLECTOR = "datacollector"
"""Attribute of a model with its DataCollector, as Mesa's examples have it."""
_SEEDS = ("rng", "seed")


def sweep_mesa(
    model: "type[Any]",
    parameters: Mapping[str, Any],
    *,
    steps: int,
    out: str | Path,
    replicates: int = 1,
    seed: int = 1,
    workers: int | None = None,
    resume: "Resume" = False,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    progress: "Progress | None" = None,
) -> "Results":
    """Run a Mesa model for all combinations of parameters, each with the same seeds.

    Args:
        model: subclass of ``mesa.Model``, in a module that can be imported.
        parameters: what the model is made with; a list, tuple, range or array holds values of which each is tried, all
            else is the same in every run.
        steps: steps of a run; one ends sooner when ``model.running`` is False.
        out: results directory to make, or to go on with.
        replicates: runs of each combination, with the seeds ``seed``, ``seed + 1``, …
        seed: seed of the first replicate.
        workers: worker processes; one a core if None.
        resume: go on with the sweep in ``out``; ``"anyway"`` also with another version of the program.
        limits: time and memory of a run.
        progress: called with (done, failed, total, seconds left).

    Returns:
        The results; ``series`` has a row a collection and a column a model reporter.

    Raises:
        SweepError: if the model cannot be swept; nothing has been run then.
    """
    from .results import Results
    from .sweep import run_sweep

    if steps < 1 or replicates < 1:
        raise SweepError(f"steps {steps}, replicates {replicates}: each must be at least 1")
    path = _path_of(model)
    axes = {name: _values(name, value) for name, value in parameters.items() if _is_axis(value)}
    fixed = {name: _plain(value) for name, value in parameters.items() if not _is_axis(value)}
    keyword = _seed_keyword(model)
    _check_names(model, parameters, keyword)
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    _check_luck(model, fixed | points[0], keyword, seed)
    context = {
        "name": model.__name__,
        "model": path,
        "source": _digest(model),
        "seed_keyword": keyword,
        "steps": steps,
        "fixed": fixed,
    }
    tasks = [
        {
            "run_id": f"p{number:04d}-r{replicate:04d}",
            "point": number,
            "replicate": replicate,
            "seed": seed + replicate,
            "parameters": point,
        }
        for number, point in enumerate(points)
        for replicate in range(replicates)
    ]
    run_sweep(tasks, EXECUTE, context, out, workers=workers, resume=resume, limits=limits, progress=progress)
    return Results(out)


def execute_run(task: Mapping[str, Any], context: Mapping[str, Any]) -> Outputs:
    """Make one run of a Mesa model, in a worker."""
    make: Callable[..., Any] = load(context["model"])
    model = make(**context["fixed"], **task["parameters"], **{context["seed_keyword"]: task["seed"]})
    made = 0
    while made < context["steps"] and model.running:
        model.step()
        made += 1
    return outputs_of(model, made)


def outputs_of(model: Any, made: int) -> Outputs:
    """Return the tables of a model that has been run: its model reporters by collection, and their latest values.

    Args:
        model: the model.
        made: steps that it made.

    Raises:
        StoreError: if a reporter gave what is no number or text.
    """
    collector = getattr(model, COLLECTOR, None)
    gathered = {} if collector is None else collector.model_vars
    series = {name: _column(name, values) for name, values in gathered.items() if len(values)}
    summary = {"steps_made": made} | {name: values[-1] for name, values in series.items()}
    if not series:
        return {"summary": summary}
    count = len(next(iter(series.values())))
    return {"summary": summary, "series": {"collection": np.arange(count, dtype=np.int64), **series}}


def _column(name: str, values: Iterable[Any]) -> Any:
    column = np.array([value.item() if isinstance(value, np.generic) else value for value in values])
    if column.ndim != 1 or column.dtype.kind not in "biufU":
        given = type(next(iter(values))).__name__
        raise StoreError(f"model reporter '{name}' gives {given}; a reporter must give one number, text or bool")
    return column


# ---------------------------------------------------------------------- before it begins


def _path_of(model: "type[Any]") -> str:
    """Return the import path of a model, by which workers find it."""
    import mesa

    if not (isinstance(model, type) and issubclass(model, mesa.Model)):
        raise SweepError(f"{model!r}: not a subclass of mesa.Model")
    path = f"{model.__module__}:{model.__qualname__}"
    if model.__module__ == "__main__" or "." in model.__qualname__:
        raise SweepError(
            f"{path}: workers cannot import a model from the script or notebook that is run, or from inside a function; "
            "put the class into a module of its own, such as my_model.py, and import it"
        )
    return path


def _digest(model: "type[Any]") -> str:
    """Return a checksum of the file of a model: what was made with another one is not gone on with."""
    file = inspect.getsourcefile(model)
    return "" if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def _is_axis(value: Any) -> bool:
    return isinstance(value, list | tuple | range | np.ndarray)


def _values(name: str, values: Iterable[Any]) -> list[Any]:
    found = [_plain(value) for value in values]
    if not found:
        raise SweepError(f"parameter '{name}': no values; give at least one")
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _seed_keyword(model: "type[Any]") -> str:
    """Return the keyword by which a model takes its seed.

    Raises:
        SweepError: if there is none.
    """
    taken = inspect.signature(model).parameters
    named = [name for name in _SEEDS if name in taken and taken[name].kind is not inspect.Parameter.VAR_KEYWORD]
    if named:
        return named[0]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values()):
        return _SEEDS[0]
    raise SweepError(
        f"{model.__name__} takes neither rng nor seed, so that its runs could not be repeated; write "
        "def __init__(self, …, rng=None): super().__init__(rng=rng)"
    )


def _check_names(model: "type[Any]", parameters: Mapping[str, Any], keyword: str) -> None:
    """Refuse parameters that the model does not take, and those that it needs and does not get."""
    taken = inspect.signature(model).parameters
    kinds = inspect.Parameter
    names = [name for name, p in taken.items() if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    if clash := [name for name in _SEEDS if name in parameters]:
        raise SweepError(f"parameter '{clash[0]}': seeds are given by seed and replicates")
    if not any(p.kind is kinds.VAR_KEYWORD for p in taken.values()):
        allowed = [name for name in names if name not in _SEEDS]
        for name in parameters:
            if name not in names:
                near = suggestion(name, allowed)
                raise SweepError(f"parameter '{name}': {model.__name__} takes {', '.join(allowed) or 'none'}{near}")
    for name in names:
        if taken[name].default is kinds.empty and name not in parameters and name != keyword:
            raise SweepError(f"parameter '{name}': {model.__name__} needs it; give it a value")


def _check_luck(model: "type[Any]", parameters: Mapping[str, Any], keyword: str, seed: int) -> None:
    """Make the model twice with one seed, and refuse one that does not hand it on to Mesa."""
    try:
        one, other = (model(**parameters, **{keyword: seed}) for _ in range(2))
    except Exception as error:  # whatever a foreign model raises
        given = ", ".join(f"{name}={value!r}" for name, value in parameters.items())
        raise SweepError(f"{model.__name__}({given}, {keyword}={seed}): {type(error).__name__}: {error}") from error
    same = one.random.getstate() == other.random.getstate()
    if not (same and one.rng.bit_generator.state == other.rng.bit_generator.state):
        raise SweepError(
            f"{model.__name__} does not hand its seed on, so that its runs could not be repeated; write "
            f"super().__init__({keyword}={keyword}) in its __init__"
        )

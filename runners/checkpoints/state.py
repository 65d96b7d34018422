"""Saving a running model, and going on from what was saved."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ...environment.city import City
from ...environment.schema import SCHEMA
from ..engine import manifest
from ..scenarios.scenario import Scenario
from ..scenarios.scenario_files import files_of
from . import files
from .graph import Checksums, Writer
from .reader import Reader, StateError

if TYPE_CHECKING:
    from ..model import CityModel

_SAME_PROGRAM = "the run would not go on as it began; make it again from its beginning"


def save(model: "CityModel", path: Path, unchanged: Checksums | None = None) -> None:
    """Save a model between two steps.

    Args:
        model: the model.
        path: directory to make.
        unchanged: of the fresh model: what is still the same is left out. Without it the state is whole: it can be put
            into a model with another seed too.

    Raises:
        SaveError: if something of the model cannot be saved; the message names it.
        RuntimeError: in the midst of a step.
        OSError: if the disk does not take it; nothing is left then.
    """
    clock = model.clock_state()
    writer = Writer(model, unchanged)
    head = {
        "day": model.day,
        "date": model.date.isoformat(),
        "seed": model.seed_number,
        "whole": unchanged is None,
        "clock": clock,
        "scenario": model.scenario.to_dict(),
        "files": files_of([model.scenario]),
        "program": manifest.program(),
        "city": city_checksum(model.city),
        "begun": [policy.name for policy in model.authority.policies if policy.begun],
    }
    files.write(path, head, writer.tree, writer.arrays)


def restore(model: "CityModel", path: str | Path, *, branch: bool = False) -> None:
    """Put a saved state into a model that was made like the saved one and has not been stepped.

    Args:
        model: the model.
        path: the state.
        branch: whether the scenario may be another than that of the saved model, as :mod:`.branch` has checked.

    Raises:
        StateError: if the state is damaged, or of another scenario, city or program, or does not fit the model.
    """
    head = files.read_head(path)
    check_program(path, head)
    if not branch and head["scenario"] != model.scenario.to_dict():
        raise StateError(
            f"{path}: saved under another scenario; CityModel.from_state goes on under that of the state, and "
            "[clock] from = … lets policies differ from that day on"
        )
    if head["city"] != city_checksum(model.city):
        raise StateError(f"{path}: saved in another city than {model.city.info.name}")
    same_seed = head["seed"] == model.seed_number
    if not same_seed and not head["whole"]:
        raise StateError(
            f"{path}: holds only what has changed in a run with seed {head['seed']}, so the run cannot go on with seed "
            f"{model.seed_number}; save the whole state (model.save, or citytwin run --save)"
        )
    tree, arrays = files.read(path, head)
    try:
        Reader(model, arrays, same_seed=same_seed).restore(tree)
        model.put_clock(head["clock"])
    except StateError as error:
        raise StateError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"{path}: damaged ({type(error).__name__}: {error})") from None


def check_program(path: str | Path, head: dict[str, Any]) -> None:
    """Make sure that a state was saved by this program.

    Raises:
        StateError: if it was not.
    """
    now, then = manifest.program(), head["program"]
    other = [f"{name} {then.get(name, 'none')}, now {now[name]}" for name in now if then.get(name) != now[name]]
    if other:
        raise StateError(f"{path}: saved with {'; '.join(other)}; {_SAME_PROGRAM}")


def scenario_of(head: dict[str, Any]) -> Scenario:
    """Return the scenario of which a state was saved."""
    return _scenario(json.dumps([head["scenario"], head["files"]], sort_keys=True))


@lru_cache(maxsize=2)
def _scenario(text: str) -> Scenario:
    data, contents = json.loads(text)
    return Scenario.from_dict(data, contents)


_checksums: WeakKeyDictionary[City, str] = WeakKeyDictionary()


def city_checksum(city: City) -> str:
    """Return a checksum of the columns of a city, remembered while it lives, as a city at rest never changes."""
    if city not in _checksums:
        total = hashlib.blake2b(digest_size=16)
        for table in SCHEMA:
            columns = getattr(city, table)
            for name in columns:
                total.update(f"{table}.{name}".encode() + np.ascontiguousarray(columns[name]).tobytes())
        _checksums[city] = total.hexdigest()
    return _checksums[city]

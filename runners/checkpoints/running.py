"""Long runs: their state is saved every few days, and when they are asked to stop; the next attempt goes on from there."""

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine import pause
from ..storage.atomic import remove_temporary
from . import files
from .graph import Checksums, SaveError
from .reader import StateError
from .state import restore, save

if TYPE_CHECKING:
    from ..model import CityModel

SET_ASIDE = ".unusable"
"""End of the names of states that a run could not go on from."""


_NAME = re.compile(r"day-\d{5}")


class Checkpoints:
    """The saved states of one run: the latest one, and while it is being written the one before.

    Args:
        folder: where they lie, as ``day-00030``; made when it is needed.
        every: days after which the state is saved; None: only when the run is asked to stop.
        told: called with what went wrong with a state; the run goes on without it.
    """

    def __init__(self, folder: Path, every: int | None = None, told: Callable[[str], None] = print):
        self.folder = folder
        self.every = every
        self._told = told
        self._unchanged: Checksums | None = None

    def begin(self, make: Callable[[], "CityModel"]) -> "CityModel":
        """Return the model as the latest good state has it, or as it was made.

        States that are damaged, or of another run, are set aside.

        Args:
            make: makes the model afresh.

        Raises:
            SaveError: if the state is to be saved every few days, and something of the model cannot be.
        """
        model = self._made(make)
        remove_temporary(self.folder)
        for path in self._states():
            try:
                self._check_same_run(path, model)
                restore(model, path)
            except StateError as error:
                self._told(f"{error}; it is set aside")
                self._set_aside(path)
                model = self._made(make)
            else:
                return model
        return model

    def after_step(self, model: "CityModel") -> None:
        """Save the state if it is due or the run is asked to stop.

        Raises:
            Paused: if the run is asked to stop and its state is saved.
        """
        if not model.running:
            return
        if pause.asked():
            if self._save(model):
                raise pause.Paused(f"on day {model.day}")
        elif self.every is not None and model.day % self.every == 0:
            self._save(model)

    def latest_day(self) -> int | None:
        """Return the day of the latest state, None if there is none."""
        return next((int(path.name.removeprefix("day-")) for path in self._states()), None)

    def remove(self) -> None:
        """Remove the states, which a run that is done has no use for."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others may have theirs there
            self.folder.parent.rmdir()

    # ------------------------------------------------------------------ parts

    def _made(self, make: Callable[[], "CityModel"]) -> "CityModel":
        model = make()
        if self.every is not None:
            self._unchanged = Checksums(model)
        return model

    def _save(self, model: "CityModel") -> bool:
        """Save the state and remove older ones; return whether it stands on the disk."""
        path = self.folder / f"day-{model.day:05d}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                save(model, path, self._unchanged)
        except (OSError, SaveError, RuntimeError) as error:
            self._told(f"{path}: the state could not be saved ({error}); the run goes on without")
            return False
        for old in self._states():
            if old != path:
                files.remove(old)
        return True

    def _states(self) -> list[Path]:
        """Return the states, latest first."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted((path for path in found if _NAME.fullmatch(path.name)), reverse=True)

    def _check_same_run(self, path: Path, model: "CityModel") -> None:
        head = files.read_head(path)
        if head["seed"] != model.seed_number or head["scenario"] != model.scenario.to_dict():
            raise StateError(f"{path}: of another run (its scenario or its seed is another)")

    def _set_aside(self, path: Path) -> None:
        aside = path.with_suffix(SET_ASIDE)
        with contextlib.suppress(OSError):
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)

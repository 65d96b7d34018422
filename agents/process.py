"""Process: one thing that moves the city forward in time (an epidemic, traffic, a flood, emergency response).

Processes never call each other. They read and write columns of citizens and layers of the city, and the model advances
them in one fixed order.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, ClassVar

from numpy.typing import NDArray
from pydantic import BaseModel


class Process:
    """Base of all processes; its defaults do nothing, so a process overrides only what it has to say.

    A process of one's own is a class like this, named by the entry point group ``citytwin.processes``.

    Attributes:
        section: name of its section in a scenario file, for example ``"epidemic"``.
        Settings: pydantic model of that section; it must refuse unknown keys.
        indicators: figures that policies may ask for (``when = "incidence > 50"``), each with its meaning and unit.
        file_keys: keys of the section that may name a TOML file in place of a table with its content; ``Settings`` takes
            both. A path starts at the scenario's folder. Where a key takes names of other things too, a file is told by
            a slash or the suffix ``.toml``. Results keep the content, and all runs of a sweep are made with that.
        path_keys: keys that name files which are read where the section is used, each by the way to it below the section,
            with ``"*"`` for every entry of a list. A path starts at the scenario's folder.
        not_saved: names of attributes that saved states leave out, as they are made again when they are wanted; those of
            base classes are added. All others are saved, with all that can be reached from them. When a state has been put
            back, a method ``after_restore()`` is called, and ``after_branch()`` if it goes on under another seed, to draw
            anew what had been drawn about the future.
        table_names: names of the tables that :meth:`tables` can yield, written where ``[output] tables`` asks for them.

    Args:
        model: the CityModel.
        settings: the section, an instance of ``Settings``.
    """

    not_saved: ClassVar[tuple[str, ...]] = ()

    section: ClassVar[str] = ""
    Settings: ClassVar[type[BaseModel]] = BaseModel
    indicators: ClassVar[dict[str, str]] = {}
    file_keys: ClassVar[tuple[str, ...]] = ()
    path_keys: ClassVar[tuple[tuple[str, ...], ...]] = ()
    table_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: Any, settings: Any):
        self.model = model
        self.settings = settings

    @classmethod
    def misfits(cls, settings: Any, people: int) -> dict[str, str]:  # noqa: ARG003
        """Return which keys of a section do not fit a city of so many people, each with what is wrong.

        Args:
            settings: the section, an instance of ``Settings``.
            people: number of people of the city.
        """
        return {}

    @classmethod
    def clock_misfits(
        cls,
        settings: Any,  # noqa: ARG003
        days: int,  # noqa: ARG003
        day: Callable[[date], int],  # noqa: ARG003
    ) -> dict[tuple[str | int, ...], str]:
        """Return which keys of a section do not fit the clock, each by the path to it, with what is wrong.

        Args:
            settings: the section, an instance of ``Settings``.
            days: length of the run.
            day: day of the run (0 is the first) that a date is.
        """
        return {}

    @classmethod
    def file_problems(
        cls,
        settings: Any,  # noqa: ARG003
        start: date,  # noqa: ARG003
        days: int,  # noqa: ARG003
        city: Any,  # noqa: ARG003
    ) -> dict[tuple[str | int, ...], str]:
        """Open the files of ``path_keys`` before any run, and return what is wrong, by the path to the key that names it.

        Args:
            settings: the section, an instance of ``Settings``.
            start: date of the first day.
            days: length of the run.
            city: the City, or None if it has yet to be built; then files are not compared with it.
        """
        return {}

    @classmethod
    def city_problems(cls, settings: Any, city: Any) -> list[str]:  # noqa: ARG003
        """Return why a section could not run in a city, for ``citytwin check``; each begins with its key if there is one.

        Args:
            settings: the section, an instance of ``Settings``.
            city: the City.
        """
        return []

    @classmethod
    def named_classes(cls, settings: Any) -> dict[str, type]:  # noqa: ARG003
        """Return the classes of other packages that a section names, by key and name; results keep whose code it was.

        Args:
            settings: the section, an instance of ``Settings``.
        """
        return {}

    def wake(self, start: float) -> None:
        """Make what changed overnight, before anybody decides about the step that begins at ``start`` (s)."""

    def advance(self, start: float, end: float) -> None:
        """Move the process from ``start`` to ``end``, in seconds since the clock's start."""

    def indicator_values(self) -> dict[str, float]:
        """Return the value of every indicator as it stands now."""
        return {}

    def series(self) -> dict[str, int | float]:
        """Return the figures of the step just made, always the same names in the same order."""
        return {}

    def zone_series(self) -> dict[str, NDArray[Any]]:
        """Return figures of the step just made by zone of the city, each of shape (zones,)."""
        return {}

    def age_series(self) -> dict[str, NDArray[Any]]:
        """Return figures of the step just made by age group of ten years (0–9, … 80 and over), each of shape (9,)."""
        return {}

    def summary(self) -> dict[str, int | float]:
        """Return the figures of the whole run, asked for at its end."""
        return {}

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return further tables of the run by name: column name to column, all of one length within a table."""
        return {}

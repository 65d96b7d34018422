"""Street designs of a scenario: their files, what is wrong with them, and the city on which they are built."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...environment.design import Design, DesignError
from .documents import KeyPath, Node, Problem, dotted_key
from .sections import CitySettings, DesignedCity, DesignSettings

SECTION = "design"


def content_of(settings: DesignSettings, files: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a design says, as JSON can hold it, under the name that the scenario gives it.

    Args:
        settings: its section.
        files: contents by path of files that are taken as they were once read.

    Raises:
        DesignError: if its file cannot be read.
    """
    if settings.file is None:
        content: dict[str, Any] = {"changes": settings.changes or []}
        content |= {} if settings.crs is None else {"crs": settings.crs}
    else:
        content = files[settings.file] if settings.file in files else _read(settings.file)
    return {**content, "name": settings.name}


def _read(path: str) -> dict[str, Any]:
    """Return the content of a file, read again only when it was written since."""
    try:
        stamp = Path(path).stat()
    except OSError:
        return _content(path, 0, 0)  # says what is wrong
    return _content(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=32)
def _content(path: str, written: int, size: int) -> dict[str, Any]:  # noqa: ARG001
    from ...environment.design.read import read_content

    return read_content(Path(path), path)


def design_problems(
    document: Node, designs: Sequence[DesignSettings | None], files: Mapping[str, Any]
) -> list[Problem]:
    """Find what is wrong with designs whatever the city, those that are not built included."""
    problems = []
    for number, settings in enumerate(designs):
        if settings is None:
            continue
        key: KeyPath = (SECTION, number, "changes" if settings.file is None else "file")
        label = f"design '{settings.name}'" if settings.file is None else Path(settings.file).name
        try:
            Design.from_dict(content_of(settings, files), label)
        except DesignError as error:
            where = document.nearest(key).where
            problems += [Problem(where, dotted_key(document, key), line) for line in error.problems]
    return problems


def designed(city: CitySettings, designs: Iterable[DesignSettings | None], files: Mapping[str, Any]) -> CitySettings:
    """Return the settings of a city with the designs that are built on it; the same settings if none is."""
    contents = tuple(content_of(settings, files) for settings in designs if settings is not None and settings.built)
    if not contents:
        return city
    plain = {name: getattr(city, name) for name in CitySettings.model_fields}
    return DesignedCity(**plain, designs=contents)


def built_designs(city: CitySettings) -> list[Design]:
    """Return the designs that are built on a city, in the order in which they are applied."""
    return [Design.from_dict(content) for content in city.designs] if isinstance(city, DesignedCity) else []

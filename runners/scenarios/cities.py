"""Cities of scenarios: how they come to be, and where a sweep keeps those that it has built."""

import hashlib
import json
import re
import shlex
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from ...environment.city import City, CityError
from .documents import CITY_KINDS
from .sections import CitySettings, DesignedCity

CITIES = "cities"
"""Folder of a results directory in which the cities built for it lie as bundles."""

_SPELT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "œ": "oe", "ł": "l"})


def build_city(settings: CitySettings) -> City:
    """Build or load the city of a scenario, with the designs that are built on it.

    Raises:
        CityError: if that is not possible; the message names file and remedy.
        DesignError: if a design does not fit the city.
    """
    if isinstance(settings, DesignedCity):
        return redrawn(build_city(settings.before), settings)
    if settings.bundle is not None:
        return City.load(settings.bundle)
    if settings.synthetic is not None:
        invented = settings.synthetic
        return City.synthetic(invented.people, seed=invented.seed, name=invented.name, country=invented.country)
    if settings.census is not None:
        counted = settings.census
        return City.from_census(counted.file, seed=counted.seed, name=counted.name)
    if settings.one_place is not None:
        room = settings.one_place
        return City.one_place(room.people, age=room.age, name=room.name)
    if settings.sumo is not None:
        network = settings.sumo
        return City.from_sumo(network.file, network.additional, network.name, network.crs)
    if settings.lines is not None:
        given = settings.lines.model_dump()
        return City.from_lines(given.pop("file"), given.pop("name"), **given)
    town = settings.osm
    assert town is not None
    return City.from_osm(
        town.file, people=town.people, seed=town.seed, census=town.census, name=town.name, country=town.country
    )


def redrawn(city: City, settings: DesignedCity) -> City:
    """Return a city with the designs of settings built on it, one after the other.

    Raises:
        DesignError: if one does not fit the city.
    """
    from ...environment.design import Design

    for content in settings.designs:
        city = Design.from_dict(content).apply(city)
    return city


def check_city(settings: CitySettings) -> None:
    """Make sure, without building it, that the files of a city are there.

    Raises:
        CityError: if one is missing.
    """
    for message in missing_files(settings).values():
        raise CityError(message)


def missing_files(settings: CitySettings) -> dict[tuple[str | int, ...], str]:
    """Return what to say of each file of a city that is not there, by its key below ``[city]``."""
    missing: dict[tuple[str | int, ...], str] = {}
    bundle = settings.bundle
    if bundle is not None and not (Path(bundle) / "city.json").is_file():
        what = "not a city bundle (no city.json)" if Path(bundle).exists() else "no such city bundle"
        example = f"citytwin city synthetic --people 50000 --out {shlex.quote(bundle)}"
        missing["bundle",] = f"{bundle}: {what}; make one, for example: {example}"
    for path, file in settings.files.items():
        if not Path(file).is_file():
            missing[path] = absent(file)
    return missing


def absent(file: str) -> str:
    """Return what to say of a file of a scenario that is none."""
    what = "is not a file" if Path(file).exists() else "no such file"
    return f"{file}: {what}; a path in a scenario starts at the scenario's folder"


def bundle_name(settings: CitySettings) -> str:
    """Return a folder name for a built city; it differs wherever the settings do."""
    text = json.dumps(settings.model_dump(mode="json", exclude_none=True), sort_keys=True)
    source = next((of for of in (getattr(settings, kind) for kind in CITY_KINDS if kind != "bundle") if of), None)
    files = [Path(file).name.partition(".")[0] for file in (settings.bundle, *settings.files.values()) if file]
    named = None if source is None else source.name
    kind = named or (files or ["one place" if settings.one_place is not None else "invented"])[0]
    size = f"-{settings.people}" if settings.people else ""
    return f"{slug(kind)}{size}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.city"


def prepare_cities(
    wanted: Iterable[CitySettings], folder: Path, *, told: Callable[[str], None] | None = None
) -> list[Path]:
    """Build each city that is wanted once and keep it as a bundle.

    Args:
        wanted: cities, equal ones any number of times.
        folder: where the bundles go; one that lies there already is used.
        told: called with what is about to be built.

    Returns:
        The bundle of each of the wanted cities; a city that is a bundle already stays where it is, and one that is
        redrawn is a bundle beside that of the city before.

    Raises:
        CityError: if one cannot be built or kept.
        DesignError: if a design does not fit its city.
    """
    wanted = list(wanted)
    for settings in wanted:
        check_city(settings)
    made: dict[str, Path] = {}
    paths = []
    for settings in wanted:
        key = settings.model_dump_json()
        if key not in made:
            made[key] = _kept(settings, folder, told)
        paths.append(made[key])
    return paths


def _kept(settings: CitySettings, folder: Path, told: Callable[[str], None] | None) -> Path:
    if settings.bundle is not None and not isinstance(settings, DesignedCity):
        return Path(settings.bundle)
    path = folder / bundle_name(settings)
    if (path / "city.json").is_file():
        return path
    missing = next((new for new in reversed([folder, *folder.parents]) if not new.exists()), None)
    try:
        # the city before is kept, too: every design of a sweep is built on it
        before = _kept(settings.before, folder, told) if isinstance(settings, DesignedCity) else None
        if told is not None:
            told(f"building the city {path.name}")
        if before is not None and isinstance(settings, DesignedCity):
            return redrawn(City.load(before), settings).save(path)
        return build_city(settings).save(path)
    except BaseException:
        if missing is not None:
            shutil.rmtree(missing, ignore_errors=True)
        raise


def slug(name: str) -> str:
    """Return a name as one word of letters, digits and hyphens that is safe as a file name.

    Umlauts are written out and accents left off; letters of other scripts stay.
    """
    spelt = name.lower().translate(_SPELT)
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(sign))
    return re.sub(r"[\W_]+", "-", bare).strip("-")[:60].strip("-") or "scenario"

"""City bundles on disk: written whole or not at all, every file with a checksum that is compared when it is read.

Layout: see :mod:`city`. Files are untrusted: nothing is unpickled, sizes and types come from the headers of numpy's own
format, and what a column may hold is checked by :mod:`schema`.
"""

import json
import math
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .schedules import Schedule
from .schema import (
    OLDEST_VERSION,
    SCHEDULE_COLUMNS,
    SCHEMA,
    SCHEMA_VERSION,
    CityError,
    CityInfo,
    CityParts,
    Source,
)

if TYPE_CHECKING:
    import geopandas

HEAD = "city.json"
_MOST_HEAD = 50_000_000  # bytes of city.json
_SOURCE, _SOURCE_FILE = {"name", "licence", "attribution"}, {"file", "sha256"}


def write_bundle(
    path: Path,
    info: CityInfo,
    tables: Mapping[str, Mapping[str, NDArray[Any]]],
    schedules: list[Schedule],
    layers: Mapping[str, "geopandas.GeoDataFrame"],
    *,
    overwrite: bool,
) -> Path:
    """Write a bundle; it appears under its name only when complete.

    Args:
        path: directory to make.
        info: what ``city.json`` is to say.
        tables: columns by table.
        schedules: one a day type.
        layers: GeoDataFrames by name.
        overwrite: replace a bundle that stands there.

    Raises:
        CityError: if something stands at the path, or the disk does not take the bundle; nothing is left behind.
    """
    if path.exists() and not (overwrite and (path / HEAD).is_file()):
        what = "is not a city bundle" if overwrite else "exists already"
        raise CityError(f"{path}: {what}; choose another name or remove it first")
    stage: Path | None = None
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        stage.chmod(0o755)
        columns = {f"{table}/{name}.npy": tables[table][name] for table, specs in SCHEMA.items() for name in specs}
        for number, schedule in enumerate(schedules):
            columns |= {f"schedules/{number}/{name}.npy": getattr(schedule, name) for name in SCHEDULE_COLUMNS}
        size = sum(values.nbytes for values in columns.values())
        for name, values in columns.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(stage / name, values, allow_pickle=False)
        (stage / "layers").mkdir()
        for name, layer in layers.items():
            layer.to_parquet(stage / "layers" / f"{name}.parquet", compression="zstd")
        files = [*columns, *(f"layers/{name}.parquet" for name in layers)]
        counts = {table: len(tables[table]) for table in SCHEMA}
        head = asdict(info) | {"counts": counts, "checksums": {name: _checksum(stage / name) for name in files}}
        (stage / HEAD).write_text(json.dumps(head, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if path.exists():
            old = stage.with_name(stage.name + ".old")
            path.rename(old)
            stage.rename(path)
            shutil.rmtree(old)
        else:
            stage.rename(path)
    except OSError as error:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        # numpy gives no reason when a write is cut short
        reason = error.strerror or "the disk is full?"
        need = f"about {max(1, round(size / 1e6)):,} MB are needed; " if size else ""
        raise CityError(f"{path}: cannot write the city ({reason}); {need}nothing was kept") from None
    return path


def read_bundle(path: Path) -> CityParts:
    """Open a bundle, its columns mapped into memory.

    Raises:
        CityError: if the directory is no bundle, or a file of it is missing or damaged.
    """
    head = _read_head(path)
    sums, version = head.pop("checksums"), head.pop("schema_version")
    tables = {
        table: {
            name: _open_column(path, f"{table}/{name}.npy", spec.dtype, sums)
            for name, spec in specs.items()
            if spec.since <= version
        }
        for table, specs in SCHEMA.items()
    }
    schedules = [
        Schedule(
            **{
                name: _open_column(path, f"schedules/{number}/{name}.npy", dtype, sums)
                for name, dtype in SCHEDULE_COLUMNS.items()
            }
        )
        for number in range(len(head["day_types"]))
    ]
    head["sources"] = [Source(**source) for source in head["sources"]]
    return CityParts(CityInfo(**head), tables, schedules, {})


def read_layer(path: Path, name: str) -> "geopandas.GeoDataFrame | None":
    """Read a GeoParquet layer of a bundle; None if the bundle was written without it.

    Raises:
        CityError: if it is missing or damaged.
    """
    file = f"layers/{name}.parquet"
    sums = _read_head(path)["checksums"]
    if file not in sums:
        return None
    _compare(path, file, sums)
    import geopandas

    try:
        return geopandas.read_parquet(path / file)
    except (OSError, ValueError) as error:
        raise CityError(f"{path / file}: cannot be read ({error}); build the city again") from None


# ------------------------------------------------------------------ files


def _checksum(file: Path) -> str:
    """Return the CRC-32 of a file: against accidents, not against forgery."""
    with file.open("rb") as stream:
        value = 0
        while chunk := stream.read(1 << 24):
            value = zlib.crc32(chunk, value)
    return f"{value:08x}"


def _compare(path: Path, name: str, sums: Mapping[str, str]) -> None:
    file = path / name
    if not file.is_file():
        raise CityError(f"{file}: column is missing; build the city again")
    if name not in sums:
        raise CityError(f"{path / HEAD}: no checksum of {name}; build the city again")
    if _checksum(file) != sums[name]:
        raise CityError(f"{file}: is damaged, it is not what was written; build the city again")


def _open_column(path: Path, name: str, dtype: str, sums: Mapping[str, str]) -> NDArray[Any]:
    """Map a column into memory; an empty one, which cannot be mapped, is read."""
    _compare(path, name, sums)
    file = path / name
    try:
        with file.open("rb") as stream:
            shape, _, _ = _read_header(stream)
            if 0 in shape:
                return np.empty(shape, dtype)
        return np.lib.format.open_memmap(file, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise CityError(f"{file}: not a whole column of {dtype} ({error}); build the city again") from None


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"version {version} of the format is not read here")
    return read[version](stream)


# ------------------------------------------------------------------ city.json


def _read_head(path: Path) -> dict[str, Any]:
    """Read ``city.json`` and check every key of it; returns the arguments of CityInfo, and ``checksums``."""
    file = path / HEAD
    if not file.is_file():
        raise CityError(f"{path}: not a city bundle (no {HEAD}); build one with 'citytwin city … --out {path}'")

    def refuse(why: str) -> CityError:
        return CityError(f"{file}: not a valid city description: {why}; build the city again")

    try:
        if file.stat().st_size > _MOST_HEAD:
            raise refuse(f"larger than {_MOST_HEAD // 1_000_000} MB")
        raw = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CityError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise refuse("not JSON") from None
    if not isinstance(raw, dict):
        raise refuse("not a table of keys")
    version = raw.get("schema_version", "none")
    if version not in range(OLDEST_VERSION, SCHEMA_VERSION + 1):
        read = f"{OLDEST_VERSION} to {SCHEMA_VERSION}"
        raise CityError(f"{file}: schema {version}, this citytwin reads {read}; build the city again")
    checks = {
        "name": lambda v: isinstance(v, str),
        "crs": lambda v: isinstance(v, str) and v,
        "bounds": lambda v: _numbers(v, 4) and v[0] <= v[2] and v[1] <= v[3],
        "seed": lambda v: isinstance(v, int) and 0 <= v < 2**64,
        "week": lambda v: _numbers(v, 7) and all(isinstance(day, int) for day in v),
        "day_types": lambda v: isinstance(v, list) and 0 < len(v) <= 7 and all(isinstance(day, str) for day in v),
        "sources": lambda v: isinstance(v, list) and all(_is_source(source) for source in v),
        "report": lambda v: isinstance(v, dict),
        "checksums": _texts,
    }
    for key, holds in checks.items():
        if key not in raw:
            raise refuse(f"'{key}' is missing")
        if not holds(raw[key]):
            raise refuse(f"'{key}' is {str(raw[key])[:60]}")
    head = {key: raw[key] for key in ("schema_version", *checks)}
    return head | {key: tuple(raw[key]) for key in ("bounds", "week", "day_types")}


def _numbers(value: Any, count: int) -> bool:
    """Return whether a value is a list of so many finite numbers."""
    if not isinstance(value, list) or len(value) != count:
        return False
    return all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)


def _texts(value: Any) -> bool:
    """Return whether a value is a table of texts."""
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_source(value: Any) -> bool:
    """Return whether a value can be a Source."""
    return _texts(value) and _SOURCE <= value.keys() <= _SOURCE | _SOURCE_FILE

"""What an answer leaves in a folder: a table of plans, stations of each as GeoJSON and as a scenario, cover, and maps."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..reports.geo import ABOUT
from ..storage.tables import StoreError
from .answer import facts

if TYPE_CHECKING:
    import geopandas

    from .answer import Answer

UNITS = (
    "shares from 0 to 1; times in seconds; _low and _high: interval of the mean; _difference: to the plan compared with; "
    "median and p90: of the calls of all runs, their intervals as wide as those of the runs' own"
)


def write(answer: "Answer", folder: Path) -> list[Path]:
    """Write an answer into a folder that is there and empty.

    ``plans.parquet`` has a row a plan; ``plan_1.geojson`` … hold the stations (degrees), ``plan_1.toml`` … the same as a
    part of a scenario; ``cover.parquet`` (GeoParquet) a row a cell from which calls come, with the seconds to the first
    unit under each plan; ``map.png`` shows the best plan and ``today.png`` that of today.

    Raises:
        StoreError: if something cannot be written.
    """
    from .pictures import save_picture

    told = facts(answer)
    try:
        paths = [_plans(told, folder / "plans.parquet"), _cover(answer, told, folder / "cover.parquet")]
        for plan in told["plans"]:
            paths.append(_stations(plan, folder / f"plan_{plan['plan']}.geojson"))
            paths.append(_scenario(answer, plan, folder / f"plan_{plan['plan']}.toml"))
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror or error})") from None
    paths.append(save_picture(answer, answer.best, folder / "map.png"))
    if answer.today is not None:
        paths.append(save_picture(answer, answer.today, folder / "today.png"))
    return paths


def _about(told: dict[str, Any]) -> bytes:
    kept = {name: value for name, value in told.items() if name != "plans"}
    return json.dumps(kept | {"figures": UNITS}, ensure_ascii=False).encode()


def _plans(told: dict[str, Any], path: Path) -> Path:
    """Write a row a plan, with a column for each mean and each end of an interval."""
    import pandas
    import pyarrow
    from pyarrow import parquet

    rows = []
    for plan in told["plans"]:
        row: dict[str, Any] = {}
        for name, value in plan.items():
            if name == "methods":
                row[name] = ", ".join(value)
            elif name == "worst_zone":
                row["worst_zone"], row["worst_zone_in_time"] = value["name"], value["in_time"]
            elif name == "in_time_by_priority":
                row |= {f"in_time_priority_{priority}": share for priority, share in value.items()}
            elif isinstance(value, dict):
                row |= {name if end == "mean" else f"{name}_{end}": number for end, number in value.items()}
            elif name != "stands":
                row[name] = value
        rows.append(row)
    table = pyarrow.Table.from_pandas(pandas.DataFrame(rows), preserve_index=False)
    metadata = {**(table.schema.metadata or {}), ABOUT: _about(told)}
    parquet.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")
    return path


def _stations(plan: dict[str, Any], path: Path) -> Path:
    """Write the stations of a plan as GeoJSON (RFC 7946, degrees)."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [station["longitude"], station["latitude"]]},
            "properties": {name: station[name] for name in ("name", "units", "today")},
        }
        for station in plan["stands"]
    ]
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False), encoding="utf-8"
    )
    return path


def _scenario(answer: "Answer", plan: dict[str, Any], path: Path) -> Path:
    """Write the stations of a plan as a scenario file has them."""
    question = answer.question
    lines = [
        f"[response.fleet.{json.dumps(question.fleet)}]",
        f"units = {plan['units'] - question.working}",
        "stations = [",
    ]
    lines += [
        f"  {{ name = {json.dumps(station['name'], ensure_ascii=False)}, longitude = {station['longitude']}, "
        f"latitude = {station['latitude']}, units = {station['units']} }},"
        for station in plan["stands"]
    ]
    path.write_text("\n".join([*lines, "]", ""]), encoding="utf-8")
    return path


def cover_layer(answer: "Answer") -> "geopandas.GeoDataFrame":
    """Return a row a cell: expected calls a day, and under each plan seconds from a call to the first unit if it is free."""
    import geopandas
    import shapely

    demand = answer.demand
    half = demand.side / 2
    columns: dict[str, Any] = {"calls_per_day": demand.calls}
    for number, plan in enumerate(answer.plans, 1):
        seconds = answer.seconds(plan.plan.units)
        columns[f"seconds_plan_{number}"] = np.where(np.isfinite(seconds), seconds, np.nan)
    shapes = shapely.box(demand.x - half, demand.y - half, demand.x + half, demand.y + half)
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=answer.question.city.info.crs)


def _cover(answer: "Answer", told: dict[str, Any], path: Path) -> Path:
    from pyarrow import parquet

    plain = io.BytesIO()
    cover_layer(answer).to_parquet(plain)
    table = parquet.read_table(plain)
    metadata = {**(table.schema.metadata or {}), ABOUT: _about(told)}
    parquet.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")
    return path

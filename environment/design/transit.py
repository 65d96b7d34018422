"""New stops and lines of a design as tables, for whoever makes timetables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely import Geometry

from .changes import Change

if TYPE_CHECKING:
    import pandas as pd

AT_STOP = 50.0  # m within which a corner of a line is a stop that has a name, assumed


def new_transit(changes: tuple[Change, ...], shapes: Mapping[int, Geometry | None]) -> "dict[str, pd.DataFrame]":
    """Return the tables that :meth:`Design.transit` describes.

    Args:
        changes: those of the design.
        shapes: geometry of each by its number, in the CRS of the city.
    """
    import pandas as pd

    stops: list[tuple[str, float, float]] = []
    for change in changes:
        shape = shapes[change.number]
        if change.kind == "new_stop" and shape is not None:
            stops.append((change.values["name"], shape.x, shape.y))
    lines: list[dict[str, Any]] = []
    served: list[tuple[int, int, int, float]] = []
    for change in changes:
        shape = shapes[change.number]
        if change.kind != "new_line" or shape is None:
            continue
        number, values = len(lines), change.values
        lines.append(
            {
                "line": number,
                "name": values["name"],
                "mode": values["mode"],
                "headway": values["headway"] * 60.0,
                "first": values["first"],
                "last": values["last"],
                "speed": values["kmh"] / 3.6,
                "capacity": values["capacity"],
                "both": values["both"],
            }
        )
        whole = shapely.line_merge(shape) if shape.geom_type == "MultiLineString" else shape
        for order, (x, y, metres) in enumerate(_places(whole, values["spacing"])):
            gaps = [np.hypot(x - stop[1], y - stop[2]) for stop in stops]
            stop = int(np.argmin(gaps)) if gaps and min(gaps) <= AT_STOP else len(stops)
            if stop == len(stops):
                stops.append((f"{values['name']} {order + 1}", x, y))
            served.append((number, order, stop, metres))
    stop_table = pd.DataFrame(stops, columns=["name", "x", "y"])
    stop_table.insert(0, "stop", np.arange(len(stops)))
    columns = ["line", "name", "mode", "headway", "first", "last", "speed", "capacity", "both"]
    return {
        "stops": stop_table,
        "lines": pd.DataFrame(lines, columns=columns),
        "line_stops": pd.DataFrame(served, columns=["line", "order", "stop", "metres"]),
    }


def _places(line: Geometry, spacing: float | None) -> list[tuple[float, float, float]]:
    """Return x, y and metres along the line of each stop: its corners, or evenly about ``spacing`` metres apart."""
    if spacing is None:
        xy = shapely.get_coordinates(line)
        metres = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
        return [(float(x), float(y), float(m)) for (x, y), m in zip(xy, metres, strict=True)]
    number = max(1, round(line.length / spacing))
    metres = np.linspace(0.0, line.length, number + 1)
    points = shapely.line_interpolate_point(line, metres)
    return [(float(p.x), float(p.y), float(m)) for p, m in zip(points, metres, strict=True)]

"""Curves of whatever a series holds, one panel a column: median over the seeds of a point, and lowest to highest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..storage.tables import ID_COLUMNS
from .curves import (
    draw_line,
    draw_others,
    has_curves,
    legend_of,
    point_looks,
    put_legend_below,
    style_axes,
    style_dates,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..results import Results

MOST = 6
"""Panels of a picture."""
_LEAST_STEPS = 3
_STEPS = ("date", "day", "collection")
"""Columns along which curves are drawn: the first that there is."""
_PANELS = {
    "new_infections": "new infections a day",
    "hospital_patients": "patients in hospital",
    "icu_patients": "patients in intensive care",
    "dead": "deaths so far",
    "trips": "trips a day",
    "vehicle_km": "vehicle-km a day",
    "delay_hours": "delay, vehicle-hours a day",
    "co2_t": "CO2, t a day",
}
"""Columns that a citytwin series may have and that are shown, with what the axis says."""


@dataclass(frozen=True)
class Panel:
    """A column of the series that is drawn.

    Attributes:
        column: its name.
        label: what the axis says, with the unit.
    """

    column: str
    label: str


def panels_of(results: "Results") -> list[Panel]:
    """Return what is worth a panel: the known columns that are not always 0, or of a foreign model all numbers."""
    series = results.series if "series" in results.tables else None
    if series is None or (step := next((name for name in _STEPS if name in series), None)) is None:
        return []
    if series[step].nunique() < _LEAST_STEPS:
        return []
    if has_curves(results) or results.is_of_city:
        found = [Panel(column, label) for column, label in _PANELS.items() if column in series]
    else:
        numbers = series.select_dtypes("number").columns
        found = [Panel(name, name) for name in numbers if name not in (*ID_COLUMNS, *_STEPS)]
    return [panel for panel in found if (series[panel.column] != 0).any()][:MOST]


def draw_bands(results: "Results", panels: list[Panel], *, narrow: bool = False) -> "Figure":
    """Draw the panels, two beside each other or, for a phone, all below each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series = results.series
    step = next(name for name in _STEPS if name in series)
    columns = 1 if narrow or len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    looks = point_looks(results)
    legend = [] if has_curves(results) else legend_of(results, looks)  # the picture of the epidemic has it already
    entries = sum(len(lines) + bool(title) for title, lines in legend)
    height = 2.3 * rows + 0.4 + 0.2 * entries
    figure = Figure(figsize=(5.0 if narrow else 10.0, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, squeeze=False)).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    by_point = {int(point): rows for point, rows in series.groupby("point", sort=True)}
    for axes, panel in zip(grid, panels, strict=False):
        draw_others(axes, by_point, looks, step, panel.column)
        for point, look in looks.items():
            if point in by_point:
                draw_line(axes, by_point[point], step, panel.column, look, faint=len(looks) >= 4)
        style_axes(axes)
        axes.set_ylabel(panel.label)
        if step == "date":
            style_dates(axes)
        else:
            axes.set_xlabel(step)
    for axes in grid[max(len(panels) - columns, 0) : len(panels)]:
        axes.tick_params(labelbottom=True)  # also above a place that is empty
    put_legend_below(figure, legend)
    return figure

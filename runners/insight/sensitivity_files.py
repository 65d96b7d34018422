"""Which parameters move an indicator, as a picture and as a table."""

import io
import textwrap
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compare import LEVEL
from ..reports.curves import DPI, GREY, PALETTE, thousands
from ..reports.files import ANALYSIS, METADATA, PICTURES, TABLES, check_target, write_target
from ..reports.labels import counted, short_names
from .sensitivity import MEASURES, MORRIS, RANKS, SOBOL, Finding, Index, Sensitivity
from .sensitivity_text import HEADS, by_weight, heading, measure_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = "#d8dee4"
LONGEST_NAME = 40
"""Characters of a parameter's name beside its bar."""


def save_picture(found: Sensitivity, path: Path) -> Path:
    """Write the bars with their intervals.

    Args:
        found: what was found.
        path: file to write, ``….png``, ``….svg`` or ``….pdf``; an older one of ours is replaced.

    Raises:
        StoreError: if another file stands there, or it cannot be written.
    """
    check_target(path, PICTURES)
    return write_target(path, picture(found, path.suffix.lower()[1:]))


def picture(found: Sensitivity, kind: str = "png") -> bytes:
    """Return the picture: a row an indicator, a bar a parameter and measure.

    Args:
        found: what was found.
        kind: png, svg or pdf.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, bars = len(found.findings), len(found.parameters)
    figure = Figure(figsize=(9.0, 0.9 + rows * (1.3 + 0.36 * bars)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, finding in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], found.findings, strict=True):
        _draw(axes, finding, found)
    size = f"{counted(found.points, 'point')}, {counted(found.replicates, 'replicate')}"
    said = f"{found.design}, {size}; black: {LEVEL:.0%} intervals"
    figure.suptitle(said, x=0.02, ha="left", fontsize=10, color=GREY)
    target = io.BytesIO()
    figure.savefig(target, format=kind, dpi=DPI, metadata=METADATA[kind])
    return target.getvalue()


def _draw(axes: "Axes", finding: Finding, found: Sensitivity) -> None:
    names = short_names(found.parameters)
    order = by_weight(finding, found.parameters)[::-1]
    measures = MEASURES[finding.method]
    measure = measure_in(finding)
    scale = measure.scale if finding.method == MORRIS else 1.0
    thick = 0.8 / len(measures)
    for number, one in enumerate(measures):
        indices = [finding.of(one, name) for name in order]
        at = [row + 0.4 - thick * (number + 0.5) for row in range(len(order))]
        middle = [index.estimate * scale for index in indices]
        axes.barh(at, middle, thick, color=PALETTE[number], label=HEADS[one])
        known = [not isnan(index.low) for index in indices]
        axes.hlines(
            [y for y, k in zip(at, known, strict=True) if k],
            [index.low * scale for index, k in zip(indices, known, strict=True) if k],
            [index.high * scale for index, k in zip(indices, known, strict=True) if k],
            color="black",
            linewidth=1.3,
        )
    axes.set_yticks(range(len(order)), [_short(names[name]) for name in order])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.xaxis.set_major_formatter(thousands)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    units = {
        SOBOL: "share of the variance",
        MORRIS: f"change over the whole range, {measure.change or measure.unit or 'as in the summary'}",
        RANKS: "correlation of ranks",
    }
    axes.set_xlabel(units[finding.method], fontsize=9)
    axes.set_title("\n".join(textwrap.wrap(heading(finding), 90)), loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


# ---------------------------------------------------------------------- table


def save_table(found: Sensitivity, path: Path) -> Path:
    """Write a row an estimate as Parquet, in units of the summary.

    Args:
        found: what was found.
        path: file to write, ``….parquet``; an older one of ours is replaced.

    Raises:
        StoreError: if another file stands there, or it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_target(path, TABLES)
    rows = [_row(found, finding, index) for finding in found.findings for index in finding.indices]
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    target = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({ANALYSIS: "sensitivity"}), target, compression="zstd")
    return write_target(path, target.getvalue())


def _row(found: Sensitivity, finding: Finding, index: Index) -> dict[str, Any]:
    return {
        "indicator": finding.indicator,
        "parameter": index.parameter,
        "other": index.other or "",
        "measure": index.measure,
        "estimate": index.estimate,
        "low": index.low,
        "high": index.high,
        "level": LEVEL,
        "used": finding.used,
        "dropped": finding.dropped,
        "replicates": found.replicates,
        "luck_single": finding.luck.single,
        "luck_means": finding.luck.means,
    }

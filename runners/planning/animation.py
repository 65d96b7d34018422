"""The day of a run as moving pictures: streets coloured by speed relative to free speed, and wide by flow."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...environment.network.network import Network
from ...environment.roads import Access
from ..reports.files import check_target
from ..reports.geo import about, city_of
from ..reports.maps import INK, PAPER, frame, pieces, put_title
from ..storage.tables import StoreError
from .pictures import QUIET, largest_of, width_legend, widths
from .reading import LINKS, QUARTER, QUARTERS, Rows, need, quarters, runs_of
from .traffic import lines_of, network_of

if TYPE_CHECKING:
    from ...environment.city import City
    from ..results import Results

MOVIES = (".gif",)
FRAMES_PER_SECOND = 8
DPI = 90
COLOURS = ("#7f0000", "#d7301f", "#fc8d59", "#74add1", "#2166ac")
"""From standing to free: reds and blues of Brewer 2003, which remain apart with any common colour blindness."""
JAMMED = 0.1
"""Speed relative to free speed at which the scale begins."""
_PALETTE = 128
_COMMENT = "citytwin"

Progress = Callable[[int, int], None]
"""``progress(done, total)``; called after every picture."""


def animate(results: "Results", out: Path, point: int = 0, day: int = 0, *, progress: Progress | None = None) -> Path:
    """Write a day of a point, by quarter of an hour, as GIF.

    Shown is the run with the lowest seed.

    Args:
        results: results with a table ``links``.
        out: file to write, ``….gif``.
        point: the point.
        day: day of the run, 0 the first.
        progress: called after every picture.

    Raises:
        StoreError: if there is no such point, run or day, another file stands there, or it cannot be written.
    """
    check_target(out, MOVIES)
    need(results, LINKS)
    runs = runs_of(results, point)
    if not runs:
        raise StoreError(f"point {point}: no run of it is in the results yet")
    city = city_of(results, point)
    network = network_of(results, point)
    moving = quarters(results, runs[min(runs)], day, network.links)
    facts = about(results, city, point) | {"runs": 1}
    shown = _counted(draw_day(city, network, moving, facts, day), progress)
    part = out.with_name(f".{out.stem}.tmp{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write_gif(shown, part)
        part.replace(out)
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error.strerror or error})") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return out


def _counted(frames: Iterator[NDArray[np.uint8]], progress: Progress | None) -> Iterator[NDArray[np.uint8]]:
    for number, picture in enumerate(frames, start=1):
        yield picture
        if progress is not None:
            progress(number, QUARTERS)


def draw_day(
    city: "City", network: Network, moving: Rows, facts: dict[str, Any], day: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """Yield the 96 pictures of a day, each uint8 (height, width, 3).

    Args:
        city: the city.
        network: its streets.
        moving: from :func:`.reading.quarters`.
        facts: from :func:`..geo.about`.
        day: day of the run.
    """
    import matplotlib as mpl
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    figure, axes = frame(city, city.info.bounds)
    figure.set_dpi(DPI)
    rows, relative, flow = sections_by_quarter(network, moving)
    colours = LinearSegmentedColormap.from_list("standing to free", COLOURS)
    norm = Normalize(JAMMED, 1.0)
    largest = largest_of(flow[flow > 0])
    lines = pieces(lines_of(city, network)[rows])
    streets = LineCollection(lines, colors=QUIET, linewidths=0.4)
    streets.set_capstyle("round")
    streets.set_zorder(3)
    axes.add_collection(streets)
    bar = figure.colorbar(
        mpl.cm.ScalarMappable(norm, colours), cax=axes.inset_axes((1.025, 0.01, 0.022, 0.45)), extend="min"
    )
    bar.set_label("speed relative to free speed", fontsize=9)
    bar.ax.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]
    width_legend(axes, largest, "vehicles an hour", INK)
    put_title(axes, facts, f"traffic on day {day}")
    clock = axes.text(1.025, 0.62, "", transform=axes.transAxes, fontsize=26, color=INK, fontweight="bold")
    quiet = np.array(mpl.colors.to_rgba(QUIET))
    for quarter in range(QUARTERS):
        driven = flow[quarter] > 0
        known = np.isfinite(relative[quarter])
        colour = np.where((driven | known)[:, None], colours(norm(np.nan_to_num(relative[quarter], nan=1.0))), quiet)
        streets.set(color=colour, linewidth=widths(flow[quarter], largest))
        minutes = int(quarter * QUARTER) // 60
        clock.set_text(f"{minutes // 60:02d}:{minutes % 60:02d}")
        figure.canvas.draw()
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def sections_by_quarter(
    network: Network, moving: Rows
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return both directions of streets together.

    Args:
        network: the streets.
        moving: from :func:`.reading.quarters`.

    Returns:
        A link of each section that cars may use, (sections,); speed relative to free speed, the mean of its directions
        weighted with vehicles (missing where nobody was), and vehicles an hour, each (96, sections).
    """
    used = np.flatnonzero(network.usable(Access.CAR) | (moving["left"] > 0).any(axis=0))
    low, high = (extreme(network.start, network.end)[used] for extreme in (np.minimum, np.maximum))
    _, first, section = np.unique(
        np.stack([network.way[used], low, high]), axis=1, return_index=True, return_inverse=True
    )
    section = section.ravel()
    order = np.argsort(section, kind="stable")
    begins = np.searchsorted(section[order], np.arange(len(first)))
    left = moving["left"][:, used].astype(float)
    relative = moving["speed"][:, used] / network.speed[used]
    known = np.isfinite(relative)
    weight = np.where(known, np.maximum(left, 0.5), 0.0)  # who stands and has not left counts a little

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.add.reduceat(values[:, order], begins, axis=1) if len(first) else np.empty((QUARTERS, 0))

    total = summed(weight)
    mean = np.full(total.shape, np.nan)
    np.divide(summed(weight * np.where(known, relative, 0.0)), total, out=mean, where=total > 0)
    return used[first], mean, summed(left) * (3600.0 / QUARTER)


def _write_gif(frames: Iterator[NDArray[np.uint8]], path: Path) -> None:
    """Write pictures as a GIF with one palette for all, so that nothing flickers and unchanged parts cost little."""
    from PIL import Image

    palette = Image.fromarray(_swatches()).quantize(_PALETTE, dither=Image.Dither.NONE)

    def reduced(picture: NDArray[np.uint8]) -> Any:
        return Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)

    reduced(next(frames)).save(
        path,
        format="GIF",
        save_all=True,
        append_images=map(reduced, frames),  # one at a time
        duration=1000 // FRAMES_PER_SECOND,
        loop=0,
        comment=_COMMENT.encode(),
    )


def _swatches() -> NDArray[np.uint8]:
    """Return a picture of the colours that may occur: those of the scale and of words, fading into the paper."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    scale = LinearSegmentedColormap.from_list("standing to free", COLOURS)(np.linspace(0, 1, 24))[:, :3]
    solid = np.concatenate([scale, [to_rgb(colour) for colour in (QUIET, INK, "black")]])
    faded = np.concatenate([share * solid + (1 - share) * np.array(to_rgb(PAPER)) for share in (1.0, 0.75, 0.5, 0.25)])
    colours = np.concatenate([faded, [to_rgb(colour) for colour in (PAPER, "white", "#c8ccd0")]])
    return np.repeat(np.rint(colours * 255).astype(np.uint8)[None], 8, axis=0)

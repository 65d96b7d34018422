"""Who gains and who loses on the page of a report: tables, and a map of the streets."""

import base64
import html
import io
from typing import TYPE_CHECKING

from ..reports.geo import about, city_of
from ..reports.labels import attributions, cities_of
from .change import compared
from .grids import grids
from .pictures import draw_changes, draw_streets
from .reading import LINKS
from .streets import STREET_FIGURES, read_streets, section_layer
from .text import title_of

if TYPE_CHECKING:
    from ..results import Results

PICTURES = 4
"""Points of which the page has a map; a map is about half a megabyte."""
DPI = 110


def planning_html(results: "Results", baseline: int) -> list[str]:
    """Return the parts of the page about trips and streets; none if the results keep neither.

    Args:
        results: the results.
        baseline: point with which the others are compared.
    """
    parts: list[str] = []
    mapped = LINKS in results.tables and results.directory is not None
    if mapped:
        parts += ["<h2>Traffic</h2>", _map(results, baseline, None)]
    for number, change in enumerate(compared(results, baseline)):
        parts.append(f"<h2>{html.escape(title_of(results, change.point, baseline))}</h2>")
        if mapped and number < PICTURES:
            parts.append(_map(results, change.point, baseline))
        for head, (heads, rows), note in grids(change):
            parts += [f'<p class="note">{html.escape(". ".join(text for text in (head, note) if text))}</p>']
            parts.append(table_html(heads, rows))
        parts += [f'<p class="note">{html.escape(note)}</p>' for note in change.notes]
    return parts


def _map(results: "Results", point: int, baseline: int | None) -> str:
    """Return a picture of the flow on the streets of a point, or of how it differs from the baseline."""
    city = city_of(results, point)
    shown = STREET_FIGURES["flow"]
    streets = read_streets(results, city, point, baseline)
    facts = about(results, city, point) | {"runs": streets.runs, "baseline": baseline}
    draw = draw_streets if baseline is None else draw_changes
    content = io.BytesIO()
    draw(city, section_layer(streets), shown, facts).savefig(content, format="png", dpi=DPI)
    source = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    what = "Vehicles a day on each street" if baseline is None else "Change of the vehicles a day on each street"
    note = html.escape(" ".join([f"{what}.", *(f"City: {note}" for note in attributions(cities_of(results)))]))
    return f'<figure><img alt="{what}" src="{source}"><figcaption>{note}</figcaption></figure>'


def table_html(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table; every cell carries its heading, which a phone shows beside it."""
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in heads)
    lines = []
    for name, *cells in rows:
        shown = "".join(
            f'<td data-head="{html.escape(text)}">{f"<span>{html.escape(cell)}</span>" if cell else ""}</td>'
            for text, cell in zip(heads[1:], cells, strict=True)
        )
        title = html.escape(name.strip())
        title = title if name.startswith(" ") or any(cells) else f"<strong>{title}</strong>"
        lines.append(f'<tr><td data-head=""><span>{title}</span></td>{shown}</tr>')
    body = "\n".join(lines)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'

"""How soon help came on the page of a report: pictures and tables."""

import base64
import html
import io
from typing import TYPE_CHECKING

from ..reports.geo import about, city_of
from ..reports.labels import attributions, cities_of
from .page import DPI, table_html
from .response import answered, has_responses
from .response_pictures import draw_times, draw_zones, reached_services
from .response_text import response_grids, response_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..results import Results


def response_html(results: "Results", baseline: int) -> list[str]:
    """Return the parts of the page about emergency response; none if the results keep neither incidents nor zones.

    Args:
        results: the results.
        baseline: point with which the others are compared.
    """
    parts: list[str] = []
    if has_responses(results):
        note = (
            "Left: share of the calls reached within a time, without the slowest 3 % of those reached; dotted: the target "
            "of the most urgent. Right: median response by the time of day of the call, where there are ten calls or more. "
            "All runs of a point together."
        )
        parts.append(_figure(draw_times(results), "Response times, and their median by hour", note))
    reached = reached_services(results, baseline) if results.directory is not None else []
    if reached:
        city = city_of(results, baseline)
        facts = about(results, city, baseline)
        service = reached[0]
        note = " ".join(["Mean response by zone.", *(f"City: {n}" for n in attributions(cities_of(results)))])
        parts.append(_figure(draw_zones(results, city, baseline, service, facts), "Mean response by zone", note))
    if parts:
        parts.insert(0, "<h2>Emergency response</h2>")
    for one in answered(results, baseline):
        parts.append(f"<h2>{html.escape(response_title(results, one.point, baseline))}</h2>")
        for head, (heads, rows), note in response_grids(one):
            parts += [f'<p class="note">{html.escape("; ".join(text for text in (head, note) if text))}</p>']
            parts.append(table_html(heads, rows))
    return parts


def _figure(figure: "Figure", what: str, note: str) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    source = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    return f'<figure><img alt="{what}" src="{source}"><figcaption>{html.escape(note)}</figcaption></figure>'

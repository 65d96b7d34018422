"""What a calibration found, as text for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..reports.labels import short_names, table_lines
from .settings import CalibrateSettings


def fit_text(facts: Mapping[str, Any], settings: CalibrateSettings) -> str:
    """Return parameters with their intervals, how the data are covered, and how the calibration ended."""
    names = list(settings.parameters)
    labels = parameter_labels(names)
    best = facts["best"]["parameters"]
    point = facts.get("optuna", {}).get("parameters", {})
    header = [
        "parameter",
        *(["median", "90 % interval", "nearest run"] if facts["parameters"] else []),
        *(["best point"] if point else []),
    ]
    rows = []
    for name in names:
        row = [labels[name]]
        if facts["parameters"]:
            found = facts["parameters"][name]
            row += [_number(found["50%"]), f"{_number(found['5%'])} – {_number(found['95%'])}", _number(best[name])]
        rows.append(row + ([_number(point[name])] if point else []))
    lines = [*table_lines([header, *rows]), ""]
    rows = [["column", "days", "within 50 %", "within 90 %"]]
    for column, about in facts["observations"].items():
        for part, covered in about["covered"].items():
            name = f"{column}, {part.replace('_', ' ')}"
            rows.append([name, str(covered["days"]), f"{covered['50%']:.0%}", f"{covered['90%']:.0%}"])
    lines += table_lines(rows)
    ended = f"; {facts['stopped']}" if "stopped" in facts else ""
    failed = f", {facts['failed']:,} failed" if facts["failed"] else ""
    lines += ["", f"{facts['runs']:,} runs{failed}{ended}"]
    if "particles" in facts:
        last = facts["generations"][-1]
        lines.append(
            f"{facts['particles']} particles within a distance of {last['tolerance']:.3g}, "
            f"worth {facts['effective']:.0f} of equal weight"
        )
    for name, found in facts["parameters"].items():
        if found["at_bound"] is not None:
            lines.append(
                f"{labels[name]}: the posterior is piled up at '{found['at_bound']}' of its prior; widen it if you can"
            )
    return "\n".join(lines)


def parameter_labels(names: Sequence[str]) -> dict[str, str]:
    """Return what parameters are called: the policy and its key, or the key without its section."""
    short = short_names(names)
    return {
        name: short[name] if name.startswith("policy.") else name.partition(".")[2].removeprefix("observations.")
        for name in names
    }


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"

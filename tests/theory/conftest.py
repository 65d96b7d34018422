"""What tests of theory have in common: figures they check are kept for the page of docs/validity.md."""

import json
import math
import os
from pathlib import Path

import pytest


@pytest.fixture
def validity(request):
    """Check a figure against what is expected of it, and keep it for the page if ``CITYTWIN_VALIDITY`` names a file.

    The fixture is called as ``validity(case, what, ours, expected, tolerance, source=…)``: the figure may be off by the
    tolerance, 0 if none is given; or as ``validity(case, what, ours, within=(low, high), source=…)`` with None for an
    open end. Figures are kept before they are asserted, so the page shows those that miss too.

    Args of the call:
        case: name of the case in ``validity.CASES``.
        what: what the figure is, with its unit.
        ours: the figure found.
        expected: the figure expected.
        tolerance: accepted distance of the two.
        within: bounds of the figure, in place of both.
        source: where the expected figure comes from.
    """

    def check(case, what, ours, expected=None, tolerance=0.0, *, within=None, source):
        ours = float(ours)
        if within is None:
            passed = abs(ours - expected) <= tolerance
        else:
            low, high = (-math.inf if within[0] is None else within[0]), (math.inf if within[1] is None else within[1])
            passed = low <= ours <= high
        row = {
            "case": case,
            "what": what,
            "expected": None if expected is None else float(expected),
            "tolerance": float(tolerance),
            "within": None if within is None else [None if bound is None else float(bound) for bound in within],
            "ours": ours,
            "passed": bool(passed),
            "source": source,
            "form": "full" if request.node.get_closest_marker("full") else "fast",
            "test": request.node.nodeid.split("::", 1)[1],
            "file": request.node.path.name,
        }
        if path := os.environ.get("CITYTWIN_VALIDITY"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        wanted = within if within is not None else f"{expected:.6g} ± {tolerance:.3g}"
        assert passed, f"{case}, {what}: {ours:.6g}, expected {wanted} ({source})"

    return check


@pytest.fixture(scope="session")
def survey():
    """Folder of real data that tests of theory compare with."""
    if "CITYTWIN_DATA" not in os.environ:
        pytest.skip("CITYTWIN_DATA is unset; tests/DATA.md says what it holds")
    return Path(os.environ["CITYTWIN_DATA"])

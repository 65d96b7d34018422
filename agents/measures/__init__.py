"""Measures against an epidemic that a policy may carry: tests, tracing, isolation, vaccination."""

from .base import Measure, MeasureSettings
from .isolation import Isolation
from .testing import Testing
from .tracing import Tracing
from .vaccination import Vaccination

__all__ = ["MEASURES", "Isolation", "Measure", "MeasureSettings", "Testing", "Tracing", "Vaccination"]

MEASURES: dict[str, type[Measure]] = {
    "test": Testing,
    "trace": Tracing,
    "isolate": Isolation,
    "vaccinate": Vaccination,
}
"""Measures by their key in a policy, in the order in which they act each morning."""

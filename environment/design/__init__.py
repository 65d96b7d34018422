"""Street design as data: changes that a planner draws or writes, read, checked and applied to a city."""

from .changes import Change, DesignError
from .design import Design, read_design
from .specs import SPECS
from .template import write_template
from .timed import StreetEvents

__all__ = ["SPECS", "Change", "Design", "DesignError", "StreetEvents", "read_design", "write_template"]

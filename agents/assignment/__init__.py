"""Static assignment: flows on links when nobody could save time by another path (user equilibrium)."""

from .demand import Demand
from .equilibrium import Assignment, assign
from .streets import AssignmentError, Streets

__all__ = ["Assignment", "AssignmentError", "Demand", "Streets", "assign"]

"""Static assignment: flows on links when nobody could save time by another path (user equilibrium)."""

from .demand import Demand
from .equilibrium import Assignment, assign
from .of_network import streets_of
from .streets import AssignmentError, Streets

__all__ = ["Assignment", "AssignmentError", "Demand", "Streets", "assign", "streets_of"]

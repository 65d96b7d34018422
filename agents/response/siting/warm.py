"""Compile the kernels of siting before they are needed."""

from .coverage import mexclp
from .nearest import p_median
from .plan import SEARCH


def warm() -> None:
    """Compile the kernels, or load them from the cache, by placing a unit in a town of two places."""
    seconds = [[60.0, 600.0], [600.0, 60.0]]
    mexclp([1.0, 2.0], seconds, 480.0, 1, 0.3, method=SEARCH)
    p_median([1.0, 2.0], seconds, 1, method=SEARCH)

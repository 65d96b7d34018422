"""Elementary effects (Morris 1991, Technometrics 33:161-174; Campolongo et al. 2007, Environmental Modelling & Software 22).

A trajectory changes one parameter after another. The effect of a parameter is the change of the indicator divided by the
step, in units of the parameter's whole range: what the indicator would change by from one end of it to the other. Its
mean is ``mu``, the mean of its size ``mu_star``, its standard deviation ``sigma``: large where the effect depends on where
one is, by interaction or because it is not linear.

Steps are taken from the points themselves, not from the levels of the design as SALib does, as whole numbers are rounded.
"""

import numpy as np

from .replicates import Floats, Integers
from .variance import DesignError


def morris_trajectories(positions: Floats) -> tuple[Integers, Integers, Floats]:
    """Return the trajectories of a Morris design.

    Args:
        positions: (points, parameters) positions in their ranges, 0 to 1, in the order of the sweep.

    Returns:
        Numbers of points (trajectories, parameters + 1), and of each parameter after which of its points it changes
        (trajectories, parameters) and by how much; the step is 0 where it does not change.

    Raises:
        DesignError: if the points are not in such trajectories.
    """
    count, parameters = positions.shape
    size = parameters + 1
    if not count or count % size:
        raise DesignError(f"the {count} points are not trajectories of a Morris design of {parameters} parameters")
    steps = np.diff(positions.reshape(-1, size, parameters), axis=1)
    moved = steps != 0
    if (moved.sum(2) > 1).any() or (moved.sum(1) > 1).any():
        raise DesignError("the points are not trajectories of a Morris design: several parameters change in one step")
    return np.arange(count).reshape(-1, size), moved.argmax(1), steps.sum(1)


def elementary_effects(values: Floats, after: Integers, steps: Floats) -> Floats:
    """Return the effect of every parameter in every trajectory, for each replicate.

    Args:
        values: (trajectories, parameters + 1, replicates) outputs.
        after: (trajectories, parameters) after which of its points each parameter changes.
        steps: (trajectories, parameters) by how much; none is 0.

    Returns:
        (trajectories, parameters, replicates).
    """
    changes = np.take_along_axis(np.diff(values, axis=1), after[:, :, None], 1)
    return changes / steps[:, :, None]


def morris_indices(effects: Floats) -> Floats:
    """Return mu, mu_star and sigma.

    Args:
        effects: (trajectories, parameters, samples); every sample is estimated by itself.

    Returns:
        (3 parameters, samples): mu of every parameter, then mu_star, then sigma.
    """
    return np.concatenate([effects.mean(0), np.abs(effects).mean(0), effects.std(0, ddof=1)])

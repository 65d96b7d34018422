"""How far a run is from the observations, in units of their scatter."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .observed import Observed
from .settings import Observation

Floats = NDArray[np.float64]


def counted(values: Floats) -> Floats:
    """Return counts so transformed that those of a Poisson law have a variance of about 1 whatever their mean.

    Twice the square root of the count and 3/8: Anscombe 1948, Biometrika 35:246-254.
    """
    return 2 * np.sqrt(np.maximum(values, 0) + 0.375)


def distance(figures: Mapping[str, Floats], observed: Observed, observations: Mapping[str, Observation]) -> float:
    """Return the root of the mean squared difference over the columns and the fitted days of each.

    The difference of two counts is that of their transforms (:func:`counted`), both in the smaller of the two units,
    the people of the data or those of the city: there the scatter is that of whole people. Other figures are
    divided by their standard deviation. All columns weigh alike.

    Args:
        figures: by column the figure of the series on every day of the run (days,).
        observed: the data.
        observations: what each column is compared with.

    Returns:
        The distance; infinite where a figure is not finite.
    """
    mean = 0.0
    for name, observation in observations.items():
        used = observed.fitted & ~np.isnan(observed.values[name])
        data = observed.values[name][used]
        run = np.asarray(figures[name], float)[observed.days[used]] * observation.scale
        if observation.error == "counts":
            unit = max(1.0, observation.scale)
            apart = counted(run / unit) - counted(data / unit)
        else:
            apart = (run - data) / (observation.sd or float(data.std()))
        mean += float((apart**2).mean()) / len(observations)
    return float(np.sqrt(mean)) if np.isfinite(mean) else float("inf")

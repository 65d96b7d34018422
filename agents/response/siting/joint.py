"""Stations and hospitals sited together, after TRAUMAH (Branas, MacKenzie & ReVelle 2000)."""

import numpy as np
from numpy.typing import ArrayLike

from . import exact
from .plan import EXACT, Plan, SitingError, checked_standard, task


def stations_and_hospitals(
    weights: ArrayLike,
    to_scene: ArrayLike,
    to_hospital: ArrayLike,
    standard: ArrayLike,
    stations: int,
    hospitals: int,
    *,
    least: ArrayLike = 0,
    least_hospitals: ArrayLike = 0,
) -> tuple[Plan, Plan]:
    """Open stations and hospitals so that much demand is at a hospital within a standard, by branch and bound.

    A point is covered if the way of an ambulance from an open station to it and on to an open hospital takes no longer
    than the standard. The ambulance trauma problem of TRAUMAH has the same form with its helicopters left out.

    Args:
        weights: (points,) demand.
        to_scene: (points, stations) seconds from station to point, infinite where there is no way.
        to_hospital: (points, hospitals) seconds from point to hospital.
        standard: seconds for both ways together, one for all or (points,).
        stations, hospitals: how many to open.
        least, least_hospitals: 1 for stations and for hospitals that stay, one for all or each.

    Returns:
        plans of the stations and of the hospitals, both with the demand covered as objective.

    Raises:
        SitingError: naming what is wrong.
    """
    bases = task(weights, to_scene, stations, least=least)
    doors = task(weights, to_hospital, hospitals, least=least_hospitals)
    limit = checked_standard(standard, len(bases.weights))
    shortest = bases.seconds.min(1)[:, None] + doors.seconds
    point, door = np.nonzero((shortest <= limit[:, None]) & (bases.weights[:, None] > 0))
    near = bases.seconds[point] + doors.seconds[point, door][:, None] <= limit[point][:, None]
    proof = exact.most_together(bases, doors, near, point, door)
    if proof.units is None:
        raise SitingError("no plan was found within the branches allowed; ask for fewer points")
    base, hospital = proof.units[: len(bases.least)], proof.units[len(bases.least) :]
    ways = bases.seconds[:, base > 0].min(1, initial=np.inf) + doors.seconds[:, hospital > 0].min(1, initial=np.inf)
    covered = float(bases.weights[ways <= limit].sum())
    bound = max(proof.bound, covered) + 0.0
    return Plan("TRAUMAH", EXACT, base, covered, bound), Plan("TRAUMAH", EXACT, hospital, covered, bound)

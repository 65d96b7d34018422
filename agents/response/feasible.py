"""Whether services can work in a city: stations and hospitals on its streets, names that there are, skills of crews."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...environment.network.lanes import with_bus_lanes
from ...environment.network.of_city import network_of_city
from ...environment.places import SiteKind
from .calls import check_zones
from .fleet import FARTHEST, FleetError, Fleets
from .rules import check_rules
from .scenes import CallError, Scenes, zone_names
from .settings import ResponseSettings
from .tasks import SPECIALTIES

if TYPE_CHECKING:
    from ...environment.city import City

EVERYTHING = 255
"""Bits of a hospital that offers all specialties."""


def problems_in(settings: ResponseSettings, city: "City") -> list[str]:
    """Return why services could not work in a city, each with the key that is concerned, where there is one."""
    hospitals = np.flatnonzero(city.sites.kind == SiteKind.HOSPITAL)
    try:
        scenes = Scenes(city, with_bus_lanes(network_of_city(city)))
    except CallError as error:
        return [str(error)]
    checks: list[Callable[[], object]] = [
        partial(_staff, settings, city, scenes),
        partial(doorsteps, city, hospitals, scenes),
        partial(offers_of, city, hospitals, settings.departments.specialties),
    ]
    zones = zone_names(city)
    checks += [partial(check_zones, name, kind, zones) for name, kind in settings.kinds.items()]
    found = []
    for check in checks:
        try:
            check()
        except CallError as error:
            found.append(str(error))
    return found


def _staff(settings: ResponseSettings, city: "City", scenes: Scenes) -> None:
    fleets = Fleets(city, settings.fleet, settings.services, scenes, seed=0)
    check_skills(settings, fleets)
    check_rules(settings, fleets)


def check_skills(settings: ResponseSettings, fleets: Fleets) -> None:
    """Refuse kinds that ask for skills that no crew has.

    Raises:
        FleetError: naming the kind and what skills there are.
    """
    for name, kind in settings.kinds.items():
        for service, unit in kind.units.items():
            if service not in fleets.services:
                continue
            there = fleets.skills_of(service)
            if unit.skills and not any(set(unit.skills) <= skills for skills in there):
                have = ", ".join(sorted(set().union(*there))) or "none"
                raise FleetError(
                    f"response.kinds.{name}.units.{service}.skills: no {service} crew has {', '.join(unit.skills)}; "
                    f"skills that there are: {have}; add them to a fleet"
                )


def doorsteps(city: "City", sites: NDArray[np.integer], scenes: Scenes) -> NDArray[np.int32]:
    """Return the node of each hospital.

    Args:
        city: the city.
        sites: (hospitals,) site of each.
        scenes: finds nodes.

    Raises:
        FleetError: if one lies off the streets.
    """
    x, y = city.sites.x[sites], city.sites.y[sites]
    scene = scenes.at_points(x, y)
    far = np.flatnonzero(scene.access > FARTHEST)
    if len(far):
        number = int(far[0])
        raise FleetError(
            f"hospital {number} (site {sites[number]}) at ({x[number]:.0f}, {y[number]:.0f}) m lies off "
            "the streets: no ambulance gets within an hour's walk; mend the city's streets or leave the hospital out"
        )
    return scene.node


def offers_of(city: "City", sites: NDArray[np.integer], specialties: Mapping[str, Sequence[str]]) -> NDArray[np.int32]:
    """Return the bits of the specialties that each hospital offers.

    Args:
        city: the city.
        sites: (hospitals,) site of each.
        specialties: of those that do not offer all, by number or name.

    Raises:
        FleetError: if there is no such hospital.
    """
    offers = np.full(len(sites), EVERYTHING, np.int32)
    layer = city.layer("sites")
    names = {} if layer is None or "name" not in layer.columns else dict(enumerate(layer["name"]))
    known = {str(number): number for number in range(len(sites))}
    known |= {str(names[site]): number for number, site in enumerate(sites.tolist()) if names.get(site)}
    for name, offered in specialties.items():
        if name not in known:
            raise FleetError(
                f"response.departments.specialties: the city has no hospital '{name}'; there are: {', '.join(known)}"
            )
        offers[known[name]] = 1 + sum(1 << SPECIALTIES.index(word) for word in offered)
    return offers

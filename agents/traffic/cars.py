"""What people have to move with: driving licences, cars of households, bicycles and season tickets.

None of it is in a city, so it is drawn: the same for one seed in every policy and on every day.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ...environment.randomness import key, uniforms

if TYPE_CHECKING:
    from ...environment.city import City

Share = Annotated[float, Field(ge=0, le=1)]
BySize = tuple[Share, Share, Share, Share]
"""Shares of households of 1, 2, 3 and 4 or more people."""

LICENCE_AGES = (0, 18, 25, 45, 65, 75, 85)
"""Years at which the groups of :attr:`OwnershipSettings.licence` begin."""


class OwnershipSettings(BaseModel):
    """What people have, as shares.

    Attributes:
        licence: people who may drive, by age from 0, 18, 25, 45, 65, 75 and 85 years. 88 % of those aged 25 to 44 in Germany
            2003 (SOEP, in BASt report M 187, 2007), the most of all ages; the others are assumed, and give about the
            80 % of ages 18 to 84 that the report states.
        no_car: households without a car by size: Germany at the beginning of 2008 (Destatis, EVS: 43, 14, 9 and 4 %).
        two_cars: households with two or more cars by size: assumed, so that with Europe's sizes they are 22 % of all, as
            in Germany in 2008 (Destatis, EVS).
        three_cars: households with three or more: assumed, so that they are 4 % of all, as in Germany in 2017 (MiD).
        bicycle: households whose members have a bicycle each: 78 % (MiD 2017).
        season_ticket: people who pay nothing more for a ride: assumed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    licence: tuple[Share, Share, Share, Share, Share, Share, Share] = (0.0, 0.75, 0.88, 0.87, 0.82, 0.68, 0.45)
    no_car: BySize = (0.43, 0.14, 0.09, 0.04)
    two_cars: BySize = (0.02, 0.22, 0.40, 0.44)
    three_cars: BySize = (0.0, 0.01, 0.07, 0.12)
    bicycle: Share = 0.78
    season_ticket: Share = 0.3


@dataclass(frozen=True)
class Means:
    """What people have to move with.

    Attributes:
        cars: uint8 (households,) cars that can be driven at the same time: at most one a driver, and 3.
        licence: bool (people,) who may drive.
        bicycle: bool (people,) who has a bicycle.
        season_ticket: bool (people,) who has paid for public transport.
    """

    cars: NDArray[np.uint8]
    licence: NDArray[np.bool_]
    bicycle: NDArray[np.bool_]
    season_ticket: NDArray[np.bool_]


def means_of(city: "City", seed: int, settings: OwnershipSettings | None = None) -> Means:
    """Draw what the people of a city have to move with.

    Households where nobody may drive have no car. Shares by size are those of the settings all the same, as far as
    enough households of the size have drivers.
    """
    settings = settings or OwnershipSettings()
    people, homes = len(city.people), city.homes
    household = np.asarray(city.people.household)
    age = np.searchsorted(LICENCE_AGES, city.people.age, side="right") - 1
    licence = uniforms(key(seed, "driving licence"), np.arange(people), 0) < np.array(settings.licence)[age]
    drivers = np.bincount(household[licence], minlength=homes)
    size = np.minimum(np.diff(city.households.first), 4) - 1
    luck = uniforms(key(seed, "cars"), np.arange(homes), 0)
    cars = np.zeros(homes, np.uint8)
    in_class = np.bincount(size, minlength=4)
    with_cars = (tuple(1 - share for share in settings.no_car), settings.two_cars, settings.three_cars)
    for number, shares in enumerate(with_cars, 1):
        able = drivers >= number
        share_able = np.bincount(size[able], minlength=4) / np.maximum(in_class, 1)
        among_able = np.array(shares) / np.maximum(share_able, 1e-12)
        cars += able & (luck < among_able[size])
    bicycle = uniforms(key(seed, "bicycles"), np.arange(homes), 0) < settings.bicycle
    season_ticket = uniforms(key(seed, "season ticket"), np.arange(people), 0) < settings.season_ticket
    return Means(cars, licence, bicycle[household], season_ticket)

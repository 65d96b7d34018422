"""Triage of many casualties: START by what a helper sees, and the severities of HAZUS."""

from enum import IntEnum

FAST_BREATHING = 30
"""Breaths a minute above which START finds a casualty in danger of life."""
SLOW_REFILL = 2.0
"""Seconds after which blood is back in a pressed nail at the latest, if circulation is good."""


class Triage(IntEnum):
    """Class of a casualty; the numbers are the injury severities of HAZUS, 1 slight to 4 dead or dying."""

    GREEN = 1
    """Minor: can wait for hours."""
    YELLOW = 2
    """Delayed: needs a hospital, not at once."""
    RED = 3
    """Immediate: in danger of life, can be saved."""
    BLACK = 4
    """Dead, or expected to die."""


def start_triage(
    *,
    walks: bool,
    breathes: bool,
    breathes_after_airway: bool = False,
    respiratory_rate: float = 0.0,
    radial_pulse: bool = True,
    capillary_refill: float = 0.0,
    obeys: bool = True,
) -> Triage:
    """Return the class of a casualty by START, Simple Triage and Rapid Treatment.

    It was made by Newport Beach Fire Department and Hoag Hospital in California in 1983. Who walks is green. Who does not
    breathe even when the airway is opened is black, and who then breathes red. Others are red if they breathe more than
    30 times a minute, have no pulse at the wrist or a capillary refill of more than 2 s, or do not obey simple commands;
    else yellow.

    Args:
        walks: whether the casualty can walk.
        breathes: whether they breathe by themselves.
        breathes_after_airway: whether they do once the airway is opened; asked of who does not breathe.
        respiratory_rate: breaths a minute.
        radial_pulse: whether there is a pulse at the wrist.
        capillary_refill: seconds until a pressed nail is red again; leave it at 0 where the pulse is felt for instead.
        obeys: whether they follow simple commands.

    Raises:
        ValueError: if a rate or time is negative.
    """
    if respiratory_rate < 0 or capillary_refill < 0:
        raise ValueError(
            f"respiratory_rate is {respiratory_rate:g} and capillary_refill {capillary_refill:g}; both must be 0 or more"
        )
    if walks:
        return Triage.GREEN
    if not breathes:
        return Triage.RED if breathes_after_airway else Triage.BLACK
    in_danger = respiratory_rate > FAST_BREATHING or not radial_pulse or capillary_refill > SLOW_REFILL or not obeys
    return Triage.RED if in_danger else Triage.YELLOW


def of_hazus(severity: int) -> Triage:
    """Return the class of an injury severity of HAZUS: 1 green, 2 yellow, 3 red, 4 black.

    Raises:
        ValueError: if it is not 1 to 4.
    """
    if severity not in Triage.__members__.values():
        raise ValueError(f"severity {severity} is none of HAZUS, which has 1 to 4")
    return Triage(severity)

"""Triage of many casualties: START by what a helper sees, and the severities of HAZUS."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple, NoReturn

from .readonly import read_only

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


class Casualty(NamedTuple):
    """One of several casualties, as a helper who sorts them sees them; the findings are those of :func:`start_triage`.

    Attributes:
        kind: name of the kind of incident.
        called: seconds from the start of the clock to the call.
        number: which casualty of the incident it is, from 0.
        casualties: how many the incident has, the dead among them.
        walks, breathes, breathes_after_airway, respiratory_rate, radial_pulse, capillary_refill, obeys: what is found.
        chance: from 0 to 1, drawn for this casualty alone and alike under all policies: for rules that err at times.
    """

    kind: str
    called: float
    number: int
    casualties: int
    walks: bool
    breathes: bool
    breathes_after_airway: bool
    respiratory_rate: float
    radial_pulse: bool
    capillary_refill: float
    obeys: bool
    chance: float

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        read_only(self, name, value)

    def start(self) -> Triage:
        """Return the class by START."""
        return start_triage(
            walks=self.walks,
            breathes=self.breathes,
            breathes_after_airway=self.breathes_after_airway,
            respiratory_rate=self.respiratory_rate,
            radial_pulse=self.radial_pulse,
            capillary_refill=self.capillary_refill,
            obeys=self.obeys,
        )


Rule = Callable[[Casualty], Triage]
"""Who sorts casualties."""

_WELL: dict[str, Any] = {
    "walks": False,
    "breathes": True,
    "breathes_after_airway": False,
    "respiratory_rate": 20.0,
    "radial_pulse": True,
    "capillary_refill": 1.0,
    "obeys": True,
}
_REDS: tuple[dict[str, Any], ...] = (
    {"breathes": False, "breathes_after_airway": True, "respiratory_rate": 0.0, "obeys": False},
    {"respiratory_rate": 36.0},
    {"radial_pulse": False, "capillary_refill": 4.0},
    {"obeys": False},
)
"""What those in danger of life have, each as often as the others (assumed, as are the figures)."""


def casualty_of(severity: Triage, findings: float, **about: Any) -> Casualty:
    """Return a casualty whose class by START is known, with findings that lead to it.

    Args:
        severity: the class.
        findings: from 0 to 1, chooses among the findings of those in danger of life.
        **about: the other attributes.
    """
    found: dict[str, Any] = {}
    if severity is Triage.GREEN:
        found = {"walks": True}
    elif severity is Triage.RED:
        found = _REDS[int(findings * len(_REDS))]
    elif severity is Triage.BLACK:
        found = {
            "breathes": False,
            "respiratory_rate": 0.0,
            "radial_pulse": False,
            "capillary_refill": 10.0,
            "obeys": False,
        }
    return Casualty(**about, **(_WELL | found))


def of_hazus(severity: int) -> Triage:
    """Return the class of an injury severity of HAZUS: 1 green, 2 yellow, 3 red, 4 black.

    Raises:
        ValueError: if it is not 1 to 4.
    """
    if severity not in Triage.__members__.values():
        raise ValueError(f"severity {severity} is none of HAZUS, which has 1 to 4")
    return Triage(severity)

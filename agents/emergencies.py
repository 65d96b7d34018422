"""The board on which processes write what somebody should come for: a severe case, a flooded house, a collapsed one.

Processes do not call each other. Whoever knows of an emergency posts it here; emergency response reads what was posted.
"""

from typing import NamedTuple


class Emergency(NamedTuple):
    """One emergency.

    Attributes:
        second: when it is noticed, seconds since the start of the clock.
        kind: name of a kind of incident, as ``"illness"``.
        cause: what posted it, as ``"epidemic"``.
        person: the patient, −1 if it is nobody in particular.
        place: place where it is, −1 if it is at ``x``, ``y`` instead, or wherever the person then is.
        x, y: m in the city's CRS.
        severity: 0 to 1, how far up among those of its kind; kinds say what they make of it.
    """

    second: float
    kind: str
    cause: str
    person: int = -1
    place: int = -1
    x: float = float("nan")
    y: float = float("nan")
    severity: float = 0.5


class Emergencies:
    """Emergencies of a run that nobody has been told of yet.

    Attributes:
        wanted: whether anybody reads them; otherwise posts are dropped.
    """

    def __init__(self, *, wanted: bool = False):
        self.wanted = wanted
        self._posted: list[Emergency] = []

    def post(self, emergency: Emergency) -> None:
        """Write an emergency on the board."""
        if self.wanted:
            self._posted.append(emergency)

    def take(self, until: float) -> list[Emergency]:
        """Take down all that are noticed before a moment, in the order of time; of one moment in that of posting."""
        due = [emergency for emergency in self._posted if emergency.second < until]
        self._posted = [emergency for emergency in self._posted if emergency.second >= until]
        return sorted(due, key=lambda emergency: emergency.second)

"""What dispatchers are shown cannot be written to: they decide by what they return."""

from typing import Any, NoReturn

RETURNS = {
    "choose_unit": "the number of a unit, or None",
    "choose_hospital": "the number of a hospital, or None",
    "choose_task": "the number of a task",
    "choose_station": "the number of a station",
    "triage": "a Triage",
}
"""What each method of a dispatcher returns."""


def read_only(shown: Any, name: str, value: Any) -> NoReturn:
    """Refuse an assignment; what is shown calls it in ``__setattr__``.

    Raises:
        AttributeError: saying what to return instead.
    """
    instead = "; ".join(f"{method} {what}" for method, what in RETURNS.items())
    raise AttributeError(
        f"{type(shown).__name__}.{name} is read-only (assigned {value!r}): a dispatcher decides by what its methods "
        f"return: {instead}"
    )

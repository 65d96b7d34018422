"""TOML from files that anybody may have written."""

import tomllib
from typing import Any

LARGEST = 2**63
"""Whole numbers of TOML have 64 bits."""


def parse(text: str) -> dict[str, Any]:
    """Return the content of a TOML text.

    Raises:
        ValueError: if it is none, is nested too deeply, or has a whole number of more than 64 bits.
    """
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise ValueError("tables or arrays are nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python's own limit of digits
        raise ValueError(TOO_LONG) from None
    todo: list[Any] = [content]
    while todo:  # not by recursion: dotted keys nest as deeply as they like
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        elif too_long(value):
            raise ValueError(TOO_LONG)
    return content


TOO_LONG = "a whole number is too long; it has at most 64 bits"


def too_long(value: Any) -> bool:
    """Return whether a value is a whole number of more than 64 bits."""
    return isinstance(value, int) and not -LARGEST <= value < LARGEST

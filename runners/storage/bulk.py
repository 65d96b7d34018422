"""Making very many objects at once, and reading them from JSON that anybody may have written."""

import contextlib
import gc
import json
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: among very many new objects, none of it, it would take a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def parsed(content: bytes | str) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: if it is none, or nested more deeply than anything that we write.
    """
    from pydantic_core import from_json  # no worker need load it

    with contextlib.suppress(ValueError):
        return from_json(content, cache_strings="keys")  # half the time of the library, which knows odd texts, too
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None

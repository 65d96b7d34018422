"""The work of the comparison of sweeps: runs that count in plain Python, known beforehand."""

import time
from typing import Any


def busy(number: int, loops: int) -> int:
    """Return a number after some rounds of a loop in plain Python."""
    value = number
    for _ in range(loops):
        value = (value * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return value


def execute(task: dict[str, Any], context: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Make a run of ours; it says what its loop took."""
    start = time.process_time()
    value = busy(task["point"], context["loops"])
    return {"summary": {"value": value, "cpu": time.process_time() - start}}


def tasks_of(runs: int, swept: bool = True) -> list[dict[str, Any]]:
    """Return the runs of a sweep of ours."""
    return [
        {"run_id": f"p{n:06d}-r0000", "point": n, "replicate": 0, "seed": 1, "parameters": {"n": n} if swept else {}}
        for n in range(runs)
    ]

"""Command that says how far a sweep is."""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from .common import NAMED, JsonOption, ResultsArgument, app

if TYPE_CHECKING:
    from ..status import Status

_WATCH_SECONDS = 5.0
"""Seconds between two looks."""

_CLEAR = "\033[H\033[J"


@app.command("status")
def show_status(
    directory: ResultsArgument,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it every few seconds until nothing is going on.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how far a sweep is: runs by state, rate, time left, jobs, and what failed with the reason.

    \b
    Examples:
        citytwin status results/mine
        citytwin status results/mine --json
    """
    from ..executors.growth import growth_of
    from ..executors.submission import tasks_in_queue
    from ..status import status

    while True:
        found, queue = status(directory), tasks_in_queue(directory)
        growth, jobs = growth_of(directory, queue, found.sessions), queue or {}
        if as_json:
            facts = found.facts | {"jobs": jobs, "growth": None if growth is None else growth.facts}
            typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        else:
            text = status_text(found, jobs, "" if growth is None else f"{growth.state}: {growth.message}")
            typer.echo((_CLEAR if watch and sys.stdout.isatty() else "") + text)
        if not watch or not (found.alive or jobs):
            return
        time.sleep(_WATCH_SECONDS)


def status_text(found: "Status", jobs: dict[str, int], growth: str = "") -> str:
    """Return how far a sweep is, for people.

    Args:
        found: its status.
        jobs: number of its tasks in the queue of a batch system, by their state there.
        growth: how it goes on where it grows.
    """
    share = found.counts["done"] / found.total
    counted = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in found.counts.items() if count)
    lines = [f"{found.directory}: {found.total:,} runs, {share:.0%} done", f"  {counted}"]
    if found.cpu_hours:
        lines.append(f"  {found.cpu_hours:.3g} CPU hours so far")
    if found.per_hour is not None and found.hours_left is not None:
        lines.append(f"  {_rate(found.per_hour)} runs an hour of late, {_hours(found.hours_left)} left at that rate")
    if found.alive:
        machines = sorted({str(session.about.get("machine", {}).get("host", "?")) for session in found.alive})
        shown = ", ".join(machines[:NAMED]) + (f" and {len(machines) - NAMED} more" if len(machines) > NAMED else "")
        lines.append(f"  {len(found.alive)} at work on {shown}")
    if jobs:
        lines.append(
            "  tasks in the queue: " + ", ".join(f"{count:,} {state.lower()}" for state, count in jobs.items())
        )
    if growth:
        lines.append(f"  growing sweep {growth}")
    if found.failures:
        lines += [f"  {run}: {entry.told}" for run, entry in list(found.failures.items())[:NAMED]]
        if len(found.failures) > NAMED:
            lines.append(f"  … and {len(found.failures) - NAMED:,} more (--json names all)")
        traces = (
            f"Tracebacks are in {found.directory}/errors; " if any(e.trace for e in found.failures.values()) else ""
        )
        lines.append(f"  {traces}citytwin rerun makes one of them again, --resume all.")
    elif found.counts["queued"] and not (found.alive or jobs):
        lines.append("  Nobody is at work: go on with citytwin sweep or submit, and --resume.")
    return "\n".join(lines)


def _rate(per_hour: float) -> str:
    return f"{per_hour:,.0f}" if per_hour >= 100 else f"{per_hour:.3g}"


def _hours(hours: float) -> str:
    minutes = round(hours * 60)
    return f"{minutes} min" if minutes < 120 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"

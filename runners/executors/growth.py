"""How a growing sweep goes on that was submitted: what the last job of a round has left, beside its scripts."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ..engine.ledger import now
from ..engine.manifest import read_manifest
from ..engine.sessions import Session
from ..storage.atomic import write_atomic
from ..storage.bulk import parsed
from .submission import Submission, go_on_command, submissions

GROWTH = "growth.json"


@dataclass(frozen=True)
class Growth:
    """How a growing sweep that was submitted goes on.

    Attributes:
        state: ``waits`` for the jobs of its round; ``goes on``: its next round is submitted; ``over``: it has come to its
            end; ``stopped``: somebody must see to it.
        message: what to say of it.
        time: when that was so, ISO 8601 in UTC.
    """

    state: Literal["waits", "goes on", "over", "stopped"]
    message: str
    time: str

    @property
    def facts(self) -> dict[str, str]:
        """The same as JSON."""
        return {"state": self.state, "message": self.message}


def grows(directory: Path) -> bool:
    """Return whether a sweep that is planned is a growing one.

    Raises:
        ManifestError: if the directory is no sweep.
    """
    scenario = read_manifest(directory).get("scenario")
    section = scenario.get("sweep") if isinstance(scenario, dict) else None
    return isinstance(section, dict) and (section.get("until") is not None or section.get("budget") is not None)


def growth_of(directory: Path, queue: dict[str, int] | None, sessions: Sequence[Session]) -> Growth | None:
    """Return how a growing sweep goes on that was submitted; None if it does not grow, or not by its jobs.

    Args:
        directory: results directory.
        queue: its tasks in the queue by state, looked up before this; None if that is not known.
        sessions: all its sessions.

    Raises:
        ManifestError: if the directory is no sweep.
    """
    if not grows(directory):
        return None
    for submission in reversed(submissions(directory)):
        kept = _read(submission)
        if kept is not None:
            gone_on = any(str(session.about.get("started", "")) > kept.time for session in sessions)
            return None if gone_on and kept.state != "goes on" else kept
        if submission.jobs:
            return _waiting(directory, submission, queue)
    return None


def _waiting(directory: Path, submission: Submission, queue: dict[str, int] | None) -> Growth:
    last = submission.jobs.get("finish", "that was not submitted")
    if queue or queue is None or submission.request.system != "slurm":
        return Growth("waits", f"job {last} plans the next round once the runs of this one are made", now())
    again = go_on_command(directory, submission.request, trust_code=False)
    return Growth(
        "stopped",
        f"Job {last}, which was to plan the next round, was cancelled or ended without a word; its log, if any, is in "
        f"{submission.folder}. Go on with: {again}",
        now(),
    )


def write_growth(submission: Submission, growth: Growth) -> None:
    """Keep how it goes on.

    Raises:
        OSError: if the disk does not take it.
    """
    write_atomic(submission.folder / GROWTH, json.dumps(asdict(growth), indent=2).encode() + b"\n")


def _read(submission: Submission) -> Growth | None:
    try:
        return Growth(**parsed((submission.folder / GROWTH).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None

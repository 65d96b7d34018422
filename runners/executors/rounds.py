"""Rounds of a growing sweep on a batch system: the last job of a submission plans the next round and submits it.

It goes on only where every run of the sweep is settled, so that it decides what a sweep on one machine decides; and only
where one at least of its round is done, so that runs that cannot come to an end are not made for ever. What it came to is
kept beside its scripts, in ``growth.json``, for whoever asks for the status.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ..engine.ledger import now
from ..engine.part import explained
from ..engine.sessions import states
from ..points.growing import maker_of, plan_next, standing
from ..results import Results
from .growth import Growth, write_growth
from .job import SubmitError
from .parts import read_parts
from .submission import Submission, go_on_command, submissions
from .submit import SETTLED, submit_runs


def close_round(
    directory: Path, name: str, *, trust_code: bool = False, told: Callable[[str], None] = lambda _: None
) -> Growth:
    """Plan and submit the next round of a growing sweep, as the last job of a submission does.

    Args:
        directory: results directory.
        name: of the submission.
        trust_code, told: as for :func:`.submit.submit_runs`.

    Raises:
        SubmitError: if it cannot go on; that is kept, too.
        SweepError: if the results cannot be read or written, or have no such figure as ``until`` asks for; likewise.
    """
    directory = directory.absolute()
    submission = next((each for each in submissions(directory) if each.folder.name == name), None)
    if submission is None:
        raise SubmitError(f"{directory}: has no submission '{name}' that can be read")
    with explained(directory):
        try:
            growth = _next_round(directory, submission, trust_code, told)
        except Exception as error:  # whatever it is, status is to say it
            write_growth(submission, Growth("stopped", str(error) or type(error).__name__, now()))
            raise
        write_growth(submission, growth)
    return growth


def _next_round(directory: Path, submission: Submission, trust_code: bool, told: Callable[[str], None]) -> Growth:
    name = submission.folder.name
    if later := [each.folder.name for each in submissions(directory) if each.folder.name > name and each.jobs]:
        return Growth("goes on", f"{later[-1]} has been submitted already", now())
    found = states(directory)
    again = go_on_command(directory, submission.request, trust_code)
    if left := Counter(entry.state for entry in found.values() if entry.state not in SETTLED):
        counted = ", ".join(f"{count:,} {state}" for state, count in left.items())
        raise SubmitError(
            f"The next round is not planned, as runs of this one are not done: {counted}. Go on with: {again}"
        )
    runs = [run for part in read_parts(submission.folder) for run in part]
    if not any(found[run].state == "done" for run in runs):
        raise SubmitError(
            f"The next round is not planned, as none of the {len(runs):,} runs of this one came to its end. "
            f"Put right what they failed of, then go on with: {again}"
        )
    further = plan_next(directory, maker_of(directory))
    if not further:
        said = " ".join(standing(Results(directory))) or f"all {len(found):,} runs are made"
        return Growth("over", said, now())
    new = submit_runs(directory, submission.request, runs=further, trust_code=trust_code, told=told)
    return Growth("goes on", f"{new.runs:,} further runs were submitted as {new.folder.name}", now())

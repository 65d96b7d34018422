"""PBS (OpenPBS, PBS Professional): job arrays by ``qsub``. Torque, which writes arrays otherwise, is not supported."""

import re
from collections.abc import Sequence

from .job import Job, System, clock

_SMALLEST_ARRAY = 2
"""PBS refuses an array of one task."""


def _directives(job: Job) -> list[str]:
    wants = job.resources
    memory = "" if wants.megabytes is None else f":mem={wants.megabytes}mb"
    lines = [
        f"-N {job.name}",
        f"-l select=1:ncpus={wants.cores}{memory}",
        f"-l walltime={clock(wants.seconds)}",
        f"-r {'y' if job.requeue else 'n'}",
        "-j oe",
    ]
    if job.tasks is not None and job.tasks >= _SMALLEST_ARRAY:
        lines.append(f"-J 0-{job.tasks - 1}")
    if wants.queue:
        lines.append(f"-q {wants.queue}")
    if wants.account:
        lines.append(f"-A {wants.account}")
    return lines


def _submit(file: str, after: Sequence[str]) -> list[str]:
    return ["qsub", *(["-W", f"depend=afterany:{':'.join(after)}"] if after else []), file]


PBS = System(
    name="pbs",
    title="PBS",
    mark="#PBS",
    directives=_directives,
    index="$PBS_ARRAY_INDEX",
    submit=_submit,
    job_id=re.compile(r"^(\d\S*)", re.MULTILINE),
    cancel="qdel",
    look="qstat",
    smallest_array=_SMALLEST_ARRAY,
)

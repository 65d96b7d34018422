"""LSF: job arrays by ``bsub``, which reads the script from its standard input and counts tasks from 1."""

import re
from collections.abc import Sequence

from .job import Job, System


def _directives(job: Job) -> list[str]:
    wants = job.resources
    lines = [
        f"-J {job.name}" if job.tasks is None else f'-J "{job.name}[1-{job.tasks}]"',
        f"-n {wants.cores}",
        '-R "span[hosts=1]"',
        f"-W {wants.minutes}",
        "-wa USR1",
        "-wt 1",
        "-r" if job.requeue else "-rn",
        "-o %J.log" if job.tasks is None else "-o %I.log",
    ]
    if wants.megabytes is not None:
        lines += [f"-M {wants.megabytes}MB", f'-R "rusage[mem={wants.megabytes}MB]"']
    if wants.queue:
        lines.append(f"-q {wants.queue}")
    if wants.account:
        lines.append(f"-P {wants.account}")
    return lines


def _submit(_: str, after: Sequence[str]) -> list[str]:
    return ["bsub", *(["-w", " && ".join(f"ended({job})" for job in after)] if after else [])]


LSF = System(
    name="lsf",
    title="LSF",
    mark="#BSUB",
    directives=_directives,
    index="$((LSB_JOBINDEX - 1))",
    submit=_submit,
    job_id=re.compile(r"Job <(\d+)>"),
    cancel="bkill",
    look="bjobs",
    from_input=True,
)

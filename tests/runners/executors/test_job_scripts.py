"""The scripts of job arrays: what stands in them, that nothing of a user reaches a shell, that batch systems run them."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.runners.executors.job import INDEX, Job, Resources, SubmitError, clock, job_name, script, submit
from citytwin.runners.executors.slurm import parse_time_left
from citytwin.runners.executors.submission import SYSTEMS

WANTS = Resources(cores=4, seconds=5400, memory=8 * 10**9, queue="long", account="city")
ARRAY = Job(
    "school",
    ("/opt/python", "-m", "citytwin", "work", "/data/it's here", "--part", INDEX),
    WANTS,
    10,
    Path("/home/ada/my sweeps"),
    {"NUMBA_CACHE_DIR": "/data/kernels $HOME"},
)
BODY = """\
set -eu
export NUMBA_CACHE_DIR='/data/kernels $HOME'
cd '/home/ada/my sweeps'
exec /opt/python -m citytwin work '/data/it'"'"'s here' --part {index}
"""
EXPECTED = {
    "slurm": """\
#!/bin/bash
#SBATCH --job-name=school
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --time=01:30:00
#SBATCH --signal=B:USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --array=0-9
#SBATCH --output=%a.log
#SBATCH --mem=7630M
#SBATCH --partition=long
#SBATCH --account=city
"""
    + BODY.format(index='"$SLURM_ARRAY_TASK_ID"'),
    "pbs": """\
#!/bin/bash
#PBS -N school
#PBS -l select=1:ncpus=4:mem=7630mb
#PBS -l walltime=01:30:00
#PBS -r y
#PBS -j oe
#PBS -J 0-9
#PBS -q long
#PBS -A city
"""
    + BODY.format(index='"$PBS_ARRAY_INDEX"'),
    "lsf": """\
#!/bin/bash
#BSUB -J "school[1-10]"
#BSUB -n 4
#BSUB -R "span[hosts=1]"
#BSUB -W 90
#BSUB -wa USR1
#BSUB -wt 1
#BSUB -r
#BSUB -o %I.log
#BSUB -M 7630MB
#BSUB -R "rusage[mem=7630MB]"
#BSUB -q long
#BSUB -P city
"""
    + BODY.format(index='"$((LSB_JOBINDEX - 1))"'),
}
SUBMITTED = {
    "slurm": ["sbatch", "--parsable", "--dependency=afterany:7:8", "a.sh"],
    "pbs": ["qsub", "-W", "depend=afterany:7:8", "a.sh"],
    "lsf": ["bsub", "-w", "ended(7) && ended(8)"],
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_script_of_an_array(name):
    assert script(ARRAY, SYSTEMS[name]) == EXPECTED[name]


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_single_job_is_no_array_and_asks_for_no_more_than_it_is_told_to(name):
    job = Job("one", ("/opt/python",), Resources(cores=1, seconds=60), None, Path("/data"))
    text = script(job, SYSTEMS[name])
    assert "array" not in text and "-J 0" not in text and "[1-" not in text
    assert "mem" not in text and "-M" not in text and "account" not in text and "-q" not in text


def test_pbs_is_given_no_array_of_one_task_which_it_refuses():
    job = Job("one", ("/opt/python", "--part", INDEX), Resources(cores=1, seconds=60), 1, Path("/data"))
    text = script(job, SYSTEMS["pbs"])
    assert "-J" not in text and text.endswith("exec /opt/python --part 0\n")
    assert "--array=0-0" in script(job, SYSTEMS["slurm"])


@pytest.mark.parametrize("name", SYSTEMS)
def test_jobs_that_wait_for_others(name):
    assert SYSTEMS[name].submit("a.sh", ["7", "8"]) == SUBMITTED[name]
    assert not any("7" in word for word in SYSTEMS[name].submit("a.sh", []))


@pytest.mark.parametrize("name", SYSTEMS)
def test_names_and_directives_that_could_be_something_else_are_refused_together(name):
    wants = Resources(1, 60, queue="long; rm -rf ~", account="a\nb", extra=("rm -rf ~", f"{SYSTEMS[name].mark} -x\nls"))
    with pytest.raises(SubmitError) as error:
        script(Job("x", ("true",), wants, None, Path("/")), SYSTEMS[name])
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert "partition or queue 'long; rm -rf ~'" in lines[0] and "account 'a\\nb'" in lines[1]
    assert all(SYSTEMS[name].mark in line for line in lines[2:])


def test_further_directives_stand_in_the_script_before_the_first_command():
    wants = Resources(1, 60, extra=("#SBATCH --constraint=skylake", "#SBATCH --exclusive"))
    text = script(Job("x", ("true",), wants, None, Path("/")), SYSTEMS["slurm"])
    assert "\n#SBATCH --constraint=skylake\n#SBATCH --exclusive\nset -eu\n" in text


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(words=st.lists(TEXTS, max_size=4), value=TEXTS)
def test_the_command_gets_its_words_as_they_are(words, value):
    program = ("printf", r"%s\0")
    job = Job("x", (*program, INDEX, *words), Resources(1, 60), 3, Path("/"), {"NUMBA_CACHE_DIR": value})
    text = script(job, SYSTEMS["slurm"])
    done = subprocess.run(
        ["bash"], input=text.encode(), env={"SLURM_ARRAY_TASK_ID": "2"}, capture_output=True, check=True
    )
    assert done.stdout.decode().split("\0")[:-1] == ["2", *words]
    assert done.stderr == b""


def test_names_of_jobs_are_short_and_begin_with_a_letter():
    assert job_name(Path("results/school closure in Kampen")) == "school-closure-"
    assert job_name(Path("results/2026")) == "ct-2026"
    assert job_name(Path("results/$(rm -rf)")) == "rm--rf"


def test_durations_are_rounded_up_to_minutes():
    assert [clock(seconds) for seconds in (1, 60, 61, 3600, 360_001)] == [
        "00:01:00",
        "00:01:00",
        "00:02:00",
        "01:00:00",
        "100:01:00",
    ]


def test_time_left_as_slurm_writes_it():
    read = {
        text: parse_time_left(text) for text in ("0:59\n", "10:00", "1:00:00", "2-03:04:05", "UNLIMITED", "INVALID", "")
    }
    assert list(read.values()) == [59, 600, 3600, ((2 * 24 + 3) * 60 + 4) * 60 + 5, None, None, None]


# ---------------------------------------------------------------------- batch systems that are not here

QSUB = """\
#!/bin/bash
# A PBS that runs arrays at once, element after element, and writes down what it was asked.
echo "qsub $*" >>"$SHIM/calls"
file="${!#}"
range=$(sed -n 's/^#PBS -J 0-//p' "$file")
if [ -n "$range" ]; then
    for index in $(seq 0 "$range"); do (cd / && PBS_ARRAY_INDEX=$index bash "$OLDPWD/$file"); done
else
    (cd / && bash "$OLDPWD/$file")
fi
echo "$(grep -c qsub "$SHIM/calls")[].head.example.org"
"""
BSUB = """\
#!/bin/bash
# An LSF that runs arrays at once, element after element, and writes down what it was asked.
echo "bsub $*" >>"$SHIM/calls"
cat >"$SHIM/script"
range=$(sed -n 's/^#BSUB -J .*\\[1-\\([0-9]*\\)\\]"$/\\1/p' "$SHIM/script")
if [ -n "$range" ]; then
    for index in $(seq 1 "$range"); do LSB_JOBINDEX=$index bash "$SHIM/script"; done
else
    LSB_JOBINDEX=0 bash "$SHIM/script"
fi
echo "Job <$(grep -c bsub "$SHIM/calls")> is submitted to default queue <normal>."
"""
REFUSES = "#!/bin/bash\necho 'qsub: Unknown queue' >&2\nexit 170\n"


@pytest.fixture
def shim(tmp_path, monkeypatch):
    """Put a program of a name and content before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("SHIM", str(tmp_path))

    def put(name, content):
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return put


@pytest.mark.parametrize(
    ("name", "program", "content", "ids"),
    [("pbs", "qsub", QSUB, ["1[].head.example.org", "2[].head.example.org"]), ("lsf", "bsub", BSUB, ["1", "2"])],
)
def test_an_array_of_pbs_and_lsf_runs_every_part_once(tmp_path, shim, name, program, content, ids):
    shim(program, content)
    place = tmp_path / "a place"
    place.mkdir()
    command = ("bash", "-c", 'echo "$1 $PWD" >>"$SHIM/made"', "made", INDEX)
    file = place / "array.sh"
    file.write_text(script(Job("x", command, Resources(1, 60), 3, place), SYSTEMS[name]))
    first = submit(file, SYSTEMS[name])
    second = submit(file, SYSTEMS[name], [first])
    assert [first, second] == ids
    assert (tmp_path / "made").read_text().splitlines() == [f"{index} {place}" for index in (0, 1, 2)] * 2
    assert ids[0] in (tmp_path / "calls").read_text().splitlines()[1]


def test_a_batch_system_that_refuses_is_quoted(tmp_path, shim):
    shim("qsub", REFUSES)
    file = tmp_path / "array.sh"
    file.write_text("#!/bin/bash\n")
    with pytest.raises(SubmitError, match=r"PBS did not take .*array\.sh: qsub: Unknown queue"):
        submit(file, SYSTEMS["pbs"])


def test_a_batch_system_that_is_not_here_is_said_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "array.sh"
    file.write_text("#!/bin/bash\n")
    for system, program in zip(SYSTEMS.values(), ("sbatch", "qsub", "bsub"), strict=True):
        with pytest.raises(SubmitError, match=f"there is no {program} here.*{system.title}.*--write-only"):
            submit(file, system)

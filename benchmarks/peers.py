"""One epidemic of 180 days in citytwin, Covasim 3 and 4, Starsim and LASER, side by side on one core.

    python benchmarks/peers.py --python covasim4=.venv-covasim4/bin/python --python laser=.venv-laser/bin/python
    python benchmarks/peers.py --job measures --people 100000 --rounds 5 --out table.md

Every figure comes from a process of its own, pinned to one processor, its kernels compiled beforehand by a small run in
the same process. Rounds go through all systems in turn, so that a drift of the machine's speed meets all alike; the
table gives medians. Seconds are processor seconds (user + system); imports and compiling are not counted. What the jobs
are is in jobs.py. Systems that are not installed are left out.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

import jobs
from jobs import DAYS, SYSTEMS

DEFAULT_PEOPLE = {"plain": [100_000, 1_000_000], "measures": [100_000]}
_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def versions(python: str, *packages: str) -> dict[str, str]:
    """Return the versions of those packages that a Python has."""
    output = subprocess.run([python, "-c", _VERSIONS, *packages], check=True, capture_output=True, text=True).stdout
    found: dict[str, str] = json.loads(output)
    return found


def present(pythons: dict[str, str]) -> dict[str, str]:
    """Return the systems that can be measured with their versions, and say of the others how to install them."""
    show = "import citytwin; print(citytwin.__version__)"
    ours = subprocess.run([sys.executable, "-c", show], check=True, capture_output=True, text=True).stdout.strip()
    found = {"citytwin": ours}
    for name, system in SYSTEMS.items():
        if name == "citytwin":
            continue
        version = versions(pythons.get(name, sys.executable), system.package).get(system.package, "")
        if version and version.startswith(system.release):
            found[name] = version
        else:
            print(
                f"{name} is left out; install {system.install} in an environment and give --python {name}=its python",
                file=sys.stderr,
            )
    return found


def measure(
    name: str, people: int, seed: int, *, measures: bool = False, threads: int = 1, python: str = sys.executable
) -> dict[str, float]:
    """Do one job in a fresh process on as many processors as threads and return its figures, see ``jobs.timed``."""
    environment = os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    job = json.dumps([name, people, seed, measures, threads])
    done = subprocess.run([python, __file__, "--do", job], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def medians(
    systems: list[str], people: int, rounds: int, pythons: dict[str, str], *, measures: bool
) -> dict[str, dict[str, float]]:
    """Return the median figures of each system over the rounds, which have seeds 1, 2, …."""
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
    for number in range(1, rounds + 1):
        for name in systems:
            python = pythons.get(name, sys.executable)
            figures[name].append(measure(name, people, number, measures=measures, python=python))
            last = figures[name][-1]
            print(f"{people:,} people, round {number}: {name} {last['run']:.2f} CPU s", file=sys.stderr)
    return {name: {key: statistics.median(f[key] for f in runs) for key in runs[0]} for name, runs in figures.items()}


def table(job: str, sizes: list[int], rounds: int, found: dict[str, str], pythons: dict[str, str]) -> str:
    """Measure one job and return the table in Markdown."""
    systems = [name for name in found if job == "plain" or SYSTEMS[name].measures]
    lines = [
        "| people | system | build, CPU s | run, CPU s | M person-days per CPU s | memory, GB | infections a person "
        "| run / ours | memory / ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for people in sizes:
        median = medians(systems, people, rounds, pythons, measures=job == "measures")
        ours = median["citytwin"]
        for name, m in median.items():
            lines.append(
                f"| {people:,} | {SYSTEMS[name].package} {found[name]} | {m['build']:.2f} | {m['run']:.2f} "
                f"| {people * DAYS / m['run'] / 1e6:.1f} | {m['run memory']:.2f} | {m['attack']:.2f} "
                f"| {m['run'] / ours['run']:.1f} | {m['run memory'] / ours['run memory']:.1f} |"
            )
    return "\n".join(lines)


def machine() -> str:
    """Return Python, what matters of its packages, the processor and the date, in words."""
    found = versions(sys.executable, "numpy", "numba", "mesa")
    packages = ", ".join(f"{name} {version}" for name, version in found.items())
    info, processor = Path("/proc/cpuinfo"), platform.processor() or platform.machine()
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
    return f"Python {platform.python_version()}, {packages}; {processor}, {os.cpu_count()} processors; {date.today()}"


def assignment(text: str) -> tuple[str, str]:
    """Read NAME=PATH."""
    name, _, path = text.partition("=")
    if name not in SYSTEMS or not Path(path).exists():
        raise argparse.ArgumentTypeError(
            f"'{text}': write a system ({', '.join(SYSTEMS)}), =, and the path of a Python"
        )
    return name, path


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=list(DEFAULT_PEOPLE), nargs="+", default=list(DEFAULT_PEOPLE))
    parser.add_argument("--people", type=int, nargs="+", help="default 100,000 and 1,000,000; with measures 100,000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--python", type=assignment, action="append", default=[], metavar="SYSTEM=PATH",
        help="Python that has a system, this one by default",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="write the tables here too")
    parser.add_argument("--do", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        name, people, seed, measures, threads = json.loads(options.do)
        jobs.pin(threads)
        print(json.dumps(SYSTEMS[name].job(people, seed, measures, threads)))
        return
    pythons = dict(options.python)
    found = present(pythons)
    lines = [f"{machine()}. Medians of {options.rounds} rounds, one core."]
    for job in options.job:
        title = {"plain": "Without measures", "measures": "With five measures"}[job]
        sizes = options.people or DEFAULT_PEOPLE[job]
        lines += ["", f"{title}:", "", table(job, sizes, options.rounds, found, pythons)]
    text = "\n".join(lines)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

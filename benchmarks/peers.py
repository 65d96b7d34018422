"""One epidemic of 180 days in citytwin, Covasim and Starsim, side by side on one core.

    python benchmarks/peers.py                        # 100,000 and 1,000,000 people, 3 rounds
    python benchmarks/peers.py --people 100000 --rounds 5 --out table.md

Every figure comes from a process of its own, pinned to one processor, its kernels compiled beforehand by a small run in
the same process. Rounds go through all systems in turn, so that a drift of the machine's speed meets all alike; the
table gives medians. Seconds are processor seconds (user + system); imports and compiling are not counted. The job is
that of each system's own defaults: hybrid contacts, 0.05 % infected on the first day, no measures.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DAYS = 180
SEEDED = 0.0005


def citytwin(people: int, seed: int) -> dict[str, float]:
    """Invented city, covid at R0 2.5: households, classes, teams, venues, ages."""
    import citytwin as ct

    def scenario(size: int) -> "ct.Scenario":
        return ct.Scenario.from_text(
            f"""
            name = "benchmark"
            seed = {seed}
            [city]
            synthetic = {{ people = {size}, seed = {seed} }}
            [clock]
            start = 2026-01-05
            days = {DAYS}
            [epidemic]
            disease = "covid"
            r0 = 2.5
            initial_infections = {max(1, round(SEEDED * size))}
            """
        )

    def build(size: int) -> "ct.City":
        return ct.City.synthetic(size, seed=seed)

    ct.CityModel(scenario(2_000), city=build(2_000)).run()
    start = time.process_time()
    model = ct.CityModel(scenario(people), city=build(people))  # sets R0 on the visits, too
    built = time.process_time()
    outputs = model.run()
    done = time.process_time()
    summary = outputs["summary"]
    return {"build": built - start, "run": done - built, "attack": float(summary["attack_rate"][0])}


def covasim(people: int, seed: int) -> dict[str, float]:
    """Covasim's hybrid population with its default disease."""
    import covasim as cv

    def make(size: int) -> "cv.Sim":
        pars = {"pop_size": size, "pop_type": "hybrid", "pop_infected": round(SEEDED * size), "n_days": DAYS}
        return cv.Sim(pars, rand_seed=seed, verbose=0)

    make(2_000).run()
    start = time.process_time()
    sim = make(people)
    sim.initialize()
    built = time.process_time()
    sim.run()
    done = time.process_time()
    return {"build": built - start, "run": done - built, "attack": float(sim.summary["cum_infections"]) / people}


def starsim(people: int, seed: int) -> dict[str, float]:
    """Starsim's SEIR on its hybrid network: a lighter disease than Covasim's."""
    import starsim as ss

    def make(size: int) -> "ss.Sim":
        disease = ss.SEIR(
            beta=ss.perday(0.016), init_prev=SEEDED, dur_exp=ss.lognorm_ex(ss.days(4.5), ss.days(1.5)),
            dur_inf=ss.lognorm_ex(ss.days(8), ss.days(2)),
        )  # fmt: skip
        return ss.Sim(
            n_agents=size, diseases=disease, networks=ss.HybridNet(), start="2026-01-05", dur=ss.days(DAYS),
            dt=ss.days(1), rand_seed=seed, verbose=0,
        )  # fmt: skip

    make(2_000).run()
    start = time.process_time()
    sim = make(people)
    sim.init()
    built = time.process_time()
    sim.run()
    done = time.process_time()
    disease = sim.diseases[0]
    return {"build": built - start, "run": done - built, "attack": float((~disease.susceptible).sum()) / people}


SYSTEMS = {"citytwin": citytwin, "covasim": covasim, "starsim": starsim}


def measure(system: str, people: int, seed: int) -> dict[str, float]:
    """Run one job in a fresh process on one processor and return its figures."""
    environment = os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--job", system, "--people", str(people), "--seed", str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{system} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_job(system: str, people: int, seed: int) -> None:
    """Do one job in this process and print its figures as JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    figures = SYSTEMS[system](people, seed)
    figures["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps(figures))


def package_version(name: str) -> str | None:
    """Return the version of an installed package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def table(sizes: list[int], rounds: int) -> str:
    """Measure and return the table in Markdown."""
    present = [s for s in SYSTEMS if s == "citytwin" or package_version(s)]
    for missing in sorted(set(SYSTEMS) - set(present)):
        print(f"{missing} is not installed: pip install 'citytwin[bench]'", file=sys.stderr)
    lines = [
        f"Python {platform.python_version()}, numpy {version('numpy')}, numba {version('numba')}; "
        f"{processor()}, one core; medians of {rounds} rounds.",
        "",
        "| people | system | build, CPU s | run, CPU s | M person-days per CPU s | memory, GB | attack "
        "| run / ours | memory / ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for people in sizes:
        figures: dict[str, list[dict[str, float]]] = {s: [] for s in present}
        for number in range(rounds):
            for system in present:
                print(f"{people:,} people, round {number + 1}: {system}", file=sys.stderr)
                figures[system].append(measure(system, people, number + 1))
        median = {s: {k: statistics.median(f[k] for f in runs) for k in runs[0]} for s, runs in figures.items()}
        ours = median["citytwin"]
        for system, m in median.items():
            lines.append(
                f"| {people:,} | {system} {package_version(system) or ''} | {m['build']:.2f} | {m['run']:.2f} "
                f"| {people * DAYS / m['run'] / 1e6:.1f} | {m['memory']:.2f} | {m['attack']:.2f} "
                f"| {m['run'] / ours['run']:.1f} | {m['memory'] / ours['memory']:.1f} |"
            )
    return "\n".join(lines)


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the table here too")
    parser.add_argument("--job", choices=list(SYSTEMS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_job(options.job, options.people[0], options.seed)
        return
    text = table(options.people, options.rounds)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

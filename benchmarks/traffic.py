"""Traffic: vehicles that move and static assignment beside peers, how cost grows, and a city's day end to end.

    python benchmarks/traffic.py --data ~/TransportationNetworks
    python benchmarks/traffic.py --data ~/TransportationNetworks --quick
    python benchmarks/traffic.py --part growth --plots docs

The folder of data is laid out like github.com/bstabler/TransportationNetworks (Chicago-Sketch/ChicagoSketch_net.tntp and so
on), whose files are for academic research only and not part of this project; networks that it lacks are left out. Every
figure comes from a process of its own, pinned to one processor, its kernels compiled beforehand by a small run in the same
process. Rounds go through all systems in turn; the tables give medians. Seconds are processor seconds (user + system)
without imports and compiling. What the jobs are is in traffic_jobs.py, traffic_static.py, traffic_growth.py and
traffic_day.py.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import traffic_growth as growth
from jobs import pin
from peers import machine, versions
from traffic_day import city_day, day_table
from traffic_jobs import MOVERS, PLACES, file_of
from traffic_static import ASSIGNERS, best_objective

ROUNDS = 3
CLOSE = 0.1
"""Part by which trips done and their mean time may differ from ours before the table says so."""
RUNS = {
    "Chicago Sketch, a tenth of the trips": ("chicago", 0.1, ("citytwin", "uxsim5", "uxsim1", "sumo")),
    "Chicago Sketch, all trips": ("chicago", 1.0, ("citytwin", "uxsim5")),
    "Sioux Falls, three tenths of the trips": ("siouxfalls", 0.3, ("citytwin", "uxsim5", "uxsim1", "sumo")),
}
GAPS = {"siouxfalls": 1e-6, "anaheim": 1e-6, "barcelona": 1e-4}
QUICK_GAPS = {"siouxfalls": 1e-4, "anaheim": 1e-4, "barcelona": 1e-4}
VEHICLES = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000]
LINKS = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000]
CITIZENS = 500_000
PARTS = ("moving", "static", "growth", "day")


def job(kind: str, *given: Any) -> dict[str, float]:
    """Do one job in this process."""
    if kind == "move":
        name, data, network, share, seed = given
        return MOVERS[name].job(Path(data), network, share, seed)
    if kind == "assign":
        name, data, network, gap = given
        return ASSIGNERS[name].job(Path(data), network, gap)
    if kind == "growth":
        return growth.move(*given)
    return city_day(*given)


def measure(*given: Any) -> dict[str, float]:
    """Do one job in a fresh process on one processor and return its figures."""
    one = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--do", json.dumps([str(x) if isinstance(x, Path) else x for x in given])]
    done = subprocess.run(command, env=os.environ | one, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{given} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{given}: {figures['run']:.2f} CPU s", file=sys.stderr)
    return figures


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def rounds_of(
    names: list[str], rounds: int, work: Callable[[str, int], dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Let all do their job in turn, round by round, and return their medians."""
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in names:
            figures[name].append(work(name, number))
    return {name: medians(runs) for name, runs in figures.items()}


def present() -> dict[str, str]:
    """Return the versions of the packages that are here, and say which are not."""
    packages = sorted({mover.package for mover in (*MOVERS.values(), *ASSIGNERS.values())} - {"citytwin"})
    found = versions(sys.executable, *packages)
    for package in packages:
        if package not in found:
            print(f"{package} is left out; install it with: pip install citytwin[bench]", file=sys.stderr)
    show = "import citytwin; print(citytwin.__version__)"
    ours = subprocess.run([sys.executable, "-c", show], check=True, capture_output=True, text=True).stdout.strip()
    return {"citytwin": ours} | found


def moving_table(data: Path, network: str, share: float, names: list[str], rounds: int, found: dict[str, str]) -> str:
    """Measure vehicles that move, and return the table and what does not compare in it."""
    figures = rounds_of(names, rounds, lambda name, number: measure("move", name, data, network, share, number))
    ours = figures["citytwin"]
    lines = [
        "| system | cars done / cars | mean trip, s | build, CPU s | run, CPU s | cars per CPU s | passages of links per "
        "CPU s, M | memory, GB | run / ours | memory / ours |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    for name, m in figures.items():
        mover = MOVERS[name]
        lines.append(
            f"| {mover.package} {found[mover.package]}, {mover.label} | {m['done']:,.0f} / {m['cars']:,.0f} "
            f"| {m['seconds']:,.0f} | {m['build']:.2f} | {m['run']:.2f} | {m['cars'] / m['run']:,.0f} "
            f"| {m['moves'] / m['run'] / 1e6:.2f} | {m['memory']:.2f} | {m['run'] / ours['run']:.1f} "
            f"| {m['memory'] / ours['memory']:.1f} |"
        )
        for what, words in (("done", "cars done"), ("seconds", "mean trip")):
            differs = m[what] / ours[what] - 1.0
            if abs(differs) > CLOSE:
                notes.append(f"{mover.package}, {mover.label}: {words} {differs:+.0%} against ours.")
    parts = ", ".join(f"{name} {ours[name]:.3f}" for name in ("routes", "flow", "write"))
    lines += ["", f"Ours in CPU s: {parts}; the kernel alone moves {ours['moves'] / ours['flow'] / 1e6:.1f} M a CPU s."]
    if notes:
        lines.append("Not within 10 %, so speeds do not compare like for like: " + " ".join(notes))
    else:
        lines.append("Cars done and mean trips agree within 10 %.")
    return "\n".join(lines)


def static_table(data: Path, gaps: dict[str, float], rounds: int, found: dict[str, str]) -> str:
    """Measure static assignment and return the table."""
    lines = [
        "| network | gap wanted | system | run, CPU s | rounds | gap reached | objective | over the best known, relative "
        "| largest imbalance of a node | memory, GB | run / ours |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    names = [name for name in ASSIGNERS if ASSIGNERS[name].package in found]

    def work(name: str, network: str, gap: float) -> dict[str, float]:
        return measure("assign", name, data, network, gap)

    for network, gap in gaps.items():
        best = best_objective(data, network)
        figures = rounds_of(names, rounds, lambda name, _, network=network, gap=gap: work(name, network, gap))
        for name, m in figures.items():
            system = ASSIGNERS[name]
            lines.append(
                f"| {PLACES[network].stem} | {gap:g} | {system.package} {found[system.package]}, {system.label} "
                f"| {m['run']:.4g} | {m['rounds']:.0f} | {m['gap']:.1e} | {m['objective']:,.3f} "
                f"| {m['objective'] / best - 1:+.1e} | {m['imbalance']:.1e} | {m['memory']:.2f} "
                f"| {m['run'] / figures['citytwin']['run']:.1f} |"
            )
    return "\n".join(lines)


def here(data: Path | None, network: str, kinds: tuple[str, ...]) -> bool:
    """Return whether the files of a network are in the folder, and say which are not."""
    if data is None:
        return False
    missing = [str(path) for kind in kinds if not (path := file_of(data, network, kind)).exists()]
    if missing:
        print(f"{PLACES[network].stem} is left out; there is no {', '.join(missing)}", file=sys.stderr)
    return not missing


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of TNTP networks")
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="one round, small sizes: only to see that all of it works")
    parser.add_argument("--plots", type=Path, help="folder for cost-vehicles.png and cost-links.png")
    parser.add_argument("--out", type=Path, help="write the tables here too")
    parser.add_argument("--do", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        pin(1)
        print(json.dumps(job(*json.loads(options.do))))
        return
    if options.data is None and {"moving", "static"} & set(options.part):
        parser.error("--data is missing: the folder of TNTP networks; without one: --part growth day")
    quick, data = options.quick, options.data
    rounds = 1 if quick else options.rounds
    found = present()
    out: list[str] = []

    def say(*texts: str) -> None:
        out.extend(texts)
        print("\n".join(texts), flush=True)

    say(f"{machine()}. Medians of {rounds} rounds, one core." + (" A quick run: not for comparison." if quick else ""))
    if "moving" in options.part:
        for title, (network, share, names) in RUNS.items():
            if not here(data, network, ("net", "trips", "node")) or (quick and share == 1.0):
                continue
            those = [name for name in names if MOVERS[name].package in found and not (quick and name == "uxsim1")]
            say("", f"{title}:", "", moving_table(data, network, share, those, rounds, found))
    if "static" in options.part:
        gaps = QUICK_GAPS if quick else GAPS
        gaps = {network: gap for network, gap in gaps.items() if here(data, network, ("net", "trips", "flow"))}
        say("", "Static assignment:", "", static_table(data, gaps, rounds, found))
    if "growth" in options.part:
        least, a_link = growth.LEAST_VEHICLES, growth.VEHICLES_A_LINK
        sizes = {
            "vehicles": [(growth.LINKS_OF_VEHICLES, vehicles) for vehicles in (VEHICLES[:3] if quick else VEHICLES)],
            "links": [(links, max(least, a_link * links)) for links in (LINKS[:3] if quick else LINKS)],
        }
        for by, pairs in sizes.items():
            rows = [
                medians([measure("growth", *pair, number) for number in range(1, rounds + 1)])  # a day each
                for pair in pairs
            ]
            say("", f"Growth with {by}:", "", growth.growth_table(rows))
            if options.plots:
                growth.plot(rows, by, options.plots / f"cost-{by}.png")
    if "day" in options.part:
        runs = [measure("day", 20_000 if quick else CITIZENS, number) for number in range(1, rounds + 1)]
        middle = sorted(runs, key=lambda m: m["run"])[len(runs) // 2]  # one run, so that its parts add up
        say("", "A day of a city:", "", day_table(middle))
    if options.out:
        options.out.write_text("\n".join(out) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

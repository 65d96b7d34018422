"""How much sooner a run ends with two threads: wall seconds, on a machine with nothing else to do.

    python benchmarks/threads.py --people 1000000 --rounds 3

Rounds take one thread on one processor and two threads on two in turn. The results are the same to the bit.
"""

import argparse
import statistics

from peers import machine, measure


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    runs: dict[int, list[dict[str, float]]] = {threads: [] for threads in options.threads}
    for _ in range(options.rounds):
        for threads in options.threads:
            runs[threads].append(measure("citytwin", options.people, 1, threads=threads))
    if len({run["attack"] for of_threads in runs.values() for run in of_threads}) > 1:
        raise SystemExit("the results depend on the number of threads")
    print(f"{machine()}. {options.people:,} people, medians of {options.rounds} rounds.\n")
    print("| threads | run, wall s | run, CPU s | sooner by |\n|---|---|---|---|")
    first = 0.0
    for threads, of_threads in runs.items():
        wall, cpu = (statistics.median(run[key] for run in of_threads) for key in ("run wall", "run"))
        first = first or wall
        print(f"| {threads} | {wall:.2f} | {cpu:.2f} | {first / wall:.2f} |")


if __name__ == "__main__":
    main()

"""How cost grows with the city: build, epidemic of 180 days, memory, from 10,000 to 3 million people.

    python benchmarks/scale.py --plot docs/cost_size.png
    python benchmarks/scale.py --people 10000000

Each size is measured in a process of its own, pinned to one processor. Severity is on, there are no measures.
"""

import argparse
import statistics
from pathlib import Path

from jobs import DAYS
from peers import machine, measure

SMALL = 1_000
"""People of a process that needs hardly more memory than its imports."""
BLUE, ORANGE = "#0072B2", "#D55E00"
"""Of the palette of Okabe and Ito, told apart by all readers."""


def ns_per_person_day(m: dict[str, float], people: int) -> float:
    """Return the cost of the run by person and day."""
    return 1e9 * m["run"] / (people * DAYS)


def figures(sizes: list[int], rounds: int) -> dict[int, dict[str, float]]:
    """Measure and return the medians by size."""
    out = {}
    for people in sizes:
        runs = [measure("citytwin", people, number) for number in range(1, rounds + 1)]
        out[people] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return out


def table(measured: dict[int, dict[str, float]], rounds: int) -> str:
    """Return the table in Markdown."""
    base = measure("citytwin", SMALL, 1)["run memory"]
    lines = [
        f"{machine()}. Medians of {rounds} rounds, one core.",
        "",
        "| people | build, CPU s (wall s) | run of 180 days, CPU s (wall s) | ns per person-day | memory built, GB "
        "| memory at most, GB | bytes a person | infections a person |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {people:,} | {m['build']:.2f} ({m['build wall']:.2f}) | {m['run']:.2f} ({m['run wall']:.2f}) "
        f"| {ns_per_person_day(m, people):.1f} | {m['build memory']:.2f} | {m['run memory']:.2f} "
        f"| {1e9 * max(m['run memory'] - base, 0) / people:.0f} | {m['attack']:.2f} |"
        for people, m in measured.items()
    ]
    lines += ["", f"Bytes a person: peak memory beyond the {base:.2f} GB of a process with {SMALL:,} people."]
    return "\n".join(lines)


def plot(measured: dict[int, dict[str, float]], path: Path) -> None:
    """Draw CPU seconds, and nanoseconds per person-day, against size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    sizes = list(measured)
    picture, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.loglog(sizes, [m["run"] for m in measured.values()], "o-", color=BLUE, label="run of 180 days")
    left.loglog(
        sizes, [m["build"] for m in measured.values()], "s--", color=ORANGE, label="build, setting of R0 included"
    )
    left.set_ylabel("CPU seconds, one core")
    left.legend()
    right.semilogx(sizes, [ns_per_person_day(m, people) for people, m in measured.items()], "o-", color=BLUE)
    right.set_ylabel("run, ns per person and day")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("people")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(alpha=0.3)
    picture.suptitle("Cost of an epidemic without measures against the size of the city")
    picture.savefig(path, dpi=120)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--people", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000]
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="draw the figures to this PNG")
    parser.add_argument("--out", type=Path, help="write the table here too")
    options = parser.parse_args()
    measured = figures(options.people, options.rounds)
    text = table(measured, options.rounds)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    if options.plot:
        plot(measured, options.plot)


if __name__ == "__main__":
    main()

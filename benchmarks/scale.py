"""How cost grows with the city: build, epidemic of 180 days, memory, from 10,000 to 3 million people.

python benchmarks/scale.py
python benchmarks/scale.py --people 10000 100000 --out table.md
"""

import argparse
import platform
from importlib.metadata import version
from pathlib import Path

from peers import DAYS, measure, processor


def table(sizes: list[int]) -> str:
    """Measure each size once in a process of its own, pinned to one core, and return the table in Markdown."""
    lines = [
        f"Python {platform.python_version()}, numpy {version('numpy')}, numba {version('numba')}; "
        f"{processor()}, one core, one round.",
        "",
        "| people | build, CPU s | run of 180 days, CPU s | ns per person-day | memory, GB | bytes a person | attack |",
        "|---|---|---|---|---|---|---|",
    ]
    base = measure("citytwin", 1_000, 1)["memory"]
    for people in sizes:
        m = measure("citytwin", people, 1)
        lines.append(
            f"| {people:,} | {m['build']:.2f} | {m['run']:.2f} | {1e9 * m['run'] / (people * DAYS):.1f} "
            f"| {m['memory']:.2f} | {1e9 * max(m['memory'] - base, 0) / people:.0f} | {m['attack']:.2f} |"
        )
    lines += ["", f"Bytes a person: peak memory beyond the {base:.2f} GB of a process with 1,000 people."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--people", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000]
    )
    parser.add_argument("--out", type=Path, help="write the table here too")
    options = parser.parse_args()
    text = table(options.people)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Where the time of an epidemic without measures goes, kernel by kernel and day by day, and how far memory bounds it.

    python benchmarks/kernels.py --people 1000000 --plot docs/cost_prevalence.png

The run is made three times on one processor: once as it is, once in a city that fits into the caches (what a kernel
costs more there per person is the wait for memory), and once with each large kernel preceded by a twin that makes the
same reads and does nothing with them (the least the kernel could cost with its data where they are). Memory itself is
measured by a sum over a long array and by reads at random places.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from jobs import DAYS, WARM_UP, citytwin_model, pin
from numba import njit
from numba.core.registry import CPUDispatcher
from numpy.typing import NDArray
from peers import machine

IN_CACHE = 20_000
"""People of a city whose columns and visits of a day take less than a megabyte."""
BLUE, ORANGE = "#0072B2", "#D55E00"
"""Of the palette of Okabe and Ito, told apart by all readers."""


@njit
def read_as_push(sources, visits, state, at_risk, susceptibility, resistance, low, high):
    """Read what ``kernels.push`` reads without policies, but for the infectious visits, which are few and near.

    Returns:
        number of visits looked at, of tests for overlap to be made, of bytes read; and a sum without meaning.
    """
    visitor, visitor_start, visitor_end = visits.visitor, visits.visitor_start, visits.visitor_end
    first, curve = sources.first, sources.curve
    looked = risky = tests = np.int64(0)
    total = 0.0
    for s in range(sources.place.size):
        q = sources.place[s]
        before = risky
        for v in range(visits.place_first[q], visits.place_first[q + 1]):
            person = visitor[v]
            looked += 1
            if person < low or state[person] > at_risk:
                continue
            if person >= high:
                break
            risky += 1
            total += np.int64(visitor_start[v]) + np.int64(visitor_end[v]) + susceptibility[person]
            total += resistance[person] & 1
        tests += (risky - before) * (1 if curve[s] >= 0 else np.int64(first[s + 1]) - first[s])
    return looked, tests, sources.place.size * 20 + looked * 5 + risky * 14, total


@njit
def read_as_pull(sources, visits, state, at_risk, susceptibility, resistance, low, high):
    """Read what ``kernels.pull`` reads without policies, as :func:`read_as_push` does."""
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    group, altered, slot, first, curve = visits.group, visits.altered, sources.slot, sources.first, sources.curve
    looked = risky = active = tests = np.int64(0)
    total = 0.0
    for person in range(low, high):
        if state[person] > at_risk:
            continue
        risky += 1
        total += altered[group[person]]
        for v in range(visit_first[person], visit_first[person + 1]):
            looked += 1
            s = slot[visit_place[v]]
            if s < 0:
                continue
            active += 1
            tests += 1 if curve[s] >= 0 else np.int64(first[s + 1]) - first[s]
            total += np.int64(visit_start[v]) + np.int64(visit_end[v])
        total += susceptibility[person] + (resistance[person] & 1)
    return looked, tests, high - low + risky * 18 + looked * 8 + active * 14, total


@njit
def read_as_walk(infectious, strength, visits, low, high):
    """Read what ``sources._walk`` reads without policies, as :func:`read_as_push` does."""
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    group, altered = visits.group, visits.altered
    looked = np.int64(0)
    total = 0.0
    for i in range(low, high):
        person = infectious[i]
        total += altered[group[person]] + strength[i]
        for v in range(visit_first[person], visit_first[person + 1]):
            looked += 1
            total += np.int64(visit_place[v]) + np.int64(visit_start[v]) + np.int64(visit_end[v])
    return looked, 0, (high - low) * 22 + looked * 6, total


READS: dict[str, Callable[..., Any]] = {"push": read_as_push, "pull": read_as_pull, "_walk": read_as_walk}


class Clock:
    """CPU seconds and calls of the kernels of the epidemic, which it stands in for.

    Args:
        reads: whether to make and time the reads of the large kernels instead.
    """

    def __init__(self, *, reads: bool = False):
        from citytwin.agents.epidemic import kernels, progress, sources

        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self.counts: dict[str, NDArray[np.int64]] = {}
        self._modules = [
            (module, name, kernel)
            for module in (kernels, progress, sources)
            for name, kernel in vars(module).items()
            if isinstance(kernel, CPUDispatcher) and kernel.__module__ == module.__name__
        ]
        self._reads = READS if reads else {}

    def __enter__(self) -> "Clock":
        for module, name, kernel in self._modules:
            setattr(module, name, self._timed(name, kernel))
        return self

    def __exit__(self, *error: object) -> None:
        for module, name, kernel in self._modules:
            setattr(module, name, kernel)

    def _timed(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def work(*given: Any) -> Any:
            read = self._reads.get(name)
            start = time.process_time()
            answer = kernel(*given) if read is None else read(*given)
            self.seconds[name] += time.process_time() - start
            self.calls[name] += 1
            if read is None:
                return answer
            self.counts[name] = self.counts.get(name, 0) + np.array(answer[:3])
            return kernel(*given)

        return work


def run(people: int, clock: Clock | None, *, direction: str = "auto") -> list[tuple[float, float, bool]]:
    """Run a city, with a clock at its kernels or without.

    Returns:
        by day the share of people who are infectious, CPU seconds, and whether cases are rising.
    """
    model = citytwin_model(people, 1)
    [epidemic] = model.processes
    epidemic.contagion.direction = direction
    days = []
    with clock or nullcontext():
        while model.running:
            before = len(epidemic.infectious)
            start = time.process_time()
            model.step()
            seconds = time.process_time() - start
            now = len(epidemic.infectious)
            days.append((now / people, seconds, now >= before))
    return days


@njit
def sum_of(values):
    """Return the sum of an array, read from end to end."""
    total = np.int64(0)
    for n in range(values.size):
        total += values[n]
    return total


@njit
def sum_at(values, places):
    """Return the sum of an array at places, whose reads do not wait for each other."""
    total = np.int64(0)
    for n in range(places.size):
        total += values[places[n]]
    return total


def best(work: Callable[[], Any], times: int = 5) -> float:
    """Return the least CPU seconds of some tries."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def memory() -> list[str]:
    """Measure the memory of this machine and return lines of a table."""
    long = np.ones(64_000_000, np.int64)
    sum_of(long[:10])
    lines = ["| memory | |", "|---|---|"]
    lines.append(f"| read from end to end | {long.nbytes / best(lambda: sum_of(long)) / 1e9:.1f} GB/s |")
    rng = np.random.default_rng(1)
    for megabytes in (0.5, 4, 16, 64, 512):
        values = long[: int(megabytes * 1e6 / 8)]
        places = rng.integers(0, len(values), 4_000_000).astype(np.int32)
        sum_at(values, places[:10])
        each = 1e9 * best(lambda v=values, p=places: sum_at(v, p)) / len(places)
        lines.append(f"| read at random within {megabytes:g} MB | {each:.2f} ns |")
    return lines


def table(people: int, clock: Clock, days: list[tuple[float, float, bool]], reads: Clock, near: Clock) -> list[str]:
    """Return the table by kernel."""
    total = sum(seconds for _, seconds, _ in days)
    ns = 1e9 / (people * DAYS)
    lines = [
        "| kernel | calls | CPU s | share | ns per person-day | in caches | reads alone | visits looked at "
        "| tests for overlap | bytes a person-day |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1]):
        if seconds < 0.002 * total:
            continue
        in_caches = near.seconds[name] * 1e9 / (IN_CACHE * DAYS)
        cells = [name, f"{clock.calls[name]}", f"{seconds:.2f}", f"{100 * seconds / total:.0f} %"]
        cells += [f"{seconds * ns:.2f}", f"{in_caches:.2f}"]
        if name in reads.counts:
            looked, tests, read = reads.counts[name]
            cells += [f"{reads.seconds[name] * ns:.2f}", f"{looked / 1e6:.0f} M", f"{tests / 1e6:.0f} M"]
            cells += [f"{read / (people * DAYS):.1f}"]
        lines.append(f"| {' | '.join(cells)} |" + " |" * (10 - len(cells)))
    rest = total - sum(clock.seconds.values())
    lines.append(
        f"| all else, in Python and numpy | | {rest:.2f} | {100 * rest / total:.0f} % | {rest * ns:.2f} | | | | | |"
    )
    lines.append(f"| together | | {total:.2f} | 100 % | {total * ns:.2f} | | | | | |")
    return lines


def plot(people: int, days: list[tuple[float, float, bool]], path: Path) -> None:
    """Draw CPU milliseconds of each day against the share of people who are infectious."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    picture, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for rising, colour, words in ((True, BLUE, "cases rising"), (False, ORANGE, "cases falling")):
        for weekend, marker, when in ((False, "o", "Monday to Friday"), (True, "^", "weekend")):
            chosen = [
                (100 * share, 1000 * seconds)
                for day, (share, seconds, up) in enumerate(days)
                if up == rising and (day % 7 >= 5) == weekend  # day 0 is a Monday
            ]
            axes.plot(
                *np.array(chosen).reshape(-1, 2).T, marker, color=colour, label=f"{words}, {when}",
                markerfacecolor="none" if weekend else colour, markersize=5,
            )  # fmt: skip
    axes.set_xlabel("share of the people who are infectious, %")
    axes.set_ylabel("CPU ms for the day, one core")
    axes.set_title(f"Cost of a day against prevalence, {people:,} people, no measures")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    picture.savefig(path, dpi=120)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--plot", type=Path, help="draw cost against prevalence to this PNG")
    parser.add_argument("--out", type=Path, help="write the tables here too")
    options = parser.parse_args()
    pin(1)
    for clock in (None, Clock(reads=True)):  # first without, as a kernel is compiled with those it calls
        for direction in ("push", "pull"):
            run(WARM_UP, clock, direction=direction)
    clock, near, reads = Clock(), Clock(), Clock(reads=True)
    days = run(options.people, clock)
    run(IN_CACHE, near)
    run(options.people, reads)
    lines = [f"{machine()}. One core.", "", *table(options.people, clock, days, reads, near), "", *memory()]
    print("\n".join(lines))
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if options.plot:
        plot(options.people, days, options.plot)


if __name__ == "__main__":
    main()

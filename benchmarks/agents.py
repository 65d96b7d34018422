"""Cost of agents: citizens as rows against ordinary Mesa agents, in CPU seconds on one core and MB of memory.

    python benchmarks/agents.py [--agents 1000000] [--json table.json]

Each kind runs in a process of its own. Both have the same six attributes and do the same work.
"""

import argparse
import importlib.util
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("rows", "plain")


def citytwin_from_here() -> None:
    """Import citytwin from this clone if none is installed."""
    if importlib.util.find_spec("citytwin") is None:
        sys.path.insert(0, str(ROOT / "tests"))
        import conftest  # noqa: F401


def resident() -> float:
    """Return the memory of this process in MB (Linux), 0 elsewhere."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 / 1e6 if statm.exists() else 0.0


def birthday(agent) -> None:
    """Be a year older."""
    agent.age += 1


def over_60(agent) -> bool:
    """Choose as a function of the agent."""
    return agent.age > 60


def measure(kind: str, agents: int) -> dict[str, float]:
    """Make agents of one kind and put them to work.

    Returns:
        Name of the operation -> CPU seconds; ``memory`` in MB, ``columns`` in MB of bare data.
    """
    citytwin_from_here()
    import mesa
    import numpy as np

    from citytwin.agents.citizens import Citizen
    from citytwin.agents.rows import RowModel

    class Plain(mesa.Agent):
        def __init__(self, model, age, sex, household, activity):
            super().__init__(model)
            self.age, self.sex, self.household, self.activity = age, sex, household, activity
            self.zone, self.compliance = 0, 0.0

    rng = np.random.default_rng(1)
    values = {
        "age": rng.integers(0, 100, agents).astype(np.uint8),
        "sex": rng.integers(0, 2, agents).astype(np.uint8),
        "household": rng.integers(0, agents // 2 + 1, agents).astype(np.int32),
        "activity": rng.integers(0, 1000, agents).astype(np.int32),
    }
    model = RowModel(rng=1) if kind == "rows" else mesa.Model(rng=1)
    cls = Citizen if kind == "rows" else Plain
    given = values if kind == "rows" else {name: column.tolist() for name, column in values.items()}
    costs: dict[str, float] = {}

    def timed(name, work):
        start = time.process_time()
        answer = work()
        costs[name] = time.process_time() - start
        return answer

    before = resident()
    people = timed("create", lambda: cls.create_agents(model, agents, **given))
    costs["memory"] = resident() - before
    if kind == "rows":
        costs["columns"] = sum(column.nbytes for column in model.table(Citizen).columns.values()) / 1e6
    timed("agg mean", lambda: people.agg("age", np.mean))
    timed("get", lambda: people.get("age"))
    timed("set", lambda: people.set("zone", 1))
    timed("select by function", lambda: people.select(over_60))
    if kind == "rows":
        timed("select by columns", lambda: people.select(where=lambda c: c.age > 60))
    timed("groupby and agg", lambda: people.groupby("age").agg("household", max))
    timed("sort", lambda: people.sort("age"))
    timed("do", lambda: people.do(birthday))
    timed("shuffle_do", lambda: people.shuffle_do(birthday))
    timed("iterate", lambda: sum(1 for _ in people))
    few = people.select(at_most=20_000)
    timed("20,000 decide", lambda: few.do(birthday))
    return costs


def main() -> None:
    """Measure both kinds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="write the table there, too")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(measure(options.kind, options.agents)))
        return
    results = {}
    for kind in KINDS:
        command = [sys.executable, __file__, "--kind", kind, "--agents", str(options.agents)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results[kind] = json.loads(output.splitlines()[-1])
    import mesa

    rows, plain = results["rows"], results["plain"]
    print(
        f"{options.agents:,} agents, mesa {mesa.__version__}, Python {platform.python_version()}, {platform.machine()}"
    )
    print(f"{'':22}{'rows':>10}{'plain Mesa':>12}{'ratio':>8}")
    for name, cost in rows.items():
        if name in ("memory", "columns"):
            continue
        other = plain.get(name, plain["select by function"])
        print(f"{name:22}{cost:10.4f}{other:12.4f}{other / max(cost, 1e-6):8.1f}   CPU s")
    over = rows["memory"] - rows["columns"]
    print(f"{'memory':22}{rows['memory']:10.0f}{plain['memory']:12.0f}{plain['memory'] / rows['memory']:8.1f}   MB")
    print(f"{'  over the columns':22}{over:10.0f}{'':20}   MB")
    if options.json:
        head = {"agents": options.agents, "mesa": mesa.__version__, "python": platform.python_version()}
        options.json.write_text(json.dumps(head | results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

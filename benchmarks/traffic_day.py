"""A day of a whole city, from plans to tables on disk, and where its time goes."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traffic_jobs import cpu, memory

WARM_UP = 20_000
"""Citizens of the small run."""
PARTS = {
    "plans": "who goes where, when and how",
    "transit": "journeys by public transport planned, buses and riders on their way",
    "routes": "ways of cars and buses, and new ones under way",
    "flow": "vehicles moved",
    "record": "tables of links and trips, written to Parquet",
    "rest": "all else",
}


def _scenario(people: int, seed: int) -> Any:
    import citytwin as ct

    return ct.Scenario.from_text(
        f"""
        name = "benchmark"
        [city]
        synthetic = {{ people = {people}, seed = {seed} }}
        [clock]
        start = 2026-03-02
        days = 1
        [traffic]
        [output]
        tables = ["trips", "links"]
        """
    )


def _clocked(spent: dict[str, float], name: str, owner: Any, method: str) -> None:
    """Count the processor seconds of a method under a name; a part inside a part counts once, as the inner one."""
    plain: Callable[..., Any] = getattr(owner, method)

    def clocked(*args: Any, **options: Any) -> Any:
        began, inside = cpu(), sum(spent.values())
        answer = plain(*args, **options)
        spent[name] += cpu() - began - (sum(spent.values()) - inside)
        return answer

    setattr(owner, method, clocked)


def city_day(people: int, seed: int) -> dict[str, float]:
    """Live through a day of a synthetic city and return processor seconds by part."""
    import pyarrow
    from pyarrow import parquet

    import citytwin as ct
    from citytwin.agents.traffic.flow import Flow
    from citytwin.agents.traffic.layout import MOVES
    from citytwin.agents.traffic.plans import Plans
    from citytwin.agents.traffic.record import LinkRecord
    from citytwin.agents.traffic.routes import BusRoutes, Routes
    from citytwin.agents.traffic.traffic import Traffic
    from citytwin.agents.traffic.transit import PublicTransport

    ct.CityModel(_scenario(WARM_UP, seed), seed=seed).run()
    spent = dict.fromkeys(PARTS, 0.0)
    for name, owner, methods in (
        ("plans", Plans, ("of_day",)),
        ("transit", PublicTransport, ("begin_day", "bus_runs", "offer", "plan")),
        ("routes", Routes, ("send", "again", "avoid")),
        ("routes", BusRoutes, ("send",)),
        ("flow", Flow, ("advance",)),
        ("record", LinkRecord, ("note",)),
        ("record", Traffic, ("_keep",)),
    ):
        for method in methods:
            _clocked(spent, name, owner, method)
    at = cpu()
    city = ct.City.synthetic(people, seed=seed)
    built = cpu()
    model = ct.CityModel(_scenario(people, seed), city, seed=seed)
    ready = cpu()
    spent.update(dict.fromkeys(PARTS, 0.0))  # what the model was built with does not count
    outputs = model.run()
    with tempfile.TemporaryDirectory() as folder:
        began = cpu()
        for name in ("trips", "links"):
            parquet.write_table(pyarrow.table(outputs[name]), Path(folder) / f"{name}.parquet")
        spent["record"] += cpu() - began
    whole = cpu() - ready
    spent["rest"] = whole - sum(spent.values())
    process = next(process for process in model.processes if isinstance(process, Traffic))
    summary = process.summary()
    flow = process.flow
    return {
        "people": people,
        "city": built - at,
        "model": ready - built,
        "run": whole,
        "trips": float(summary["trips"]),
        "cars": float(summary["trips_car"]),
        "not_arrived": float(summary["not_arrived"]),
        "minutes": float(summary["minutes_by_car"]),
        "moves": float(flow.state.counters[MOVES]) if flow is not None else 0.0,
        "links": float(process.network.links),
        "memory": memory(),
        **{f"part {name}": seconds for name, seconds in spent.items()},
    }


def day_table(m: dict[str, float]) -> str:
    """Return the table in Markdown."""
    lines = [
        f"{m['people']:,.0f} citizens, {m['trips']:,.0f} trips of which {m['cars']:,.0f} by car ({m['minutes']:.1f} minutes "
        f"each), {m['links']:,.0f} links, {m['moves'] / 1e6:.1f} M passages, {m['not_arrived']:,.0f} not arrived, "
        f"{m['memory']:.2f} GB. The city is built in {m['city']:.1f} CPU s, the model in {m['model']:.1f}.",
        "",
        "| part of the day | CPU s | share |",
        "|---|---|---|",
    ]
    for name, words in PARTS.items():
        seconds = m[f"part {name}"]
        lines.append(f"| {name}: {words} | {seconds:.2f} | {seconds / m['run']:.0%} |")
    lines.append(f"| together | {m['run']:.2f} | 100 % |")
    return "\n".join(lines)

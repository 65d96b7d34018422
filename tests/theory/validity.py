"""Write docs/validity.md from the figures that the tests of theory check.

    python tests/theory/validity.py            the fast form: what the ordinary test suite runs
    python tests/theory/validity.py --full     with the full form of the checks, which takes longer

The tests hand every figure to the fixture ``validity``; the page is made of what they recorded in this run and of nothing
else. It names the checks it was made by, and its last line seals it: a test refuses a page that was changed by hand, or
whose checks have changed since.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
PAGE = ROOT / "docs" / "validity.md"
SEAL = "Seal: "

CASES = {
    "V1": "Final size of an epidemic in one place",
    "V2": "Spread of the final size over runs",
    "V3": "Outbreaks from one case that die out",
    "V4": "Growth while nearly everybody is susceptible",
    "V5": "Final size by age under a contact matrix",
    "V6": "Chains of infection in households (Reed-Frost)",
    "V7": "Chance of infection by time together",
    "V8": "Immunity that stops measles",
    "V9": "Influenza in a boarding school, 1978",
    "V10": "COVID-19 in households",
    "V11": "Influenza and measles in households",
    "V12": "The first wave of Covasim's defaults on layers like its own",
    "V14": "Influenza of R0 1.8 by age",
    "V15": "What measures do exactly",
    "seeds": "Policies compared with common seeds",
    "air": "Infection through the air of a room (Wells-Riley)",
    "contacts": "Contacts of a day in a built city",
    "places": "Where infections happen",
    "norovirus": "Norovirus in a school by class, 2001",
    "smallpox": "Smallpox in Abakaliki by compound, 1967",
    "flow": "Traffic flow: bottlenecks, queues, merges and signals",
    "lanes": "Bus lanes and places to park",
    "equilibrium": "Static user equilibrium of public networks",
    "routes": "Two routes in stochastic user equilibrium",
    "Bologna": "Bologna's morning peak beside SUMO",
    "calls": "Calls for emergency services: load of published cities, real accidents",
    "queues": "Formulas of queues",
    "waits": "Units that nobody drives to: lost and waiting calls, simulated",
    "ways": "The square-root law of ways, simulated",
    "hypercube": "Units that answer calls: the hypercube",
    "bridge": "One city: a wave in hospitals and a closed bridge",
    "siting": "Where stations should stand",
    "Auckland": "Ambulances of Auckland as JEMSS models them",
    "indices": "Which parameters matter: Sobol's and Morris's indices",
    "curse": "The best of many policies: what the search sees, and fresh seeds",
}
"""Every case that the page must hold, in its order."""


def _number(value):
    if value is None:
        return "…"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.4g}"


def _expected(row):
    if row["within"] is not None:
        low, high = row["within"]
        if low is None:
            return f"at most {_number(high)}", ""
        if high is None:
            return f"at least {_number(low)}", ""
        return f"{_number(low)} to {_number(high)}", ""
    return _number(row["expected"]), f"± {row['tolerance']:.2g}" if row["tolerance"] else "exact"


def _line(*cells):
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


def page(rows, *, form, when, machine):
    """Return the text of the page.

    Args:
        rows: what the fixture ``validity`` recorded.
        form: "fast" or "full", the form of the run.
        when: date and time.
        machine: versions and machine, in words.
    """
    passed = sum(row["passed"] for row in rows)
    out = [
        "# Validity",
        "",
        "Figures that the tests of theory check: what is expected, from where, and what citytwin gives. Written by",
        "`python tests/theory/validity.py`, never by hand.",
        "",
        f"{passed} of {len(rows)} figures pass. Form of the run: {form}; the last column says by which form of a check a",
        f"figure was found. {when}. {machine}. Checks {checks()}.",
        "",
        _line("case", "what is checked", "figures", "pass"),
        _line("---", "---", "---:", "---:"),
    ]
    by_case = {case: [row for row in rows if row["case"] == case] for case in CASES}
    for case, title in CASES.items():
        found = by_case[case]
        out.append(_line(case, title, len(found), sum(row["passed"] for row in found)))
    for case, title in CASES.items():
        if not by_case[case]:
            continue
        out += [
            "",
            f"## {case}: {title}",
            "",
            _line("what", "expected", "tolerance", "ours", "pass", "source", "test", "form"),
            _line("---", "---:", "---:", "---:", "---", "---", "---", "---"),
        ]
        out += [
            _line(
                row["what"],
                *_expected(row),
                _number(row["ours"]),
                "yes" if row["passed"] else "**no**",
                row["source"],
                f"`{row['file']}`",
                row["form"],
            )
            for row in by_case[case]
        ]
    text = "\n".join(out) + "\n\n"
    return text + SEAL + hashlib.sha256(text.encode()).hexdigest()[:16] + "\n"


def checks():
    """Return a short name of the tests as they are, which changes with every one of them."""
    files = sorted(path for path in FOLDER.glob("test_*.py") if path.name != "test_validity.py")
    content = b"".join(path.name.encode() + path.read_bytes() for path in files)
    return hashlib.sha256(content).hexdigest()[:12]


def record(full):
    """Run the tests of theory and return what they recorded, and whether all passed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.jsonl"
        path.touch()
        command = [sys.executable, "-m", "pytest", str(FOLDER), "-q", f"--ignore={FOLDER / 'test_validity.py'}"]
        command += ["-n", "auto"]
        if full:
            command += ["-m", "full or not full"]
        environment = os.environ | {"CITYTWIN_VALIDITY": str(path)}
        result = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows.sort(key=lambda row: (row["file"], row["test"], row["what"]))
    return rows, result.returncode == 0


def main():
    """Run the tests and write the page; exit 1 if one failed."""
    parser = argparse.ArgumentParser(description="Write docs/validity.md from the tests of theory.")
    parser.add_argument("--full", action="store_true", help="run the full form of the checks too")
    parser.add_argument("--out", type=Path, default=PAGE, help="file to write")
    arguments = parser.parse_args()
    rows, passed = record(arguments.full)
    packages = ("citytwin", "mesa", "numpy", "numba", "scipy")
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    machine = (
        f"Python {platform.python_version()}, {versions}; {_processor()}, {os.cpu_count()} cores, {platform.system()}"
    )
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = page(rows, form="full" if arguments.full else "fast", when=when, machine=machine)
    arguments.out.write_text(text, encoding="utf-8")
    sys.exit(0 if passed else 1)


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        import tomllib

        return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def _processor():
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.is_file() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()

"""The command line: ``citytwin …``. What a command needs is imported when it runs, so that ``--help`` is quick.

Exit codes: 0 done, 1 some runs failed (they are named), 2 the request is wrong, 130 stopped by Ctrl-C.
"""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from .results import Results
    from .scenario import Scenario

SOME_FAILED = 1
WRONG_REQUEST = 2
INTERRUPTED = 130
STOPPED = "Stopped; nothing was kept."
_NAMED = 10


class _StoppedError(Exception):
    """Ctrl-C in a command, which Typer would end without a word."""


class _Stoppable(TyperGroup):
    """Commands that Ctrl-C stops at whatever moment."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:  # that of a sweep says what is done
            raise _StoppedError(str(stopped) or STOPPED) from None


app = typer.Typer(
    name="citytwin",
    cls=_Stoppable,
    help="What would happen in this city if …: run scenarios in a city, sweep policies, compare them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
city_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make a city, or look at one.")
app.add_typer(city_app, name="city")

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a shipped one (quickstart).")
]
ResultsArgument = Annotated[Path, typer.Argument(metavar="RESULTS", help="A results directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
SetOption = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the file; any number of times."),
]
CityOutOption = Annotated[Path, typer.Option("--out", help="The bundle to make: a directory, by custom called ….city.")]
LARGEST_SEED = 2**62 - 1
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of everything that is drawn.")]


def _printable(name: str | None) -> str | None:
    if name is not None and not (name.strip() and name.isprintable() and len(name) <= 100):
        raise typer.BadParameter(f"{name!r}: must have 1 to 100 characters, and no control characters")
    return name


NameOption = Annotated[str | None, typer.Option("--name", callback=_printable, help="Name of the city.")]
_COUNTRY_HELP = "Country whose ages residents have: DE (when left out), FR, IT, ES or CH."
CountryOption = Annotated[str | None, typer.Option("--country", help=_COUNTRY_HELP)]


def main() -> None:
    """Run the command line; a user's mistake ends in its message, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack some sign of a table
    try:
        app()
    except _StoppedError as stopped:
        typer.echo(str(stopped), err=True)
        sys.exit(INTERRUPTED)
    except (KeyboardInterrupt, SystemExit) as early:  # before any command has begun
        if isinstance(early, SystemExit) and early.code != INTERRUPTED:
            raise
        typer.echo(STOPPED, err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not _is_mistake(error):
            raise
        typer.echo(str(error), err=True)
        sys.exit(WRONG_REQUEST)


def _is_mistake(error: Exception) -> bool:
    """Return whether an error is about what was asked for, and says all there is to say."""
    from ..agents.epidemic.transmission import TransmissionError
    from ..agents.rules import GroupsError
    from ..environment.city import CityError
    from .documents import ScenarioError
    from .manifest import ManifestError
    from .sweep import SweepError
    from .tables import StoreError

    mistakes = CityError | GroupsError | ManifestError | ScenarioError | StoreError | SweepError | TransmissionError
    return isinstance(error, mistakes)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"citytwin {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


# ---------------------------------------------------------------------- cities


@city_app.command("synthetic")
def city_synthetic(
    people: Annotated[int, typer.Option("--people", help="Residents, 1,000 to 10,000,000.")],
    out: CityOutOption,
    seed: SeedOption = 1,
    name: NameOption = None,
    country: CountryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Invent a plausible European city of any size.

    \b
    Example:
        citytwin city synthetic --people 100000 --seed 7 --out toy.city
    """
    from ..environment.city import City

    _keep_city(lambda: City.synthetic(people, seed=seed, name=name, country=country or "DE"), out, as_json)


@city_app.command("osm")
def city_osm(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An extract: .osm.pbf, .osm, .osm.gz or .osm.bz2.")],
    out: CityOutOption,
    people: Annotated[
        int | None, typer.Option("--people", min=1, help="Residents; left out, what the extract itself states.")
    ] = None,
    seed: SeedOption = 1,
    census: Annotated[
        Path | None, typer.Option("--census", help="TOML that names zones, and a table of their ages and households.")
    ] = None,
    name: NameOption = None,
    country: CountryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a city of a town in OpenStreetMap.

    \b
    Examples:
        citytwin city osm town.osm.pbf --people 50000 --out town.city
        citytwin city osm town.osm.pbf --census census.toml --out town.city
    """
    from ..environment.city import City

    _keep_city(
        lambda: City.from_osm(file, people=people, seed=seed, census=census, name=name, country=country), out, as_json
    )


@city_app.command("census")
def city_census(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="TOML that names zones, and a table of their ages and households.")
    ],
    out: CityOutOption,
    seed: SeedOption = 1,
    name: NameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a city of a census by zone: residents as counted, streets and buildings invented.

    \b
    Example:
        citytwin city census census.toml --out town.city
    """
    from ..environment.city import City

    _keep_city(lambda: City.from_census(file, seed=seed, name=name), out, as_json)


def _keep_city(build: Callable[[], Any], out: Path, as_json: bool) -> None:
    from ..environment.city import CityError
    from .describe import city_facts, city_text
    from .progress import sign_of_life

    if out.exists():
        raise CityError(f"{out}: exists already; choose another name or remove it first")
    with sign_of_life("building the city"):
        city = build()
        city.save(out)
    facts = city_facts(city)
    typer.echo(json.dumps(facts | {"path": str(out)}, indent=2) if as_json else f"{city_text(facts)}\n\nKept in {out}")


@city_app.command("show")
def city_show(
    bundle: Annotated[Path, typer.Argument(metavar="CITY", help="A city bundle.")],
    as_json: JsonOption = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw a map as well: .png, .svg or .pdf.")
    ] = None,
) -> None:
    """Say what is in a city: people, places, roads, sources and licences.

    \b
    Examples:
        citytwin city show toy.city
        citytwin city show toy.city --picture toy.png
    """
    from ..environment.city import City
    from .describe import city_facts, city_text

    city = City.load(bundle)
    if picture is not None:
        from .maps import save_map

        save_map(city, picture)
    facts = city_facts(city)
    typer.echo(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else city_text(facts))
    if picture is not None:
        typer.echo(f"\nMap: {picture}", err=as_json)


@city_app.command("contacts")
def city_contacts(
    bundle: Annotated[Path, typer.Argument(metavar="CITY", help="A city bundle.")],
    bands: Annotated[
        str, typer.Option("--bands", help="First age of each band, rising from 0.")
    ] = "0,5,10,15,20,30,40,50,60,70",
    minutes: Annotated[
        int, typer.Option("--minutes", min=15, max=24 * 60, help="Time together on a day from which on it counts.")
    ] = 15,
    as_json: JsonOption = False,
) -> None:
    """Say whom people meet: contacts a day by age of both, on the visits of the city.

    \b
    Examples:
        citytwin city contacts toy.city
        citytwin city contacts toy.city --bands 0,18,65 --minutes 60 --json
    """
    from ..agents.epidemic.figures import contact_matrix
    from ..environment.city import City, CityError
    from ..environment.schedules import SLOT_MINUTES
    from .describe import contacts_text

    city = City.load(bundle)
    ages = bands.split(",")
    if not all(age.strip().isdigit() for age in ages):
        raise CityError(f"--bands {bands}: write the first age of each band, as in 0,18,65")
    first = [int(age) for age in ages]
    try:
        matrix = contact_matrix(city, first, minimum=-(-minutes // SLOT_MINUTES))
    except ValueError as error:
        raise CityError(f"--bands {bands}: {error}") from None
    if as_json:
        facts = {
            "bands": first,
            "minutes": minutes,
            "contacts": [[round(x, 4) for x in row] for row in matrix.tolist()],
        }
        typer.echo(json.dumps(facts, indent=2).replace("NaN", "null"))
    else:
        typer.echo(contacts_text(city.info.name, first, minutes, matrix))


# ---------------------------------------------------------------------- scenarios


@app.command()
def check(scenario: ScenarioArgument, changes: SetOption = [], as_json: JsonOption = False) -> None:  # noqa: B006
    """Read a scenario and say what it would run, or everything that is wrong with it.

    \b
    Examples:
        citytwin check quickstart
        citytwin check my-scenario.toml --set epidemic.r0=3
    """
    from .documents import ScenarioError
    from .labels import scenario_text

    try:
        loaded = _load(scenario, changes)
        _refuse_swept(loaded, changes)
        loaded.check_files()
        loaded.check_bundles()
    except ScenarioError as error:
        if not as_json:
            raise
        problems = [{"where": str(p.where), "key": p.key, "message": p.message} for p in error.problems]
        typer.echo(json.dumps({"ok": False, "problems": problems}, indent=2, ensure_ascii=False))
        raise typer.Exit(WRONG_REQUEST) from None
    if as_json:
        facts = {
            "ok": True,
            "name": loaded.name,
            "runs": loaded.runs,
            "seeds": loaded.seeds(),
            "points": loaded.points(),
        }
        typer.echo(json.dumps(facts | {"scenario": loaded.to_dict()}, indent=2, ensure_ascii=False))
    else:
        typer.echo(scenario_text(loaded))


@app.command("run")
def run_once(
    scenario: ScenarioArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Results directory to make; results/<name>-run if left out.")
    ] = None,
    changes: SetOption = [],  # noqa: B006
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of the run; the file's if left out.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads; the results do not depend on it.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Run a scenario once, as its file stands; what it sweeps is left aside.

    \b
    Examples:
        citytwin run quickstart --out results/first
        citytwin run my-scenario.toml --set epidemic.r0=2.5 --seed 7 --threads 2
    """
    from .cities import slug
    from .progress import progress_bar, sign_of_life
    from .run import run

    loaded = _load(scenario, changes)
    out = out or Path("results") / f"{slug(loaded.name)}-run"

    def moved(done: int, total: int) -> None:
        say("")
        move(done, total, None, "")

    with progress_bar("days") as move, sign_of_life("making city and model ready") as say:
        try:
            results = run(loaded, out, seed, threads, progress=moved)
        except Exception as error:
            if _is_mistake(error):
                raise
            failure = _failure(error)
        else:
            failure = ""
    if failure:
        typer.echo(failure, err=True)
        raise typer.Exit(SOME_FAILED)
    _finish(results, as_json)


@app.command("sweep")
def sweep_all(
    scenario: ScenarioArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Results directory to make; results/<name> if left out.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that run side by side; one a core if left out.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a sweep that was stopped, and try again what failed.")
    ] = False,
    executor: Annotated[str, typer.Option("--executor", help="Where the runs are made: local.")] = "local",
    changes: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Run all points and seeds of a scenario and say what each policy did.

    Ctrl-C stops after the runs in hand; --resume goes on.

    \b
    Examples:
        citytwin sweep quickstart
        citytwin sweep my-scenario.toml --out results/mine --workers 4
        citytwin sweep my-scenario.toml --out results/mine --resume
    """
    from .cities import slug
    from .progress import progress_bar, sign_of_life
    from .sweep import sweep

    if executor != "local":
        raise typer.BadParameter(f"'{executor}' is not available yet; allowed: local", param_hint="--executor")
    loaded = _load(scenario, changes)
    _refuse_swept(loaded, changes)
    out = out or Path("results") / slug(loaded.name)

    begun = False

    def moved(done: int, failed: int, total: int, left: float | None) -> None:
        nonlocal begun
        begun = True
        say("")
        move(done + failed, total, left, f"{failed} failed" if failed else "")

    with progress_bar("runs") as move, sign_of_life("checking scenario and cities") as say:
        results = sweep(loaded, out=out, workers=workers, resume=resume, progress=moved, told=say)
    if not begun:
        typer.echo(f"Nothing was left to do: all {results.info['runs']} runs are in the results.", err=True)
    elif redone := results.info["sessions"][-1].get("redone", []):
        runs = ", ".join(redone[:_NAMED]) + (f" and {len(redone) - _NAMED} more" if len(redone) > _NAMED else "")
        typer.echo(f"Made again, because a file with their results was damaged: {runs}.", err=True)
    _finish(results, as_json, redraw=begun)


@app.command("calibrate")
def calibrate_all(
    scenario: ScenarioArgument,
    data: Annotated[
        Path, typer.Option("--data", metavar="CSV", help="Observations: a column date or day, and columns of figures.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory to make; results/<name>-fit if left out.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that run side by side; one a core if left out.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a calibration that was stopped.")] = False,
    changes: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Fit the parameters that [calibrate] of a scenario names to observations, with intervals.

    Ctrl-C stops after the runs in hand; --resume goes on.

    \b
    Examples:
        citytwin calibrate school.toml --data in-bed.csv --out fit/
        citytwin calibrate school.toml --data in-bed.csv --out fit/ --resume
    """
    from .calibrate.fit import calibrate, settings_of
    from .calibrate.text import fit_text
    from .cities import slug
    from .progress import progress_bar, sign_of_life

    loaded = _load(scenario, changes)
    out = out or Path("results") / f"{slug(loaded.name)}-fit"

    def moved(done: int, failed: int, total: int, left: float | None) -> None:
        say("")
        move(done + failed, total, left, f"{failed} failed" if failed else "")

    with progress_bar("runs") as move, sign_of_life("checking scenario, data and city") as say:
        fit = calibrate(loaded, data, out=out, workers=workers, resume=resume, progress=moved, told=say)
    if as_json:
        typer.echo(json.dumps(fit.facts | {"directory": str(out)}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{fit_text(fit.facts, settings_of(loaded))}\n\nPicture: {out / 'predictive.png'}\nResults: {out}")
        typer.echo(f"The nearest run again: citytwin run {out / 'best.toml'}")
    if fit.failed:
        shown = [f"  {run}: {what}" for run, what in list(fit.failed.items())[:_NAMED]]
        shown += [f"  … and {len(fit.failed) - _NAMED} more"] if len(fit.failed) > _NAMED else []
        typer.echo(f"\n{len(fit.failed)} runs failed:\n" + "\n".join(shown), err=True)
        raise typer.Exit(SOME_FAILED)


def _failure(error: Exception) -> str:
    """Return what to say of code that raised in a run: what, on which day, and where below the model's step."""
    import traceback

    from . import model

    frames = traceback.extract_tb(error.__traceback__)
    below = [number for number, frame in enumerate(frames) if frame.filename == model.__file__]
    shown = (frames[below[-1] + 1 :] if below else []) or frames[-1:]
    when = "".join(f" {note}" for note in getattr(error, "__notes__", []))
    where = "".join(traceback.format_list(shown[:_NAMED])).rstrip()
    return f"The run failed{when}: {type(error).__name__}: {error}\n{where}\nNothing was kept."


def _load(name: str, changes: list[str]) -> "Scenario":
    from .scenario import Scenario

    parameters = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(f"'{change}' is not KEY=VALUE, as in epidemic.r0=2.5", param_hint="--set")
        parameters[key.strip()] = _value(value.strip())
    scenario = Scenario.load(name)
    return scenario.with_parameters(parameters, label="--set") if parameters else scenario


def _refuse_swept(scenario: "Scenario", changes: list[str]) -> None:
    """Refuse a value for what is swept: every point has its own, so it would come to nothing."""
    from .documents import Problem, ScenarioError, Where

    keys = [change.partition("=")[0].strip() for change in changes]
    message = "is swept; change its values in the file (citytwin run leaves the sweep aside and takes --set)"
    problems = [Problem(Where("--set"), key, message) for key in keys if key in scenario.sweep.parameters]
    if problems:
        raise ScenarioError(problems)


def _value(text: str) -> Any:
    """Read a value as TOML; what is none is a text, so that quotes need not be quoted in a shell."""
    from ..environment.toml import parse

    try:
        read = parse(f"value = {text}")
    except ValueError:
        return text
    return read["value"] if list(read) == ["value"] else text


def _finish(results: "Results", as_json: bool, *, redraw: bool = True) -> None:
    """Show what came out and name what failed; a picture that is there may do."""
    from .describe import first_point

    failures = results.failures
    whole = "summary" in results.tables and len(results.summary) > 0
    picture = ""
    if whole and results.directory is not None:
        path = results.directory / "curves.png"
        picture = _picture(results, path) if redraw or not path.is_file() else f"Picture: {path}"
    if as_json:
        from .describe import results_facts

        typer.echo(json.dumps(results_facts(results), indent=2, ensure_ascii=False))
    elif whole:
        from .report import text_report

        typer.echo(f"{text_report(results, first_point(results))}\n\nResults: {results.directory}\n{picture}")
    if failures:
        shown = [f"  {run}: {what}" for run, what in list(failures.items())[:_NAMED]]
        shown += [f"  … and {len(failures) - _NAMED} more"] if len(failures) > _NAMED else []
        typer.echo(f"\n{len(failures)} of {results.info['runs']} runs failed:\n" + "\n".join(shown), err=True)
        typer.echo(f"Tracebacks are in {results.directory}/errors; --resume tries them again.", err=True)
        raise typer.Exit(SOME_FAILED)


def _picture(results: "Results", path: Path) -> str:
    """Draw the curves and say where they are, or why not: results stand whatever comes of their picture."""
    from .curves import save_curves

    try:
        return f"Picture: {save_curves(results, path)}"
    except Exception as error:
        return f"No picture could be drawn: {error}".splitlines()[0]


# ---------------------------------------------------------------------- results


@app.command()
def compare(
    results: ResultsArgument,
    baseline: Annotated[int, typer.Option("--baseline", min=0, help="Point with which the others are compared.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Say how each point of a sweep differs from a baseline, runs of one seed paired.

    \b
    Example:
        citytwin compare results/quickstart --baseline 0
    """
    from .report import text_report
    from .results import Results

    opened = Results(results)
    if as_json:
        from .describe import comparison_facts

        typer.echo(json.dumps(comparison_facts(opened, baseline), indent=2, ensure_ascii=False))
    else:
        typer.echo(text_report(opened, baseline))


@app.command()
def report(
    results: ResultsArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML file to write; report.html in the results if left out.")
    ] = None,
    baseline: Annotated[int, typer.Option("--baseline", min=0, help="Point with which the others are compared.")] = 0,
) -> None:
    """Write a page with picture, tables and origin of the numbers: one HTML file that stands alone.

    \b
    Example:
        citytwin report results/quickstart --out report.html
    """
    from .report import write_report
    from .results import Results

    path = write_report(Results(results), out or results / "report.html", baseline)
    typer.echo(f"Report: {path}")


@app.command("map")
def map_results(
    results: ResultsArgument,
    point: Annotated[int, typer.Option("--point", min=0, help="Point of the sweep that is shown.")] = 0,
    what: Annotated[
        str, typer.Option("--what", help="What the picture shows: attack, infections or deaths.")
    ] = "attack",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files; maps in the results if left out.")
    ] = None,
) -> None:
    """Put infections and deaths on the map, by zone and by grid cell: GeoParquet for QGIS, and pictures.

    The scenario has to keep them: [output] with by_zone = true, tables = ["cells"], or both.

    \b
    Examples:
        citytwin map results/quickstart
        citytwin map results/quickstart --point 3 --what deaths --out maps/
    """
    from .geo import SHOWN, write_maps
    from .results import Results

    if what not in SHOWN:
        raise typer.BadParameter(f"'{what}' is not available; allowed: {', '.join(SHOWN)}", param_hint="--what")
    for path in write_maps(Results(results), out or results / "maps", point, SHOWN[what]):
        typer.echo(f"Map: {path}")


# ---------------------------------------------------------------------- around


@app.command()
def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to put the examples in.")]) -> None:
    """Copy the example scenarios into a folder, to change them.

    \b
    Example:
        citytwin init my-scenarios
    """
    from .documents import Problem, ScenarioError, Where, shipped

    examples = shipped()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = [file.name for file in examples.values() if (directory / file.name).exists()]
        if there:
            message = f"holds {', '.join(there)} already; choose another folder"
            raise ScenarioError([Problem(Where(str(directory)), "", message)])
        for file in examples.values():
            (directory / file.name).write_bytes(file.read_bytes())
    except OSError as error:
        message = f"cannot be written ({error.strerror or error})"
        raise ScenarioError([Problem(Where(str(directory)), "", message)]) from None
    listed = "\n".join(f"  {directory / file.name}" for file in examples.values())
    typer.echo(f"{listed}\n\nTry: citytwin check {directory / 'quickstart.toml'}")


@app.command()
def warm() -> None:
    """Compile all kernels into the cache, so that the first run need not wait for it.

    \b
    Example:
        citytwin warm
    """
    import time

    from .progress import sign_of_life
    from .run import warm as compile_kernels

    began = time.perf_counter()
    with sign_of_life("compiling kernels"):
        compile_kernels()
    typer.echo(f"Kernels are compiled ({time.perf_counter() - began:.1f} s).")

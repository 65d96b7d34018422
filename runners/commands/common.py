"""What commands share: the group that they belong to, arguments, exit codes, and which errors are a user's mistakes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..engine.limits import Limits
    from ..scenarios.scenario import Scenario

SOME_FAILED = 1
WRONG_REQUEST = 2
DRAINED = 75
"""It ended before its time was over, or was told to, and there is more to do: EX_TEMPFAIL of sysexits.h, "try again"."""
INTERRUPTED = 130
STOPPED = "Stopped; nothing was kept."
NAMED = 10
"""Runs that failed of which a message names each; of more it says how many."""

MISTAKES = {
    "agents.assignment.streets.AssignmentError",
    "agents.extensions.EntryPointError",
    "agents.epidemic.transmission.TransmissionError",
    "agents.response.scenes.CallError",
    "agents.response.siting.plan.SitingError",
    "agents.rules.GroupsError",
    "agents.traffic.emissions.EmissionError",
    "agents.traffic.matrices.DemandError",
    "environment.access.points.AccessError",
    "environment.air.AirError",
    "environment.design.changes.DesignError",
    "environment.equity.EquityError",
    "environment.network.network.NetworkError",
    "environment.polygons.PolygonError",
    "environment.schema.CityError",
    "environment.transit.timetable.TransitError",
    "runners.checkpoints.graph.SaveError",
    "runners.checkpoints.reader.StateError",
    "runners.scenarios.documents.ScenarioError",
    "runners.executors.job.SubmitError",
    "runners.engine.manifest.ManifestError",
    "runners.points.estimate.EstimateError",
    "runners.points.tasks.ExtensionError",
    "runners.engine.outcome.SweepError",
    "runners.storage.tables.StoreError",
}
"""Errors about what was asked for, which say all there is to say: the module that defines each, and its class."""


class StoppedError(Exception):
    """Ctrl-C in a command, which Typer would end without a word."""


class Stoppable(TyperGroup):
    """Commands that Ctrl-C stops at whatever moment."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:  # that of a sweep says what is done
            raise StoppedError(str(stopped) or STOPPED) from None


app = typer.Typer(
    name="citytwin",
    cls=Stoppable,
    help="What would happen in this city if …: run scenarios in a city, sweep policies, compare them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a shipped one (quickstart).")
]
ResultsArgument = Annotated[Path, typer.Argument(metavar="RESULTS", help="A results directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
SetOption = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the file; any number of times."),
]
TimeLimitOption = Annotated[
    str | None,
    typer.Option("--time-limit", metavar="TIME", help='Stop a run that takes longer, as in "10 min".'),
]
MemoryLimitOption = Annotated[
    str | None,
    typer.Option("--memory-limit", metavar="SIZE", help='Stop a run that holds more memory, as in "4 GB".'),
]
WalltimeOption = Annotated[
    str | None,
    typer.Option("--walltime", metavar="TIME", help='Be done in time, as in "2 h"; exit code 75 if runs are left.'),
]
TrustOption = Annotated[
    bool, typer.Option("--trust-code", help="Run code that the results name besides citytwin's, such as own classes.")
]
LARGEST_SEED = 2**62 - 1


def is_mistake(error: Exception) -> bool:
    """Return whether an error is about what was asked for, and says all there is to say."""
    package = __name__.partition(".")[0]
    kinds = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return any(kind.removeprefix(f"{package}.") in MISTAKES for kind in kinds)


def failure_text(error: Exception, out: Path | None = None) -> str:
    """Return what to say of code that raised in a run: what, on which day, where below the model's step, and what stays."""
    import traceback

    from .. import model
    from ..engine.pause import CHECKPOINTS

    frames = traceback.extract_tb(error.__traceback__)
    below = [number for number, frame in enumerate(frames) if frame.filename == model.__file__]
    shown = (frames[below[-1] + 1 :] if below else []) or frames[-1:]
    when = "".join(f" {note}" for note in getattr(error, "__notes__", []))
    where = "".join(traceback.format_list(shown[:NAMED])).rstrip()
    states = None if out is None else out / CHECKPOINTS
    kept = "Nothing was kept." if states is None or not states.is_dir() else f"Only the state in {states} was kept."
    return f"The run failed{when}: {type(error).__name__}: {error}\n{where}\n{kept}"


def _version(wanted: bool) -> None:
    if wanted:
        from ... import __version__

        typer.echo(f"citytwin {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


def exit_where_failed(failed: "Mapping[str, str]") -> None:
    """Leave with the exit code of failed runs, which are named, if there are any.

    Args:
        failed: by run, what happened.
    """
    if failed:
        from ..reports.labels import counted

        shown = [f"  {run}: {what}" for run, what in list(failed.items())[:NAMED]]
        shown += [f"  … and {len(failed) - NAMED} more"] if len(failed) > NAMED else []
        typer.echo(f"\n{counted(len(failed), 'run')} failed:\n" + "\n".join(shown), err=True)
        raise typer.Exit(SOME_FAILED)


def load(name: str, changes: list[str]) -> "Scenario":
    """Read a scenario, with the values of ``--set`` in place of those of its file."""
    from ..scenarios.scenario import Scenario

    parameters = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(f"'{change}' is not KEY=VALUE, as in epidemic.r0=2.5", param_hint="--set")
        parameters[key.strip()] = value_of(value.strip())
    scenario = Scenario.load(name)
    _refuse_own_classes(name)
    return scenario.with_parameters(parameters, label="--set") if parameters else scenario


def _refuse_own_classes(name: str) -> None:
    """Refuse the ``sweep.json`` of runs with classes of a user's own: without them the same scenario is another model."""
    from ..scenarios.documents import Problem, ScenarioError, Where
    from ..storage.stage import MANIFEST

    file = Path(name)
    if file.name != MANIFEST or not file.is_file():
        return
    from ..engine.manifest import read_manifest
    from ..trust import own_classes

    if found := own_classes(read_manifest(file.parent)):
        message = (
            f"its runs were made with classes of one's own ({'; '.join(found)}), which no command line gives; repeat it "
            "from Python, as in ct.sweep(…, citizen_class=…), or single runs by citytwin rerun"
        )
        raise ScenarioError([Problem(Where(name), "context.own", message)])


def limits_of(time_limit: str | None, memory_limit: str | None, walltime: str | None) -> "Limits":
    """Return the limits that options ask for."""
    from ..engine.limits import Limits

    try:
        return Limits.of_texts(time_limit, memory_limit, walltime)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def refuse_swept(scenario: "Scenario", changes: list[str]) -> None:
    """Refuse a value for what is swept: every point has its own, so it would come to nothing."""
    from ..scenarios.documents import Problem, ScenarioError, Where

    keys = [change.partition("=")[0].strip() for change in changes]
    message = "is swept; change its values in the file (citytwin run leaves the sweep aside and takes --set)"
    problems = [Problem(Where("--set"), key, message) for key in keys if key in scenario.sweep.parameters]
    if problems:
        raise ScenarioError(problems)


def value_of(text: str) -> Any:
    """Read a value as TOML; what is none is a text, so that quotes need not be quoted in a shell."""
    from ...environment.toml import parse

    try:
        read = parse(f"value = {text}")
    except ValueError:
        return text
    return read["value"] if list(read) == ["value"] else text

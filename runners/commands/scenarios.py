"""Commands about scenarios: check one, run it, sweep it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import (
    DRAINED,
    LARGEST_SEED,
    NAMED,
    SOME_FAILED,
    WRONG_REQUEST,
    JsonOption,
    MemoryLimitOption,
    ScenarioArgument,
    SetOption,
    TimeLimitOption,
    WalltimeOption,
    app,
    failure_text,
    is_mistake,
    limits_of,
    load,
    refuse_swept,
)

if TYPE_CHECKING:
    from ..results import Results
    from ..scenarios.scenario import Scenario


@app.command()
def check(scenario: ScenarioArgument, changes: SetOption = [], as_json: JsonOption = False) -> None:  # noqa: B006
    """Read a scenario and say what it would run, or everything that is wrong with it.

    \b
    Examples:
        citytwin check quickstart
        citytwin check my-scenario.toml --set epidemic.r0=3
    """
    from ..reports.labels import scenario_text
    from ..scenarios.documents import ScenarioError
    from ..scenarios.file_checks import check_contents, check_in_cities

    try:
        loaded = load(scenario, changes)
        refuse_swept(loaded, changes)
        loaded.check_files()
        points = loaded.check_bundles()
        check_contents(points)
        check_in_cities(points)
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
    every: Annotated[
        str | None,
        typer.Option("--checkpoint-every", metavar="DAYS", help='Save the state in --out now and then, as "10 days".'),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the state that a stopped run saved in --out.")
    ] = False,
    until_day: Annotated[int | None, typer.Option("--until-day", min=1, help="Stop before this day.")] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help='Directory to make with the state at the end, for [clock] from = "…".')
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a scenario once, as its file stands; what it sweeps is left aside.

    \b
    Examples:
        citytwin run quickstart --out results/first
        citytwin run my-scenario.toml --set epidemic.r0=2.5 --seed 7 --threads 2
        citytwin run long.toml --out results/long --checkpoint-every "10 days"
        citytwin run long.toml --out results/long --resume
        citytwin run past.toml --until-day 30 --save day30.state
    """
    from ..progress import progress_bar, sign_of_life
    from ..reports.labels import counted
    from ..run import run
    from ..scenarios.cities import slug

    loaded = load(scenario, changes)
    out = out or Path("results") / f"{slug(loaded.name)}-run"
    every_days = None if every is None else _days(every)
    if until_day is not None and until_day > loaded.clock.days:
        message = f"the clock has {counted(loaded.clock.days, 'day')} (given {until_day})"
        raise typer.BadParameter(message, param_hint="--until-day")

    def moved(done: int, total: int) -> None:
        say("")
        move(done, total, None, "")

    with progress_bar("days") as move, sign_of_life("making city and model ready") as say:
        try:
            results = run(
                loaded,
                out,
                seed,
                threads,
                progress=moved,
                checkpoint_every=every_days,
                resume=resume,
                until_day=until_day,
                save=save,
            )
        except Exception as error:
            if is_mistake(error):
                raise
            failure = failure_text(error, out)
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
    extend: Annotated[
        bool,
        typer.Option("--extend", help="With --resume: the file sweeps more than was begun; what is done stays done."),
    ] = False,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Make only the runs that failed, with the seeds they had.")
    ] = False,
    time_limit: TimeLimitOption = None,
    memory_limit: MemoryLimitOption = None,
    walltime: WalltimeOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take, measured by a run or two; nothing is written.")
    ] = False,
    executor: Annotated[
        str, typer.Option("--executor", help="Where the runs are made: local, dask, or slurm (submit and wait).")
    ] = "local",
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="Dask: an address, or slurm, pbs or lsf for jobs; this machine if left out."),
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Write the results directory and make no run: for citytwin work.")
    ] = False,
    changes: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Run all points and seeds of a scenario and say what each policy did.

    Ctrl-C stops after the runs in hand; --resume goes on.
    SIGTERM, SIGUSR1 and --walltime pause or finish the runs in hand and end with exit code 75 if runs are left.

    \b
    Examples:
        citytwin sweep quickstart
        citytwin sweep my-scenario.toml --out results/mine --workers 4 --dry-run
        citytwin sweep my-scenario.toml --out results/mine --workers 4
        citytwin sweep my-scenario.toml --out results/mine --resume
        citytwin sweep larger.toml --out results/mine --resume --extend
        citytwin sweep my-scenario.toml --out results/mine --time-limit "10 min" --memory-limit "4 GB" --walltime "2 h"
    """
    from ..executors.choice import check_choice, make_runs
    from ..progress import progress_bar, sign_of_life
    from ..reports.labels import counted
    from ..scenarios.cities import slug
    from ..sweep import SweepDrained, plan_sweep

    limits = limits_of(time_limit, memory_limit, walltime)
    check_choice(executor, scheduler)
    loaded = load(scenario, changes)
    refuse_swept(loaded, changes)
    out = out or Path("results") / slug(loaded.name)
    if dry_run:
        _dry_run(loaded, out, workers, as_json)
        return

    begun = False

    def moved(done: int, failed: int, total: int, left: float | None) -> None:
        nonlocal begun
        begun = True
        say("")
        move(done + failed, total, left, f"{failed} failed" if failed else "")

    with progress_bar("runs") as move, sign_of_life("checking scenario and cities") as say:
        if plan_only:
            planned = len(plan_sweep(loaded, out, resume=resume, extend=extend, told=say))
        else:
            try:
                results = make_runs(
                    loaded,
                    out,
                    executor,
                    scheduler,
                    workers=workers,
                    resume=resume,
                    only_failed=only_failed,
                    extend=extend,
                    limits=limits,
                    progress=moved,
                    told=say,
                )
                said = ""
            except SweepDrained as drained:
                said = str(drained)
    if plan_only:
        typer.echo(f"Planned: {counted(planned, 'run')} in {out}, to be made with citytwin work {out}")
        return
    if said:
        typer.echo(said, err=True)
        raise typer.Exit(DRAINED)
    if not begun:
        runs = results.info["runs"]
        whole = "the run is" if runs == 1 else f"all {runs} runs are"
        typer.echo(f"Nothing was left to do: {whole} in the results.", err=True)
    elif redone := results.info["sessions"][-1].get("redone", []):
        runs = ", ".join(redone[:NAMED]) + (f" and {len(redone) - NAMED} more" if len(redone) > NAMED else "")
        typer.echo(f"Made again, because a file with their results was damaged: {runs}.", err=True)
    _finish(results, as_json, redraw=begun)


def _dry_run(scenario: "Scenario", out: Path, workers: int | None, as_json: bool) -> None:
    """Say what a sweep would take."""
    from ..points.estimate import estimate, estimate_text
    from ..progress import sign_of_life
    from ..sweep import cores

    with sign_of_life("checking scenario and cities") as say:
        found = estimate(scenario, workers or cores(), say)
    shown = json.dumps(found.facts(), indent=2) if as_json else estimate_text(scenario.name, found, out)
    typer.echo(shown)


def _days(text: str) -> int:
    """Return the days of ``--checkpoint-every``."""
    from ..scenarios.sections import OutputSettings

    try:
        days = OutputSettings(checkpoint_every=text).checkpoint_days  # type: ignore[arg-type]
    except ValueError:
        raise typer.BadParameter(
            f"'{text}' is not a number of whole days, as in \"10 days\"", param_hint="--checkpoint-every"
        ) from None
    assert days is not None
    return days


def _finish(results: "Results", as_json: bool, *, redraw: bool = True) -> None:
    """Show what came out and name what failed; a picture that is there may do."""
    from ..points.growing import standing
    from ..reports.describe import first_point

    failures, notes = results.failures, standing(results)
    whole = "summary" in results.tables and len(results.summary) > 0
    picture = ""
    if whole and results.directory is not None:
        path = results.directory / "curves.png"
        picture = _picture(results, path) if redraw or not path.is_file() else f"Picture: {path}"
    if as_json:
        from ..reports.describe import results_facts

        facts = results_facts(results) | ({"notes": notes} if notes else {})
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    elif whole:
        from ..reports.report import text_report

        where = "\n".join([*notes, f"Results: {results.directory}", picture]).rstrip()
        typer.echo(f"{text_report(results, first_point(results))}\n\n{where}")
    if failures:
        shown = [f"  {run}: {what}" for run, what in list(failures.items())[:NAMED]]
        shown += [f"  … and {len(failures) - NAMED} more"] if len(failures) > NAMED else []
        typer.echo(f"\n{len(failures)} of {results.info['runs']} runs failed:\n" + "\n".join(shown), err=True)
        typer.echo(f"Tracebacks are in {results.directory}/errors; --resume tries them again.", err=True)
        raise typer.Exit(SOME_FAILED)


def _picture(results: "Results", path: Path) -> str:
    """Draw the curves and say where they are, or why not: results stand whatever comes of their picture."""
    from ..reports.curves import has_curves, save_curves

    try:
        return f"Picture: {save_curves(results, path)}" if has_curves(results) else ""
    except Exception as error:
        return f"No picture could be drawn: {error}".splitlines()[0]

"""A worker of a sweep: one process that makes run after run and commits each by itself.

The supervisor (:mod:`runners.engine.supervisor`) speaks to it in JSON lines: commands arrive on its standard input, reports
leave on its standard output. What a run prints goes to the worker's log. When the supervisor is gone the input ends,
and so does the worker with all that its run has started, in the middle of a run if need be (but not of a call into
compiled code that lets no other thread run): a run that is not committed leaves nothing behind but what it keeps to go on
from (:mod:`runners.engine.pause`).
"""

import faulthandler
import gc
import json
import os
import queue
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from ..storage.stage import commit
from ..storage.tables import Outputs, to_tables
from . import pause
from .ledger import record_error
from .memory import peak

SINGLE_THREADED = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_IO_THREADS"), "1"
)
"""Environment of a worker: libraries read it when first imported. As many workers as cores, one thread each."""

BOOT = """
import importlib.util, json, sys
start = json.loads(sys.argv[1])
sys.path[:] = start["path"]
name, root = start["package"], start["root"]
spec = importlib.util.spec_from_file_location(name, root + "/__init__.py", submodule_search_locations=[root])
sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[name])
from importlib import import_module
import_module(name + ".runners.engine.worker").main()
"""
"""Program of a worker: exactly the supervisor's package, also from a clone that is not installed. The supervisor's main
module is not imported again, so a script that calls ``sweep`` needs no ``if __name__ == "__main__"``."""

DURABLE_FROM = 1.0
"""Seconds from which a run is worth to wait until the disk has it (about 10 ms): no loss of power takes it then. Shorter
runs are on the disk when their block is sealed; until then a loss of power costs the time to make them again."""

_LONGEST_MESSAGE = 2000


def load(path: str) -> Any:
    """Return what an import path names: ``package.module:name``.

    Raises:
        ImportError: if it names nothing that can be called.
    """
    module, _, name = path.partition(":")
    found = getattr(import_module(module), name, None) if module and name else None
    if not callable(found):
        raise ImportError(f"'{path}' names no function; write 'package.module:function'")
    return found


def main() -> None:
    """Serve the supervisor until it says ``end`` or is gone."""
    _leave_signals()
    commands, reports = _take_pipes()
    faulthandler.enable()
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    lock = threading.Lock()

    def tell(report: Mapping[str, Any]) -> None:
        line = json.dumps(report).encode() + b"\n"
        with lock:
            reports.write(line)

    threading.Thread(target=_listen, args=(commands, inbox, tell), daemon=True).start()
    worker: Worker | None = None
    while (command := inbox.get())["do"] != "end":
        if command["do"] == "open":
            report, worker = _open(command)
        else:
            assert worker is not None
            report = worker.warm(command["path"]) if command["do"] == "warm" else worker.run(command)
        tell(report)


def _leave_signals() -> None:
    """Leave signals that tell a sweep to stop to the supervisor: batch systems send them to all processes of a job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = (signal.SIGTERM, signal.SIGUSR1)
    for number in told:
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which a program that a run starts would inherit
    os.register_at_fork(after_in_child=lambda: [signal.signal(number, signal.SIG_DFL) for number in told])


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep both pipes for ourselves: what a run reads or prints must not meet them.

    Nor may a process that a run forks hold them, or the supervisor would take a dead worker for a living one.
    """
    commands, reports = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", 0)
    pipes = commands.fileno(), reports.fileno()
    _silence(0)
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=lambda: _silence(*pipes))
    return commands, reports


def _silence(*handles: int) -> None:
    """Let file descriptors lead nowhere."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in handles:
        os.dup2(nothing, handle)
    os.close(nothing)


def _listen(
    commands: BinaryIO, inbox: "queue.SimpleQueue[dict[str, Any]]", tell: Callable[[Mapping[str, Any]], None]
) -> None:
    checkpoints = None
    for line in commands:
        command = json.loads(line)
        if command["do"] == "pause":
            tell({"is": "asked", "looks": pause.ask()})
            continue
        if command["do"] == "open":
            checkpoints = Path(command["directory"]) / pause.CHECKPOINTS
        elif command["do"] == "run" and checkpoints is not None:
            pause.begin(checkpoints / command["task"]["run_id"])  # here, so that no word to pause comes before
        inbox.put(command)
        if command["do"] == "end":
            return
    # The supervisor is gone: nobody waits for the run in hand, nor for what it has started.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _open(command: Mapping[str, Any]) -> "tuple[dict[str, Any], Worker | None]":
    try:
        worker = Worker(load(command["execute"]), Path(command["directory"]), command["context"], command["types"])
    except Exception as error:  # whatever a foreign module raises
        return {"is": "unusable", "message": _message(error), "traceback": traceback.format_exc()}, None
    return {"is": "ready"}, worker


class Worker:
    """What a worker needs to make runs.

    Args:
        execute: ``execute(task, context) -> {table: {column: array}}``.
        directory: results directory.
        context: what all runs share.
        types: types of the swept parameters' columns.
    """

    def __init__(self, execute: Any, directory: Path, context: dict[str, Any], types: dict[str, str]):
        self.execute = execute
        self.directory = directory
        self.context = context
        self.types = types
        self.frozen = False

    def warm(self, path: str) -> dict[str, Any]:
        """Call the function of the import path with the context, so that kernels are compiled before many need them."""
        try:
            load(path)(self.context)
        except Exception as error:  # whatever a foreign function raises
            return {"is": "unusable", "message": _message(error), "traceback": traceback.format_exc()}
        return {"is": "warm"}

    def run(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Make one run and commit it; return the report."""
        task, attempt = command["task"], command["attempt"]
        run = task["run_id"]
        clock, cpu = time.perf_counter(), time.process_time()
        tables = None
        report: dict[str, Any] = {"is": "done"}
        try:
            outputs: Outputs = self.execute(task, self.context)
            tables = to_tables(task, outputs, self.types)
            del outputs
        except pause.Paused as paused:
            report = {"is": "paused"} if pause.asked() else self._failure(task, attempt, paused)
        except (Exception, SystemExit) as error:
            report = self._failure(task, attempt, error)
        if tables is not None:
            try:
                commit(self.directory, run, tables, durable=time.perf_counter() - clock >= DURABLE_FROM)
                if (kept := pause.folder()) is not None and kept.exists():
                    shutil.rmtree(kept, ignore_errors=True)
            except OSError as error:
                report = {"is": "unwritable", "message": error.strerror or str(error)}
        del tables
        gc.collect()  # a model is a web of cycles: without this several of them would stand in memory
        if not self.frozen:
            gc.freeze()  # libraries and compiled kernels stay; looking through them costs 0.1 s a run
            self.frozen = True
        if pause.looks():
            report["looks"] = True
        return report | {
            "run_id": run,
            "seconds": round(time.perf_counter() - clock, 6),
            "cpu": round(time.process_time() - cpu, 6),
            "rss": peak(),
        }

    def _failure(self, task: dict[str, Any], attempt: int, error: BaseException) -> dict[str, Any]:
        said = ", ".join([str(error), *getattr(error, "__notes__", [])])  # notes say where in a run it was
        found = {"error": type(error).__name__, "message": said[:_LONGEST_MESSAGE]}
        try:
            trace = record_error(self.directory, task, attempt, found | {"traceback": traceback.format_exc()})
        except OSError as failure:
            return {"is": "unwritable", "message": failure.strerror or str(failure)}
        state = "out_of_memory" if isinstance(error, MemoryError) else "failed"
        return {"is": state, "trace": trace} | found


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"

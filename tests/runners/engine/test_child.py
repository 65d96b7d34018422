"""A worker as its supervisor sees it."""

import queue
import signal

import sweep_toys as toys

from citytwin.runners.engine import child as child_module
from citytwin.runners.engine.child import Child


def test_nobody_waits_for_a_worker_that_has_much_to_read(tmp_path, monkeypatch):
    monkeypatch.setattr(child_module, "BOOT", "import time; time.sleep(60)")
    events = queue.SimpleQueue()
    child = Child(0, tmp_path / "log", events, {"context": {"scenario": "x" * 1_000_000}})
    assert toys.is_alive(child.pid)
    child.kill()
    assert child.end(60) == -signal.SIGKILL
    assert events.get(timeout=60) == ("gone", child)

"""One Mesa for the rest of the package: the idioms of Mesa 3.5 on every supported version (3.3 to 3.5).

Nothing else in the package asks for the Mesa version. Where Mesa 3.3 lacks something it is supplied here with the
meaning it has in 3.5:

* identifiers are counted on the model (3.3 keeps a dictionary on the class ``Agent`` whose keys are the models, which
  keeps every model ever made alive);
* ``model.time``, ``run_for``, ``run_until`` and ``schedule_event``.

On both versions a scheduled callback is kept until it ran. Mesa 3.5 holds it weakly, and the bound method of a row
view, which is a temporary object, would be gone before its time came.
"""

import heapq
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mesa
from mesa.agent import AgentSet

GroupBy: Any = sys.modules[AgentSet.__module__].GroupBy
"""Mesa's GroupBy; it lives beside AgentSet, which moved."""

_SIDE = 1 << 40

HAS_EVENTS = hasattr(mesa.Model, "schedule_event")
"""Whether Mesa itself has a clock and events (3.5)."""


class _Identifiers:
    """Stand-in for ``Agent._ids`` of Mesa 3.3: the counter of a model lies on the model itself."""

    def __getitem__(self, model: mesa.Model) -> "_Counter":
        return _Counter(model)


class _Counter:
    """Hands out the next identifier of one model."""

    def __init__(self, model: mesa.Model):
        self.model = model

    def __next__(self) -> int:
        return take_ids(self.model, 1)


if hasattr(mesa.Agent, "_ids"):
    mesa.Agent._ids = _Identifiers()


def take_ids(model: mesa.Model, n: int) -> int:
    """Reserve ``n`` successive agent identifiers of a model and return the first; the first of all is 1."""
    first: int = next_id(model)
    model.agent_id_counter = first + n
    return first


def next_id(model: mesa.Model) -> int:
    """Return the identifier that the next agent of the model will get."""
    return getattr(model, "agent_id_counter", 1)


def ids_used(model: mesa.Model) -> tuple[int, int]:
    """Return a mark that is another one after every agent that is made."""
    return next_id(model), getattr(model, "_side_id_counter", _SIDE)


@contextmanager
def side_ids(model: mesa.Model) -> Iterator[None]:
    """Give the agents made inside identifiers from a range of their own, so that later ones get what they would get."""
    main = next_id(model)
    model.agent_id_counter = getattr(model, "_side_id_counter", _SIDE)
    try:
        yield
    finally:
        model._side_id_counter = model.agent_id_counter
        model.agent_id_counter = main


def _check_event(now: float, function: Callable[[], Any], at: float | None, after: float | None) -> float:
    """Return the time of an event, or say what is wrong with it."""
    if (at is None) == (after is None):
        raise ValueError("schedule_event: give exactly one of 'at' and 'after'")
    if not callable(function):
        raise TypeError(f"schedule_event: {function!r} cannot be called; give a function or a bound method")
    if isinstance(function, types.FunctionType) and function.__name__ == "<lambda>":
        raise ValueError("schedule_event: a lambda cannot be saved with the model; give a named function or a method")
    time = at if at is not None else now + after  # type: ignore[operator]
    if time < now:
        raise ValueError(f"schedule_event: time {time} is past, the clock stands at {now}")
    return time


class _ScenarioModel(mesa.Model):
    """A model whose ``scenario`` may be any object: Mesa 3.5 would write itself into it.

    Attributes:
        not_saved: what Mesa itself keeps on a model; :meth:`CompatModel.clock_state` has of it what states need.
    """

    not_saved = tuple(
        {*vars(mesa.Model(rng=1)), "time", "agent_id_counter", "_next_step", "_queue", "_scheduled", "_side_id_counter"}
        - {"random", "rng"}
    )

    def _pending(self) -> int:
        """Return how many events wait in the queue beside the next step."""
        raise NotImplementedError

    def clock_state(self) -> dict[str, Any]:
        """Return Mesa's clock and counters; :meth:`put_clock` puts them back.

        Raises:
            RuntimeError: if events are scheduled, whose callbacks cannot be saved.
        """
        if pending := self._pending():
            raise RuntimeError(
                f"{pending} scheduled events wait in the model, whose callbacks cannot be saved; save it when they are over"
            )
        return {
            "time": self.time,
            "steps": self.steps,
            "running": bool(self.running),
            "ids": next_id(self),
            "side_ids": getattr(self, "_side_id_counter", None),
        }

    def put_clock(self, state: dict[str, Any]) -> None:
        """Go on with the clock and counters of a saved model; the next step comes one unit of time later."""
        self.steps, self.running = int(state["steps"]), bool(state["running"])
        self.agent_id_counter = int(state["ids"])
        if state["side_ids"] is not None:
            self._side_id_counter = int(state["side_ids"])
        self._set_time(float(state["time"]))

    def _set_time(self, time: float) -> None:
        """Set the clock, with the next step one unit later."""
        raise NotImplementedError

    @property
    def scenario(self) -> Any:
        """The scenario that the model runs (None if it was given none)."""
        return getattr(self, "_scenario", None)

    @scenario.setter
    def scenario(self, scenario: Any) -> None:
        self._scenario = scenario


if HAS_EVENTS:
    from mesa.time import Event, Priority

    class _Kept:
        """Holds a callback as strongly as the event that will call it; answers like a weak reference."""

        def __init__(self, function: Callable[[], Any]):
            self.function = function

        def __call__(self) -> Callable[[], Any]:
            return self.function

    class _KeptEvent(Event):
        """A Mesa event that keeps its callback until it ran or was cancelled."""

        def __init__(self, time: float, function: Callable[[], Any], priority: Any):
            super().__init__(time, function, priority=priority)
            self.fn: _Kept | None = _Kept(function)

        def __setstate__(self, state: dict[str, Any]) -> None:
            function = state["_fn_strong"]
            super().__setstate__(state)
            self.fn = None if function is None else _Kept(function)

    class CompatModel(_ScenarioModel):
        """``mesa.Model`` with the idioms of Mesa 3.5 on every supported version."""

        def __setstate__(self, state: dict[str, Any]) -> None:
            """Restore a model; one saved by its own ``step`` goes on with the next step.

            Mesa takes the event of a step from the list, runs it and only then puts the next one there, so that a
            model saved meanwhile would never step again.
            """
            self.__dict__.update(state)
            steps = self._default_schedule
            if steps.is_active and not any(event is steps._current_event for event in self._event_list._events):
                steps._schedule_next(self.time + 1.0)

        def _pending(self) -> int:
            step = self._default_schedule._current_event
            return sum(not event.CANCELED and event is not step for event in self._event_list._events)

        def _set_time(self, time: float) -> None:
            steps = self._default_schedule
            if steps._current_event is not None:
                steps._current_event.cancel()
            self.time = time
            steps._schedule_next(time + 1.0)

        def schedule_event(
            self,
            function: Callable[[], Any],
            *,
            at: float | None = None,
            after: float | None = None,
            priority: Any = Priority.DEFAULT,
        ) -> Any:
            """Call a function once, at a time of the model's clock.

            Args:
                function: called without arguments and kept until then; a method of a row view is fine.
                at: absolute time.
                after: time from now; exactly one of ``at`` and ``after``.
                priority: order among events of the same time.

            Returns:
                The event; ``event.cancel()`` takes it back.

            Raises:
                ValueError: if the time is past or not given exactly once, or the function is a lambda.
            """
            event = _KeptEvent(_check_event(self.time, function, at, after), function, priority)
            self._event_list.add_event(event)
            return event

else:

    class _Event:
        """A callback waiting in the queue of a model under Mesa 3.3."""

        def __init__(self, function: Callable[[], Any]):
            self.function: Callable[[], Any] | None = function

        def cancel(self) -> None:
            """Take the event back."""
            self.function = None

        def execute(self) -> None:
            if self.function is not None:
                self.function()

    class CompatModel(_ScenarioModel):  # type: ignore[no-redef]
        """``mesa.Model`` with the idioms of Mesa 3.5 on every supported version."""

        def __init__(self, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            self.time = 0.0
            self.agent_id_counter = next_id(self)
            self._next_step = 1.0
            self._queue: list[tuple[float, int, int, _Event]] = []
            self._scheduled = 0

        def _pending(self) -> int:
            return sum(event.function is not None for *_, event in self._queue)

        def _set_time(self, time: float) -> None:
            self.time, self._next_step = time, time + 1.0

        def _wrapped_step(self, *args: Any, **kwargs: Any) -> None:
            self._advance_time(self.time + 1, *args, **kwargs)

        def _advance_time(self, until: float, *args: Any, **kwargs: Any) -> None:
            """Run everything due up to a time: steps at whole times, and before the events of the same time."""
            while True:
                due = self._queue[0][0] if self._queue else float("inf")
                if self._next_step <= until and self._next_step <= due:
                    self.time = self._next_step
                    self._next_step += 1.0
                    super()._wrapped_step(*args, **kwargs)
                elif due <= until:
                    self.time, _, _, event = heapq.heappop(self._queue)
                    event.execute()
                else:
                    break
            self.time = until

        def run_for(self, duration: float) -> None:
            """Advance the clock by a duration; a step happens at every whole time passed."""
            self._advance_time(self.time + duration)

        def run_until(self, end_time: float) -> None:
            """Advance the clock to a time; a step happens at every whole time passed."""
            if end_time > self.time:
                self._advance_time(end_time)

        def schedule_event(
            self,
            function: Callable[[], Any],
            *,
            at: float | None = None,
            after: float | None = None,
            priority: int = 5,
        ) -> Any:
            """Call a function once, at a time of the model's clock; as under Mesa 3.5."""
            event = _Event(function)
            time = _check_event(self.time, function, at, after)
            self._scheduled += 1
            heapq.heappush(self._queue, (time, int(priority), self._scheduled, event))
            return event

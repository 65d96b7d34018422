"""Tasks that wait for somebody to be sent: a queue for each service and priority, first come first served."""

from numba import njit

from .board import NEXT, OUTCOME, PRIORITY, SERVICE, UNIT, WAIT, WAITING


@njit(cache=True, nogil=True, inline="always")
def service_row(bits):
    """Return the number of the first of some services, which must not be none, from their bits."""
    row = 0
    while not bits & 1:
        bits >>= 1
        row += 1
    return row


@njit(cache=True, nogil=True, inline="always")
def put_in_queue(state, task):
    """Let a task wait behind those of its service and priority that were ready before it."""
    kept, ready = state.kept, state.ready
    state.counter[WAIT] += 1
    kept[task, OUTCOME] = WAITING
    kept[task, UNIT] = -1
    row, column = service_row(state.fixed[task, SERVICE]), state.fixed[task, PRIORITY]
    before, after = state.last[row, column], -1
    if before >= 0 and (ready[before] > ready[task] or (ready[before] == ready[task] and before > task)):
        before, after = -1, state.queue[row, column]
        while ready[after] < ready[task] or (ready[after] == ready[task] and after < task):
            before, after = after, kept[after, NEXT]
    kept[task, NEXT] = after
    if before < 0:
        state.queue[row, column] = task
    else:
        kept[before, NEXT] = task
    if after < 0:
        state.last[row, column] = task


@njit(cache=True, nogil=True, inline="always")
def take_from_queue(state, task):
    """Take a task out of its queue."""
    kept = state.kept
    state.counter[WAIT] -= 1
    row, column = service_row(state.fixed[task, SERVICE]), state.fixed[task, PRIORITY]
    before, at = -1, state.queue[row, column]
    while at != task:
        before, at = at, kept[at, NEXT]
    after = kept[task, NEXT]
    if before < 0:
        state.queue[row, column] = after
    else:
        kept[before, NEXT] = after
    if after < 0:
        state.last[row, column] = before

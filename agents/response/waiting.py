"""Tasks that wait for somebody to be sent: a queue for each service and priority, first come first served."""

from numba import njit

from .board import NEXT, OUTCOME, PRIORITY, SERVICE, UNIT, WAIT, WAITING


@njit(cache=True, nogil=True)
def put_in_queue(queue, counter, kept, fixed, ready, task):
    """Let a task wait behind those of its service and priority that were ready before it."""
    counter[WAIT] += 1
    kept[task, OUTCOME] = WAITING
    kept[task, UNIT] = -1
    row, column = _service(fixed[task, SERVICE]), fixed[task, PRIORITY]
    before, after = -1, queue[row, column]
    while after >= 0 and (ready[after] < ready[task] or (ready[after] == ready[task] and after < task)):
        before, after = after, kept[after, NEXT]
    kept[task, NEXT] = after
    if before < 0:
        queue[row, column] = task
    else:
        kept[before, NEXT] = task


@njit(cache=True, nogil=True)
def take_from_queue(queue, counter, kept, fixed, task):
    """Take a task out of its queue."""
    counter[WAIT] -= 1
    row, column = _service(fixed[task, SERVICE]), fixed[task, PRIORITY]
    if queue[row, column] == task:
        queue[row, column] = kept[task, NEXT]
        return
    before = queue[row, column]
    while kept[before, NEXT] != task:
        before = kept[before, NEXT]
    kept[before, NEXT] = kept[task, NEXT]


@njit(cache=True, nogil=True)
def _service(bit):
    row = 0
    while bit > 1:
        bit >>= 1
        row += 1
    return row

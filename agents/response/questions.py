"""What is put to Python: the kernel returns with a question and is called again with the answer."""

from numba import njit

from .board import ABOUT_TASK, ABOUT_UNIT, ANSWER, ANSWERED, NOBODY, QUESTION

ASKED = -2
"""Instead of an answer: the question has been put."""


@njit(cache=True, nogil=True, inline="always")
def answer_to(ask, question, task, unit):
    """Return the answer to a question about a task or unit (−1 for none); if there is none yet, put it: ASKED."""
    if ask[ANSWERED] == 0:
        ask[QUESTION], ask[ABOUT_TASK], ask[ABOUT_UNIT] = question, task, unit
        return ASKED
    ask[QUESTION], ask[ANSWERED] = NOBODY, 0
    return ask[ANSWER]

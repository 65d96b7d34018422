"""Counter-based random numbers: every draw is a hash of (seed, purpose, who, when).

There is no stream and no state. A draw depends on its key alone, so results are the same for any order of evaluation,
any number of threads, any worker and any restart; and two policies run with one seed share every draw that both make.

The generator is the splitmix64 finaliser (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
generators", section 4; variant 13 of Stafford's mixers) applied once per key word.
"""

import hashlib

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / (1 << 53)


def key(seed: int, purpose: str) -> np.uint64:
    """Return the 64-bit key shared by all draws of one purpose under one seed, for example ``key(7, "latent period")``.

    Pass it to kernels as it is: numba must see an unsigned word.
    """
    digest = hashlib.sha256(f"{int(seed)}/{purpose}".encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little"))


@njit(cache=True, nogil=True, inline="always")
def mix(word):
    """Scramble one 64-bit word (bijective)."""
    word = np.uint64(word)
    word = (word ^ (word >> np.uint64(30))) * _MIX_1
    word = (word ^ (word >> np.uint64(27))) * _MIX_2
    return word ^ (word >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def bits(purpose_key, who, when):
    """Return 64 random bits for (who, when) under a key made by :func:`key`."""
    word = mix(np.uint64(purpose_key) + _GOLDEN * (np.uint64(who) + np.uint64(1)))
    return mix(word + _GOLDEN * (np.uint64(when) + np.uint64(1)))


@njit(cache=True, nogil=True, inline="always")
def uniform(purpose_key, who, when):
    """Return a uniform number in (0, 1), never 0 nor 1, for (who, when) under a key made by :func:`key`."""
    return ((bits(purpose_key, who, when) >> np.uint64(11)) + 0.5) * _TO_UNIT


@njit(cache=True, nogil=True)
def uniforms(purpose_key, who, when):
    """Return uniform numbers in (0, 1) for an array of persons at one time.

    Args:
        purpose_key: from :func:`key`.
        who: integer array (n,).
        when: one integer (a day, a spell, a weekday type).

    Returns:
        float64 array (n,).
    """
    out = np.empty(who.size)
    for i in range(who.size):
        out[i] = uniform(purpose_key, who[i], when)
    return out

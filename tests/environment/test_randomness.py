"""Counter-based random numbers against a plain-integer twin."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.environment.randomness import bits, key, mix, uniform, uniforms

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix_twin(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def bits_twin(purpose_key: int, who: int, when: int) -> int:
    word = mix_twin((purpose_key + GOLDEN * (who + 1)) & MASK)
    return mix_twin((word + GOLDEN * (when + 1)) & MASK)


@given(st.integers(0, MASK), st.integers(0, 2**31 - 1), st.integers(0, 100_000))
def test_kernel_equals_twin(word, who, when):
    assert int(mix(np.uint64(word))) == mix_twin(word)
    assert int(bits(np.uint64(word), who, when)) == bits_twin(word, who, when)
    assert uniform(np.uint64(word), who, when) == ((bits_twin(word, who, when) >> 11) + 0.5) / (1 << 53)


def test_splitmix_published_values():
    """The first outputs of splitmix64 from state 1234567 (reference implementation by Vigna, public domain)."""
    state, seen = 1234567, []
    for _ in range(3):
        state = (state + GOLDEN) & MASK
        seen.append(int(mix(np.uint64(state))))
    assert seen == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_keys_differ_by_seed_and_purpose_and_repeat():
    keys = {int(key(seed, name)) for seed in range(50) for name in ("a", "b", "latent period")}
    assert len(keys) == 150
    assert key(7, "a") == key(7, "a")
    assert isinstance(key(7, "a"), np.uint64)


def test_uniform_moments_and_independence():
    u = uniforms(key(3, "test"), np.arange(200_000), 5)
    v = uniforms(key(3, "test"), np.arange(200_000), 6)
    w = uniforms(key(4, "test"), np.arange(200_000), 5)
    assert u.min() > 0 and u.max() < 1
    # 5 standard errors
    assert abs(u.mean() - 0.5) < 5 / math.sqrt(12 * u.size)
    assert abs(u.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / u.size)
    for other in (v, w, np.roll(u, 1)):
        assert abs(np.corrcoef(u, other)[0, 1]) < 5 / math.sqrt(u.size)


def test_uniforms_are_the_single_draws():
    who = np.array([0, 5, 2**30])
    assert uniforms(key(1, "x"), who, 9).tolist() == [uniform(key(1, "x"), i, 9) for i in who]


def test_chi_square_over_bins():
    scipy_stats = pytest.importorskip("scipy.stats")
    u = uniforms(key(11, "bins"), np.arange(100_000), 0)
    counts = np.bincount((u * 100).astype(int), minlength=100)
    assert scipy_stats.chisquare(counts).pvalue > 1e-4

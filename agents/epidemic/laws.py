"""Laws of periods: how many days a state lasts.

A law is a table of a disease file: ``{ law = "gamma", mean = 4.5, sd = 1.5 }``. A model that moves by the day needs whole
numbers of days: :meth:`Law.whole_days` rounds at random such that the mean is kept.
"""

from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import gammainc, gammaln, ndtr

from ..parts import Number, Part

MAX_DAYS = 2000
"""Longest period, days."""
_TAIL = 1e-9
"""Chance of still longer periods that a table leaves out."""


class Law(Part):
    """A law of a period in days, of which the subclass says the mean and the distribution function."""

    def cdf(self, days: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the chance that the period is at most this long."""
        raise NotImplementedError

    def whole_days(self, *, less: float = 0.0) -> NDArray[np.float64]:
        """Return P(N <= n) for n = 0, 1, …, where N is the period less some days, rounded at random to whole days.

        A period of 4.3 days counts 4 days with chance 0.7 and 5 days with 0.3, so P(N <= n) is the integral of the
        distribution function from n to n + 1. Cutting off negative days would raise the mean, so the period is shortened
        by the factor that keeps it.

        Raises:
            ValueError: if the mean is not above ``less``, or the period may last more than :data:`MAX_DAYS` days.
        """
        wanted = self.mean - less  # type: ignore[attr-defined]
        if wanted <= 0:
            raise ValueError(f"mean must be above {less} days, as infections happen at midday")
        last = 1
        while self.cdf(np.array([float(last)]))[0] < 1 - _TAIL:
            if last == MAX_DAYS:
                raise ValueError(f"the period may last more than {MAX_DAYS} days; choose a smaller mean or sd")
            last = min(2 * last, MAX_DAYS)
        nodes, weights = np.polynomial.legendre.leggauss(16)
        at = np.arange(last + 1)[:, None] + (nodes + 1) / 2 + less
        low, high = 0.0, 1.5
        for _ in range(60):
            scale = (low + high) / 2
            cumulative = self.cdf(at / max(scale, 1e-9)) @ (weights / 2)
            low, high = (scale, high) if (1 - cumulative).sum() < wanted else (low, scale)
        cumulative[-1] = 1.0
        return np.minimum(np.maximum.accumulate(cumulative), 1.0)


class Constant(Law):
    """Always the same number of whole days; 4.5 stands for 4 or 5 with equal chance."""

    law: Literal["constant"]
    days: Number = Field(ge=0, le=MAX_DAYS)

    @property
    def mean(self) -> float:
        """Mean in days."""
        return self.days

    def whole_days(self, *, less: float = 0.0) -> NDArray[np.float64]:  # noqa: ARG002
        """Return P(N <= n) for n = 0, 1, …; ``less`` does not count, as the days are whole already."""
        whole = int(self.days)
        cumulative = np.zeros(whole + 2)
        cumulative[whole:] = whole + 1 - self.days, 1.0
        return cumulative


class Empirical(Law):
    """A table: the chance of 0, 1, 2, … whole days."""

    law: Literal["empirical"]
    probability: tuple[Annotated[Number, Field(ge=0, le=1)], ...] = Field(min_length=1, max_length=MAX_DAYS)

    @model_validator(mode="after")
    def _check_sum(self) -> "Empirical":
        if abs(sum(self.probability) - 1) > 1e-6:
            raise ValueError(f"probability must sum to 1, sums to {sum(self.probability):g}")
        return self

    @property
    def mean(self) -> float:
        """Mean in days."""
        return float(np.arange(len(self.probability)) @ np.array(self.probability))

    def whole_days(self, *, less: float = 0.0) -> NDArray[np.float64]:  # noqa: ARG002
        """Return P(N <= n) for n = 0, 1, …; ``less`` does not count, as the days are whole already."""
        cumulative = np.cumsum(self.probability)
        cumulative[-1] = 1.0
        return np.minimum(cumulative, 1.0)


class Exponential(Law):
    """Exponential law."""

    law: Literal["exponential"]
    mean: Number = Field(gt=0, le=MAX_DAYS)

    def cdf(self, days: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution function."""
        return -np.expm1(-days / self.mean)


class _MeanSd(Law):
    mean: Number = Field(gt=0, le=MAX_DAYS)
    sd: Number = Field(gt=0, le=MAX_DAYS)

    @model_validator(mode="after")
    def _check_spread(self) -> "_MeanSd":
        if not self.mean / 100 <= self.sd <= self.mean * 10:
            raise ValueError(
                f"sd must lie between mean / 100 and mean · 10, is {self.sd:g} with mean {self.mean:g}; "
                "a period that hardly differs is law = 'constant'"
            )
        return self


class Gamma(_MeanSd):
    """Gamma law by mean and standard deviation of the period."""

    law: Literal["gamma"]

    def cdf(self, days: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution function."""
        return np.asarray(gammainc((self.mean / self.sd) ** 2, days * self.mean / self.sd**2))


class LogNormal(_MeanSd):
    """Log-normal law by mean and standard deviation of the period, not of its logarithm."""

    law: Literal["lognormal"]

    def cdf(self, days: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution function."""
        variance = np.log1p((self.sd / self.mean) ** 2)
        with np.errstate(divide="ignore"):
            return np.asarray(ndtr((np.log(days / self.mean) + variance / 2) / np.sqrt(variance)))


class Weibull(_MeanSd):
    """Weibull law by mean and standard deviation of the period."""

    law: Literal["weibull"]

    def cdf(self, days: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution function."""
        low, high = 0.05, 200.0  # the squared coefficient of variation falls with the shape
        for _ in range(80):
            shape = np.sqrt(low * high)
            square = np.expm1(gammaln(1 + 2 / shape) - 2 * gammaln(1 + 1 / shape))
            low, high = (shape, high) if square > (self.sd / self.mean) ** 2 else (low, shape)
        scale = self.mean / np.exp(gammaln(1 + 1 / shape))
        return -np.expm1(-((days / scale) ** shape))


Period = Annotated[Constant | Empirical | Exponential | Gamma | LogNormal | Weibull, Field(discriminator="law")]


@lru_cache(maxsize=512)
def whole_days(law: Law, *, less: float = 0.0) -> NDArray[np.float64]:
    """Return :meth:`Law.whole_days` (read-only), remembered, as the same laws are asked for again and again."""
    table = law.whole_days(less=less)
    table.flags.writeable = False
    return table

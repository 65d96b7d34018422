"""Laws of times of emergency response: call taking, turnout, work at the scene, handover and the like.

A law is a table of a scenario, ``{ law = "lognormal", median = "25 min", sigma = 0.7 }``; a time alone, ``"60 s"``, is a
constant. A time is drawn by the inverse distribution function from one uniform number, so whoever has the same number has
the same time under every policy, and a longer one under a longer law.
"""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BeforeValidator, Field, model_validator
from scipy.special import gamma, gammaincinv, ndtri

from ..parts import Number, Part, Seconds

LONGEST = 60 * 86_400.0
"""Longest time that a law may have as its mean or scale, s."""

Time = Annotated[Seconds, Field(ge=0, le=LONGEST)]
_Positive = Annotated[Seconds, Field(gt=0, le=LONGEST)]
_Shape = Annotated[Number, Field(ge=0.1, le=1000)]


class Law(Part):
    """A law of a time, of which the subclass says the mean and the quantiles without the shift.

    Attributes:
        shift: a time on top of each that is drawn, s.
    """

    shift: Time = 0.0

    @property
    def mean(self) -> float:
        """Mean in seconds."""
        return self.shift + self._mean()

    def of(self, uniforms: ArrayLike) -> NDArray[np.float64]:
        """Return the time in seconds for each uniform number in (0, 1); it grows with the number."""
        return self.shift + self._quantile(np.asarray(uniforms, float))

    def _mean(self) -> float:
        raise NotImplementedError

    def _quantile(self, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        raise NotImplementedError


class Constant(Law):
    """Always the same time."""

    law: Literal["constant"] = "constant"
    time: Time

    def _mean(self) -> float:
        return self.time

    def _quantile(self, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(uniforms.shape, self.time)


class Exponential(Law):
    """Exponential law."""

    law: Literal["exponential"]
    time: _Positive = Field(alias="mean")

    def _mean(self) -> float:
        return self.time

    def _quantile(self, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        return -self.time * np.log1p(-uniforms)


class LogNormal(Law):
    """Log-normal law, by its median and the standard deviation of the logarithm, or by mean and standard deviation."""

    law: Literal["lognormal"]
    median: _Positive | None = None
    sigma: Annotated[Number, Field(gt=0, le=5)] | None = None
    average: _Positive | None = Field(default=None, alias="mean")
    sd: _Positive | None = None

    @model_validator(mode="after")
    def _check_one_form(self) -> "LogNormal":
        by_median = self.median is not None and self.sigma is not None and self.average is None and self.sd is None
        by_mean = self.average is not None and self.sd is not None and self.median is None and self.sigma is None
        if not (by_median or by_mean):
            raise ValueError("a lognormal law has either median and sigma, or mean and sd")
        return self

    def _parameters(self) -> tuple[float, float]:
        """Return the median in seconds and the standard deviation of the logarithm."""
        if self.median is not None and self.sigma is not None:
            return self.median, self.sigma
        assert self.average is not None and self.sd is not None
        variance = np.log1p((self.sd / self.average) ** 2)
        return self.average * np.exp(-variance / 2), np.sqrt(variance)

    def _mean(self) -> float:
        median, sigma = self._parameters()
        return float(median * np.exp(sigma**2 / 2))

    def _quantile(self, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        median, sigma = self._parameters()
        return median * np.exp(sigma * ndtri(uniforms))  # type: ignore[no-any-return]


class Weibull(Law):
    """Weibull law; its mean is scale · Γ(1 + 1 / shape)."""

    law: Literal["weibull"]
    shape: _Shape
    scale: _Positive

    def _mean(self) -> float:
        return float(self.scale * gamma(1 + 1 / self.shape))

    def _quantile(self, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.scale * (-np.log1p(-uniforms)) ** (1 / self.shape)  # type: ignore[no-any-return]


class Gamma(Law):
    """Gamma law; its mean is shape · scale."""

    law: Literal["gamma"]
    shape: _Shape
    scale: _Positive

    def _mean(self) -> float:
        return self.shape * self.scale

    def _quantile(self, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.scale * gammaincinv(self.shape, uniforms)  # type: ignore[no-any-return]


def _table(value: Any) -> Any:
    if isinstance(value, str):
        return {"law": "constant", "time": value}
    if isinstance(value, dict) and "law" not in value:
        raise ValueError(
            'law is missing; allowed: constant, exponential, lognormal, weibull, gamma; or a time, as in "60 s"'
        )
    return value


AnyLaw = Annotated[
    Annotated[Constant | Exponential | LogNormal | Weibull | Gamma, Field(discriminator="law")], BeforeValidator(_table)
]
"""A law as a field of settings: a table, or a time alone for a constant."""

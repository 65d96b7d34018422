"""Diseases as data: a TOML file with laws of the periods, susceptibility by age and infectiousness.

Shipped diseases lie in ``diseases/``; every number there has its source as a comment. Periods are laws of time in days.
A model that moves by the day needs whole numbers of days, and keeps the means:

* infectious: D whole days with the mean of the law;
* latent: infections happen at midday on average, and a person infected on day t becomes infectious when day t + L + 1
  begins, after L + 1/2 days; so L has the mean of the law less half a day. A ``constant`` or ``empirical`` law counts
  whole days itself and is taken as it is.
"""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy.special import gammainc, gammaincinv, gammaln, ndtr

MAX_AGE = 255
MAX_DAYS = 2000
MAX_FILE_BYTES = 1_000_000
_QUANTILES = 1024


class DiseaseError(ValueError):
    """A disease that cannot be read; the message names the file, the key, the value and what is allowed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Law(_Part):
    """A law of a period in days, of which the subclass says the distribution function."""

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
        while self.cdf(np.array([last * 0.5]))[0] < 1 - 1e-9:
            last *= 2
            if last > MAX_DAYS:
                raise ValueError(f"the period may last more than {MAX_DAYS} days; choose a smaller mean or sd")
        nodes, weights = np.polynomial.legendre.leggauss(16)
        at = np.arange(last)[:, None] + (nodes + 1) / 2 + less
        low, high = 0.0, 1.5
        for _ in range(60):
            scale = (low + high) / 2
            cumulative = self.cdf(at / max(scale, 1e-9)) @ (weights / 2)
            low, high = (scale, high) if (1 - cumulative).sum() < wanted else (low, scale)
        cumulative[-1] = 1.0
        return np.minimum(np.maximum.accumulate(cumulative), 1.0)


class Constant(_Law):
    """Always the same number of whole days; 4.5 stands for 4 or 5 with equal chance."""

    law: Literal["constant"]
    days: float = Field(ge=0, le=MAX_DAYS)

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


class Empirical(_Law):
    """A table: the chance of 0, 1, 2, … whole days."""

    law: Literal["empirical"]
    probability: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1, max_length=MAX_DAYS)

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


class Exponential(_Law):
    """Exponential law."""

    law: Literal["exponential"]
    mean: float = Field(gt=0, le=MAX_DAYS)

    def cdf(self, days: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution function."""
        return -np.expm1(-days / self.mean)


class _MeanSd(_Law):
    mean: float = Field(gt=0, le=MAX_DAYS)
    sd: float = Field(gt=0, le=MAX_DAYS)


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


class Susceptibility(_Part):
    """Relative susceptibility by age.

    Attributes:
        from_age: first age of each band, rising from 0.
        factor: susceptibility of each band.
    """

    from_age: tuple[Annotated[int, Field(ge=0, le=MAX_AGE)], ...] = (0,)
    factor: tuple[Annotated[float, Field(ge=0, le=100)], ...] = (1.0,)

    @model_validator(mode="after")
    def _check_bands(self) -> "Susceptibility":
        if len(self.from_age) != len(self.factor):
            raise ValueError(
                f"from_age has {len(self.from_age)} entries, factor {len(self.factor)}; each band needs both"
            )
        if self.from_age[:1] != (0,) or any(b <= a for a, b in zip(self.from_age, self.from_age[1:], strict=False)):
            raise ValueError("from_age must rise from 0")
        return self

    def by_age(self) -> NDArray[np.float64]:
        """Return the susceptibility (256,) of each age in years."""
        band = np.searchsorted(self.from_age, np.arange(MAX_AGE + 1), side="right") - 1
        return np.array(self.factor)[band]


class Infectiousness(_Part):
    """How infectiousness differs between people.

    Attributes:
        dispersion: shape k of a gamma law of mean 1, variance 1/k; without it all are alike.
    """

    dispersion: float | None = Field(default=None, gt=0.01, le=1e6)

    def quantiles(self) -> NDArray[np.float64]:
        """Return the infectiousness of equally many people each (n,), mean 1: the mean between quantiles of the law."""
        if self.dispersion is None:
            return np.ones(1)
        edges = gammaincinv(self.dispersion, np.arange(_QUANTILES + 1) / _QUANTILES)
        # The mean of a gamma variable up to x is that of a variable of shape k + 1.
        return np.diff(gammainc(self.dispersion + 1, edges)) * _QUANTILES

    def laplace(self, rate: NDArray[np.float64], *, biased: bool = False) -> NDArray[np.float64]:
        """Return the mean of exp(−rate · infectiousness), with ``biased`` weighted by the infectiousness itself."""
        if self.dispersion is None:
            return np.exp(-rate)
        return np.exp(-(self.dispersion + biased) * np.log1p(rate / self.dispersion))


class Disease(_Part):
    """A disease.

    Attributes:
        name: short name.
        title: what it is, for people.
        r0: secondary cases of a typical early case, where a scenario says nothing else.
        latent: law of the period from infection to infectiousness.
        infectious: law of the infectious period.
        susceptibility: by age.
        infectiousness: differences between people.
    """

    name: str = Field(min_length=1, max_length=100)
    title: str = ""
    r0: float = Field(gt=0, le=100)
    latent: Period
    infectious: Period
    susceptibility: Susceptibility = Susceptibility()
    infectiousness: Infectiousness = Infectiousness()

    @model_validator(mode="after")
    def _check_periods(self) -> "Disease":
        for name in ("latent", "infectious"):
            try:
                self._table(name)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        if self.infectious.mean <= 0:
            raise ValueError("infectious: must last some time; give days or a mean above 0")
        return self

    def _table(self, name: str) -> NDArray[np.float64]:
        law = getattr(self, name)
        return law.whole_days(less=0.5 if name == "latent" else 0.0)

    def latent_days(self) -> NDArray[np.float64]:
        """Return P(L <= n) for n = 0, 1, … of the whole latent days L."""
        return self._table("latent")

    def infectious_days(self) -> NDArray[np.float64]:
        """Return P(D <= n) for n = 0, 1, … of the infectious days D."""
        return self._table("infectious")

    @classmethod
    def load(cls, source: str | Path) -> "Disease":
        """Read a shipped disease by name, or a file.

        Raises:
            DiseaseError: if there is none, or it is not valid; all problems at once.
        """
        folder = resources.files(__package__) / "diseases"
        shipped = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
        path = Path(source)
        try:
            if str(source) in shipped:
                text = (folder / f"{source}.toml").read_text(encoding="utf-8")
            elif path.is_file():
                if path.stat().st_size > MAX_FILE_BYTES:
                    raise DiseaseError(f"{source}: larger than {MAX_FILE_BYTES:,} bytes, which no disease needs")
                text = path.read_text(encoding="utf-8")
            else:
                raise DiseaseError(f"'{source}' is neither a shipped disease ({', '.join(shipped)}) nor a file")
            return cls.model_validate(tomllib.loads(text))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise DiseaseError(f"{source}: cannot be read: {error}") from None
        except ValidationError as error:
            lines = [f"{source}: {_problem(detail)}" for detail in error.errors()]
            raise DiseaseError("\n".join(lines)) from None


def _problem(detail: Any) -> str:
    """Return 'key: value: what is wrong' of one problem that pydantic found."""
    where = ".".join(str(part) for part in detail["loc"]) or "disease"
    message = str(detail["msg"]).removeprefix("Value error, ")
    shown = detail["input"]
    value = f" = {shown!r}" if isinstance(shown, int | float | str | bool) else ""
    return f"{where}{value}: {message}"

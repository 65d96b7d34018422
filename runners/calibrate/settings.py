"""The section ``[calibrate]`` of a scenario file: which parameters are fitted, to which observations, and how."""

import datetime
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..scenarios.sections import Name, Section

MOST_PARAMETERS = 20
"""Parameters fitted at once; with more, no affordable number of runs tells them apart (assumed)."""
MOST_COLUMNS = 20
MAX_RUNS = 100_000
MAX_SCALE = 1e9
RUNS_A_PARTICLE = 20
"""Runs of the budget for each particle of the posterior, where the file says nothing else (assumed)."""
FEWEST_PARTICLES = 10

Method = Literal["abc", "optuna", "optuna+abc"]


class Prior(Section):
    """Where a parameter may lie: uniform between two bounds.

    Attributes:
        from_: lower bound (``from`` in the file).
        to: upper bound.
        log: uniform in the logarithm.
        whole: whole numbers only, both bounds included.
    """

    from_: float = Field(alias="from")
    to: float
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _check_bounds(self) -> "Prior":
        if not (isfinite(self.from_) and isfinite(self.to) and self.from_ < self.to):
            raise ValueError(f"to: must be greater than 'from' (given from = {self.from_:g}, to = {self.to:g})")
        if self.log and self.from_ <= 0:
            raise ValueError(f"from: must be above 0 where log = true (given {self.from_:g})")
        if self.whole and not (self.from_.is_integer() and self.to.is_integer() and max(map(abs, self._ends)) < 2**53):
            raise ValueError(f"from: both bounds must be whole numbers (given {self.from_:g} and {self.to:g})")
        return self

    @property
    def _ends(self) -> tuple[float, float]:
        return self.from_, self.to


class Observation(Section):
    """What a column of the data is compared with.

    Attributes:
        series: figure of the series.
        scale: factor on that figure, as where the data are of more people than the city has.
        error: ``counts``, numbers of people or events of which the large ones scatter more, or ``normal``, any other
            figure, which scatters alike throughout.
        sd: standard deviation of a normal error in the unit of the column; that of the observed values if left out.
    """

    series: Annotated[str, Field(min_length=1, max_length=200)]
    scale: float = Field(default=1.0, gt=0, le=MAX_SCALE)
    error: Literal["counts", "normal"] = "counts"
    sd: float | None = Field(default=None, gt=0, le=1e12)

    @model_validator(mode="after")
    def _sd_of_normal(self) -> "Observation":
        if self.sd is not None and self.error != "normal":
            raise ValueError('sd: goes with error = "normal" alone; counts scatter by their size')
        return self


class CalibrateSettings(Section):
    """How a scenario is fitted.

    Attributes:
        method: ``abc`` gives the posterior, ``optuna`` the best point, ``optuna+abc`` both, half of the runs each.
        runs: most runs made.
        particles: size of the sample from the posterior; a twentieth of the runs of ``abc`` if left out. Fewer come nearer
            to the data with the same runs.
        replicates: runs (seeds) at each point that ``optuna`` tries.
        tolerance: distance at which ``abc`` is content; as small as the runs allow if left out.
        least_acceptance: share of new particles nearer than the tolerance below which ``abc`` stops.
        until: last day, or date, that is fitted; later observations are held out to test the forecast.
        parameters: prior by dotted key of the scenario; also ``calibrate.observations.<column>.scale``, as where it is not
            known how many cases are reported.
        observations: figure of the series by column of the data.
    """

    method: Method = "abc"
    runs: int = Field(default=2000, ge=30, le=MAX_RUNS)
    particles: int | None = Field(default=None, ge=FEWEST_PARTICLES, le=10_000)
    replicates: int = Field(default=4, ge=1, le=1000)
    tolerance: float | None = Field(default=None, gt=0)
    least_acceptance: float = Field(default=0.02, ge=0, lt=1)
    until: Annotated[int, Field(ge=0)] | datetime.date | None = None
    parameters: dict[Name, Prior] = Field(min_length=1, max_length=MOST_PARAMETERS)
    observations: dict[Name, Observation] = Field(min_length=1, max_length=MOST_COLUMNS)

    @model_validator(mode="after")
    def _check_budget(self) -> "CalibrateSettings":
        if "abc" in self.method and self.posterior_runs < 3 * self.posterior_particles:
            least = 3 * self.posterior_particles * (2 if self.method == "optuna+abc" else 1)
            raise ValueError(
                f"runs: must be at least {least} for {self.posterior_particles} particles (given {self.runs})"
            )
        if "optuna" in self.method and self.point_runs < 10 * self.replicates:
            raise ValueError(
                f"runs: must give at least 10 points with {self.replicates} replicates (given {self.runs})"
            )
        return self

    @model_validator(mode="after")
    def _check_scales(self) -> "CalibrateSettings":
        known = [scale_key(name) for name in self.observations]
        for name, prior in self.parameters.items():
            if name.startswith("calibrate.") and name not in known:
                raise ValueError(f"parameters: '{name}' cannot be fitted; of this section only {', '.join(known)}")
            if name in known and (prior.from_ <= 0 or prior.to > MAX_SCALE):
                raise ValueError(f"parameters: '{name}' must lie above 0 and at most at {MAX_SCALE:g}")
        return self

    @property
    def point_runs(self) -> int:
        """Runs there are for the best point."""
        return {"abc": 0, "optuna": self.runs, "optuna+abc": self.runs // 2}[self.method]

    @property
    def posterior_runs(self) -> int:
        """Runs there are for the posterior."""
        return self.runs - self.point_runs

    @property
    def posterior_particles(self) -> int:
        """Size of the sample from the posterior."""
        return self.particles or max(FEWEST_PARTICLES, self.posterior_runs // RUNS_A_PARTICLE)

    def at(self, point: Mapping[str, Any]) -> dict[str, Observation]:
        """Return the observations with the scales of a point."""
        return {
            name: observation.model_copy(update={"scale": point.get(scale_key(name), observation.scale)})
            for name, observation in self.observations.items()
        }


def scale_key(column: str) -> str:
    """Return the parameter that is the scale of a column."""
    return f"calibrate.observations.{column}.scale"


def of_model(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a point that are the scenario's own, not scales of observations."""
    return {name: value for name, value in point.items() if not name.startswith("calibrate.")}

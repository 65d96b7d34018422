"""Authorities: agents that decide each morning which policies are in force."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import mesa
import numpy as np

from .policies import PolicySettings, Trigger, check_group
from .rules import Rule, rule


class Policy:
    """A rule of an authority: what it changes, and on which days it is in force.

    Override :meth:`decide` in a class of one's own and hand it to :meth:`Authority.add`.

    Args:
        name: what the policy is called in results.
        close, reduce, compliance: as in :class:`~citytwin.agents.policies.PolicySettings`.

    Attributes:
        factor: (COLUMNS,) factor on the contacts of a person who follows, see :mod:`~citytwin.agents.presence`.
        in_force: whether the policy is in force today.
    """

    def __init__(
        self, name: str, *, close: Sequence[str] = (), reduce: dict[str, float] | None = None, compliance: float = 1.0
    ):
        for group in (*close, *(reduce or {})):
            check_group(group)
        self.name = name
        self.compliance = compliance
        self.close, self.reduce = close, reduce
        self.in_force = False

    def decide(self, model: Any) -> bool:
        """Return whether the policy is in force today; asked once each morning, before anybody leaves home."""
        raise NotImplementedError(f"policy '{self.name}' does not say when it is in force: override decide(model)")

    def rules(self, model: Any) -> list[Rule]:
        """Return what the policy changes today."""
        draws = model.presence.compliance
        # A draw may round up to 1 in 32 bits, so full compliance is not left to the comparison.
        follows = draws < self.compliance if self.compliance < 1 else np.ones(len(draws), bool)
        return [rule(follows, close=self.close, reduce=self.reduce)]


class TimedPolicy(Policy):
    """A policy of a scenario file: in force between days, dates or conditions.

    Args:
        settings: the policy as written.
    """

    def __init__(self, settings: PolicySettings):
        super().__init__(settings.name, close=settings.close, reduce=settings.reduce, compliance=settings.compliance)
        self.settings = settings
        self.over = False

    def decide(self, model: Any) -> bool:
        """Return whether the policy is in force today."""
        settings = self.settings
        if self.over:
            return False
        values = model.authority.indicators if settings.indicators else {}
        if settings.until is not None and not isinstance(settings.until, Trigger) and _reached(settings.until, model):
            self.over = True
            return False
        if self.in_force:
            if isinstance(settings.until, Trigger):
                ended = settings.until.holds(values)
                self.over = ended and settings.when is None
                return not ended
            if settings.until is None and settings.when is not None:
                return settings.when.holds(values)
            return True
        if settings.when is not None:
            return settings.when.holds(values)
        return settings.from_ is None or _reached(settings.from_, model)


def _reached(moment: int | date, model: Any) -> bool:
    return bool(model.day >= moment) if isinstance(moment, int) else bool(model.date >= moment)


class Authority(mesa.Agent):
    """The authority of a city: decides each morning which policies are in force.

    Args:
        model: the CityModel; it must have ``presence``, ``processes``, ``day`` and ``date`` when the authority steps.
        policies: policies of the scenario, in its order.

    Attributes:
        policies: all policies in the order of the results.
        indicators: values of the processes' indicators this morning.

    Raises:
        ValueError: if two policies have one name.
    """

    def __init__(self, model: Any, policies: Sequence[PolicySettings | Policy] = ()):
        super().__init__(model)
        self.policies: list[Policy] = []
        self.indicators: dict[str, float] = {}
        self._decided: int | None = None
        for policy in policies:
            self.add(policy)

    def add(self, policy: PolicySettings | Policy) -> None:
        """Add a policy; from the next morning on it is asked with the others."""
        if isinstance(policy, PolicySettings):
            policy = TimedPolicy(policy)
        if policy.name in (other.name for other in self.policies):
            raise ValueError(f"two policies are called '{policy.name}'; give each its own name")
        self.policies.append(policy)

    def step(self) -> None:
        """Open the day: send everybody back to their schedule and decide which policies are in force.

        Only the first step of a day does anything. Citizens decide after it, see :meth:`CityModel.step`.
        """
        model = self.model
        if model.day == self._decided:
            return
        self._decided = model.day
        presence = model.presence
        presence.begin_day(model.day)
        self.indicators = {}
        for process in model.processes:
            self.indicators |= process.indicator_values()
        before = [policy.in_force for policy in self.policies]
        for policy in self.policies:
            policy.in_force = bool(policy.decide(model))
        if before != [policy.in_force for policy in self.policies]:
            presence.apply([rule for policy in self.policies if policy.in_force for rule in policy.rules(model)])

    def series(self) -> dict[str, int]:
        """Return how many policies are in force today, and for each policy whether it is (0 or 1)."""
        return {"policies_in_force": sum(policy.in_force for policy in self.policies)} | {
            f"policy.{policy.name}": int(policy.in_force) for policy in self.policies
        }

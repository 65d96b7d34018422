"""Authorities: agents that decide each morning which policies are in force."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from .measures import MEASURES, Measure
from .policies import FATIGUE_DAYS, PolicySettings, check_zones
from .presence import below
from .restrictions import daily_rules, meant, steady_rules
from .rules import Rule, check_rules
from .triggers import Trigger


class Policy:
    """A rule of an authority: what it changes, for whom, and on which days it is in force.

    Override :meth:`decide` in a class of one's own, and :meth:`rules` if it changes what no key can say, and hand it to
    :meth:`Authority.add`::

        class Weekends(Policy):
            def decide(self, model):
                return model.date.weekday() >= 5

        model.authority.add(Weekends("quiet weekends", close=["leisure"], compliance=0.8))

    Args:
        name: what the policy is called in results.
        **keys: what it does, for whom, where and how well it is followed, as in
            :class:`~citytwin.agents.policies.PolicySettings`; when is for :meth:`decide` to say.

    Attributes:
        settings: these.
        in_force: whether the policy is in force today.
        days_in_force: number of days in force before today.
        measures: its tests, tracing and so on, by their key.
    """

    def __init__(self, name: str, **keys: Any):
        own_rules = type(self).rules is not Policy.rules
        self._set(PolicySettings.model_validate({"name": name} | keys, context={"may do nothing": own_rules}))

    def _set(self, settings: PolicySettings) -> None:
        self.settings = settings
        self.in_force = False
        self.days_in_force = 0
        self.measures: dict[str, Measure] = {}
        self._meant: NDArray[np.bool_] | None = None
        self._agreed: NDArray[np.bool_] | None = None
        self._followers: tuple[float, NDArray[np.bool_]] | None = None
        self._steady: tuple[NDArray[np.bool_], list[Rule]] | None = None

    @property
    def name(self) -> str:
        """What the policy is called in results."""
        return self.settings.name

    @property
    def compliance(self) -> float:
        """Share of the people who follow today, fatigue taken off."""
        return self.settings.compliance * self._kept

    @property
    def _kept(self) -> float:
        """Share of the first followers whom fatigue has left."""
        return float((1.0 - self.settings.fatigue) ** (self.days_in_force / FATIGUE_DAYS))

    @property
    def begun(self) -> bool:
        """Whether the policy has been in force so far."""
        return self.in_force or self.days_in_force > 0

    def decide(self, model: Any) -> bool:
        """Return whether the policy is in force today; asked once each morning, before anybody leaves home."""
        raise NotImplementedError(f"policy '{self.name}' does not say when it is in force: override decide(model)")

    def followers(self, model: Any) -> NDArray[np.bool_]:
        """Return who is meant and follows today (people,).

        A person follows if their draw is below the compliance, or if their class overrides ``complies``, as they said when
        the policy last came into force. As long as nothing changes it is the same array.
        """
        if self._followers is None or self._followers[0] != self._kept:
            presence = model.presence
            if self._meant is None:
                self._meant = meant(self.settings, presence)
            if self._agreed is None:
                follow = below(presence.compliance, self.compliance)
            else:
                follow = self._agreed & below(presence.compliance, self._kept)
            self._followers = self._kept, self._meant & follow
        return self._followers[1]

    def rules(self, model: Any) -> Sequence[Rule]:
        """Return what the policy changes about contacts today; asked each morning on which it is in force.

        In a class of one's own, make rules with :func:`~citytwin.agents.rules.rule`, for :meth:`followers` or for others.
        """
        if not self.settings.effects - {"border", *MEASURES}:
            return []
        followers, presence = self.followers(model), model.presence
        if self._steady is None or self._steady[0] is not followers:
            self._steady = followers, steady_rules(self.settings, presence, followers, self.compliance)
        return [*self._steady[1], *daily_rules(self.settings, presence, followers)]

    def come_into_force(self, model: Any) -> None:
        """Ask people whose class has a mind of its own whether they comply; the authority calls this.

        Raises:
            TypeError: if one answers neither True nor False.
        """
        table = model.citizens.table
        if not hasattr(table.cls, "complies") or not table.cls.overrides("complies"):
            return
        self._meant = meant(self.settings, model.presence)
        self._agreed = np.zeros(len(self._meant), bool)
        for citizen in table.views(np.flatnonzero(self._meant).tolist()):
            self._agreed[citizen.row] = _complies(citizen, self)
        self._followers = None


def _decided(policy: Policy, model: Any) -> bool:
    """Return whether a policy is in force.

    Raises:
        TypeError: if it says neither yes nor no; a forgotten ``return`` would pass for no.
    """
    said = policy.decide(model)
    if not isinstance(said, bool | np.bool_):
        raise TypeError(
            f"policy '{policy.name}': decide(model) returned {said!r}; it must return True (in force today) or False"
        )
    return bool(said)


def _rules(policy: Policy, model: Any) -> Sequence[Rule]:
    """Return the rules of a policy, looked at if it is of a class of one's own.

    Raises:
        TypeError, ValueError: if they are none, or followers are no array of truth values, naming the policy.
    """
    city, cls = model.presence.city, type(policy)
    if cls.followers is not Policy.followers:
        followers, people = policy.followers(model), len(city.people)
        if not isinstance(followers, np.ndarray) or followers.dtype != bool or followers.shape != (people,):
            given = (
                f"{followers.dtype} {followers.shape}" if isinstance(followers, np.ndarray) else repr(followers)[:100]
            )
            raise TypeError(
                f"policy '{policy.name}': followers(model) must return a numpy array of {people:,} truth values, one a "
                f"person (given {given})"
            )
    rules = policy.rules(model)
    if cls.rules is not Policy.rules:
        try:
            check_rules(rules, len(city.people), len(city.places))
        except (TypeError, ValueError) as error:
            raise type(error)(f"policy '{policy.name}': {error}") from None
    return rules


def _complies(citizen: Any, policy: Policy) -> bool:
    said = citizen.complies(policy)
    if not isinstance(said, bool | np.bool_):
        name = f"{type(citizen).__name__}.complies"
        raise TypeError(f"{name} returned {said!r}; it must return True (follows the policy) or False (does not)")
    return bool(said)


class TimedPolicy(Policy):
    """A policy of a scenario file: in force between days, dates or conditions.

    Args:
        settings: the policy as written.
    """

    def __init__(self, settings: PolicySettings):
        self._set(settings)
        self.over = False

    @property
    def begun(self) -> bool:
        """Whether the policy has been in force so far, or was over before it could be."""
        return super().begun or self.over

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
            ended = isinstance(settings.until, Trigger) and settings.until.holds(values)
            return settings.when.holds(values) and not ended
        return settings.from_ is None or _reached(settings.from_, model)


def _reached(moment: int | date, model: Any) -> bool:
    return bool(model.day >= moment) if isinstance(moment, int) else bool(model.date >= moment)


class Authority(mesa.Agent):
    """The authority of a city: decides each morning which policies are in force, and carries their measures.

    Args:
        model: the CityModel; it must have ``presence`` and ``citizens``, and ``processes``, ``day`` and ``date`` when the
            authority steps. Its ``hospitals`` are asked for indicators if there are any.
        policies: policies of the scenario, in its order.

    Attributes:
        policies: all policies in the order of the results.
        indicators: values of all indicators this morning.

    Raises:
        ValueError: if two policies have one name, or one names a zone that the city has not.
    """

    def __init__(self, model: Any, policies: Sequence[PolicySettings | Policy] = ()):
        super().__init__(model)
        self.policies: list[Policy] = []
        self.indicators: dict[str, float] = {}
        self._decided: int | None = None
        for policy in policies:
            self.add(policy)

    def add(self, policy: PolicySettings | Policy) -> None:
        """Add a policy; from the next morning on it is asked with the others.

        Raises:
            ValueError: if there is one of its name, or the city has not the zones it names.
        """
        if isinstance(policy, PolicySettings):
            policy = TimedPolicy(policy)
        if policy.name in (other.name for other in self.policies):
            raise ValueError(f"two policies are called '{policy.name}'; give each its own name")
        check_zones(policy.settings, self.model.presence.city)
        for name, measure in MEASURES.items():
            settings = getattr(policy.settings, name)
            if settings is not None:
                policy.measures[name] = measure(self.model, policy, settings)
        self.policies.append(policy)

    @property
    def measures(self) -> list[Measure]:
        """All measures of all policies, in the order in which they act."""
        return [policy.measures[name] for name in MEASURES for policy in self.policies if name in policy.measures]

    @property
    def border(self) -> float:
        """Share by which infections brought in from outside fall today."""
        passing = 1.0
        for policy in self.policies:
            if policy.in_force and policy.settings.border is not None:
                passing *= 1.0 - policy.settings.border * policy.compliance
        return 1.0 - passing

    def step(self) -> None:
        """Open the day: send everybody back to their schedule, decide which policies are in force, let measures act.

        Only the first step of a day does anything. Citizens decide after it, see :meth:`CityModel.step`.
        """
        model = self.model
        if model.day == self._decided:
            return
        self._decided = model.day
        model.presence.begin_day(model.day)
        for measure in self.measures:
            measure.everyday()
        self.indicators = self._measured()
        for policy in self.policies:
            policy.days_in_force += policy.in_force
            before, policy.in_force = policy.in_force, _decided(policy, model)
            if policy.in_force and not before:
                policy.come_into_force(model)
        in_force = [policy for policy in self.policies if policy.in_force]
        model.presence.apply([rule for policy in in_force for rule in _rules(policy, model)])
        for name in MEASURES:
            for policy in in_force:
                if name in policy.measures:
                    policy.measures[name].act(policy.followers(model))

    def _measured(self) -> dict[str, float]:
        """Return the indicators of processes, measures and hospitals."""
        values: dict[str, float] = {}
        hospitals = getattr(self.model, "hospitals", None)
        for source in (*self.model.processes, *self.measures, *([] if hospitals is None else [hospitals])):
            values |= source.indicator_values()
        return values

    def series(self) -> dict[str, int | float]:
        """Return how many policies are in force today, for each whether it is (0 or 1), and the figures of measures.

        Figures of one name are summed over measures.
        """
        figures: dict[str, int | float] = {"policies_in_force": sum(policy.in_force for policy in self.policies)}
        figures |= {f"policy.{policy.name}": int(policy.in_force) for policy in self.policies}
        for measure in self.measures:
            for name, value in measure.series().items():
                figures[name] = figures.get(name, 0) + value
        return figures

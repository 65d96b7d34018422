"""Diseases as data: a TOML file with states, transitions, laws of periods, susceptibility by age, infectiousness, immunity.

Shipped diseases lie in ``diseases/``; every number there has its source as a comment or says ``assumed``. A file has

* either the two periods ``[latent]`` and ``[infectious]``: the states exposed and infectious, without symptoms,
* or tables ``[[state]]``, each with ``[[state.transition]]``; an infection leads to the first state of the file.

Periods are laws of time in days. A model that moves by the day needs whole numbers of days, and keeps the means:

* infections happen at midday on average, and a person infected on day t leaves the first state when day t + N + 1 begins,
  after N + 1/2 days; so N has the mean of the law less half a day. If people shed in the first state, they do so on the N
  days t + 1 … t + N, and N has the mean of the law;
* in other states N whole days have the mean of the law; they may be none, then the state is passed through.

A ``constant`` or ``empirical`` law counts whole days itself and is taken as it is, as N.
"""

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from scipy.special import gammainc, gammaincinv

from ...environment import toml
from ..parts import AGES, Bands, Number, Part
from .course import ENTERED, RESERVED, SEVERE, SYMPTOMS, Course, compiled, less_of, level
from .laws import Period, whole_days
from .states import MAX_PROFILE, MAX_STATES, State, Transition

MAX_FILE_BYTES = 1_000_000
_QUANTILES = 1024
_PROBLEM = "disease"
"""Type of the problems found here, for pydantic."""


class DiseaseError(ValueError):
    """A disease that cannot be read; the message names the file, the key, the value and what is allowed."""


class Susceptibility(Bands):
    """Relative susceptibility by age.

    Attributes:
        from_age: first age of each band, rising from 0.
        factor: susceptibility of each band.
    """

    factor: tuple[Annotated[Number, Field(ge=0, le=100)], ...] = (1.0,)

    def by_age(self) -> NDArray[np.float64]:
        """Return the susceptibility (256,) of each age in years."""
        return self._spread(self.factor)


class Routes(Part):
    """Relative strength of the routes of transmission in a reference home.

    Attributes:
        contact: rate between people who are together, whatever the room.
        air: rate by shared air, which falls with the volume and the air changes of the room.
    """

    contact: Number = Field(default=1.0, ge=0, le=1000)
    air: Number = Field(default=0.0, ge=0, le=1000)

    @model_validator(mode="after")
    def _check_any(self) -> "Routes":
        if self.contact + self.air <= 0:
            raise ValueError("contact and air are both 0; one must be above 0, or the disease does not spread")
        return self


class Immunity(Part):
    """What people are spared after recovery.

    Attributes:
        protection: against infection, right after recovery: factor 1 − protection on susceptibility.
        severe: against severe disease once infected again: factor 1 − severe on the chance of it; it stays.
        half_life: days in which the protection against infection falls to half; without it, it stays.
    """

    protection: Number = Field(default=1.0, ge=0, le=1)
    severe: Number = Field(default=0.0, ge=0, le=1)
    half_life: Number | None = Field(default=None, gt=0, le=100_000)


class Infectiousness(Part):
    """How infectiousness differs between people and changes with the time since infection.

    Attributes:
        dispersion: shape k of a gamma law of mean 1, variance 1/k; without it all are alike.
        since_infection: factor by day since infection, the last value holding on; the first value is that of the day of
            infection, on which nobody infects.
    """

    dispersion: Number | None = Field(default=None, gt=0.01, le=1e6)
    since_infection: tuple[Annotated[Number, Field(ge=0, le=1000)], ...] | None = Field(
        default=None, min_length=1, max_length=MAX_PROFILE
    )

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


class _Problems:
    """Problems of a disease, told all at once, each with its key."""

    def __init__(self) -> None:
        self._found: list[InitErrorDetails] = []

    def add(self, where: tuple[int | str, ...], message: str, value: Any = None) -> None:
        """Note a problem of the value at a key."""
        problem = PydanticCustomError(_PROBLEM, "{message}", {"message": message})
        self._found.append(InitErrorDetails(type=problem, loc=where, input=value))

    def tell(self) -> None:
        """Raise what was found, if anything."""
        if self._found:
            raise ValidationError.from_exception_data("Disease", self._found)


def _check_periods(disease: "Disease", problems: _Problems) -> None:
    for name, less in (("latent", 0.5), ("infectious", 0.0)):
        law = getattr(disease, name)
        if law is None:
            problems.add((name,), "missing; write both [latent] and [infectious], or [[state]] tables")
            continue
        try:
            table = whole_days(law, less=less)
        except ValueError as error:
            problems.add((name,), str(error))
            continue
        if name == "infectious" and table[0] == 1:
            problems.add((name,), "must last some time; give days or a mean above 0")


def _check_states(states: tuple[State, ...], problems: _Problems) -> None:
    names = [state.name for state in states]
    sound = True
    for number, state in enumerate(states):
        where = ("state", number)
        if state.name in RESERVED:
            problems.add((*where, "name"), f"every disease has the states {', '.join(RESERVED)}; choose another name")
        elif state.name in names[:number]:
            problems.add((*where, "name"), "there is a state of this name already", state.name)
        targets = [transition.to for transition in state.transition]
        if not targets:
            problems.add((*where, "transition"), f"'{state.name}' never ends; give a transition to another state")
        for at, target in enumerate(targets):
            message = _wrong_target(state.name, target, targets[:at], names)
            if message:
                problems.add((*where, "transition", at, "to"), message, target)
                sound = False
        _check_chances(where, state, problems)
        _check_stay(number, state, problems)
        _check_beds(number, states, problems)
    if sound:
        _check_paths(states, problems)
    if not any(any(state.infectiousness) for state in states):
        problems.add(("state",), "no state is infectious; give one of them infectiousness, as in infectiousness = 1.0")


def _wrong_target(name: str, target: str, others: list[str], names: list[str]) -> str:
    if target == "susceptible":
        return "write 'recovered' and an [immunity] with a half_life, which makes people susceptible again"
    if target == name:
        return "a state cannot lead to itself; give a longer period"
    if target in others:
        return "a second transition to the same state; give one with both chances and a law that covers both"
    if target not in names and target not in RESERVED:
        return f"there is no such state; allowed are: {', '.join([*names, 'recovered', 'dead'])}"
    return ""


def _check_chances(where: tuple[int | str, ...], state: State, problems: _Problems) -> None:
    *given, last = [transition.chance for transition in state.transition] or [None]
    for at, chance in enumerate(given):
        if chance is None:
            problems.add((*where, "transition", at, "chance"), "missing; only the last transition of a state has none")
    if last is not None:
        problems.add(
            (*where, "transition", len(given), "chance"), "the last transition of a state takes the rest; remove it"
        )
    total = np.sum([chance.by_age() for chance in given if chance is not None] or [np.zeros(AGES)], axis=0)
    if total.max() > 1 + 1e-9:
        age = int(np.argmax(total > 1 + 1e-9))
        problems.add((*where, "transition"), f"the chances at age {age} add up to {total[age]:g}; at most 1")


def _check_stay(number: int, state: State, problems: _Problems) -> None:
    """Check the laws of a state, and that it lasts until people shed."""
    longest = 0
    for at, transition in enumerate(state.transition):
        try:
            table = whole_days(transition.after, less=less_of(number + ENTERED, state))
        except ValueError as error:
            problems.add(("state", number, "transition", at, "after"), str(error))
            return
        longest = max(longest, int(np.searchsorted(table, 1.0)))
    profile = state.infectiousness
    days = range(longest) if number else range(1, longest + 1)  # nobody sheds on the day of infection
    if any(profile) and not any(profile[min(day, len(profile) - 1)] for day in days):
        problems.add(
            ("state", number, "infectiousness"),
            f"nobody sheds, as '{state.name}' lasts {longest} days at most; give a longer period or infectiousness sooner",
        )


def _check_beds(number: int, states: tuple[State, ...], problems: _Problems) -> None:
    state = states[number]
    needs_bed = SYMPTOMS.index(state.symptoms) >= SEVERE
    if needs_bed and number == 0:
        problems.add(
            ("state", number, "symptoms"), "an infection leads here; put a state before it in which the illness grows"
        )
    if state.without_bed == 1:
        return
    worse = [level(transition.to, states) > SYMPTOMS.index(state.symptoms) for transition in state.transition]
    if not needs_bed:
        message = "only people with severe or critical symptoms need a bed; remove it or give symptoms"
    elif not any(worse):
        message = "no transition of this state leads to a worse one; remove it"
    elif all(worse):
        message = "all transitions of this state lead to worse ones, which no factor makes likelier; remove it"
    else:
        return
    problems.add(("state", number, "without_bed"), message, state.without_bed)


def _check_paths(states: tuple[State, ...], problems: _Problems) -> None:
    """Check that every state is reached from the first one and that no path comes back to where it was."""
    targets = {state.name: [transition.to for transition in state.transition] for state in states}
    reached, todo = {states[0].name}, [states[0].name]
    while todo:
        new = set(targets.get(todo.pop(), ())) - reached
        reached |= new
        todo += new
    for number, state in enumerate(states):
        if state.name not in reached:
            problems.add(("state", number), f"no path leads from '{states[0].name}' to '{state.name}'")
    # What only leads to states that end, ends; what remains goes round.
    endless = set(targets)
    while ending := {name for name in endless if not endless & set(targets[name])}:
        endless -= ending
    for number, state in enumerate(states):
        if state.name in endless:
            ahead = ", ".join(f"'{name}'" for name in targets[state.name] if name in endless)
            problems.add(
                ("state", number),
                f"'{state.name}' leads to {ahead} and from there back; every path must end in recovered or dead",
            )


class Disease(Part):
    """A disease.

    Attributes:
        name: short name.
        title: what it is, for people.
        r0: secondary cases of a typical early case, where a scenario says nothing else.
        latent: law of the period from infection to infectiousness; with ``infectious`` in place of ``state``.
        infectious: law of the infectious period.
        state: the states, the first of which an infection leads to.
        susceptibility: by age.
        infectiousness: differences between people and with the time since infection.
        routes: of transmission.
        immunity: after recovery.
    """

    name: str = Field(min_length=1, max_length=100)
    title: str = ""
    r0: Number = Field(gt=0, le=100)
    latent: Period | None = None
    infectious: Period | None = None
    state: tuple[State, ...] | None = Field(default=None, max_length=MAX_STATES)
    susceptibility: Susceptibility = Susceptibility()
    infectiousness: Infectiousness = Infectiousness()
    routes: Routes = Routes()
    immunity: Immunity = Immunity()

    @model_validator(mode="after")
    def _check(self) -> "Disease":
        problems = _Problems()
        if not any(self.susceptibility.factor):
            problems.add(("susceptibility", "factor"), "all are 0, so that nobody can be infected; raise one")
        profile = self.infectiousness.since_infection
        if profile is not None and not any(profile[1:] or profile):  # nobody infects on the day of infection
            message = "nobody infects on any day after the infection; raise one, or leave it out"
            problems.add(("infectiousness", "since_infection"), message)
        if self.state is None:
            _check_periods(self, problems)
        elif not self.state:
            problems.add(("state",), "no states; give at least one [[state]]")
        elif self.latent is not None or self.infectious is not None:
            problems.add(("state",), "write either [latent] and [infectious], or [[state]], not both")
        else:
            _check_states(self.state, problems)
        problems.tell()
        return self

    @property
    def states(self) -> tuple[State, ...]:
        """The states of the file; exposed and infectious where it has two periods instead."""
        if self.state is not None:
            return self.state
        assert self.latent is not None and self.infectious is not None
        return (
            State(name="exposed", transition=(Transition(to="infectious", after=self.latent),)),
            State(
                name="infectious",
                infectiousness=(1.0,),
                transition=(Transition(to="recovered", after=self.infectious),),
            ),
        )

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names by state number: susceptible, recovered, dead, then those of :attr:`states`."""
        return (*RESERVED, *(state.name for state in self.states))

    def course(self) -> Course:
        """Return states, transitions and laws as arrays, :class:`~citytwin.agents.epidemic.course.Course`."""
        return compiled(self.states, self.infectiousness.since_infection)

    def infectious_days(self) -> NDArray[np.float64]:
        """Return P(D <= n) for n = 0, 1, … of the infectious days D of a disease of two periods."""
        return whole_days(self.infectious)

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
            return _of_text(text)
        except DiseaseError:
            raise
        except ValidationError as error:
            content = toml.parse(text)
            lines = [f"{source}: {_problem(detail, content)}" for detail in error.errors()]
            raise DiseaseError("\n".join(lines)) from None
        except (OSError, ValueError) as error:
            raise DiseaseError(f"{source}: cannot be read: {error}") from None


@lru_cache(maxsize=16)  # the points of a sweep have the same ones
def _of_text(text: str) -> Disease:
    return Disease.model_validate(toml.parse(text))


def _problem(detail: Any, content: dict[str, Any]) -> str:
    """Return 'key: value: what is wrong' of one problem that pydantic found in the content of a file."""
    keys: list[str] = []
    here: Any = content
    loc = detail["loc"]
    for number, part in enumerate(loc):
        if isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
            named = here.get("name", here.get("to")) if isinstance(here, dict) else None
            keys.append(named if isinstance(named, str) else str(part))
        elif isinstance(here, dict) and part in here:
            here = here[part]
            keys.append(part)
        # Others are not of the file, as the name of a law in the path to its mean, unless they are missing there.
        elif isinstance(here, dict) and number == len(loc) - 1 and detail["type"] in ("missing", _PROBLEM):
            keys.append(part)
    message = str(detail["msg"]).removeprefix("Value error, ")
    shown = detail["input"]
    value = f" = {shown!r}" if isinstance(shown, int | float | str | bool) else ""
    return f"{'.'.join(keys)}{value}: {message}".removeprefix(": ")

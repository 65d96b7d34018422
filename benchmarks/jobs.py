"""The jobs that systems do side by side: an epidemic of 180 days without measures, or with five.

Each function imports its system, does a small run so that everything is compiled, and does the job. Contacts and disease
are the defaults of each system, 0.05 % are infected on the first day.
"""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

DAYS = 180
SEEDED = 0.0005
WARM_UP = 2_000
"""People of the small run."""
LATENT, INFECTIOUS = (4.5, 1.5), (8.0, 2.0)
"""Mean and standard deviation of periods in days, for systems without a disease of their own; R0 is 2.5."""


def first_cases(people: int) -> int:
    """Return how many people are infected on the first day."""
    return max(1, round(SEEDED * people))


def peak_memory() -> float:
    """Return the most memory that this process has had so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def timed(build: Callable[[], Any], run: Callable[[Any], Any]) -> tuple[Any, dict[str, float]]:
    """Build and run; return what was built, and CPU and wall seconds and peak memory of both."""
    figures: dict[str, float] = {}

    def work(name: str, what: Callable[..., Any], *given: Any) -> Any:
        cpu, wall = time.process_time(), time.perf_counter()
        answer = what(*given)
        figures[name] = time.process_time() - cpu
        figures[f"{name} wall"] = time.perf_counter() - wall
        figures[f"{name} memory"] = peak_memory()
        return answer

    built = work("build", build)
    work("run", run, built)
    return built, figures


def citytwin_model(people: int, seed: int, *, measures: bool = False, threads: int = 1) -> Any:
    """Return a citytwin.CityModel: invented city, covid with severity at R0 2.5, which is set on its visits."""
    import citytwin as ct

    policies = (Path(__file__).parent / "five_measures.toml").read_text(encoding="utf-8") if measures else ""
    scenario = f"""
        name = "benchmark"
        [city]
        synthetic = {{ people = {people} }}
        [clock]
        start = 2026-01-05
        days = {DAYS}
        [epidemic]
        disease = "covid"
        r0 = 2.5
        initial_infections = {first_cases(people)}
        """
    city = ct.City.synthetic(people, seed=seed)
    return ct.CityModel(ct.Scenario.from_text(scenario + policies), city, seed, threads=threads)


def citytwin(people: int, seed: int, measures: bool, threads: int) -> dict[str, float]:
    """Households, classes, teams, venues, guests, ages. The build sets R0, too."""

    def build(size: int) -> Any:
        return citytwin_model(size, seed, measures=measures, threads=threads)

    build(WARM_UP).run()
    model, figures = timed(lambda: build(people), lambda model: model.run())
    return figures | {"attack": float(model.outputs()["summary"]["attack_rate"][0])}


def covasim(people: int, seed: int, measures: bool, threads: int) -> dict[str, float]:  # noqa: ARG001
    """Covasim 3 or 4: its hybrid population and its disease with severity. Waning and so reinfection are its default."""
    import covasim as cv

    def interventions(size: int) -> list[Any]:
        if not measures:
            return []
        return [
            cv.test_prob(symp_prob=0.2, asymp_prob=0.002, start_day=30),
            cv.contact_tracing(
                trace_probs={"h": 1.0, "s": 0.5, "w": 0.5, "c": 0.1}, trace_time={"h": 0, "s": 1, "w": 1, "c": 3},
                start_day=30,
            ),
            cv.clip_edges(days=[30, 90], changes=[0.1, 1.0], layers=["s"]),
            cv.change_beta(days=[30, 120], changes=[0.7, 1.0], layers=["w", "c"]),
            cv.vaccinate_num("pfizer", num_doses=dict.fromkeys(range(60, 150), 0.005 * size)),
        ]  # fmt: skip

    def build(size: int) -> "cv.Sim":
        pars = {"pop_size": size, "pop_type": "hybrid", "pop_infected": first_cases(size), "n_days": DAYS}
        sim = cv.Sim(pars, rand_seed=seed, verbose=0, interventions=interventions(size))
        (sim.init if hasattr(sim, "init") else sim.initialize)()
        return sim

    build(WARM_UP).run()
    sim, figures = timed(lambda: build(people), lambda sim: sim.run())
    return figures | {"attack": float(sim.summary["cum_infections"]) / people}


def starsim(people: int, seed: int, measures: bool, threads: int) -> dict[str, float]:  # noqa: ARG001
    """Starsim's SEIR without severity on its hybrid network."""
    import starsim as ss

    def build(size: int) -> "ss.Sim":
        latent, infectious = (ss.lognorm_ex(ss.days(mean), ss.days(sd)) for mean, sd in (LATENT, INFECTIOUS))
        disease = ss.SEIR(beta=ss.perday(0.016), init_prev=SEEDED, dur_exp=latent, dur_inf=infectious)
        sim = ss.Sim(
            n_agents=size, diseases=disease, networks=ss.HybridNet(), start="2026-01-05", dur=ss.days(DAYS),
            dt=ss.days(1), rand_seed=seed, verbose=0,
        )  # fmt: skip
        sim.init()
        return sim

    build(WARM_UP).run()
    sim, figures = timed(lambda: build(people), lambda sim: sim.run())
    return figures | {"attack": float((~sim.diseases[0].susceptible).sum()) / people}


def laser(people: int, seed: int, measures: bool, threads: int) -> dict[str, float]:  # noqa: ARG001
    """LASER's generic SEIR in one well-mixed patch: no contacts, no places, no severity."""
    from laser.core import PropertySet, distributions
    from laser.core.utils import grid
    from laser.generic import SEIR, Model

    latent, infectious = (distributions.gamma((mean / sd) ** 2, sd**2 / mean) for mean, sd in (LATENT, INFECTIOUS))

    def build(size: int) -> "Model":
        patch = grid(M=1, N=1, population_fn=lambda row, column: size)  # noqa: ARG005
        patch["S"], patch["I"] = size - first_cases(size), first_cases(size)
        model = Model(patch, PropertySet({"nticks": DAYS, "beta": 2.5 / INFECTIOUS[0], "prng_seed": seed}))
        model.components = [
            SEIR.Susceptible(model),
            SEIR.Exposed(model, latent, infectious),
            SEIR.Infectious(model, infectious),
            SEIR.Recovered(model),
            SEIR.Transmission(model, latent),
        ]
        return model

    build(WARM_UP).run()
    model, figures = timed(lambda: build(people), lambda model: model.run())
    return figures | {"attack": 1 - float(model.nodes.S[DAYS].sum()) / people}


class System(NamedTuple):
    """A system.

    Attributes:
        job: does a job (people, seed, with the five measures, threads) and returns its figures.
        package: what it is called in the package index.
        release: beginning of the versions meant.
        measures: whether it has the five measures.
        install: what pip is to install.
    """

    job: Callable[[int, int, bool, int], dict[str, float]]
    package: str
    release: str
    measures: bool
    install: str


SYSTEMS = {
    "citytwin": System(citytwin, "citytwin", "", True, "."),
    "covasim3": System(covasim, "covasim", "3.", True, "covasim==3.1.7"),
    "covasim4": System(covasim, "covasim", "4.", True, "covasim==4.0.1"),
    "starsim": System(starsim, "starsim", "3.", False, "starsim==3.7.2"),
    "laser": System(laser, "laser-generic", "1.", False, "laser-core==1.0.5 laser-generic==1.1.0"),
}


def pin(threads: int) -> None:
    """Let this process use so many processors and no more (Linux)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

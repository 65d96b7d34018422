"""Small scenarios and results that the tests of the runners share."""

from pathlib import Path

import pytest
from cities import tiny_city
from small_scenarios import SWEPT, TINY

from citytwin.environment.city import City
from citytwin.runners.scenario import Scenario


@pytest.fixture(scope="session")
def tiny() -> Scenario:
    """A scenario of 1,000 people and 25 days without a sweep."""
    return Scenario.from_text(TINY)


@pytest.fixture(scope="session")
def town() -> City:
    """A city of 600 people made by hand."""
    return tiny_city(300)


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a sweep of 4 points and 3 seeds by two workers."""
    from citytwin.runners.sweep import sweep

    out = tmp_path_factory.mktemp("swept") / "results"
    sweep(Scenario.from_text(SWEPT), out=out, workers=2)
    return out

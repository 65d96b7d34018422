"""START and the severities of HAZUS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.agents.response.triage import Triage, of_hazus, start_triage


def of_rules(walks, breathes, airway, rate, pulse, refill, obeys):
    """The card that helpers carry, line by line."""
    if walks:
        return "GREEN"
    if not breathes:
        return "RED" if airway else "BLACK"
    if rate > 30:
        return "RED"
    if not pulse or refill > 2:
        return "RED"
    return "YELLOW" if obeys else "RED"


@given(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 60), st.booleans(), st.floats(0, 5), st.booleans())
def test_start_follows_its_card(walks, breathes, airway, rate, pulse, refill, obeys):
    found = start_triage(
        walks=walks,
        breathes=breathes,
        breathes_after_airway=airway,
        respiratory_rate=rate,
        radial_pulse=pulse,
        capillary_refill=refill,
        obeys=obeys,
    )
    assert found.name == of_rules(walks, breathes, airway, rate, pulse, refill, obeys)


def test_the_limits_are_not_red_themselves():
    told = {"walks": False, "breathes": True}
    assert start_triage(**told, respiratory_rate=30, capillary_refill=2) == Triage.YELLOW
    assert start_triage(**told, respiratory_rate=31) == Triage.RED
    with pytest.raises(ValueError, match="must be 0 or more"):
        start_triage(**told, respiratory_rate=-1)


def test_severities_of_hazus_are_classes():
    assert [of_hazus(severity).name for severity in (1, 2, 3, 4)] == ["GREEN", "YELLOW", "RED", "BLACK"]
    with pytest.raises(ValueError, match="has 1 to 4"):
        of_hazus(0)

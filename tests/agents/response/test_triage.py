"""START and the severities of HAZUS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.agents.response.triage import Triage, casualty_of, of_hazus, start_triage


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


ABOUT = {"kind": "crash", "called": 0.0, "number": 0, "casualties": 3, "chance": 0.5}


@given(st.sampled_from(Triage), st.floats(0, 1, exclude_max=True))
def test_findings_lead_to_the_class_that_they_were_made_for(severity, findings):
    casualty = casualty_of(severity, findings, **ABOUT)
    found = (casualty.walks, casualty.breathes, casualty.breathes_after_airway, casualty.respiratory_rate)
    found += (casualty.radial_pulse, casualty.capillary_refill, casualty.obeys)
    assert casualty.start() is severity and of_rules(*found) == severity.name


def test_those_in_danger_of_life_have_different_findings():
    reds = {casualty_of(Triage.RED, number / 100, **ABOUT) for number in range(100)}
    assert len(reds) == 4

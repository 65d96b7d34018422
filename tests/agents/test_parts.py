"""Times with units, and bands of age."""

import pytest
from pydantic import TypeAdapter, ValidationError

from citytwin.agents.parts import AGES, Bands, Seconds


@pytest.mark.parametrize(("text", "seconds"), [("90 s", 90), ("1.5 min", 90), (" 2h ", 7200)])
def test_times_are_read_with_their_unit(text, seconds):
    assert TypeAdapter(Seconds).validate_python(text) == seconds


@pytest.mark.parametrize("given", [90, "90", "-5 min", "5 days", "", None, True])
def test_times_without_a_known_unit_are_refused(given):
    with pytest.raises(ValidationError, match="must be a number and a unit"):
        TypeAdapter(Seconds).validate_python(given)


def test_bands_hold_from_their_first_age_to_the_next():
    class Weight(Bands):
        value: tuple[float, ...]

        def by_age(self):
            return self._spread(self.value)

    weight = Weight(from_age=(0, 18, 65), value=(1, 2, 5)).by_age()
    assert len(weight) == AGES
    assert weight[[0, 17, 18, 64, 65, 255]].tolist() == [1, 1, 2, 2, 5, 5]
    with pytest.raises(ValidationError, match="rise from 0"):
        Weight(from_age=(5, 18), value=(1, 2))
    with pytest.raises(ValidationError, match="each band needs both"):
        Weight(from_age=(0, 18), value=(1,))

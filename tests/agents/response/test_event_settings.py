"""Files of events in the section of a scenario."""

import pytest
from pydantic import ValidationError

from citytwin.agents.response.settings import ResponseSettings


def test_kinds_of_a_file_are_those_of_the_scenario():
    file = {"file": "events.csv", "time": "time", "x": "x", "y": "y", "kind": "drowning"}
    with pytest.raises(
        ValidationError, match=r"events\[0\]\.kind: 'drowning' is no kind of incident; there are: illness"
    ):
        ResponseSettings.model_validate({"events": [file]})
    kinds = {"drowning": {"units": {"fire": 1}}}
    settings = ResponseSettings.model_validate({"events": [file], "kinds": kinds})
    assert settings.events[0].kind == "drowning"
    words = {"kind": None, "kind_column": "what", "kinds": {"swimmer": "drowning", "dog": "pet"}}
    with pytest.raises(ValidationError, match="'pet' is no kind"):
        ResponseSettings.model_validate({"events": [file | words], "kinds": kinds})

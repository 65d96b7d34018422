"""What JSON says is read quickly, and as the standard library reads it."""

import json
import math

import pytest

from citytwin.runners.storage.bulk import parsed


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, 2.5, -0.0, 1e-7, 1E400, true, null]}',
        '{"half of a sign": "\\udc80"}',
        '{"a": 1, "a": 2}',
        "123456789012345678901",
    ],
    ids=["values", "half", "twice", "long"],
)
def test_values_are_those_of_the_library(text):
    assert parsed(text) == parsed(text.encode()) == json.loads(text)


def test_numbers_that_are_none():
    assert math.isnan(parsed(b"NaN"))


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "{'a': 1}", "[" * 100_000], ids=["empty", "torn", "comma", "quotes", "deep"]
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        parsed(text)

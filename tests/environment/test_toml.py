"""TOML of unknown origin: what Python's parser answers with other errors than its own is refused as well."""

import tomllib

import pytest

from citytwin.environment.toml import parse


def test_what_is_allowed_is_read():
    text = (
        "least = -9223372036854775808\nmost = 9223372036854775807\nhex = 0x7fffffffffffffff\nlist = [[1], {a = true}]\n"
    )
    assert parse(text) == {"least": -(2**63), "most": 2**63 - 1, "hex": 2**63 - 1, "list": [[1], {"a": True}]}


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "1" * 5000, "0x" + "f" * 5000, str(2**63), str(-(2**63) - 1)])
@pytest.mark.parametrize("text", ["x = {}", "x = [0, {}]", "[[a]]\nb.c = {}"])
def test_whole_numbers_have_64_bits(text, number):
    with pytest.raises(ValueError, match="a whole number is too long; it has at most 64 bits"):
        parse(text.format(number))


def test_brackets_may_not_be_nested_without_end():
    with pytest.raises(ValueError, match="nested too deeply"):
        parse("x = " + "[" * 3000 + "]" * 3000)


def test_dotted_keys_nest_without_recursion():
    inner = parse("a." * 3000 + "b = 1")
    for _ in range(3000):
        inner = inner["a"]
    assert inner == {"b": 1}


def test_the_line_of_a_mistake_is_told():
    with pytest.raises(tomllib.TOMLDecodeError, match="line 2"):
        parse("x = 1\ny = = 2\n")

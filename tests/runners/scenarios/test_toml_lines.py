"""The line finder against tomllib: the same keys, on the lines where a writer that counts for itself put them."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.runners.scenarios.toml_lines import key_lines

DOCUMENT = '''# a comment with = and [brackets]
name = "a # b"
[city]                     # [not] a header
synthetic = { people = 5_0, "odd key".deep = [1,
   { x = 2 }, # , ]
   3] }

[[policy]]
name = """two
[[lines]] \\"""
and "quotes"""""
reduce.work = 0.4
[policy.more]
"with.dot" = 1979-05-27 07:32:00
[[policy]]
\'single\' = \'\'\'raw \\
end\'\'\'
[[policy.steps]]
day = 1
[[policy.steps]]
"d\\u0061y" = 2
'''


def test_every_form_of_key_is_found_where_it_stands() -> None:
    lines = key_lines(DOCUMENT)
    assert lines == {
        ("name",): 2,
        ("city",): 3,
        ("city", "synthetic"): 4,
        ("city", "synthetic", "people"): 4,
        ("city", "synthetic", "odd key"): 4,
        ("city", "synthetic", "odd key", "deep"): 4,
        ("city", "synthetic", "odd key", "deep", 0): 4,
        ("city", "synthetic", "odd key", "deep", 1): 5,
        ("city", "synthetic", "odd key", "deep", 1, "x"): 5,
        ("city", "synthetic", "odd key", "deep", 2): 6,
        ("policy",): 8,
        ("policy", 0): 8,
        ("policy", 0, "name"): 9,
        ("policy", 0, "reduce"): 12,
        ("policy", 0, "reduce", "work"): 12,
        ("policy", 0, "more"): 13,
        ("policy", 0, "more", "with.dot"): 14,
        ("policy", 1): 15,
        ("policy", 1, "single"): 16,
        ("policy", 1, "steps"): 18,
        ("policy", 1, "steps", 0): 18,
        ("policy", 1, "steps", 0, "day"): 19,
        ("policy", 1, "steps", 1): 20,
        ("policy", 1, "steps", 1, "day"): 21,
    }
    assert set(lines) == _paths(tomllib.loads(DOCUMENT))


def test_windows_line_ends_count_once() -> None:
    assert key_lines("a = 1\r\n\r\nb = 2\r\n")["b",] == 3


# ---------------------------------------------------------------------- any document

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6)
scalars = st.one_of(
    st.integers(-(2**60), 2**60),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12),
    st.dates(),
    st.datetimes(),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
tables = st.dictionaries(names, values, max_size=4)
documents = st.tuples(
    tables,
    st.dictionaries(names, tables, max_size=3),
    st.dictionaries(names, st.lists(tables, min_size=1, max_size=3), max_size=2),
)


class Writer:
    """Writes a document in a form chosen by ``draw`` and notes the line of every key itself."""

    def __init__(self, draw):
        self.draw = draw
        self.parts: list[str] = []
        self.line = 1
        self.lines: dict[tuple, int] = {}

    def put(self, text: str) -> None:
        self.parts.append(text)
        self.line += text.count("\n")

    def gap(self, *, breaks: bool) -> None:
        self.put(self.draw(st.sampled_from(["", " ", "\n", ' # ], } = "\n\t'] if breaks else ["", " ", "\t"])))

    def key(self, name: str) -> None:
        bare = name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()
        if bare and self.draw(st.booleans()):
            self.put(name)
        elif name.isprintable() and "'" not in name and self.draw(st.booleans()):
            self.put(f"'{name}'")
        else:
            self.put(_quoted(name))

    def value(self, path: tuple, value) -> None:
        if isinstance(value, dict):
            self.put("{")
            for number, (name, inner) in enumerate(value.items()):
                self.put(", " if number else " ")
                self.lines[(*path, name)] = self.line
                self.key(name)
                self.put(" = ")
                self.value((*path, name), inner)
            self.put("}")
        elif isinstance(value, list):
            self.put("[")
            for number, inner in enumerate(value):
                self.gap(breaks=True)
                self.lines[(*path, number)] = self.line
                self.value((*path, number), inner)
                self.gap(breaks=True)
                self.put(",")
            self.gap(breaks=True)
            self.put("]")
        elif isinstance(value, str):
            self.text(value)
        else:
            self.put(str(value).lower() if isinstance(value, bool) else str(value))

    def text(self, value: str) -> None:
        plain = all(c == "\n" or c.isprintable() for c in value)
        if plain and "'" not in value and self.draw(st.booleans()):
            self.put(f"'''\n{value}'''")
        elif self.draw(st.booleans()):
            self.put('"""\n' + _quoted(value)[1:-1].replace("\\n", "\n") + '"""')
        else:
            self.put(_quoted(value))

    def pairs(self, path: tuple, table: dict) -> None:
        for name, value in table.items():
            self.gap(breaks=True)
            self.lines[(*path, name)] = self.line
            self.key(name)
            self.gap(breaks=False)
            self.put("=")
            self.gap(breaks=False)
            self.value((*path, name), value)
            self.put("\n")


def _quoted(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f") if text.isascii() else _quoted_wide(text)


def _quoted_wide(text: str) -> str:
    return "".join(['"', *(f"\\U{ord(c):08x}" if ord(c) > 126 else json.dumps(c)[1:-1] for c in text), '"'])


def _paths(value, path: tuple = ()) -> set[tuple]:
    inner = dict(enumerate(value)) if isinstance(value, list) else value if isinstance(value, dict) else {}
    return {(*path, name) for name in inner}.union(*(_paths(v, (*path, name)) for name, v in inner.items()))


@given(documents, st.data())
def test_any_document(document, data) -> None:
    top, sections, arrays = document
    sections = {name: table for name, table in sections.items() if name not in top}
    arrays = {name: tables for name, tables in arrays.items() if name not in top and name not in sections}
    writer = Writer(data.draw)
    writer.pairs((), top)
    for name, table in sections.items():
        writer.lines[name,] = writer.line
        writer.put("[ ")
        writer.key(name)
        writer.put(" ]\n")
        writer.pairs((name,), table)
    for name, many in arrays.items():
        writer.lines[name,] = writer.line
        for number, table in enumerate(many):
            writer.lines[name, number] = writer.line
            writer.put("[[")
            writer.key(name)
            writer.put("]] # comment\n")
            writer.pairs((name, number), table)
    text = "".join(writer.parts)
    assert _paths(tomllib.loads(text)) == set(writer.lines)  # the writer itself writes what it means
    assert key_lines(text) == writer.lines


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "a=1#x"])
def test_small_documents(text: str) -> None:
    assert set(key_lines(text)) == _paths(tomllib.loads(text))

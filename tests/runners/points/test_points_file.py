"""Points from a CSV file: what is read, and every misfit with its line and column."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citytwin.runners.points import table
from citytwin.runners.points.table import read_points
from citytwin.runners.scenarios.documents import ScenarioError
from citytwin.runners.scenarios.scenario import Scenario

HEAD = 'name = "x"\n[city]\nsynthetic.people = 1_500\n[epidemic]\ndisease = "covid"\n[[policy]]\nname = "shut"\n'
HEAD += 'close = ["work"]\nfrom = 5\n[sweep]\n'
LISTED = HEAD + 'design = "list"\nfile = "points.csv"\n'


def scenario(folder, content, text=LISTED):
    (folder / "points.csv").write_text(content, encoding="utf-8")
    return Scenario.from_text(text, label="s.toml", folder=folder)


def said(folder, content, text=LISTED):
    with pytest.raises(ScenarioError) as caught:
        scenario(folder, content, text)
    return str(caught.value).splitlines()


def test_a_line_is_a_point(tmp_path):
    content = '\ufeffepidemic.r0, policy.shut.from,policy.shut.until\n1.5,3,9\n\n2,2026-01-20,"incidence < 5"\n'
    assert scenario(tmp_path, content).points() == [
        {"epidemic.r0": 1.5, "policy.shut.from": 3, "policy.shut.until": 9},
        {"epidemic.r0": 2, "policy.shut.from": "2026-01-20", "policy.shut.until": "incidence < 5"},
    ]


def test_cells_are_values_of_toml_or_texts(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text('a,b,c,d,e,f\n1,2.50,true,"[""x"", 1]",plain text,1_000\n-1,1e3,false,"{k = 1}","""q""",007\n')
    found = {name: node.plain for name, node in read_points(path, "p.csv").items()}
    assert found == {
        "a": [1, -1],
        "b": [2.5, 1000.0],
        "c": [True, False],
        "d": [["x", 1], {"k": 1}],
        "e": ["plain text", "q"],
        "f": [1000, "007"],
    }
    assert type(found["a"][0]) is int
    assert [node.where.line for node in read_points(path, "p.csv")["a"].value] == [2, 3]


@given(st.lists(st.one_of(st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_numbers_are_read_as_they_were_written(tmp_path, numbers):
    path = tmp_path / "n.csv"
    path.write_text("x\n" + "".join(f"{number!r}\n" for number in numbers))
    found = read_points(path, "n.csv")["x"].plain
    assert found == numbers
    assert list(map(type, found)) == list(map(type, numbers))


def test_a_scenario_once_read_needs_the_file_no_more(tmp_path):
    made = scenario(tmp_path, "epidemic.r0\n1.5\n2.5\n")
    (tmp_path / "points.csv").unlink()
    again = Scenario.from_dict(made.to_dict())
    assert again.points() == made.points() == [{"epidemic.r0": 1.5}, {"epidemic.r0": 2.5}]
    assert again == made


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", ["points.csv: is empty; write a line of dotted keys"]),
        ("epidemic.r0\n", ["points.csv: holds no points"]),
        ("epidemic.r0;x\n1;2\n", ["points.csv:1: cells must be separated by commas"]),
        ("a,,a\n1,2,3\n", ["points.csv:1: column 2: has no key", "points.csv:1: column 3 (a): column 1 has this key"]),
        (
            "epidemic.r0,policy.shut.from\n1\n1,2,3\n,3\n",
            [
                "points.csv:2: has 1 cells; the line of keys has 2",
                "points.csv:3: has 3 cells; the line of keys has 2",
                "points.csv:4: column 1 (epidemic.r0): is empty",
            ],
        ),
        ('epidemic.r0\n"1\n', ["points.csv:2: not valid CSV"]),
        (
            "epidemic.r0\n1\n2\n1\n",
            ["points.csv:4: sweep.parameters: the same values of all parameters stand there twice"],
        ),
        (
            "epidemic.r0\n1\n-2\n0\n",
            ["points.csv:3: epidemic.r0: must be more than 0", "points.csv:4: epidemic.r0: must be"],
        ),
        ("epidemic.r0\n1\nnan\n", ["points.csv:3: column 1 (epidemic.r0): must be a finite number (given nan)"]),
        ("epidemik.r0\n1\n2\n", ["points.csv:2: epidemik.r0: the scenario has no section 'epidemik'"]),
        ("seed\n1\n", ["points.csv:1: seed: cannot be swept"]),
    ],
)
def test_what_is_wrong_is_told_with_line_and_column(tmp_path, content, lines):
    found = said(tmp_path, content)
    assert len(found) == len(lines), found
    for line, start in zip(found, lines, strict=True):
        assert line.startswith(start), found


def test_a_file_goes_with_a_list_alone(tmp_path):
    text = LISTED.replace('design = "list"\n', "") + '[sweep.parameters]\n"epidemic.r0" = [1.5]\n'
    first, second = said(tmp_path, "epidemic.r0\n1\n", text)
    assert first == 's.toml:11: sweep.file: goes with design = "list" only (given none)'
    assert second == "s.toml:11: sweep.file: holds the points; give 'file' or [sweep.parameters], not both"


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    assert said(tmp_path, "", LISTED.replace("points.csv", "none.csv"))[0].startswith(
        "none.csv: cannot be read (No such"
    )
    assert said(tmp_path, "", LISTED.replace("points.csv", "."))[0] == ".: is not a file"
    (tmp_path / "latin.csv").write_bytes(b"epidemic.r0\n\xe4\n")
    assert "is not UTF-8 text" in said(tmp_path, "", LISTED.replace("points.csv", "latin.csv"))[0]
    monkeypatch.setattr(table, "MAX_BYTES", 10)
    assert "a file of points has at most 10" in said(tmp_path, "epidemic.r0\n1\n")[0]


def test_files_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MAX_POINTS", 3)
    assert said(tmp_path, "epidemic.r0\n1\n2\n3\n4\n") == ["points.csv:5: more than 3 points"]
    assert len(scenario(tmp_path, "epidemic.r0\n1\n2\n3\n").points()) == 3
    wide = ",".join(f"k{n}" for n in range(201))
    assert said(tmp_path, f"{wide}\n{wide}\n") == ["points.csv:1: 201 columns; allowed: 200"]
    long = "x" * 10_001
    assert said(tmp_path, f"epidemic.r0\n{long}\n") == [
        "points.csv:2: column 1 (epidemic.r0): has 10,001 characters; allowed: 10,000"
    ]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
def test_anything_is_read_or_refused_in_words(tmp_path, text):
    path = tmp_path / "any.csv"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        columns = read_points(path, "any.csv")
    except ScenarioError as error:
        assert str(error).startswith("any.csv")
    else:
        assert len({len(node.value) for node in columns.values()}) == 1

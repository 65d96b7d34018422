"""``citytwin optimise`` as users meet it."""

import json

import pandas as pd
import pytest
from small_scenarios import TINY

from citytwin.runners.insight.optimise import optimise
from citytwin.runners.reports.crate import command_of
from citytwin.runners.results import Results
from citytwin.runners.scenarios.documents import ScenarioError
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.sweep import SweepError

OPTIMISE = """\
[optimise]
trials = 10
replicates = 2
fresh_replicates = 3
[optimise.goals]
attack_rate = "least"
lost_school_days = "least"
[optimise.constraints]
peak_infectious = "<= 900"
[optimise.parameters]
"policy.schools closed.from" = { from = 2, to = 18, integer = true }
"policy.schools closed.compliance" = { from = 0, to = 1 }
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A search on a small town: days on which schools close, and how many follow."""
    return optimise(Scenario.from_text(TINY + OPTIMISE), out=tmp_path_factory.mktemp("town") / "best", workers=2)


def test_what_is_found(found):
    """Closed schools cost school days: no candidate is beaten by one that loses fewer with less infection."""
    facts = json.loads((found.directory / "optimise.json").read_text())
    assert facts == json.loads(json.dumps(found.facts))
    assert facts["method"] == "nsga2"
    assert facts["baseline"]["parameters"] == {"policy.schools closed.from": 8}  # compliance is left open
    days = [one["indicators"]["lost_school_days"]["mean"] for one in facts["front"]]
    rates = [one["indicators"]["attack_rate"]["mean"] for one in facts["front"]]
    assert rates == sorted(rates) and days == sorted(days, reverse=True)


def test_what_is_written(found):
    table = pd.read_parquet(found.directory / "pareto.parquet").set_index("candidate")
    summary = Results(found.directory).summary
    assert len(table) == 1 + len(found.weighed.candidates) == summary["point"].nunique()
    searched = summary[summary["replicate"] < 2]
    means = searched.groupby("point")[["attack_rate", "lost_school_days"]].mean()
    assert table.loc[table["state"] == "done", "attack_rate"].to_numpy() == pytest.approx(
        means["attack_rate"].to_numpy()
    )
    assert (table["front"].sum(), table["knee"].sum()) == (len(found.weighed.front), found.weighed.knee is not None)
    assert table.loc[0, "difference of attack_rate"] == 0
    assert (found.directory / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_line(found, call, tmp_path):
    """A finished search that is resumed says what was found, without another run."""
    (tmp_path / "s.toml").write_text(TINY + OPTIMISE)
    said = call("check", "s.toml").out
    assert "  optimise  attack_rate: least\n" in said
    assert "            peak_infectious <= 900\n" in said
    assert "  by        schools closed: from: 2 to 18, whole numbers\n" in said
    answer = call("optimise", "s.toml", "--out", found.directory, "--resume", "--workers", 1)
    candidates = [judged for judged in found.weighed.candidates if judged.means is None]
    assert answer.code == (1 if candidates else 0), answer.err
    assert "10 trials of" in answer.out
    assert "by 3 fresh seeds, on which nothing was chosen" in answer.out
    assert "as written" in answer.out
    assert f"Table: {found.directory / 'pareto.parquet'}" in answer.out
    facts = json.loads(call("optimise", "s.toml", "--out", found.directory, "--resume", "--json").out)
    assert facts == json.loads(json.dumps(found.facts)) | {"directory": str(found.directory)}
    assert call("optimise", "s.toml", "--out", found.directory).code == 2
    more = call("optimise", "s.toml", "--out", found.directory, "--resume", "--trials", 12)
    assert more.code == 2 and "holds another search" in more.err


def test_the_search_is_repeated_from_its_results(found, call, tmp_path):
    """The report and its metadata name the command, which makes the same bytes; also where a scenario calibrates as well."""
    call("report", found.directory, "--out", "page.html")
    results = Results(found.directory)
    assert command_of(results) == "citytwin optimise sweep.json --out again"
    results.info["scenario"] |= {"calibrate": {}}
    assert command_of(results) == "citytwin optimise sweep.json --out again"
    call("optimise", found.directory / "sweep.json", "--out", "again", "--workers", 2)
    for name in ("optimise.json", "pareto.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (found.directory / name).read_bytes()


BAD = {
    "no section": (TINY, "section [optimise] is missing"),
    "unknown indicator": (
        TINY + OPTIMISE.replace("lost_school_days", "lost_schooldays"),
        "optimise.goals.lost_schooldays: no such column of the summary (did you mean 'lost_school_days'?)",
    ),
    "unknown constraint": (
        TINY + OPTIMISE.replace("peak_infectious", "peak_infectios"),
        "scenario:30: optimise.constraints.peak_infectios: no such column",
    ),
    "no bound": (TINY + OPTIMISE.replace("<= 900", "below 900"), 'must be "<= number" or ">= number"'),
    "contradiction": (
        TINY + OPTIMISE.replace('peak_infectious = "<= 900"', 'attack_rate = ">= 0.5"'),
        "'attack_rate' is wanted least by the goals and held >= 0.5 here, which contradict each other",
    ),
    "empty range": (TINY + OPTIMISE.replace("to = 18", "to = 2"), "must be greater than 'from'"),
    "unknown parameter": (
        TINY + OPTIMISE.replace('closed.compliance"', 'closed.complience"'),
        "did you mean 'compliance'?",
    ),
    "no such policy": (TINY + OPTIMISE.replace("schools closed.from", "school closed.from"), "no such policy"),
    "the city": (
        TINY + OPTIMISE.replace('"policy.schools closed.from"', '"city.synthetic.people"'),
        "city.synthetic.people: cannot be optimised",
    ),
    "not whole": (TINY + OPTIMISE.replace(", integer = true", ""), "policy.schools closed.from: at 2"),
    "allowed nowhere": (
        TINY + OPTIMISE.replace("from = 2, to = 18", "from = 21, to = 24"),
        "policy.schools closed.from: at 21: ",
    ),
}


@pytest.mark.parametrize("text, message", BAD.values(), ids=BAD)
def test_bad_requests_end_before_any_run(tmp_path, text, message):
    with pytest.raises(ScenarioError) as caught:
        optimise(Scenario.from_text(text), out=tmp_path / "best")
    assert message in str(caught.value)
    assert not (tmp_path / "best" / "sweep.json").exists()


def test_optuna_that_is_missing_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(SweepError, match=r'pip install "citytwin\[calibrate\]"'):
        optimise(Scenario.from_text(TINY + OPTIMISE), out=tmp_path / "best")
    assert not (tmp_path / "best").exists()


def test_inherited_goals_are_replaced_together(tmp_path):
    (tmp_path / "base.toml").write_text(TINY + OPTIMISE)
    text = 'extends = "base.toml"\nname = "other"\n[optimise.goals]\ndeaths = "least"\n'
    other = Scenario.from_text(text, folder=tmp_path)
    assert list(other.optimise.goals) == ["deaths"]
    assert len(other.optimise.parameters) == 2

"""Observations and the section that says what they are: read as they stand, refused with line, column and remedy."""

import datetime

import numpy as np
import pytest

from citytwin.runners.calibrate import observed as module
from citytwin.runners.calibrate.fit import calibrate
from citytwin.runners.calibrate.observed import PEOPLE, check_people, read_observed
from citytwin.runners.calibrate.settings import CalibrateSettings
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.documents import ScenarioError, Where
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.scenarios.sections import ClockSettings
from citytwin.runners.warm_ups import WARM_UPS

CLOCK = ClockSettings(start=datetime.date(2020, 2, 24), days=30)
UNTIL = Where("s.toml", 12)

SCENARIO = """\
name = "s"
[city]
one_place = { people = 50 }
[epidemic]
disease = "covid"
[calibrate]
"""
PARAMETERS = """\
[calibrate.parameters]
"epidemic.r0" = { from = 1, to = 4 }
"""
COLUMNS = """\
[calibrate.observations]
beds = { series = "infectious" }
"""


def settings(**changes):
    """Return settings that fit two columns."""
    columns = {"beds": {"series": "infectious"}, "share": {"series": "recovered", "error": "normal"}}
    given = {"parameters": {"epidemic.r0": {"from": 1, "to": 4}}, "observations": columns} | changes
    return CalibrateSettings.model_validate(given)


def read(tmp_path, text, **changes):
    """Read observations from a text."""
    file = tmp_path / "data.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_observed(file, settings(**changes), CLOCK, UNTIL)


class TestReading:
    def test_by_date(self, tmp_path):
        text = "\ufeffdate, beds ,note,share\n2020-02-26,3,x,0.5\n\n2020-02-24,1,,-2e-1\n2020-02-25,,y,.25\n2020-02-28,7,,\n"
        found = read(tmp_path, text, until=1)
        assert found.days.tolist() == [0, 1, 2, 4]
        assert np.array_equal(found.values["beds"], [1, np.nan, 3, 7], equal_nan=True)
        assert np.array_equal(found.values["share"], [-0.2, 0.25, 0.5, np.nan], equal_nan=True)
        assert found.fitted.tolist() == [True, True, False, False]

    def test_by_day_and_until_a_date(self, tmp_path):
        found = read(tmp_path, 'day,beds,share\n7,"3",1\n8,4,2\n0,1,3\n', until=datetime.date(2020, 3, 2))
        assert found.days.tolist() == [0, 7, 8]
        assert found.last == 7

    def test_all_days_are_fitted_unless_said_otherwise(self, tmp_path):
        assert read(tmp_path, "day,beds,share\n0,1,1\n29,1,2\n").fitted.all()

    def test_another_file_has_another_digest(self, tmp_path):
        first = read(tmp_path, "day,beds,share\n0,1,1\n2,1,2\n")
        assert read(tmp_path, "day,beds,share\n0,1,1\n2,1,3\n").digest != first.digest


HEAD = "date,beds,share\n"
BAD = {
    "nothing": (b"", "data.csv: holds no observations"),
    "only a header": (HEAD, "data.csv: holds no observations"),
    "not text": (b"date,beds,share\n2020-02-24,\xff,1\n", "data.csv: is not UTF-8 text"),
    "quotes left open": (HEAD + '2020-02-24,"1,2\n', "data.csv:2: not valid CSV"),
    "semicolons": ("date;beds;share\n2020-02-24;1;2\n", "data.csv:1: cells must be separated by commas"),
    "no day": ("when,beds,share\n1,2,3\n", "data.csv:1: needs a column 'date' or a column 'day'"),
    "date and day": ("date,day,beds,share\n2020-02-24,0,2,3\n", "and not both"),
    "column twice": ("date,beds,beds,share\n2020-02-24,1,2,3\n", "data.csv:1: beds: two columns have this name"),
    "column missing": (
        "date,bed,share\n2020-02-24,1,2\n",
        "data.csv:1: beds: no such column of figures; it has: date, bed, share (did you mean 'bed'?)",
    ),
    "cells missing": (HEAD + "2020-02-24,1\n", "data.csv:2: 2 cells, the header has 3"),
    "no date": (HEAD + "24.2.2020,1,1\n", "data.csv:2: date: must be a date such as 2020-02-24 (given 24.2.2020)"),
    "no such date": (HEAD + "2020-02-30,1,1\n", "data.csv:2: date: must be a date"),
    "date of a week": (HEAD + "2020-W09-1,1,1\n", "data.csv:2: date: must be a date"),
    "empty date": (HEAD + ",1,1\n", "data.csv:2: date: must be a date such as 2020-02-24 (given nothing)"),
    "too early": (HEAD + "2020-02-23,1,1\n", "data.csv:2: date: outside the clock, 2020-02-24 to 2020-03-24"),
    "too late": (HEAD + "2020-02-24,1,1\n2020-03-25,1,1\n", "data.csv:3: date: outside the clock"),
    "day too late": ("day,beds,share\n30,1,1\n", "data.csv:2: day: outside the clock, 0 to 29 (given 30)"),
    "day not whole": ("day,beds,share\n1.5,1,1\n", "data.csv:2: day: must be a day of the run, a whole number"),
    "day twice": (HEAD + "2020-02-24,1,1\n\n2020-02-24,1,1\n", "data.csv:4: date: 2020-02-24 stands in line 2 already"),
    "word": (HEAD + "2020-02-24,many,1\n", "data.csv:2: beds: must be a number such as 12 or 0.5"),
    "thousands": (HEAD + '2020-02-24,"1,000",1\n', "data.csv:2: beds: must be a number"),
    "underscore": (HEAD + "2020-02-24,1_000,1\n", "data.csv:2: beds: must be a number"),
    "nan": (HEAD + "2020-02-24,nan,1\n", "data.csv:2: beds: must be a number"),
    "infinity": (HEAD + "2020-02-24,1,inf\n", "data.csv:2: share: must be a number"),
    "other digits": (HEAD + "2020-02-24,٣,1\n", "data.csv:2: beds: must be a number"),
    "formula": (HEAD + "2020-02-24,=1+1,1\n", "data.csv:2: beds: must be a number"),
    "too large": (HEAD + "2020-02-24,1e13,1\n", "data.csv:2: beds: must be at most 1e+12"),
    "negative count": (HEAD + "2020-02-24,-1,1\n", "data.csv:2: beds: a count cannot be negative (given -1)"),
    "all empty": (HEAD + "2020-02-24,,1\n2020-02-25,,2\n", "data.csv: beds: has no figure within the days"),
    "always the same": (
        HEAD + "2020-02-24,1,2\n2020-02-25,1,2\n",
        "share: its fitted figures are all 2; give their error",
    ),
    "control sign": (HEAD + "2020-02-24,\x1b[31m,1\n", "\\x1b[31m"),
}


@pytest.mark.parametrize("text, message", BAD.values(), ids=BAD)
def test_bad_data_are_refused(tmp_path, text, message):
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert all(str(problem).isprintable() for problem in caught.value.problems)


class TestRefusedAsAWhole:
    def test_all_problems_at_once(self, tmp_path):
        with pytest.raises(ScenarioError) as caught:
            read(tmp_path, HEAD + "2020-02-24,x,y\n2020-02-25,-1,1\n")
        assert len(caught.value.problems) == 3

    def test_many_problems_end_somewhere(self, tmp_path):
        text = HEAD + "".join("bad,1,1\n" for _ in range(5000))
        with pytest.raises(ScenarioError) as caught:
            read(tmp_path, text)
        assert len(caught.value.problems) < 50

    def test_fit_ends_before_the_first_observation(self, tmp_path):
        with pytest.raises(ScenarioError, match=r"s\.toml:12: calibrate.until: no observation lies before its end"):
            read(tmp_path, HEAD + "2020-03-10,1,1\n2020-03-11,1,2\n", until=datetime.date(2020, 3, 1))

    def test_no_such_file(self, tmp_path):
        with pytest.raises(ScenarioError, match=r"none\.csv: cannot be read"):
            read_observed(tmp_path / "none.csv", settings(), CLOCK, UNTIL)
        with pytest.raises(ScenarioError, match="is not a file"):
            read_observed(tmp_path, settings(), CLOCK, UNTIL)

    def test_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "MAX_BYTES", 100)
        with pytest.raises(ScenarioError, match="bytes; observations have at most 100"):
            read(tmp_path, HEAD + "2020-02-24,1,1\n" * 10)

    def test_too_many_lines(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "MAX_ROWS", 3)
        with pytest.raises(ScenarioError, match="more than 3 lines"):
            read(tmp_path, HEAD + "".join(f"2020-03-0{day},1,{day}\n" for day in range(1, 8)))


SECTIONS = {
    "no parameters": (COLUMNS, "calibrate.parameters: is missing"),
    "no observations": (PARAMETERS, "calibrate.observations: is missing"),
    "empty": ("[calibrate.parameters]\n" + COLUMNS, "calibrate.parameters: must have at least 1"),
    "bounds the wrong way": (
        PARAMETERS.replace("4", "1") + COLUMNS,
        "calibrate.parameters.epidemic.r0.to: must be greater than 'from'",
    ),
    "log from 0": (
        PARAMETERS.replace("from = 1", "log = true, from = 0") + COLUMNS,
        "must be above 0 where log = true",
    ),
    "whole from a fraction": (
        PARAMETERS.replace("from = 1", "whole = true, from = 0.5") + COLUMNS,
        "both bounds must be whole numbers",
    ),
    "no bound": (PARAMETERS.replace(", to = 4", "") + COLUMNS, "is missing"),
    "unknown key": (
        PARAMETERS.replace("to = 4", "to = 4, sd = 1") + COLUMNS,
        "unknown key; allowed: from, to, log, whole",
    ),
    "word": (PARAMETERS.replace("4", '"four"') + COLUMNS, "must be a number"),
    "endless": (PARAMETERS.replace("4", "inf") + COLUMNS, "must be a finite number"),
    "unknown method": (
        'method = "mcmc"\n' + PARAMETERS + COLUMNS,
        "no such choice (given 'mcmc'); allowed: abc, optuna or optuna+abc",
    ),
    "few runs": ("runs = 5\n" + PARAMETERS + COLUMNS, "calibrate.runs: must be at least 30"),
    "many particles": (
        "runs = 100\nparticles = 50\n" + PARAMETERS + COLUMNS,
        "calibrate.runs: must be at least 150 for 50 particles",
    ),
    "many replicates": (
        'method = "optuna"\nruns = 100\nreplicates = 20\n' + PARAMETERS + COLUMNS,
        "must give at least 10 points with 20 replicates",
    ),
    "unknown error": (PARAMETERS + COLUMNS.replace('"infectious"', '"infectious", error = "t"'), "no such choice"),
    "sd of counts": (PARAMETERS + COLUMNS.replace('"infectious"', '"infectious", sd = 2'), "sd: goes with error"),
    "scale of nothing": (
        PARAMETERS + COLUMNS.replace('"infectious"', '"infectious", scale = 0'),
        "must be more than 0",
    ),
    "scale of another column": (
        PARAMETERS + '"calibrate.observations.bed.scale" = { from = 1, to = 2 }\n' + COLUMNS,
        "cannot be fitted; of this section only calibrate.observations.beds.scale",
    ),
    "scale from 0": (
        PARAMETERS + '"calibrate.observations.beds.scale" = { from = 0, to = 2 }\n' + COLUMNS,
        "must lie above 0",
    ),
    "until no date": ('until = "soon"\n' + PARAMETERS + COLUMNS, "calibrate.until: must be"),
}


@pytest.mark.parametrize("text, message", SECTIONS.values(), ids=SECTIONS)
def test_bad_sections_are_refused_with_the_scenario(text, message):
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(SCENARIO + text, label="s.toml")
    assert message in str(caught.value)
    assert all(problem.where.line is not None for problem in caught.value.problems)


def test_a_good_section_is_accepted():
    scenario = Scenario.from_text(SCENARIO + "until = 2026-02-01\n" + PARAMETERS + COLUMNS)
    assert scenario.to_dict()["calibrate"]["until"] == "2026-02-01"
    assert Scenario.from_dict(scenario.to_dict()) == scenario


class TestMorePeopleThanThereAre:
    TEXT = "day,beds\n3,1000\n4,1001\n5,\n6,5000000\n"

    def check(self, tmp_path, text=TEXT, series="infectious", scale=1.0, parameters=None):
        beds = {"beds": {"series": series, "scale": scale}}
        given = {"epidemic.r0": {"from": 1, "to": 4}} | (parameters or {})
        chosen = settings(observations=beds, parameters=given)
        observed = read(tmp_path, text, observations=beds, parameters=given)
        check_people(observed, chosen, 1000, "data.csv")

    def test_is_refused_with_day_and_remedy(self, tmp_path):
        with pytest.raises(ScenarioError) as caught:
            self.check(tmp_path)
        assert str(caught.value) == (
            "data.csv: beds: 1,001 on day 4: more than the city has people, 1,000; "
            "raise calibrate.observations.beds.scale, or take a larger city"
        )

    def test_as_many_as_there_are_is_allowed(self, tmp_path):
        self.check(tmp_path, "day,beds\n3,1000\n4,999.5\n")

    def test_the_scale_counts(self, tmp_path):
        self.check(tmp_path, scale=5000)
        with pytest.raises(ScenarioError, match=r"5,000,000 on day 6: .* 1,000 times 4999;"):
            self.check(tmp_path, scale=4999)

    def test_of_a_fitted_scale_the_upper_end_counts(self, tmp_path):
        key = "calibrate.observations.beds.scale"
        self.check(tmp_path, parameters={key: {"from": 1, "to": 5000}})
        with pytest.raises(ScenarioError, match=r"1,000 times 4000;"):
            self.check(tmp_path, parameters={key: {"from": 1, "to": 4000}})

    def test_what_may_happen_to_a_person_twice_is_allowed(self, tmp_path):
        self.check(tmp_path, series="cumulative_infections")

    def test_figures_named_here_are_of_the_series(self):
        """All but those that may count a person twice, or count something else."""
        names = set(CityModel(Scenario.from_text(WARM_UPS["epidemic"])).datacollector.model_reporters)
        others = {"cumulative_infections", "tests", "positives", "doses", "policies_in_force"}
        others |= {name for name in names if name.startswith(("policy.", "lost_"))}
        assert names - others == PEOPLE

    def test_before_anything_runs(self, tmp_path):
        scenario = Scenario.from_text(SCENARIO + PARAMETERS + COLUMNS)
        (tmp_path / "data.csv").write_text("day,beds\n1,2\n3,5000000\n")
        with pytest.raises(
            ScenarioError, match=r"data\.csv: beds: 5,000,000 on day 3: more than the city has people, 50"
        ):
            calibrate(scenario, tmp_path / "data.csv", out=tmp_path / "fit", workers=1)
        assert not (tmp_path / "fit" / "sweep.json").exists()

"""What ``citytwin sensitivity`` makes of results: every design, missing runs, replicates, mistakes."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_scenarios import TINY

from citytwin.runners.insight.sensitivity import sensitivity
from citytwin.runners.insight.sensitivity_files import picture, save_picture, save_table
from citytwin.runners.insight.sensitivity_text import sensitivity_text
from citytwin.runners.reports.files import check_target
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.tables import StoreError
from citytwin.runners.sweep import sweep

RANGES = """\
"epidemic.r0" = { from = 1, to = 3 }
"policy.schools closed.from" = { from = 2, to = 12, integer = true }
"""
LISTS = '"policy.work less.compliance" = [0.0, 0.5]\n'


def results(design, *, ranges=RANGES, replicates=3, lost=(), settings="", common=True):
    """Return results of a sweep whose attack rate is r0 + from/10 + luck, which is the same at all points if common.

    Args:
        design: the design and its size, as in a scenario.
        ranges: swept parameters.
        replicates: runs of a point.
        lost: pairs of point and replicate that are missing.
        settings: further keys of the section.
        common: whether all points have the same seeds.
    """
    scenario = Scenario.from_text(
        f"{TINY}[sweep]\n{design}\n{settings}\nreplicates = {replicates}\n[sweep.parameters]\n{ranges}"
    )
    points = scenario.points()
    rows = []
    for number, point in enumerate(points):
        for replicate in range(replicates):
            if (number, replicate) in lost:
                continue
            seed = replicate if common else number * replicates + replicate
            luck = 0.05 * np.random.default_rng(seed).normal()
            level = point.get("epidemic.r0", 2) + point.get("policy.schools closed.from", 0) / 10
            level += point.get("policy.work less.compliance", 0) * point.get("epidemic.r0", 2)
            about = {"run_id": f"r{number}-{replicate}", "point": number, "replicate": replicate, "seed": seed}
            rows.append(
                about | point | {"attack_rate": level + luck, "deaths": 0, "own_figure": 20 * level, "name": "x"}
            )
    info = {
        "scenario": scenario.to_dict(),
        "context": {"files": {}, "city_facts": []},
        "parameters": list(points[0]),
        "points": [{"point": number, "parameters": point} for number, point in enumerate(points)],
        "replicates": list(range(replicates)),
        "runs": len(points) * replicates,
    }
    return Results.in_memory({"summary": pa.Table.from_pandas(pd.DataFrame(rows))}, info)


SALTELLI = 'design = "saltelli"\nbase = 64'
MORRIS = 'design = "morris"\ntrajectories = 12'


class TestDesigns:
    def test_saltelli(self):
        """Of y = r0 + from/10 with r0 on [1, 3] and from in 2 … 12: variances 1/3 and 1/10; common luck cancels."""
        found = sensitivity(results(SALTELLI, settings="second_order = true"), ["attack_rate"])
        [finding] = found.findings
        shares = np.array([1 / 3, 0.1]) / (1 / 3 + 0.1)
        for measure in ("first_order", "total"):
            got = [finding.of(measure, name).estimate for name in found.parameters]
            assert got == pytest.approx(shares, abs=0.1)
        pair = finding.of("second_order", *found.parameters)
        assert pair.low <= 0 <= pair.high
        assert finding.luck.means == pytest.approx(0, abs=1e-6)
        assert finding.luck.single > 0
        assert found.design == "saltelli"

    def test_morris(self):
        """Over their ranges r0 brings 2 and from brings 1, everywhere, though from moves in whole days."""
        [finding] = sensitivity(results(MORRIS), ["attack_rate"]).findings
        for name, effect in (("epidemic.r0", 2), ("policy.schools closed.from", 1)):
            assert finding.of("mu", name).estimate == pytest.approx(effect)
            assert finding.of("sigma", name).estimate == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize("design", ['design = "lhs"\npoints = 40', 'design = "random"\npoints = 40'])
    def test_others_by_rank(self, design):
        [finding] = sensitivity(results(design), ["attack_rate"]).findings
        assert finding.method == "ranks"
        assert finding.of("partial_rank", "epidemic.r0").low > 0.9
        assert finding.used == 40

    def test_grid_by_rank(self):
        ranges = '"epidemic.r0" = [1.0, 2.0, 3.0]\n' + LISTS + '"epidemic.disease" = ["covid", "influenza"]\n'
        found = sensitivity(results("", ranges=ranges), ["own_figure"])
        assert found.parameters == ("epidemic.r0", "policy.work less.compliance")
        assert found.left_out == ("epidemic.disease",)
        assert "Left out, as their values are no numbers or never change: epidemic.disease." in sensitivity_text(found)


class TestMissingRuns:
    def test_whole_blocks_are_left_out(self):
        """A point without any run takes its block along; one without some of its runs takes those of its block along."""
        whole = {(5, replicate) for replicate in range(3)}
        [finding] = sensitivity(results(SALTELLI, lost=whole | {(11, 1)}), ["attack_rate"]).findings
        assert (finding.used, finding.dropped) == (63, 1)
        found = sensitivity(results(MORRIS, lost=whole | {(0, 2)}), ["attack_rate"])
        [finding] = found.findings
        assert (finding.used, finding.dropped) == (11, 1)
        # The replicate that is missing at one point would shift it by its luck; so it is left out of the whole trajectory.
        assert finding.of("sigma", "epidemic.r0").estimate == pytest.approx(0, abs=1e-12)
        text = sensitivity_text(found)
        assert "4 runs missing" in text
        assert "from 11 trajectories; 1 left out whole, as runs of theirs are missing" in text

    def test_too_few_are_told(self):
        lost = {(point, 0) for point in range(33)}
        with pytest.raises(
            StoreError, match="attack_rate: 1 of 12 trajectories have all their runs; at least 2 are needed"
        ):
            sensitivity(results(MORRIS, replicates=1, lost=lost), ["attack_rate"])

    def test_seeds_of_their_own(self):
        [finding] = sensitivity(results(SALTELLI, common=False), ["attack_rate"]).findings
        assert finding.luck.means > 0


class TestSaid:
    @pytest.fixture(scope="class")
    @staticmethod
    def found():
        return sensitivity(results(MORRIS), ["attack_rate", "own_figure"])

    def test_text_fits_a_terminal(self, found):
        for width in (60, 80, 100):
            assert max(map(len, sensitivity_text(found, width).splitlines())) <= width

    def test_text_has_units_and_luck(self, found):
        text = sensitivity_text(found)
        assert "attack rate: change over the whole range of a parameter (Morris), percentage points" in text
        assert "200.0 (200.0 … 200.0)" in text  # 2 in percentage points
        assert text.index("r0") < text.index("schools closed: from")  # the largest first
        assert "own_figure: change" in text

    def test_small_effects_have_three_digits(self):
        """Deaths are written in whole people, but an effect of a third of one is not 0."""
        few = results(MORRIS)
        few.summary["deaths"] = few.summary["epidemic.r0"] * 0.15
        assert "0.300 (0.300 … 0.300)" in sensitivity_text(sensitivity(few, ["deaths"]))  # of r0 from 1 to 3

    def test_one_replicate_says_so(self):
        text = sensitivity_text(sensitivity(results(MORRIS, replicates=1), ["attack_rate"]))
        assert "luck: with one replicate it cannot be told from effects" in text

    def test_json(self, found):
        facts = json.loads(json.dumps(found.facts(), allow_nan=False))
        assert [finding["indicator"] for finding in facts["findings"]] == ["attack_rate", "own_figure"]
        assert facts["findings"][0]["indices"][0]["measure"] == "mu"
        assert facts["level"] == 0.9

    def test_table(self, found, tmp_path):
        frame = pd.read_parquet(save_table(found, tmp_path / "new" / "found.parquet"))
        assert len(frame) == 2 * 2 * 3
        row = frame.query("indicator == 'attack_rate' and measure == 'mu' and parameter == 'epidemic.r0'").iloc[0]
        assert row["estimate"] == pytest.approx(2)
        assert row["low"] <= row["estimate"] <= row["high"]
        check_target(tmp_path / "new" / "found.parquet", (".parquet",))  # may be replaced

    @pytest.mark.parametrize("kind, head", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
    def test_picture(self, found, tmp_path, kind, head):
        path = save_picture(found, tmp_path / f"found.{kind}")
        assert path.read_bytes().startswith(head)
        save_picture(found, path)

    def test_a_picture_with_everything(self):
        assert picture(sensitivity(results(SALTELLI, settings="second_order = true"), ["own_figure"])).startswith(
            b"\x89PNG"
        )

    def test_files_of_others_are_spared(self, found, tmp_path):
        other = tmp_path / "other.parquet"
        pd.DataFrame({"a": [1]}).to_parquet(other)
        with pytest.raises(StoreError, match="was not made by citytwin"):
            save_table(found, other)
        with pytest.raises(StoreError, match=r"must end with \.png or"):
            save_picture(found, tmp_path / "found.gif")


class TestMistakes:
    def test_unknown_indicator(self):
        with pytest.raises(StoreError, match=r"'attack' is no figure of the summary.*; there are: .*attack_rate"):
            sensitivity(results(MORRIS), ["attack"])
        with pytest.raises(StoreError, match=r"'atack_rate' is no figure.*did you mean 'attack_rate'"):
            sensitivity(results(MORRIS), ["atack_rate"])

    def test_text_is_no_indicator(self):
        with pytest.raises(StoreError, match="'name' is no figure"):
            sensitivity(results(MORRIS), ["name"])

    def test_constant_indicator(self):
        with pytest.raises(StoreError, match="deaths: is 0 in all 108 runs, so nothing moves it; choose another"):
            sensitivity(results(MORRIS), ["deaths"])

    def test_nothing_swept(self):
        with pytest.raises(StoreError, match=r'no parameter with numbers varies.*"saltelli"'):
            sensitivity(results("", ranges='"epidemic.disease" = ["covid", "influenza"]\n'), ["attack_rate"])

    def test_no_run_yet(self):
        lost = {(point, replicate) for point in range(36) for replicate in range(3)} - {(0, 0)}
        some = results(MORRIS, lost=lost)
        nothing = Results.in_memory({"summary": some._memory["summary"][:0]}, some.info)
        with pytest.raises(StoreError, match="no run is in the results yet"):
            sensitivity(nothing, ["attack_rate"])

    def test_salib_that_is_missing(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "SALib", None)
        with pytest.raises(StoreError, match=r'pip install "citytwin\[calibrate\]"'):
            sensitivity(results(SALTELLI), ["attack_rate"])
        assert sensitivity(results(MORRIS), ["attack_rate"]).findings


def test_command(call, tmp_path):
    """A Morris sweep of a small town, asked on the command line."""
    text = f'{TINY}[sweep]\ndesign = "morris"\ntrajectories = 3\n[sweep.parameters]\n'
    text += '"epidemic.r0" = { from = 2, to = 6 }\n"policy.schools closed.compliance" = { from = 0, to = 1 }\n'
    sweep(Scenario.from_text(text), out=tmp_path / "out", workers=2)
    answer = call(
        "sensitivity", "out", "--of", "attack_rate, lost_school_days", "--picture", "a.png", "--out", "a.parquet"
    )
    assert answer.code == 0, answer.err
    assert "design morris: 9 points x 1 replicate;" in answer.out
    assert "Picture: a.png\nTable: a.parquet" in answer.out
    facts = json.loads(call("sensitivity", "out", "--of", "attack_rate", "--json").out)
    r0 = next(i for i in facts["findings"][0]["indices"] if (i["measure"], i["parameter"]) == ("mu", "epidemic.r0"))
    assert r0["estimate"] > 0.1
    wrong = call("sensitivity", "out", "--of", "attackrate")
    assert wrong.code == 2
    assert "did you mean 'attack_rate'?" in wrong.err
    assert call("sensitivity", "out", "--of", ",").code == 2
    assert call("sensitivity", "nowhere").code == 2

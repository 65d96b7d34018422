"""Tables, pictures and pages: what they say, that they fit, and that nothing foreign gets into a page."""

import base64
import copy
import errno
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from citytwin.environment.city import City
from citytwin.environment.schema import Source
from citytwin.runners.compare import MEASURES, measures_in
from citytwin.runners.reports import labels
from citytwin.runners.reports.curves import (
    MAX_POINTS,
    OTHERS,
    PALETTE,
    curves_png,
    draw_curves,
    point_looks,
    save_curves,
)
from citytwin.runners.reports.describe import city_facts, city_text, comparison_facts
from citytwin.runners.reports.labels import amount, point_label, short_names, spread, value_text
from citytwin.runners.reports.maps import draw_map, save_map
from citytwin.runners.reports.report import WIDTH, text_report
from citytwin.runners.reports.report_page import html_report
from citytwin.runners.results import Results
from citytwin.runners.run import run
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.tables import StoreError


@pytest.fixture
def results(swept: Path) -> Results:
    return Results(swept)


def without(results: Results, *runs: str) -> Results:
    """Return the results as if some runs had not been made."""
    rest = copy.copy(results)
    for name in ("summary", "series"):
        table = results.table(name)
        rest.__dict__[name] = table[~table["run_id"].isin(runs)].reset_index(drop=True)
    return rest


# ---------------------------------------------------------------------- words and figures


def test_short_names_tell_parameters_apart() -> None:
    names = short_names(
        ["policy.schools closed.compliance", "policy.a.b.reduce.work", "epidemic.r0", "city.synthetic.seed"]
    )
    assert list(names.values()) == ["schools closed: compliance", "a.b.reduce: work", "r0", "seed"]
    assert short_names(["city.synthetic.seed", "noise.seed"]) == {
        "city.synthetic.seed": "city.synthetic.seed",
        "noise.seed": "noise.seed",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (50_000, "50,000"),
        (0.30000000000000004, "0.3"),
        ("x", "x"),
        ([1, 2], "1, 2"),
        ({"work": 0.5}, "work 0.5"),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_amounts_have_the_decimals_and_signs_of_their_measure() -> None:
    rate, people = MEASURES[0], MEASURES[1]
    assert amount(0.8047, rate) == "80.5"
    assert amount(-0.0141, rate, sign=True) == "−1.4"
    assert amount(0.0141, rate, sign=True) == "+1.4"
    assert amount(-0.0001, rate, sign=True) == "0.0"
    assert amount(40_234.5, people) == "40,234"
    assert amount(float("nan"), people) == "–"
    assert spread(-12.3, -14.6, 0.2, people) == "−12 (−15 … 0)"
    assert spread(-12.3, float("nan"), float("nan"), people) == "−12"


def test_a_point_in_one_line() -> None:
    assert (
        point_label(
            {"epidemic.r0": 2.5, "policy.x.from": 20, "policy.x.until": 30},
            short_names(["epidemic.r0", "policy.x.from", "policy.x.until"]),
        )
        == "r0 2.5; x: from 20, until 30"
    )
    assert point_label({}, {}) == "as in the file"


# ---------------------------------------------------------------------- the table of a terminal


def test_the_table_says_what_the_summary_says(results: Results) -> None:
    text = text_report(results)
    lines = text.splitlines()
    assert lines[0] == "tiny town: invented city of 1,000 people, 25 days from 2026-01-05, 4 points x 3 seeds"
    assert max(map(len, lines)) <= WIDTH
    means = results.summary.groupby("point")[["attack_rate", "peak_day"]].mean()
    rules = [number for number, line in enumerate(lines) if line.startswith("─")]
    for point in range(4):
        cells = lines[rules[0] + 1 + point].split()
        assert cells[:4] == [str(point), *(f"{v:g}" for v in results.points[point].values()), "3"]
        assert float(cells[4]) == pytest.approx(100 * means["attack_rate"][point], abs=0.051)
        columns = [measure.column for measure in measures_in(results.summary)]
        peak_day = cells[columns.index("peak_day") - len(columns)]
        assert float(peak_day) == pytest.approx(means["peak_day"][point], abs=0.051)
    assert lines[rules[1] + 1].split() == ["0", *["baseline"] * (len(columns) - 1)]  # infections are left out
    change = 100 * (means["attack_rate"][3] - means["attack_rate"][0])
    shown = re.match(r"\s+3\s+3\s+([+−][\d.]+) \(", lines[rules[1] + 4])
    assert shown is not None
    assert float(shown.group(1).replace("−", "-")) == pytest.approx(change, abs=0.051)


def test_a_single_run_has_no_differences(tiny: Scenario) -> None:
    text = text_report(run(tiny))
    assert "1 point x 1 seed" in text
    assert "Difference" not in text


def test_a_peak_on_the_last_day_is_marked(results: Results) -> None:
    cut = copy.copy(results)
    cut.summary = results.summary.assign(peak_day=results.summary["point"] + 20)  # of 25 days
    assert "≥" not in text_report(cut) + html_report(cut)
    row = cut.summary.index[cut.summary["run_id"] == "p0002-r0001"][0]
    cut.summary.loc[row, "peak_day"] = 24
    text = text_report(cut)
    rows = [line for line in text.splitlines() if re.match(r"\s+[0-3]  ", line)]
    mean = cut.summary.groupby("point")["peak_day"].mean()[2]
    assert re.search(rf"≥ [\d,]+ +≥ {mean:.1f}( +[\d,]+)*$", rows[2])
    assert [row.count("≥") for row in rows] == [0, 0, 2, 0, 0, 0, 0, 0]
    assert [row.count("*") for row in rows] == [0, 0, 0, 0, 0, 0, 2, 0]
    note = "≥: on the last day the infectious were still increasing in 1 of 12 runs (point 2); a peak there"
    assert note in " ".join(text.split())
    assert note in html_report(cut)
    rows = [line for line in text_report(cut, baseline=2).splitlines() if re.match(r"\s+[0-3]  ", line)]
    assert [row.count("*") for row in rows[4:]] == [2, 2, 0, 2]
    assert [point["runs_still_rising"] for point in comparison_facts(cut)] == [0, 0, 1, 0]
    cut.summary.loc[row, "peak_infectious"] = 0  # nobody was ever infectious: there is no peak to come
    assert "≥" not in text_report(cut)


def test_missing_runs_are_counted(results: Results) -> None:
    text = text_report(without(results, "p0001-r0000", "p0002-r0000", "p0002-r0001", "p0002-r0002"))
    rows = [line.split() for line in text.splitlines() if re.match(r"\s+[0-3]  ", line)]
    assert rows[1][3:6] == ["2", "of", "3"]
    assert rows[2][3:6] == ["0", "of", "3"]
    assert rows[5][:2] == ["1", "2"]
    shown = len(measures_in(results.summary)) - 1
    assert rows[6] == ["2", *["no", "run"] * shown]


def test_many_parameters_are_named_below_the_table(results: Results) -> None:
    wide = copy.copy(results)
    names = [f"policy.a policy of a quite long name {n}.compliance" for n in range(6)]
    wide.info = results.info | {
        "parameters": names,
        "points": [{"point": p, "parameters": dict.fromkeys(names, p / 4)} for p in range(4)],
    }
    lines = text_report(wide).splitlines()
    assert [line for line in lines if line.startswith("    3  a policy of a quite long name 0: compliance 0.75; ")]


def test_a_baseline_that_does_not_exist(results: Results) -> None:
    with pytest.raises(StoreError, match="baseline 4: there are points 0 to 3"):
        text_report(results, 4)


def test_nothing_to_report(results: Results) -> None:
    none = without(results, *results.summary["run_id"])
    for make in (text_report, html_report):
        with pytest.raises(StoreError, match="no run is in the results yet"):
            make(none)


# ---------------------------------------------------------------------- the picture


def test_curves_are_the_medians_over_seeds(results: Results) -> None:
    figure = draw_curves(results)
    upper, lower = figure.axes[-2:]
    for axes, column, scale in ((upper, "infectious", 1.0), (lower, "cumulative_infections", 100 / 1_000)):
        lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 25]
        assert len(lines) == 4
        for point, line in enumerate(lines):
            rows = results.series[results.series["point"] == point]
            expected = rows.groupby("day")[column].median().to_numpy() * scale
            assert np.allclose(line.get_ydata(), expected)
    assert upper.get_ylabel() == "infectious people"
    assert {(line.get_color(), line.get_linestyle()) for line in upper.get_lines()} == {
        (PALETTE[0], "-"),
        (PALETTE[1], "-"),
        (PALETTE[0], "--"),
        (PALETTE[1], "--"),
    }
    words = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    assert "tiny town" in "".join(words)
    assert "invented city of 1,000 people, 25 days from 2026-01-05, 4 points x 3 seeds" in words
    assert "schools closed: compliance" in words


def test_policies_are_shown_when_they_are_in_force(results: Results) -> None:
    top = draw_curves(results).axes[0]
    assert [label.get_text() for label in top.get_yticklabels()] == ["schools closed", "work less"]
    bar = top.images[0].get_array()
    assert np.array_equal(np.flatnonzero(bar[0, :, 3] > 0), np.arange(8, 20))


def test_the_picture_is_a_png_and_no_display_is_needed(results: Results, tmp_path: Path) -> None:
    path = save_curves(results, tmp_path / "new" / "curves.png")
    picture = image.imread(path)
    assert picture.shape[0] > 800
    assert picture.shape[1] == 1_500
    assert picture[..., :3].std() > 0.05
    with pytest.raises(StoreError, match="cannot be written"):
        save_curves(results, tmp_path / "new" / "curves.png" / "x.png")


def test_more_points_than_can_be_told_apart(results: Results) -> None:
    many = copy.copy(results)
    parameters = {"epidemic.r0": 1.0}
    one = results.series[results.series["point"] == 0]
    count = MAX_POINTS + 3
    many.info = results.info | {
        "parameters": ["epidemic.r0"],
        "points": [{"point": p, "parameters": parameters} for p in range(count)],
        "scenario": {k: v for k, v in results.info["scenario"].items() if k != "sweep"},
    }
    many.__dict__.pop("scenario", None)
    many.__dict__["series"] = pd.concat([one.assign(point=point) for point in range(count)])
    summary = results.summary[results.summary["point"] == 0]
    many.__dict__["summary"] = pd.concat(
        [summary.assign(point=point, attack_rate=(point * 7 % count) / count) for point in range(count)]
    )
    figure = draw_curves(many)
    figure.canvas.draw()
    lines = [line for line in figure.axes[-2].get_lines() if len(line.get_xdata()) == 25]
    assert len(lines) == count  # all are drawn, most of them in grey
    highlighted = [line for line in lines if line.get_color() != OTHERS]
    assert 2 < len(highlighted) <= len(PALETTE)
    looks = point_looks(many)
    rates = many.summary.groupby("point")["attack_rate"].mean()
    assert {0, int(rates.idxmin()), int(rates.idxmax())} <= looks.keys()
    words = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    assert f"the other {count - len(highlighted)} points" in words
    box = figure.axes[-2].get_legend().get_window_extent()
    assert 0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert box.x1 <= figure.bbox.x1
    assert figure.axes[-2].get_window_extent().height > figure.bbox.height / 3  # not pressed down by its legend


def test_points_without_a_figure_to_compare_are_shown_in_their_order(results: Results) -> None:
    many = copy.copy(results)
    count = MAX_POINTS + 3
    many.info = results.info | {
        "parameters": ["word"],
        "points": [{"point": point, "parameters": {"word": "x"}} for point in range(count)],
    }
    many.__dict__["is_of_city"] = False
    many.__dict__["summary"] = pd.DataFrame({"point": range(count), "word": ["x"] * count})
    looks = point_looks(many)
    assert len(looks) == len(PALETTE) - 1
    assert {0, count - 1} <= looks.keys()


def test_many_values_of_an_ordered_parameter_are_shades_from_low_to_high(results: Results) -> None:
    many = copy.copy(results)
    key = "policy.schools closed.compliance"
    values = [0.9, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0]
    one = results.series[results.series["point"] == 0]
    many.info = results.info | {
        "parameters": [key],
        "points": [{"point": p, "parameters": {key: value}} for p, value in enumerate(values)],
        "scenario": results.info["scenario"] | {"name": "long " * 20, "sweep": {"parameters": {key: values}}},
    }
    many.__dict__.pop("scenario", None)
    many.__dict__["series"] = pd.concat([one.assign(point=point) for point in range(len(values))])
    looks = point_looks(many)
    shades = [sum(mpl.colors.to_rgb(looks[values.index(value)][0])) for value in sorted(values)]
    assert shades == sorted(shades)  # viridis grows lighter
    assert len(set(looks.values())) == len(values)
    figure = draw_curves(many)
    figure.canvas.draw()
    legend = [text.get_text() for text in figure.axes[-2].get_legend().get_texts()]
    assert legend == ["0", "0.1", "0.2", "0.4", "0.5", "0.6", "0.8", "0.9", "1"]  # nine of them, from low to high
    assert figure._suptitle.get_window_extent().x1 <= figure.bbox.x1
    # Of 11 points one is followed by nobody, so that the bar is not wholly dark.
    bar = figure.axes[0].images[0].get_array()
    assert bar[0, 10, 3] == pytest.approx(0.15 + 0.45 * 10 / 11)
    assert figure.axes[0].get_title(loc="left").startswith("in force")


def test_the_narrow_picture_has_all_of_the_legend_below_and_no_title(results: Results) -> None:
    import matplotlib as mpl

    figure = draw_curves(results, titled=False, narrow=True)
    figure.canvas.draw()
    [legend] = figure.legends
    found = [text.get_text() for text in legend.get_texts()]
    assert sorted(found) == sorted(["schools closed: compliance", "0", "0.9", "work less: compliance", "0", "0.8"])
    lowest = min(axes.get_tightbbox().y0 for axes in figure.axes)
    box = legend.get_window_extent()
    assert 0 <= box.y0 < box.y1 <= lowest
    assert box.x1 <= figure.bbox.x1
    assert "tiny town" not in "".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_a_series_without_an_epidemic_has_no_curves(results: Results) -> None:
    other = copy.copy(results)
    other.__dict__["series"] = results.series[["run_id", "point", "seed", "day", "date"]]
    with pytest.raises(StoreError, match="the series lacks cumulative_infections, infectious, susceptible"):
        curves_png(other)


# ---------------------------------------------------------------------- the page


class Page(HTMLParser):
    """Collects tags, attributes and cells of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open[-2:] == ["td", "span"]:
            self.cells.append(data)


def test_the_page_stands_alone(results: Results, tmp_path: Path) -> None:
    text = results.report(tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    pictures = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures)
    assert all(base64.b64decode(picture.partition(",")[2]).startswith(b"\x89PNG") for picture in pictures)
    assert len(text) < 5_000_000  # so that it can be mailed
    assert not [tag for tag, attributes in page.tags if tag in ("script", "link") or "href" in attributes]
    assert "http" not in text
    means = results.summary.groupby("point")["attack_rate"].mean()
    assert f"{100 * means[3]:.1f}" in page.cells
    narrow = [attributes["srcset"] or "" for tag, attributes in page.tags if tag == "source"]
    wide, phone = ([base64.b64decode(data.partition(",")[2]) for data in found] for found in (pictures[:2], narrow))
    widths = [int.from_bytes(png[16:20], "big") for png in (*wide, *phone)]  # as a PNG's head has it
    assert widths == [1500, 1500, 750, 750]  # curves and panels, for a screen and for a phone
    order = results.summary.groupby("point")["infections"].mean()
    assert len(pictures) - 2 == len({0, order.idxmin(), order.idxmax()})  # maps
    heads = [attributes["data-head"] for tag, attributes in page.tags if tag == "td" and "data-head" in attributes]
    assert heads.count("peak day") == heads.count("peak day, days") == 4
    assert "closes school; from day 8; until day 20; compliance 1" in text
    assert "fewer contacts: work by 60%; when incidence &gt; 4,000; until incidence &lt; 100; compliance 1" in text
    for said in ("Where the numbers come from", results.info["versions"]["code"], "schools closed: compliance"):
        assert said in text


def test_means_on_the_page_have_their_intervals(results: Results) -> None:
    page = html_report(results)
    for _, runs in results.summary.groupby("point"):
        values = runs["attack_rate"] * 100
        half = 2.919986 * values.std(ddof=1) / np.sqrt(3)  # t of 95 % with two degrees of freedom, from a table
        low, high = (amount((values.mean() + sign * half) / 100, MEASURES[0]) for sign in (-1, 1))
        assert f"<span>{values.mean():.1f}<small>{low} … {high}</small></span>" in page


def test_the_page_says_what_is_lacking(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "of 12 runs are in the results" not in html_report(results)
    rest = without(results, "p0001-r0000", "p0002-r0001", "p0002-r0002")
    failed = {"p0001-r0000": "timed_out: 10 min", "p0002-r0001": "failed: ValueError: no such street"}
    monkeypatch.setattr(Results, "failures", failed)
    page = html_report(rest)
    assert "9 of 12 runs are in the results; 2 failed, see below; still to be made: 1." in page
    assert "<p>1 timed out, 1 failed</p>" in page
    assert "p0002-r0001: failed: ValueError: no such street" in page
    assert page.count("citytwin sweep sweep.json --out again") == 1


def test_long_tables_scroll_by_themselves(results: Results) -> None:
    many = copy.copy(results)
    many.info = results.info | {
        "parameters": ["epidemic.r0"],
        "points": [{"point": point, "parameters": {"epidemic.r0": 1 + point / 10}} for point in range(25)],
    }
    series, summary = (table[table["point"] == 0] for table in (results.series, results.summary))
    many.__dict__["series"] = pd.concat([series.assign(point=point) for point in range(25)])
    many.__dict__["summary"] = pd.concat([summary.assign(point=point) for point in range(25)])
    many.directory, many._memory = None, dict.fromkeys(["series", "summary"])  # no maps
    page = html_report(many)
    assert '<div class="wide long">' in page
    assert '<div class="wide">' not in page


def test_a_page_shows_names_and_messages_as_text(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = '<script>alert("x")</script>'
    bad = copy.copy(results)
    scenario = results.info["scenario"] | {"name": evil}
    facts = [
        {
            "name": evil,
            "people": 1_000,
            "area_km2": 1.0,
            "sources": [{"name": evil, "licence": evil, "attribution": evil, "file": "", "sha256": ""}],
        }
    ]
    bad.info = results.info | {"scenario": scenario, "context": {"city_facts": facts}}
    bad.__dict__.pop("scenario", None)
    monkeypatch.setattr(Results, "failures", {evil: evil})
    text = html_report(bad)
    assert not [tag for tag, _ in Page(text).tags if tag == "script"]
    assert text.count("&lt;script&gt;") >= 6
    assert "Runs that failed: 1" in text


def test_a_report_that_cannot_be_written(results: Results, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        results.report(tmp_path / "file" / "report.html")


def test_an_older_report_and_picture_stay_where_the_disk_is_full(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [results.report(tmp_path / "report.html"), save_curves(results, tmp_path / "curves.png")]
    before = [path.read_bytes() for path in written]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    for again in (lambda: results.report(written[0]), lambda: save_curves(results, written[1])):
        with pytest.raises(StoreError, match=r"cannot be written \(No space left on device\)"):
            again()
    assert [path.read_bytes() for path in written] == before


def test_the_page_names_a_city_once_and_says_that_the_code_was_changed(results: Results) -> None:
    changed = copy.copy(results)
    changed.info = results.info | {"git": {"commit": "0123456789abcdef", "changed": True}}
    page = html_report(changed)
    assert "at commit 0123456789ab with changes" in page
    [city] = results.info["context"]["city_facts"]
    assert f"<dt>city</dt><dd>{labels.city_text(city)}, {city['area_km2']:,} km²</dd>" in page


# ---------------------------------------------------------------------- cities


def test_facts_of_a_city(town: City) -> None:
    facts = city_facts(town)
    assert facts["people"] == 600
    assert facts["households"] == 300
    assert facts["mean_household_size"] == 2.0
    assert sum(facts["ages"].values()) == sum(facts["roles"].values()) == 600
    assert facts["household_sizes"]["1"] == facts["household_sizes"]["4"] * 2 == 100
    assert facts["ages"]["0–4"] == 50  # the child of 4 in every sixth household
    assert facts["places"]["home"] == 300
    assert facts["sites"]["fire station"] == 1
    assert facts["area_km2"] == 1.0
    text = city_text(facts)
    assert max(map(len, text.splitlines())) <= 100
    for said in ("Tiny", "600, mean age", "300, 2.00 people on average", "EPSG:32631"):
        assert said in text


def test_sources_are_shown(town: City) -> None:
    mapped = copy.copy(town)
    mapped.info = copy.copy(town.info)
    mapped.info.sources = [Source("OpenStreetMap", "ODbL 1.0", "© OpenStreetMap contributors", "t.osm", "ab" * 32)]
    text = city_text(city_facts(mapped))
    assert "OpenStreetMap: © OpenStreetMap contributors (licence: ODbL 1.0)" in text
    words = [found.get_text() for found in draw_map(mapped).findobj(mpl.text.Text)]
    assert any("© OpenStreetMap contributors" in word for word in words)


def test_a_map(tmp_path: Path) -> None:
    city = City.synthetic(1_000)
    figure = draw_map(city)
    words = [found.get_text() for found in figure.findobj(mpl.text.Text)]
    assert "Invented city of 1,000" in words
    assert "residents per hectare" in words
    assert any(re.fullmatch(r"\d+ k?m", word) for word in words)
    density = figure.axes[0].images[0].get_array()
    assert density.sum() == pytest.approx(1_000)  # people per cell of one hectare
    picture = image.imread(save_map(city, tmp_path / "map.png"))
    assert picture[..., :3].std() > 0.05
    with pytest.raises(StoreError, match="cannot be written"):
        save_map(city, tmp_path / "map.png" / "map.png")

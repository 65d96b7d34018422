"""The command line: answers, exit codes, and that a user's mistake costs nothing but its message."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_scenarios import SWEPT, TINY

from citytwin.environment.city import City
from citytwin.runners.commands import common
from citytwin.runners.reports import curves
from citytwin.runners.results import Results
from citytwin.runners.scenarios.documents import shipped
from citytwin.runners.scenarios.scenario import Scenario

TESTS = Path(__file__).resolve().parent.parent
COMMANDS = [
    ["city", "synthetic"],
    ["city", "osm"],
    ["city", "census"],
    ["city", "sumo"],
    ["city", "lines"],
    ["city", "show"],
    ["city", "contacts"],
    ["check"],
    ["run"],
    ["sweep"],
    ["calibrate"],
    ["compare"],
    ["report"],
    ["map"],
    ["init"],
    ["warm"],
]


def start(code: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run Python code in a fresh process with the package importable."""
    head = f"import sys; sys.path.insert(0, {str(TESTS)!r}); import conftest; sys.argv[1:] = {list(words)!r}\n"
    return subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, check=False, timeout=120)


# ---------------------------------------------------------------------- help


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(call, command: list[str]) -> None:
    answer = call(*command, "--help")
    assert answer.code == 0
    assert re.search(r"Examples?:\n\s+citytwin " + " ".join(command), answer.out)


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    code = """
import time
began = time.process_time()
from citytwin.runners.cli import main
try:
    main()
finally:
    heavy = {"mesa", "pandas", "numba", "pyarrow", "matplotlib", "geopandas", "pydantic", "scipy"} & set(sys.modules)
    print(sorted(heavy), time.process_time() - began, file=sys.stderr)
"""
    done = start(code, "--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert command[0] in done.stdout
    heavy, _, seconds = done.stderr.rpartition(" ")
    assert heavy == "[]"
    assert float(seconds) < 0.3


def test_version(call) -> None:
    import citytwin

    assert call("--version").out == f"citytwin {citytwin.__version__}\n"


def test_the_package_shows_what_it_offers() -> None:
    import citytwin

    assert set(citytwin.__all__) <= set(dir(citytwin))
    done = start("import citytwin; print([name for name in citytwin.__all__ if name not in dir(citytwin)])")
    assert done.stdout == "[]\n"


def test_python_m_is_the_command_line() -> None:
    done = start("import runpy; runpy.run_module('citytwin', run_name='__main__', alter_sys=True)", "--version")
    assert done.stdout.startswith("citytwin ")
    assert done.returncode == 0


def test_every_mistake_that_is_listed_exists() -> None:
    for name in common.MISTAKES:
        module, _, kind = name.rpartition(".")
        error = getattr(importlib.import_module(f"citytwin.{module}"), kind)
        assert issubclass(error, Exception)
        assert common.is_mistake(error.__new__(error))
    assert not common.is_mistake(ValueError("of the code"))


def test_no_command_shows_help(call) -> None:
    answer = call()
    assert "Usage:" in answer.out + answer.err


# ---------------------------------------------------------------------- cities


def test_a_city_is_made_and_shown(call, tmp_path: Path) -> None:
    made = call("city", "synthetic", "--people", 1_000, "--seed", 4, "--country", "IT", "--out", "toy.city")
    assert made.code == 0
    assert City.load("toy.city").info.report["ages"].startswith("Italy")
    assert "Kept in toy.city" in made.out
    assert City.load("toy.city").info.seed == 4
    shown = call("city", "show", "toy.city", "--picture", "toy.png")
    assert shown.code == 0
    assert "invented city of 1,000" in shown.out
    assert (tmp_path / "toy.png").read_bytes().startswith(b"\x89PNG")
    facts = json.loads(call("city", "show", "toy.city", "--json").out)
    assert facts["people"] == 1_000
    assert facts["seed"] == 4


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_map_replaces_a_map_and_nothing_else(call, town: City, suffix: str) -> None:
    town.save("toy.city")
    for _ in range(2):
        assert call("city", "show", "toy.city", "--picture", f"toy{suffix}").code == 0
    Path(f"notes{suffix}").write_text("about citytwin")
    kept = call("city", "show", "toy.city", "--picture", f"notes{suffix}")
    assert (kept.code, kept.out) == (2, "")
    assert "exists and was not made by citytwin; choose another name" in kept.err
    assert Path(f"notes{suffix}").read_text() == "about citytwin"
    Path("mine.toml").write_text(TINY)
    wrong = call("city", "show", "toy.city", "--picture", "mine.toml")
    assert (wrong.code, wrong.err) == (2, "mine.toml: the name must end with .png or .svg or .pdf\n")
    assert Path("mine.toml").read_text() == TINY


def test_a_report_replaces_a_report_and_nothing_else(call, swept: Path) -> None:
    for _ in range(2):
        assert call("report", swept, "--out", "r.html").code == 0
    Path("page.html").write_text("<!doctype html> of citytwin")
    Path("mine.toml").write_text(TINY)
    Path("folder.html").mkdir()
    for name, said in (
        ("page.html", "not made by"),
        ("mine.toml", "must end with .html"),
        ("folder.html", "directory"),
    ):
        answer = call("report", swept, "--out", name)
        assert answer.code == 2
        assert said in answer.err
    assert Path("page.html").read_text() == "<!doctype html> of citytwin"
    assert Path("mine.toml").read_text() == TINY


def test_ctrl_c_ends_with_its_own_code(call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(City, "synthetic", stopped)
    monkeypatch.setattr(Scenario, "check_files", lambda _: stopped())  # early: before anything is made
    Path("tiny.toml").write_text(TINY)
    for words in (
        ["city", "synthetic", "--people", 1_000, "--out", "a.city"],
        ["run", "tiny.toml"],
        ["sweep", "tiny.toml"],
        ["check", "tiny.toml"],
    ):
        answer = call(*words)
        assert (answer.code, answer.err) == (130, "Stopped; nothing was kept.\n")
    assert [path.name for path in tmp_path.iterdir() if path.name != "results"] == ["tiny.toml"]
    assert not list(tmp_path.rglob("*.city"))


def test_ctrl_c_before_any_command_has_begun(call, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for what in ("parse_args", "make_context"):
        with monkeypatch.context() as patch:
            patch.setattr(common.Stoppable, what, stopped)
            answer = call("check", "quickstart")
        assert (answer.code, answer.out, answer.err) == (130, "", "Stopped; nothing was kept.\n")


def test_a_city_is_not_made_twice(call) -> None:
    first = call("city", "synthetic", "--people", 1_000, "--out", "toy.city", "--name", "Toytown", "--json")
    assert json.loads(first.out)["name"] == "Toytown"
    before = Path("toy.city/city.json").read_bytes()
    answer = call("city", "synthetic", "--people", 2_000, "--out", "toy.city")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "toy.city: exists already; choose another name or remove it first\n"
    assert Path("toy.city/city.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["city", "synthetic", "--people", 10, "--out", "a.city"], "1,000"),
        (["city", "synthetic", "--people", "many", "--out", "a.city"], "valid integer"),
        (["city", "synthetic", "--out", "a.city"], "--people"),
        (["city", "synthetic", "--people", 1_000, "--country", "XX", "--out", "a.city"], "allowed: DE (Germany), FR"),
        (["city", "show", "none.city"], "none.city: not a city bundle"),
        (["city", "census", "none.toml", "--out", "a.city"], "none.toml"),
        (["city", "osm", "none.osm.pbf", "--out", "a.city"], "none.osm.pbf"),
        (["check", "none.toml"], "no such file, and no shipped scenario"),
        (["run", "quickstrat"], "did you mean 'quickstart'?"),
        (["sweep", "quickstart", "--executor", "cloud"], "'cloud': there is none; allowed: local, dask, slurm"),
        (["sweep", "quickstart", "--workers", 0], "--workers"),
        (["sweep", "quickstart", "--set", "epidemic.r0"], "is not KEY=VALUE"),
        (["sweep", "quickstart", "--set", "epidemic.r=3"], "--set: epidemic.r: unknown key"),
        (["sweep", "quickstart", "--set", "policy.schools closed.compliance=1"], "is swept"),
        (["check", "quickstart", "--set", "policy.schools closed.compliance = 1"], "compliance: is swept"),
        (["run", "quickstart", "--seed", 2**62], "--seed"),
        (["city", "synthetic", "--people", 1_000, "--seed", 2**62, "--out", "a.city"], "--seed"),
        (["city", "synthetic", "--people", 1_000, "--name", "a\x1b[31m", "--out", "a.city"], "control characters"),
        (["sweep", "quickstart", "--resume"], "nothing to resume"),
        (["run", "real-town"], "town.osm.pbf: no such file"),
        (["compare", "nowhere"], "nowhere: not a results directory"),
        (["report", "nowhere"], "nowhere: not a results directory"),
        (["frobnicate"], "frobnicate"),
    ],
    ids=str,
)
def test_a_wrong_request_ends_with_2_and_makes_nothing(call, tmp_path: Path, words: list, said: str) -> None:
    answer = call(*words)
    assert answer.code == 2
    assert answer.out == ""
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- scenarios


def test_check(call) -> None:
    answer = call("check", "quickstart", "--set", "clock.days=90")
    assert answer.code == 0
    assert "90 days from 2026-01-05" in answer.out
    assert "24 (6 points, seeds 1 to 4)" in answer.out
    facts = json.loads(call("check", "quickstart", "--json").out)
    assert (facts["ok"], facts["runs"], facts["seeds"], len(facts["points"])) == (True, 24, [1, 2, 3, 4], 6)


def test_a_bad_scenario_ends_with_2_everywhere_and_makes_nothing(call, tmp_path: Path) -> None:
    text = TINY.replace("r0 = 5.0", "r0 = -5.0\nr1 = 2").replace("close = [", "closes = [")
    Path("bad.toml").write_text(text)
    lines, closes = text.splitlines(), 'closes = ["school"]'
    for command in (["check"], ["run", "--out", "out"], ["sweep", "--out", "out"]):
        answer = call(command[0], "bad.toml", *command[1:])
        assert answer.code == 2
        assert answer.out == ""
        shown = answer.err.splitlines()
        assert [line.split(": ")[:2] for line in shown[:3]] == [
            [f"bad.toml:{lines.index('r0 = -5.0') + 1}", "epidemic.r0"],
            [f"bad.toml:{lines.index('r1 = 2') + 1}", "epidemic.r1"],
            [f"bad.toml:{lines.index(closes) + 1}", "policy.schools closed.closes"],
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]
    told = call("check", "bad.toml", "--json")
    assert told.code == 2
    found = json.loads(told.out)
    assert found["ok"] is False
    assert found["problems"][0] == {
        "where": f"bad.toml:{lines.index('r0 = -5.0') + 1}",
        "key": "epidemic.r0",
        "message": "must be more than 0 (given -5.0)",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.5", 2.5),
        ("[1, 2]", [1, 2]),
        ("true", True),
        ('"x"', "x"),
        ("covid", "covid"),
        ("a = 1\nb", "a = 1\nb"),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_values_of_set(text: str, value: object) -> None:
    assert common.value_of(text) == value


def test_a_picture_that_fails_leaves_the_results_and_their_table(call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such colour\nat all")

    monkeypatch.setattr(curves, "save_curves", fail)
    Path("tiny.toml").write_text(TINY)
    answer = call("run", "tiny.toml", "--out", "out")
    assert answer.code == 0
    assert answer.out.endswith("Results: out\nNo picture could be drawn: no such colour\n")
    assert len(Results("out").summary) == 1


def test_run(call) -> None:
    Path("tiny.toml").write_text(TINY)
    answer = call("run", "tiny.toml", "--set", "epidemic.r0=4", "--seed", 9)
    assert answer.code == 0
    assert "tiny town: invented city of 1,000 people, 25 days" in answer.out
    results = Results("results/tiny-town-run")
    assert results.summary["seed"].tolist() == [9]
    assert results.summary["r0"].tolist() == [4.0]
    assert Path("results/tiny-town-run/curves.png").is_file()
    again = call("run", "tiny.toml")
    assert again.code == 2
    assert "results/tiny-town-run: holds results already; choose another name with --out" in again.err
    facts = json.loads(call("run", "tiny.toml", "--out", "other", "--threads", 2, "--json").out)
    assert (facts["runs"], facts["done"], facts["failed"]) == (1, 1, 0)


def test_progress_is_shown_with_the_time_left_where_somebody_is_watching() -> None:
    code = """
from citytwin.runners.progress import progress_bar
with progress_bar("runs") as move:
    move(0, 4, None, "")
    move(1, 4, 75.0, "")
    move(3, 4, 12.3, "1 failed")
"""
    watched = start(f"""
import fcntl, os, pty, struct, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    exec({code!r})
    os._exit(0)
shown = b""
try:
    while data := os.read(terminal, 4096):
        shown += data
except OSError:  # how a terminal says that the other side is gone
    pass
os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
""")
    frames = watched.stdout.replace("\r", "\n").splitlines()
    assert [frame for frame in frames if "1/4 runs, 01:15 left" in frame]
    assert [frame for frame in frames if "3/4 runs, 00:12 left 1 failed" in frame and frame.startswith(" 75%")]
    assert max(map(len, frames)) <= 100
    silent = start(code)
    assert (silent.stdout, silent.stderr, silent.returncode) == ("", "", 0)


def test_sweep_compare_and_report(call) -> None:
    Path("tiny.toml").write_text(SWEPT.replace("replicates = 3", "replicates = 2"))
    answer = call("sweep", "tiny.toml", "--workers", 2, "--set", "clock.days=21")
    assert answer.code == 0
    assert "4 points x 2 seeds" in answer.out
    assert "Picture: results/tiny-town/curves.png" in answer.out
    assert answer.err == ""  # nobody is watching, so no progress bar
    before = sorted(Path("results").rglob("*"))
    again = call("sweep", "tiny.toml", "--set", "clock.days=21")
    assert again.code == 2
    assert "holds a sweep already; go on with it (--resume" in again.err
    other = call("sweep", "tiny.toml", "--resume")
    assert other.code == 2
    assert "holds another sweep" in other.err
    assert sorted(Path("results").rglob("*")) == before

    resumed = call("sweep", "tiny.toml", "--resume", "--set", "clock.days=21", "--json")
    facts = json.loads(resumed.out)
    assert (resumed.code, facts["runs"], facts["done"], facts["failed"]) == (0, 8, 8, 0)
    compared = json.loads(call("compare", "results/tiny-town", "--baseline", 3, "--json").out)
    assert [point["point"] for point in compared] == [0, 1, 2, 3]
    assert compared[3]["measures"]["attack_rate"]["difference"] == 0.0
    assert compared[0]["pairs"] == 2
    table = call("compare", "results/tiny-town")
    assert "Difference to point 0" in table.out
    wrong = call("compare", "results/tiny-town", "--baseline", 4)
    assert (wrong.code, wrong.err) == (2, "baseline 4: there are points 0 to 3\n")
    assert call("report", "results/tiny-town", "--out", "page.html").code == 0
    assert "data:image/png" in Path("page.html").read_text(encoding="utf-8")


def test_resuming_says_what_there_was_to_do(call, swept: Path) -> None:
    Path("small.toml").write_text(SWEPT)
    shutil.copytree(swept, "out")
    first = call("sweep", "small.toml", "--out", "out", "--resume")
    assert (first.code, first.err) == (0, "Nothing was left to do: all 12 runs are in the results.\n")
    drawn = Path("out/curves.png").read_bytes()
    Path("out/series/part-0000000-0000007.parquet").write_bytes(b"PAR1")
    mended = call("sweep", "small.toml", "--out", "out", "--resume")
    runs = ", ".join(f"p{number // 3:04d}-r{number % 3:04d}" for number in range(8))
    said = f"Made again, because a file with their results was damaged: {runs}."
    assert (mended.code, mended.err) == (0, said + "\n")
    assert mended.out == first.out
    Path("out/curves.png").write_bytes(b"as it was")
    assert call("sweep", "small.toml", "--out", "out", "--resume").out == first.out
    assert Path("out/curves.png").read_bytes() == b"as it was" != drawn
    Path("out/sweep.json").write_text("{")
    broken = call("sweep", "small.toml", "--out", "out", "--resume")
    assert (broken.code, broken.out) == (2, "")
    assert "sweep.json: not a readable description of a sweep" in broken.err


def test_runs_that_fail_are_named_and_end_with_1(call, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rate of transmission makes every case infect 99 housemates and colleagues, so the runs of one point raise.

    That is found before the first run; here it is left to the workers.
    """
    monkeypatch.setattr("citytwin.runners.preparation._check_r0", lambda *_: None)
    axis = '"policy.work less.compliance" = [0.0, 0.8]'
    nowhere_else = "r0 = 5.0\nweights = { shop = 0.0, leisure = 0.0 }"
    text = SWEPT.replace("replicates = 3", "replicates = 2").replace("r0 = 5.0", nowhere_else)
    Path("tiny.toml").write_text(text.replace(axis, '"epidemic.r0" = [99.0, 3.0]'))
    answer = call("sweep", "tiny.toml", "--out", "half")
    assert answer.code == 1
    assert "4 of 8 runs failed:" in answer.err
    for run in ("p0000-r0000", "p0000-r0001", "p0002-r0000", "p0002-r0001"):
        assert f"  {run}: failed: TransmissionError: " in answer.err
    assert "half/errors" in answer.err
    assert Results("half").summary["run_id"].tolist() == ["p0001-r0000", "p0001-r0001", "p0003-r0000", "p0003-r0001"]
    compared = json.loads(call("compare", "half", "--baseline", 1, "--json").out)
    assert [point["runs"] for point in compared] == [0, 2, 0, 2]
    once = call("run", "tiny.toml", "--set", "epidemic.r0=99", "--out", "one")
    assert once.code == 2
    assert not Path("one").exists()


def test_a_damaged_city_is_found_before_any_run(call, tmp_path: Path) -> None:
    City.synthetic(1_000).save("a.city")
    Path("tiny.toml").write_text(SWEPT.replace("synthetic = { people = 1_000, seed = 2 }", 'bundle = "a.city"'))
    column = tmp_path / "a.city" / "schedules" / "0" / "visitor.npy"
    column.write_bytes(column.read_bytes()[:-40])
    answer = call("sweep", "tiny.toml", "--out", "out")
    assert answer.code == 2
    assert "a.city/schedules/0/visitor.npy" in answer.err
    assert not Path("out").exists()


# ---------------------------------------------------------------------- real towns


KAMPEN = "kampen_flood_city/kampen.osm.pbf"


@pytest.mark.skipif("CITYTWIN_DATA" not in os.environ, reason="CITYTWIN_DATA is not set; see tests/DATA.md")
def test_a_real_town_from_file_to_report(call) -> None:
    file = Path(os.environ["CITYTWIN_DATA"]) / KAMPEN
    made = call("city", "osm", file, "--out", "kampen.city", "--json")
    assert made.code == 0
    facts = json.loads(made.out)
    assert facts["name"] == "Kampen"
    assert facts["people"] > 50_000
    assert [source["licence"] for source in facts["sources"]] == ["ODbL 1.0"]
    shown = call("city", "show", "kampen.city")
    assert "© OpenStreetMap contributors" in shown.out
    Path("s.toml").write_text(
        'extends = "real-town"\nname = "Kampen"\n[city]\nbundle = "kampen.city"\n[sweep]\nreplicates = 4\n'
    )
    changes = ["--set", "clock.days=25"]
    answer = call("sweep", "s.toml", "--out", "out", *changes)
    assert answer.code == 0
    assert "Kampen (" in answer.out
    assert "3 points x 4 seeds" in answer.out
    assert "City: © OpenStreetMap contributors" in answer.out
    assert call("report", "out").code == 0
    assert "© OpenStreetMap contributors (ODbL 1.0)" in Path("out/report.html").read_text(encoding="utf-8")


@pytest.mark.skipif("CITYTWIN_DATA" not in os.environ, reason="CITYTWIN_DATA is not set; see tests/DATA.md")
def test_a_truncated_extract_ends_with_2_and_makes_nothing(call, tmp_path: Path) -> None:
    whole = (Path(os.environ["CITYTWIN_DATA"]) / KAMPEN).read_bytes()
    Path("half.osm.pbf").write_bytes(whole[: len(whole) // 2])
    answer = call("city", "osm", "half.osm.pbf", "--out", "half.city")
    assert answer.code == 2
    assert answer.err.startswith("half.osm.pbf: ")
    assert [path.name for path in tmp_path.iterdir()] == ["half.osm.pbf"]


# ---------------------------------------------------------------------- examples


def test_init_copies_the_examples(call, tmp_path: Path) -> None:
    answer = call("init", "mine")
    assert answer.code == 0
    assert sorted(path.stem for path in (tmp_path / "mine").iterdir()) == sorted(shipped())
    for name, file in shipped().items():
        assert (tmp_path / "mine" / f"{name}.toml").read_bytes() == file.read_bytes()
    assert call("check", "mine/quickstart.toml").code == 0
    (tmp_path / "mine" / "quickstart.toml").write_text("changed")
    again = call("init", "mine")
    assert again.code == 2
    assert "choose another folder" in again.err
    assert (tmp_path / "mine" / "quickstart.toml").read_text() == "changed"


def test_init_where_nothing_can_be_written(call) -> None:
    Path("file").write_text("")
    answer = call("init", "file/mine")
    assert answer.code == 2
    assert "cannot be written" in answer.err


@pytest.mark.parametrize("name", sorted(set(shipped()) - {"real-town"}))
def test_every_example_runs_in_a_small_variant(call, name: str) -> None:
    changes = ["--set", "city.synthetic.people=1000"]
    answer = call("run", name, *changes, "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["done"] == 1


def test_warm(call) -> None:
    answer = call("warm")
    assert answer.code == 0
    assert "Kernels are compiled" in answer.out


def test_contacts_of_a_city_are_printed(call, tmp_path: Path) -> None:
    City.synthetic(1_000).save(tmp_path / "toy.city")
    shown = call("city", "contacts", "toy.city")
    assert shown.code == 0
    assert max(map(len, shown.out.splitlines())) <= 100
    facts = json.loads(call("city", "contacts", "toy.city", "--bands", "0,18", "--minutes", "60", "--json").out)
    (children, adults), age = facts["contacts"], City.load(tmp_path / "toy.city").people.age
    # Each meeting of a child and an adult is one for either.
    assert children[1] * (age < 18).sum() == pytest.approx(adults[0] * (age >= 18).sum(), rel=1e-3)
    for wrong in ("0,x", "5,18", "0,18,18", ""):
        refused = call("city", "contacts", "toy.city", "--bands", wrong)
        assert refused.code == 2
        assert f"--bands {wrong}: " in refused.err

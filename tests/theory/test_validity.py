"""The page docs/validity.md is complete and was written by its program."""

import hashlib
import re

import pytest
import validity

ROW = {
    "what": "a figure", "expected": 0.5, "tolerance": 0.01, "within": None, "ours": 0.503, "passed": True,
    "source": "a paper", "form": "fast", "test": "test_x", "file": "test_x.py",
}  # fmt: skip


@pytest.fixture(scope="module")
def page():
    return validity.PAGE.read_text(encoding="utf-8")


def test_every_case_has_a_figure(page):
    summary = dict(re.findall(r"^\| (\S+) \| [^|]+ \| (\d+) \| \d+ \|$", page, re.MULTILINE))
    assert list(summary) == list(validity.CASES)
    assert all(int(number) > 0 for number in summary.values())


def test_nobody_changed_the_page_by_hand(page):
    text, seal = page.rsplit(validity.SEAL, 1)
    assert seal.strip() == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_page_was_made_by_the_checks_as_they_are(page):
    assert f"Checks {validity.checks()}." in page, "make the page again: python tests/theory/validity.py --full"


def test_every_test_of_the_page_exists(page):
    files = set(re.findall(r"`(test_\w+\.py)`", page))
    assert files
    assert all((validity.FOLDER / name).is_file() for name in files)


def test_a_figure_that_misses_is_shown():
    rows = [ROW | {"case": case} for case in validity.CASES]
    rows[2] = rows[2] | {"ours": 0.7, "passed": False, "what": "one that misses"}
    text = validity.page(rows, form="fast", when="today", machine="here")
    assert f"{len(rows) - 1} of {len(rows)} figures pass" in text
    assert "| one that misses | 0.5 | ± 0.01 | 0.7 | **no** | a paper |" in text


def test_a_figure_out_of_bounds_fails(validity, monkeypatch):
    monkeypatch.delenv("CITYTWIN_VALIDITY", raising=False)
    validity_of = lambda **more: validity("V1", "a test of this fixture", source="none", **more)  # noqa: E731
    validity_of(ours=1.0, expected=1.1, tolerance=0.2)
    validity_of(ours=1.0, within=(0.5, None))
    for wrong in ({"expected": 1.1, "tolerance": 0.05}, {"within": (None, 0.9)}, {"within": (1.1, 2.0)}):
        with pytest.raises(AssertionError, match="a test of this fixture"):
            validity_of(ours=1.0, **wrong)
    with pytest.raises(AssertionError):
        validity_of(ours=float("nan"), within=(None, 1.0))

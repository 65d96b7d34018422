"""Diseases: laws of periods in whole days, susceptibility, infectiousness, files."""

import numpy as np
import pytest
from scipy.stats import gamma, lognorm, weibull_min

from citytwin.agents.epidemic import disease as module
from citytwin.agents.epidemic.disease import Disease, DiseaseError, Infectiousness, Susceptibility

LAWS = [
    {"law": "exponential", "mean": 4.5},
    {"law": "exponential", "mean": 1.0},
    {"law": "gamma", "mean": 4.5, "sd": 1.5},
    {"law": "gamma", "mean": 1.5, "sd": 0.5},
    {"law": "lognormal", "mean": 8.0, "sd": 2.0},
    {"law": "lognormal", "mean": 10.7, "sd": 4.8},
    {"law": "weibull", "mean": 6.0, "sd": 3.0},
    {"law": "weibull", "mean": 6.0, "sd": 7.0},
]


def disease_with(**keys):
    periods = {"latent": {"law": "constant", "days": 2}, "infectious": {"law": "constant", "days": 3}}
    return Disease.model_validate({"name": "test", "r0": 2.0} | periods | keys)


def moments(cumulative):
    chance = np.diff(cumulative, prepend=0.0)
    days = np.arange(len(chance))
    mean = chance @ days
    return mean, np.sqrt(chance @ (days - mean) ** 2)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_whole_days_keep_the_mean_of_the_law(law):
    disease = disease_with(latent=law, infectious=law)
    mean, sd = moments(disease.infectious_days())
    assert mean == pytest.approx(law["mean"], rel=1e-6)
    # Rounding at random adds the variance of a fraction of a day, at most 1/4.
    assert law.get("sd", law["mean"]) - 0.1 < sd < np.sqrt(law.get("sd", law["mean"]) ** 2 + 0.25)
    # A latent period begins at midday, and infectiousness half a day after the last whole latent day.
    mean, _ = moments(disease.latent_days())
    assert mean + 0.5 == pytest.approx(law["mean"], rel=1e-6)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_tables_are_distribution_functions(law):
    for cumulative in (disease_with(latent=law).latent_days(), disease_with(infectious=law).infectious_days()):
        assert cumulative[0] >= 0
        assert np.all(np.diff(cumulative) >= 0)
        assert cumulative[-1] == 1


def shape_of_weibull(mean, sd):
    """Return the shape of a Weibull law by search."""
    shapes = np.linspace(0.3, 5, 100_001)
    mean_of, variance_of = weibull_min.stats(shapes, moments="mv")
    return shapes[np.argmin(np.abs(variance_of / mean_of**2 - (sd / mean) ** 2))]


def test_laws_are_those_of_scipy_by_mean_and_sd_of_the_variable():
    days = np.array([0.5, 2.0, 5.0, 9.0])
    spread = np.sqrt(np.log1p((2 / 6) ** 2))
    shape = shape_of_weibull(6.0, 2.0)
    expected = {
        "gamma": gamma(9, scale=6 / 9),
        "lognormal": lognorm(spread, scale=6 * np.exp(-(spread**2) / 2)),
        "weibull": weibull_min(shape, scale=6 / weibull_min(shape).mean()),
    }
    for name, law in expected.items():
        period = disease_with(infectious={"law": name, "mean": 6.0, "sd": 2.0}).infectious
        assert law.mean() == pytest.approx(6.0, rel=1e-4)
        assert law.std() == pytest.approx(2.0, rel=1e-3)
        assert period.cdf(days) == pytest.approx(law.cdf(days), abs=1e-4)


@pytest.mark.parametrize(
    ("law", "chance"),
    [
        ({"law": "constant", "days": 4}, {4: 1.0}),
        ({"law": "constant", "days": 0}, {0: 1.0}),
        ({"law": "constant", "days": 4.25}, {4: 0.75, 5: 0.25}),
        ({"law": "empirical", "probability": [0.0, 0.25, 0.5, 0.25]}, {1: 0.25, 2: 0.5, 3: 0.25}),
    ],
    ids=str,
)
def test_laws_of_whole_days_are_taken_as_they_are(law, chance):
    cumulative = disease_with(latent=law).latent_days()
    found = np.diff(cumulative, prepend=0.0)
    assert {day: pytest.approx(p) for day, p in enumerate(found) if p > 0} == chance


def test_susceptibility_by_age():
    by_age = Susceptibility(from_age=(0, 10, 65), factor=(0.5, 1.0, 1.5)).by_age()
    assert by_age[[0, 9, 10, 64, 65, 255]].tolist() == [0.5, 0.5, 1.0, 1.0, 1.5, 1.5]


@pytest.mark.parametrize("dispersion", [0.1, 0.45, 1.0, 10.0])
def test_infectiousness_is_gamma_with_mean_one(dispersion):
    quantiles = Infectiousness(dispersion=dispersion).quantiles()
    law = gamma(dispersion, scale=1 / dispersion)
    assert quantiles.mean() == pytest.approx(1.0, rel=1e-9)
    # The means between quantiles lie between them.
    edges = law.ppf(np.arange(len(quantiles) + 1) / len(quantiles))
    assert np.all((edges[:-1] <= quantiles) & (quantiles <= edges[1:]))
    rate = np.array([0.01, 0.3, 2.0])
    sample = law.ppf((np.arange(200_000) + 0.5) / 200_000)
    model = Infectiousness(dispersion=dispersion)
    assert model.laplace(rate) == pytest.approx(np.exp(-np.outer(rate, sample)).mean(axis=1), rel=2e-3)
    biased = (np.exp(-np.outer(rate, sample)) * sample).mean(axis=1)
    assert model.laplace(rate, biased=True) == pytest.approx(biased, rel=5e-3, abs=2e-3)


def test_without_dispersion_all_are_alike():
    assert Infectiousness().quantiles().tolist() == [1.0]
    assert Infectiousness().laplace(np.array([0.7])) == pytest.approx(np.exp(-0.7))


def test_shipped_diseases():
    covid, influenza = Disease.load("covid"), Disease.load("influenza")
    assert (covid.latent.mean, covid.infectious.mean) == (4.5, 8.0)
    assert covid.susceptibility.by_age()[[5, 15, 40, 65, 85]].tolist() == [0.34, 0.67, 1.0, 1.24, 1.47]
    assert covid.infectiousness.dispersion == 0.45
    # Mean time from infection to infection: latent period and, weighted by length, half of the infectious period.
    chance = np.diff(influenza.infectious_days(), prepend=0.0)
    days = np.arange(len(chance))
    generation = influenza.latent.mean + (chance @ days**2) / (chance @ days) / 2
    assert 2.6 < generation < 3.9
    for disease in (covid, influenza):
        assert 1 < disease.r0 < 4


GOOD = """
name = "test"
r0 = 2.0
[latent]
law = "constant"
days = 2
[infectious]
law = "gamma"
mean = 5.0
sd = 1.0
"""


def load(tmp_path, text):
    file = tmp_path / "own.toml"
    file.write_text(text)
    return Disease.load(file)


def test_a_file_of_ones_own(tmp_path):
    assert load(tmp_path, GOOD).infectious.mean == 5.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("r0 = 2.0", "r0 = -2.0", "own.toml: r0 = -2.0: Input should be greater than 0"),
        ("r0 = 2.0", "r0 = nan", "own.toml: r0 = nan: Input should be a finite number"),
        ("r0 = 2.0", "", "own.toml: r0: Field required"),
        ("r0 = 2.0", "r0 = 2.0\nbeta = 3", "own.toml: beta = 3: Extra inputs are not permitted"),
        ('"gamma"', '"gama"', "own.toml: infectious: .*'gama'.*'constant', 'empirical', 'exponential', 'gamma'"),
        ("sd = 1.0", "", "own.toml: infectious.sd: Field required"),
        ("sd = 1.0", "sd = 0.0", "own.toml: infectious.sd = 0.0: Input should be greater than 0"),
        ("sd = 1.0", "sd = 1900.0", "infectious: sd must lie between"),
        ("days = 2", "days = -2", "own.toml: latent.days = -2"),
        ('law = "constant"\ndays = 2', 'law = "gamma"\nmean = 0.4\nsd = 0.1', "latent: mean must be above 0.5 days"),
        ('law = "gamma"\nmean = 5.0\nsd = 1.0', 'law = "constant"\ndays = 0', "infectious: must last some time"),
        (
            "sd = 1.0",
            "sd = 1.0\n[susceptibility]\nfrom_age = [0, 20]\nfactor = [1.0]",
            "from_age has 2 entries, factor 1",
        ),
        ("sd = 1.0", "sd = 1.0\n[susceptibility]\nfrom_age = [5]\nfactor = [1.0]", "from_age must rise from 0"),
        ('law = "constant"\ndays = 2', 'law = "empirical"\nprobability = [0.5, 0.4]', "must sum to 1, sums to 0.9"),
        ("r0 = 2.0", "r0 = = 2.0", "own.toml: cannot be read: .*line 3"),
    ],
)
def test_wrong_files_are_refused_with_key_and_value(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(DiseaseError, match=message):
        load(tmp_path, GOOD.replace(old, new))


def test_all_problems_are_told_at_once(tmp_path):
    with pytest.raises(DiseaseError) as caught:
        load(tmp_path, GOOD.replace("r0 = 2.0", "r0 = 0").replace("sd = 1.0", "sd = -1").replace("days = 2", "day = 2"))
    assert len(str(caught.value).splitlines()) == 4  # r0, sd, days missing, day unknown


def test_unknown_names_foreign_and_oversized_files(tmp_path, monkeypatch):
    with pytest.raises(DiseaseError, match=r"'ebola' is neither a shipped disease \(covid, influenza\) nor a file"):
        Disease.load("ebola")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DiseaseError, match="cannot be read"):
        Disease.load(tmp_path / "binary")
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)
    with pytest.raises(DiseaseError, match="larger than 10 bytes"):
        load(tmp_path, GOOD)

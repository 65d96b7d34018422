"""Numbers of the section ``[epidemic]`` and of disease files are numbers, and what comes to nothing is refused."""

import pytest
from pydantic import ValidationError

from citytwin.agents.epidemic.disease import Disease, DiseaseError
from citytwin.agents.epidemic.settings import EpidemicSettings

COLD = """\
name = "cold"
r0 = 2
latent = { law = "constant", days = 1 }
infectious = { law = "exponential", mean = 4 }
"""
PLACES = ("home", "school", "university", "work", "shop", "leisure", "hospital")


@pytest.mark.parametrize(
    "keys",
    [
        {"initial_infections": True},
        {"initial_infections": "5"},
        {"initial_infections": 5.0},
        {"r0": True},
        {"r0": "2.5"},
        {"transmission": "0.1"},
        {"weights": {"home": "1"}},
        {"routes": {"contact": True}},
        {"seasonality": {"amplitude": "0.5"}},
        {"strain": [{"name": "a", "transmissibility": True}]},
        {"strain": [{"name": "a", "initial_infections": "1"}]},
        {"immune_at_start": {"share": [True]}},
        {"immune_at_start": {"share": [0.5], "by_household": 1}},
        {"immune_at_start": {"share": [0.5], "by_household": "yes"}},
        {"imports": [{"per_day": True}]},
        {"imports": [{"per_day": 1, "from": True}]},
        {"imports": [{"per_day": 1, "from": "5"}]},
        {"imports": [{"per_day": 1, "from": 5.0}]},
        {"imports": [{"per_day": 1, "until": "2026-02-30"}]},
        {"imports": [{"per_day": 1, "until": "2026-01-05T10:00:00"}]},
    ],
    ids=str,
)
def test_no_text_and_no_truth_value_is_a_number(keys):
    with pytest.raises(ValidationError):
        EpidemicSettings.model_validate({"disease": "covid"} | keys)


def test_whole_numbers_and_dates_as_text_are_taken():
    settings = EpidemicSettings.model_validate_json(
        '{"disease": "covid", "r0": 2, "imports": [{"per_day": 1, "from": "2026-01-05", "until": 9}]}'
    )
    assert settings.r0 == 2.0
    assert str(settings.imports[0].from_) == "2026-01-05"
    assert settings.imports[0].until == 9


WRONG = [
    ("mean = 4", 'mean = "4"', "infectious.mean = '4': .*number"),
    ("mean = 4", "mean = true", "infectious.mean = True: .*number"),
    ("days = 1", 'days = "1"', "latent.days = '1': .*number"),
    ("r0 = 2", 'r0 = "2"', "r0 = '2': .*number"),
    ('law = "exponential", mean = 4', 'law = "empirical", probability = [0, "1"]', "probability.1 = '1': .*number"),
    ('name = "cold"', 'name = "cold"\nsusceptibility.factor = [0.0]', "susceptibility.factor: all are 0"),
    (
        'name = "cold"',
        'name = "cold"\nsusceptibility = { from_age = [0, 60.0], factor = [1, 2] }',
        "from_age.1 = 60.0: .*integer",
    ),
    ('name = "cold"', 'name = "cold"\nimmunity.protection = true', "immunity.protection = True: .*number"),
    ('name = "cold"', 'name = "cold"\ninfectiousness.since_infection = [0]', "since_infection: nobody infects"),
    ('name = "cold"', 'name = "cold"\ninfectiousness.since_infection = [1, 0, 0]', "since_infection: nobody infects"),
    ('name = "cold"', f'name = "cold"\nx = {"[" * 3000}{"]" * 3000}', "cold.toml: cannot be read: .*too deeply"),
    ("days = 1", f"days = {'1' * 5000}", "cold.toml: cannot be read: a whole number is too long"),
    ("days = 1", f"days = 0x{'f' * 5000}", "cold.toml: cannot be read: a whole number is too long"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[new[:50] for _, new, _ in WRONG])
def test_disease_files_with_such_values_are_refused(tmp_path, old, new, message):
    file = tmp_path / "cold.toml"
    file.write_text(COLD)
    assert Disease.load(file).r0 == 2
    assert old in COLD
    file.write_text(COLD.replace(old, new))
    with pytest.raises(DiseaseError, match=message):
        Disease.load(file)


def test_infectiousness_that_comes_late_is_allowed(tmp_path):
    (tmp_path / "cold.toml").write_text("infectiousness.since_infection = [0, 0, 1]\n" + COLD)
    assert Disease.load(tmp_path / "cold.toml").infectiousness.since_infection == (0, 0, 1)


def test_somewhere_people_must_infect_each_other():
    nowhere = dict.fromkeys(PLACES, 0)
    with pytest.raises(ValidationError, match="weights: all are 0"):
        EpidemicSettings.model_validate({"disease": "covid", "r0": 2, "weights": nowhere})
    EpidemicSettings.model_validate({"disease": "covid", "r0": 2, "weights": nowhere | {"shop": 1}})

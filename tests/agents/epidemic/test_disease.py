"""Diseases: files and what is wrong in them, susceptibility, infectiousness."""

import numpy as np
import pytest
from scipy.stats import gamma

from citytwin.agents.epidemic import disease as module
from citytwin.agents.epidemic.disease import Disease, DiseaseError, Infectiousness, Susceptibility


def disease_with(**keys):
    periods = {"latent": {"law": "constant", "days": 2}, "infectious": {"law": "constant", "days": 3}}
    return Disease.model_validate({"name": "test", "r0": 2.0} | periods | keys)


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
    with pytest.raises(
        DiseaseError,
        match=r"'ebola' is neither a shipped disease \(covid, influenza, influenza-1918, measles\) nor a file",
    ):
        Disease.load("ebola")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DiseaseError, match="cannot be read"):
        Disease.load(tmp_path / "binary")
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)
    with pytest.raises(DiseaseError, match="larger than 10 bytes"):
        load(tmp_path, GOOD)


STATES = """
name = "own"
r0 = 2.0
[[state]]
name = "exposed"
[[state.transition]]
to = "mild"
chance = 0.6
after = { law = "gamma", mean = 4.0, sd = 1.0 }
[[state.transition]]
to = "silent"
after = { law = "gamma", mean = 4.0, sd = 1.0 }
[[state]]
name = "silent"
infectiousness = 0.5
[[state.transition]]
to = "recovered"
after = { law = "constant", days = 5 }
[[state]]
name = "mild"
infectiousness = [2.0, 1.0]
symptoms = "mild"
[[state.transition]]
to = "severe"
chance = { from_age = [0, 60], value = [0.01, 0.2], of = [0.5, 0.6] }
after = { law = "constant", days = 4 }
[[state.transition]]
to = "recovered"
after = { law = "constant", days = 6 }
[[state]]
name = "severe"
symptoms = "severe"
without_bed = 2.0
[[state.transition]]
to = "dead"
chance = 0.3
after = { law = "exponential", mean = 8.0 }
[[state.transition]]
to = "recovered"
after = { law = "exponential", mean = 12.0 }
[immunity]
protection = 0.8
half_life = 200
"""


def test_a_file_of_states(tmp_path):
    disease = load(tmp_path, STATES)
    assert disease.state_names == ("susceptible", "recovered", "dead", "exposed", "silent", "mild", "severe")
    chance = disease.state[2].transition[0].chance.by_age()
    assert chance[[0, 59, 60, 255]] == pytest.approx([0.02, 0.02, 1 / 3, 1 / 3])
    assert (disease.immunity.protection, disease.immunity.severe, disease.immunity.half_life) == (0.8, 0.0, 200)
    assert (disease.routes.contact, disease.routes.air) == (1.0, 0.0)
    assert Disease.model_validate_json(disease.model_dump_json()) == disease


LAST = """[[state.transition]]
to = "recovered"
after = { law = "exponential", mean = 12.0 }
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # chances
        (
            "chance = 0.6",
            "chance = 1.2",
            r"own.toml: state.exposed.transition.mild.chance = 1.2: .*less than or equal to 1",
        ),
        ("chance = 0.6", "chance = -0.1", "state.exposed.transition.mild.chance = -0.1: .*greater than or equal to 0"),
        ("chance = 0.6", "chance = nan", "state.exposed.transition.mild.chance = nan: .*finite number"),
        ("chance = 0.6", "chance = true", "state.exposed.transition.mild.chance = True"),
        ("chance = 0.6\n", "", "state.exposed.transition.mild.chance: missing; only the last transition"),
        (
            'to = "silent"',
            'to = "silent"\nchance = 0.4',
            "state.exposed.transition.silent.chance: .*takes the rest; remove it",
        ),
        (
            LAST,
            LAST.replace("after", "chance = { from_age = [0, 40], value = [0.2, 0.8] }\nafter")
            + '[[state.transition]]\nto = "mild_again"\nafter = { law = "constant", days = 1 }\n',
            "state.severe.transition: the chances at age 40 add up to 1.1; at most 1",
        ),
        # tables by age
        (
            "[0, 60], value",
            "[5, 60], value",
            r"chance: from_age must rise from 0, so that no age is left out; is \[5, 60\]",
        ),
        ("[0, 60], value", "[0, 0], value", "from_age must rise from 0"),
        ("[0, 60], value", "[0, 60, 80], value", "from_age has 3 entries, value 2; each band needs both"),
        ("of = [0.5, 0.6]", "of = [0.5]", "from_age has 2 entries, of 1"),
        ("of = [0.5, 0.6]", "of = [0.5, 0.1]", "from age 60 on the chance 0.2 / 0.1 is above 1"),
        ("of = [0.5, 0.6]", "of = [0.0, 0.6]", r"state.mild.transition.severe.chance.of.0 = 0.0: .*greater than 0"),
        ("[0, 60], value", "[0, 300], value", r"chance.from_age.1 = 300: .*less than 256"),
        # names and paths
        (
            'to = "silent"',
            'to = "silently"',
            "state.exposed.transition.silently.to = 'silently': there is no such state; allowed",
        ),
        (
            'to = "silent"',
            'to = "mild"',
            "state.exposed.transition.mild.to = 'mild': a second transition to the same state",
        ),
        ('to = "silent"', 'to = "exposed"', "a state cannot lead to itself"),
        ('to = "silent"', 'to = "susceptible"', r"write 'recovered' and an \[immunity\] with a half_life"),
        ('to = "silent"', 'to = "recovered"', "state.silent: no path leads from 'exposed' to 'silent'"),
        ('name = "silent"', 'name = "mild"', "state.mild.name = 'mild': there is a state of this name already"),
        (
            'name = "silent"',
            'name = "recovered"',
            "state.recovered.name: every disease has the states susceptible, recovered, dead",
        ),
        ('name = "silent"', 'name = "Silent one"', "state.Silent one.name = 'Silent one': String should match"),
        (
            LAST,
            LAST.replace("recovered", "mild"),
            "state.mild: 'mild' leads to 'severe' and from there back; every path must end",
        ),
        # infectiousness
        ("infectiousness = [2.0, 1.0]", "infectiousness = []", "state.mild.infectiousness"),
        ("infectiousness = 0.5", "infectiousness = -0.5", "state.silent.infectiousness = -0.5"),
        (
            "infectiousness = 0.5",
            "infectiousness = [0, 0, 0, 0, 0, 1]",
            "state.silent.infectiousness: nobody sheds, as 'silent' lasts 5",
        ),
        ("[immunity]", "[infectiousness]\nsince_infection = []\n[immunity]", "infectiousness.since_infection"),
        # beds
        (
            'symptoms = "severe"',
            'symptoms = "awful"',
            "state.severe.symptoms = 'awful': .*'none', 'mild', 'severe' or 'critical'",
        ),
        (
            'symptoms = "severe"\n',
            "",
            "state.severe.without_bed = 2.0: only people with severe or critical symptoms need a bed",
        ),
        ("without_bed = 2.0", "without_bed = 0.5", "state.severe.without_bed = 0.5: .*greater than or equal to 1"),
        (
            'to = "dead"\nchance = 0.3',
            'to = "silent"\nchance = 0.3',
            "state.severe.without_bed = 2.0: no transition .* leads to a worse",
        ),
        (
            'chance = 0.3\nafter = { law = "exponential", mean = 8.0 }\n' + LAST,
            'after = { law = "exponential", mean = 8.0 }\n',
            "state.severe.without_bed = 2.0: all transitions of this state lead to worse ones",
        ),
        (
            'name = "exposed"',
            'name = "exposed"\nsymptoms = "severe"',
            "state.exposed.symptoms: an infection leads here; put a state",
        ),
        # the rest of the file
        ("protection = 0.8", "protection = 1.8", "immunity.protection = 1.8: .*less than or equal to 1"),
        ("half_life = 200", "half_life = 0", "immunity.half_life = 0: .*greater than 0"),
        ("[immunity]", "[routes]\ncontact = 0\n[immunity]", "routes: contact and air are both 0"),
        (
            "mean = 4.0, sd = 1.0",
            "mean = 0.4, sd = 0.1",
            "state.exposed.transition.mild.after: mean must be above 0.5 days",
        ),
        (
            "days = 5",
            "days = 5000",
            "state.silent.transition.recovered.after.days = 5000: .*less than or equal to 2000",
        ),
        (
            "r0 = 2.0",
            'r0 = 2.0\nlatent = { law = "constant", days = 3 }',
            "state: write either .latent. and .infectious., or",
        ),
        ("days = 5", "day = 5", "state.silent.transition.recovered.after.day = 5: Extra inputs"),
    ],
)
def test_wrong_states_are_refused_with_key_and_remedy(tmp_path, old, new, message):
    assert old in STATES
    with pytest.raises(DiseaseError, match=message):
        load(tmp_path, STATES.replace(old, new))


def test_states_that_are_missing(tmp_path):
    head = 'name = "own"\nr0 = 2.0\n'
    with pytest.raises(
        DiseaseError, match=r"latent: missing; write both \[latent\] and \[infectious\], or \[\[state\]\] tables"
    ):
        load(tmp_path, head)
    with pytest.raises(DiseaseError, match=r"state: no states; give at least one"):
        load(tmp_path, head + "state = []\n")
    with pytest.raises(DiseaseError, match=r"state.well.transition: 'well' never ends; give a transition"):
        load(tmp_path, head + '[[state]]\nname = "well"\ninfectiousness = 1.0\ntransition = []\n')
    silent = STATES.replace("infectiousness = 0.5\n", "").replace("infectiousness = [2.0, 1.0]\n", "")
    with pytest.raises(DiseaseError, match=r"state: no state is infectious; give one of them infectiousness"):
        load(tmp_path, silent)


def test_sizes_are_bounded(tmp_path):
    one = (
        '[[state]]\nname = "state_{}"\n[[state.transition]]\nto = "recovered"\nafter.law = "constant"\nafter.days = 1\n'
    )
    head = 'name = "own"\nr0 = 2.0\n'
    with pytest.raises(DiseaseError, match=r"state: .*at most 60 items"):
        load(tmp_path, head + "".join(one.format(n) for n in range(61)))
    with pytest.raises(DiseaseError, match=r"state.silent.infectiousness: .*at most 400 items"):
        load(tmp_path, STATES.replace("infectiousness = 0.5", f"infectiousness = {[1.0] * 401}"))


def test_all_problems_of_states_are_told_at_once(tmp_path):
    text = STATES.replace('to = "silent"', 'to = "silently"').replace("without_bed = 2.0\n", "without_bed = 2.0\n")
    text = text.replace('symptoms = "severe"\n', "").replace("chance = 0.3\n", "")
    with pytest.raises(DiseaseError) as caught:
        load(tmp_path, text)
    keys = [line.split("own.toml: ")[1].split(":")[0].split(" =")[0] for line in str(caught.value).splitlines()]
    assert keys == [
        "state.exposed.transition.silently.to",
        "state.severe.transition.dead.chance",
        "state.severe.without_bed",
    ]

"""Kinds of incidents: those that are shipped, and what a scenario says of them."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from citytwin.agents.responders import Service
from citytwin.agents.response.kinds import SERVICES, Services, kinds_of, shipped

# Residents of Germany by band of age from 0, 5, 15, 45, 70 and 85 years on, in shares
GERMANY = np.array([0.047, 0.093, 0.355, 0.355, 0.12, 0.03])
FROM_AGE = [0, 5, 15, 45, 70, 85]


def crude(kind):
    return float(kind.rate.by_age()[FROM_AGE] @ GERMANY)


def test_ambulances_are_called_as_often_as_in_region_zealand():
    kinds = kinds_of()
    medical = [kind for name, kind in kinds.items() if "ambulance" in kind.units and "fire" not in name]
    total = sum(crude(kind) for kind in medical)
    assert total == pytest.approx(95.2, abs=0.5)
    # the causes of Copenhagen; its accidents are those in traffic, and the rest of them injuries
    for name, percent in (("chest pain", 11), ("breathing", 7), ("intoxication", 8)):
        assert 100 * crude(kinds[name]) / total == pytest.approx(percent, abs=0.2)
    hurt = crude(kinds["injury"]) + crude(kinds["traffic accident"])
    assert 100 * hurt / total == pytest.approx(13 + 9, abs=0.3)


def test_half_of_the_medical_calls_are_of_the_old():
    kinds = kinds_of()
    old = np.zeros(6)
    for name in ("illness", "chest pain", "cardiac arrest", "stroke", "breathing", "injury", "intoxication"):
        old += kinds[name].rate.by_age()[FROM_AGE] * GERMANY
    # those from 65 to 69, a sixth of the band from 45 on, count too
    assert (old[4:].sum() + old[3] / 6) / old.sum() == pytest.approx(0.482, abs=0.06)
    illness = kinds["illness"].rate.by_age()
    assert illness[85] / illness[45] == pytest.approx(7.9, abs=0.3)


def test_every_figure_of_a_shipped_kind_has_a_source_or_says_assumed():
    from importlib import resources

    text = (resources.files("citytwin.agents.response") / "kinds.toml").read_text(encoding="utf-8")
    for block in text.split("\n["):
        head, *lines = block.splitlines()
        if "all figures assumed" in block:
            continue
        for before, line in zip(["", *lines], lines, strict=False):
            is_figure = "=" in line and not line.startswith("#") and any(sign.isdigit() for sign in line)
            assert not is_figure or "#" in line or before.startswith("#") or line.startswith("weekdays"), (
                f"{head} {line}"
            )


def test_factors_have_mean_1_and_own_ones_come_before_the_rhythm():
    kinds = kinds_of({"illness": {"hours": [2.0] * 12 + [0.0] * 12}, "fire alarm": {"weekdays": [1, 1, 1, 1, 1, 0, 0]}})
    for kind in kinds.values():
        hours, weekdays = kind.factors()
        assert hours.mean() == pytest.approx(1)
        assert weekdays.mean() == pytest.approx(1)
    assert kinds["illness"].factors()[0].tolist() == [2.0] * 12 + [0.0] * 12
    assert kinds["illness"].factors()[1][5] > 1.1  # Saturdays of the rhythm still hold
    assert kinds["fire alarm"].factors()[1] == pytest.approx([1.4] * 5 + [0, 0])


def test_what_a_scenario_says_takes_the_place_key_by_key():
    before = kinds_of()
    kinds = kinds_of(
        {
            "cardiac arrest": {"rate": 1.1, "units": {"ambulance": 3}},
            "stroke": {"units": {"ambulance": {"turnout": "20 s"}, "police": 1}},
            "drowning": {"rate": 0.02, "units": {"ambulance": 1, "fire": 2}},
        }
    )
    assert list(kinds) == [*before, "drowning"]
    assert kinds["cardiac arrest"].rate.by_age()[[0, 90]].tolist() == [1.1, 1.1]
    assert kinds["cardiac arrest"].units["ambulance"].number == 3
    assert kinds["cardiac arrest"].units["ambulance"].scene == before["cardiac arrest"].units["ambulance"].scene
    assert kinds["cardiac arrest"].handover == before["cardiac arrest"].handover
    assert set(kinds["stroke"].units) == {"ambulance", "police"}
    services = shipped().services
    assert kinds["stroke"].law("ambulance", "turnout", services).mean == 20
    assert kinds["stroke"].law("ambulance", "clear", services).mean == services["ambulance"].clear.mean
    assert before["illness"] == kinds["illness"]
    assert kinds_of() == before


def test_services_may_be_changed_one_by_one():
    services = TypeAdapter(Services).validate_python({"fire": {"turnout": "4 min"}})
    assert services["fire"].turnout.mean == 240
    assert services["fire"].clear == shipped().services["fire"].clear
    assert services["ambulance"] == shipped().services["ambulance"]
    assert {SERVICES[name] for name in services} == set(Service)


NEW = {"units": {"ambulance": 1}}


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("illness", {"rates": 5}, "Extra inputs"),
        ("illness", {"rate": -1}, "greater than or equal to 0"),
        ("illness", {"rate": {"from_age": [5], "value": [1]}}, "rise from 0"),
        ("illness", {"hours": [1.0] * 23}, "at least 24 items"),
        ("illness", {"hours": [0.0] * 24}, "all are 0"),
        ("illness", {"priority": [0.5, 0.4]}, "must add up to 1"),
        ("illness", {"priority": -1}, "greater than or equal to 0"),
        ("illness", {"call_taking": "5"}, "must be a number and a unit"),
        ("illness", {"call_taking": "-5 min"}, "must be a number and a unit"),
        ("illness", {"transported": 1.5}, "less than or equal to 1"),
        ("illness", {"specialty": "magic"}, "'any', 'trauma', 'stroke'"),
        ("illness", {"units": {"coastguard": 1}}, "'ambulance', 'fire' or 'police'"),
        ("illness", {"units": {"ambulance": 0}}, "greater than or equal to 1"),
        ("illness", {"units": {"ambulance": True}}, "valid dictionary"),
        ("illness", 5, "valid dictionary"),
        ("mine", {"rate": 5}, "Field required"),
        ("mine", {"units": {}}, "at least 1 item"),
        ("mine", {"units": {"police": 1}, "transported": 0.5}, "transported: no ambulance is asked"),
        ("mine", {"units": {"ambulance": {"after": "fire"}}}, "'fire', which is not asked here"),
        ("mine", {"units": {"ambulance": {"after": "ambulance"}}}, "other services are: none"),
        (
            "mine",
            {"units": {"ambulance": {"after": "fire"}, "fire": {"after": "police"}, "police": 1}},
            "waits for another service itself",
        ),
        ("mine", NEW | {"casualties": {"mean": 5, "red": 0.5, "green": 0.4}}, "must add up to 1, they make 0.9"),
        ("mine", NEW | {"rhythm": "lunar"}, "'medical', 'traffic', 'fire' or 'evening'"),
    ],
)
def test_kinds_that_are_none_are_refused(name, keys, message):
    with pytest.raises(ValidationError, match=message):
        kinds_of({name: keys})

"""Restrictions: what the settings of a policy mean for the people and places of a city, as rules."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..environment.places import PlaceKind, Role
from ..environment.randomness import key, uniforms
from .policies import LEVELS, ROLES, PolicySettings, zone_mask
from .presence import Presence, below
from .rules import Rule, confinement, rule

DAYS_PER_WEEK = 7


def meant(settings: PolicySettings, presence: Presence) -> NDArray[np.bool_]:
    """Return for whom a policy is (people,); a cordon also binds people from outside its zones.

    Raises:
        ValueError: if the city has not the zones that are named.
    """
    people, whom = presence.city.people, settings.whom
    mask = np.ones(len(people), bool)
    if whom.ages is not None:
        mask &= (people.age >= whom.ages[0]) & (people.age <= whom.ages[1])
    if whom.roles is not None:
        mask &= np.isin(people.role, [ROLES[name] for name in whom.roles])
    if whom.zones is not None and settings.cordon is not True:
        mask &= zone_mask(presence.city, whom.zones)[_zone_of_people(presence)]
    if whom.share < 1:
        mask &= below(presence.draws(f"share of policy {settings.name}"), whom.share)
    return mask


def steady_rules(
    settings: PolicySettings, presence: Presence, followers: NDArray[np.bool_], compliance: float
) -> list[Rule]:
    """Return what a policy changes as long as the same people follow.

    Args:
        settings: the policy.
        presence: who is where.
        followers: (people,) who follows.
        compliance: share of the places that ventilate as they are told.
    """
    city, places = presence.city, _places(settings, presence)
    rules = []
    for part in _parts(settings):
        if part.close or part.reduce or part.masks is not None:
            masks = None if part.masks is None else (part.masks.places, part.masks.source, part.masks.wearer)
            rules.append(rule(followers, places, close=part.close, reduce=part.reduce, masks=masks))
        if part.work_from_home:
            rules.append(rule(_home_workers(part, presence, followers), places, close=["work"]))
    if settings.ventilate:
        draws = uniforms(key(presence.seed, "compliance of places"), np.arange(len(city.places)), 0)
        airy = draws < compliance
        rules.append(rule(None, airy if places is None else airy & places, ventilate=settings.ventilate))
    if settings.cordon:
        rules.append(_cordon(settings, presence, followers))
    return rules


def daily_rules(settings: PolicySettings, presence: Presence, followers: NDArray[np.bool_]) -> list[Rule]:
    """Return what a policy changes on ``presence.day`` beside :func:`steady_rules`: limits, and cohorts that take turns."""
    places, day = _places(settings, presence), presence.day
    rules = []
    for part in _parts(settings):
        for name, chance in part.limit.items():
            draws = uniforms(key(presence.seed, f"limit of {name}"), np.arange(len(followers)), day)
            rules.append(rule(followers & (draws >= chance), places, close=[name]))
        for name, cohorts in part.rotate.items():
            cohort = np.minimum((presence.draws("rotation") * cohorts).astype(np.int64), cohorts - 1)
            week = (presence.first_weekday + day) // DAYS_PER_WEEK
            rules.append(rule(followers & (cohort != week % cohorts), places, close=[name]))
    return rules


def _parts(settings: PolicySettings) -> list[PolicySettings]:
    """Return the policy and, if it has a level, the package of that."""
    return [settings, *([LEVELS[settings.level]] if settings.level else [])]


def home_workers(settings: PolicySettings, presence: Presence, followers: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return who of the followers works from home (people,); teachers, sellers and staff of hospitals cannot."""
    city = presence.city
    places = _places(settings, presence)
    office = (city.places.kind == PlaceKind.WORK) & (True if places is None else places)
    office = np.append(office, False)  # of activity −1 too
    mask = np.zeros(len(followers), bool)
    for part in _parts(settings):
        if part.work_from_home:
            mask |= _home_workers(part, presence, followers) & office[city.people.activity]
    return mask


def _home_workers(part: PolicySettings, presence: Presence, followers: NDArray[np.bool_]) -> NDArray[np.bool_]:
    able = below(presence.draws("work from home"), part.work_from_home or 0.0)
    return followers & (presence.city.people.role == Role.WORKER) & able


def _places(settings: PolicySettings, presence: Presence) -> NDArray[np.bool_] | None:
    if settings.where is None:
        return None
    return zone_mask(presence.city, settings.where.zones)[presence.city.places.zone]  # type: ignore[no-any-return]


def _cordon(settings: PolicySettings, presence: Presence, followers: NDArray[np.bool_]) -> Rule:
    """Return the rule that binds followers to their side of a cordon; class 0 of people is bound to none."""
    zone: NDArray[Any] = presence.city.places.zone
    if settings.cordon is True:
        assert settings.whom.zones is not None
        zone = zone_mask(presence.city, settings.whom.zones)[zone].astype(np.int32)
    sides = int(zone.max(initial=0)) + 1
    own = zone[presence.city.people.household] + 1
    allowed = np.concatenate([np.ones((1, sides), bool), np.eye(sides, dtype=bool)])
    return confinement(np.where(followers, own, 0), zone, allowed)


def _zone_of_people(presence: Presence) -> NDArray[np.int32]:
    city = presence.city
    return city.places.zone[city.people.household]  # type: ignore[no-any-return]

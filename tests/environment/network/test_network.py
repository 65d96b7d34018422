"""The checks that every network passes, wherever it comes from."""

import re

import numpy as np
import pytest
from streets import straight_streets

from citytwin.environment.city import City, CityError
from citytwin.environment.network.network import NetworkError

ROW = ([0, 100, 200], [0, 0, 0], [0, 1, 0], [1, 2, 2])


@pytest.mark.parametrize("name", ["length", "speed", "lanes", "capacity"])
@pytest.mark.parametrize("value", [0.0, -3.0, np.nan])
def test_what_must_be_above_zero_is_named_with_its_link(name, value):
    network = straight_streets(*ROW)
    column = getattr(network, name).copy()
    column[1:] = value
    message = f"link 1 (1 → 2): {name} is {value:g}, must be above 0 (2 links in all)"
    with pytest.raises(NetworkError, match=re.escape(message)):
        network.with_columns(**{name: column})


@pytest.mark.parametrize(("name", "node"), [("start", 3), ("end", 7)])
def test_links_between_nodes_that_are_not_there(name, node):
    network = straight_streets(*ROW)
    ends = getattr(network, name).copy()
    ends[0] = node
    with pytest.raises(NetworkError, match=f"links: {name} names node {node}, there are 0 … 2"):
        network.with_columns(**{name: ends})


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_a_city_with_a_capacity_below_zero_is_refused(value):
    city = City.synthetic(1_000, seed=1)
    tables = {name: dict(getattr(city, name)) for name in city.counts() if hasattr(city, name)}
    tables["links"]["capacity"] = np.full(len(city.links), value, np.float32)
    with pytest.raises(CityError, match=r"capacity\.npy: is negative or no number"):
        City(city.info, tables, city.schedules)

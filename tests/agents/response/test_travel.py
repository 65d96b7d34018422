"""Travel: streets that come again are known again, and are what they were."""

import numpy as np
from worlds import grid_links, streets

from citytwin.agents.response.travel import Travel


def test_streets_that_are_known_are_what_they_were():
    links = grid_links(6, 5)
    network = streets(30, links)
    rng = np.random.default_rng(4)
    morning, noon = rng.uniform(10, 60, (2, 2, len(links)))
    morning[1, 3] = np.inf
    plain, first, second = (Travel(network, places) for places in ([0, 7, 29], [0, 7, 29], [3, 4]))
    first.known = second.known = {}
    for seconds in (morning, noon, morning):
        for made, again in zip(plain.roads(seconds), first.roads(seconds), strict=True):
            np.testing.assert_array_equal(made, again)
    assert first.roads(morning) is first.roads(morning.copy())
    assert len(first.known) == 4
    other = second.roads(noon)  # other places, the same labels
    assert len(first.known) == 4
    np.testing.assert_array_equal(other.to_place, Travel(network, [3, 4]).roads(noon).to_place)
    assert not np.array_equal(first.roads(noon).weight, first.roads(morning).weight)

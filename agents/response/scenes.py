"""Scenes: from which node of the streets an emergency vehicle gets to a place, and how long the rest of the way takes."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...environment.network.network import Network
from ...environment.network.of_city import network_of_city
from ...environment.roads import Access

if TYPE_CHECKING:
    from ...environment.city import City

WALKING_SPEED = 1.34  # m/s, mean of pedestrians, Weidmann 1993
DETOUR = 1.3
"""Length of the way on foot from the street to the scene, as a multiple of the straight line (assumed)."""


class CallError(ValueError):
    """Calls that cannot be made; the message names what is wrong and the remedy."""


class Scene(NamedTuple):
    """Where incidents are, each (incidents,); see :data:`~.tasks.COLUMNS`."""

    node: NDArray[np.int32]
    access: NDArray[np.float32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    zone: NDArray[np.int32]


class Scenes:
    """The nodes of a city that emergency vehicles reach.

    Args:
        city: the city.
        network: its streets, by default as the city has them.

    Attributes:
        nodes: int32 nodes that can all be reached from each other on streets for cars or buses.

    Raises:
        CallError: if the city has no such streets.
    """

    not_saved = ("_tree",)

    def __init__(self, city: "City", network: Network | None = None):
        from scipy.spatial import cKDTree  # slow to import

        self._city = city
        self._network = network_of_city(city) if network is None else network
        self.nodes = np.flatnonzero(self._network.main_part(Access.CAR | Access.BUS)).astype(np.int32)
        if not len(self.nodes):
            raise CallError(
                f"the city '{city.info.name}' has no streets on which emergency vehicles can go round; [response] needs a "
                "city with streets, as of OpenStreetMap or a synthetic one"
            )
        x, y = self._network.x[self.nodes], self._network.y[self.nodes]
        self._tree = cKDTree(np.column_stack([x, y]))

    def at_places(self, places: ArrayLike, *, street: NDArray[np.bool_] | bool = False) -> Scene:
        """Return the scenes at places of the city, or on the streets next to them.

        Args:
            places: numbers of places (n,).
            street: whether each is on the street.
        """
        table = self._city.places
        rows = np.asarray(places, np.int64)
        return self._scene(table.x[rows], table.y[rows], table.zone[rows], street)

    def at_points(self, x: ArrayLike, y: ArrayLike, *, street: NDArray[np.bool_] | bool = False) -> Scene:
        """Return the scenes at points, m in the city's CRS; zones as of the layer, the nearest where none is around."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        layer = self._city.layer("zones")
        if layer is None or not len(x):
            return self._scene(x, y, np.full(len(x), -1, np.int32), street)
        from ...environment.builders.osm.zones import zone_of

        return self._scene(x, y, zone_of(layer, x, y), street)

    def _scene(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        zone: NDArray[np.int32],
        street: NDArray[np.bool_] | bool,
    ) -> Scene:
        away, nearest = self._tree.query(np.column_stack([x, y]))
        node = self.nodes[nearest]
        access = np.where(street, 0, away * DETOUR / WALKING_SPEED).astype(np.float32)
        x, y = np.where(street, self._network.x[node], x), np.where(street, self._network.y[node], y)
        return Scene(node, access, x, y, np.asarray(zone, np.int32))


def zone_names(city: "City") -> dict[str, int]:
    """Return the number of each zone by its name, or by its number where zones have no names."""
    layer = city.layer("zones")
    if layer is not None and "name" in layer.columns:
        return {str(name): number for number, name in enumerate(layer["name"])}
    return {str(number): number for number in range(len(city.zones))}

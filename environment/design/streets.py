"""The streets of a city while they are changed: links and nodes that grow, keep their numbers, and know their shapes."""

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..roads import Access, RoadRank

if TYPE_CHECKING:
    import geopandas

    from ..city import City

JOIN = 25.0  # m within which what is drawn belongs to a street (about the width of a main street between its houses)
AT_NODE = 8.0  # m from a junction within which an end of a new street joins the junction itself, assumed
SHORTEST = 0.1
"""Length in metres of a link between two nodes on one spot, as importers have it."""
ADDED: dict[str, Any] = {"bus_lane": False, "bike_lane": False, "toll": 0.0, "parking": np.nan}
"""Columns that a design gives the layer ``roads``, with what stands there where nothing is known."""

_LINKS = ("start", "end", "length", "speed", "lanes", "rank", "access", "way", "capacity")


class Streets:
    """Links and nodes of a city, to be changed.

    Attributes:
        x, y: float64 (nodes,) m.
        signal: uint8 (nodes,).
        start, end, length, speed, lanes, rank, access, way, capacity: (links,) columns of the table ``links``.
        bus_lane, bike_lane: bool (links,).
        toll: float64 (links,) money for a passage by car.
        parking: float64 (links,) places at the kerb, nan where unknown.
        lines: (links,) shapely LineStrings in the CRS of the city.
        names: (links,) names of the streets, "" where there is none.
        edges: (links,) what routes in files call the links, "" for those that these do not know.
        turns, signals: columns of these tables.
    """

    start: NDArray[np.int32]
    end: NDArray[np.int32]
    length: NDArray[np.float32]
    speed: NDArray[np.float32]
    lanes: NDArray[np.float32]
    rank: NDArray[np.uint8]
    access: NDArray[np.uint8]
    way: NDArray[np.int64]
    capacity: NDArray[np.float32]
    bus_lane: NDArray[np.bool_]
    bike_lane: NDArray[np.bool_]
    toll: NDArray[np.float64]
    parking: NDArray[np.float64]
    lines: NDArray[Any]

    def __init__(self, city: "City"):
        self._twins: NDArray[np.int64] | None = None
        self.x, self.y = np.array(city.nodes.x), np.array(city.nodes.y)
        self.signal = np.array(city.nodes.signal)
        for name in _LINKS:
            setattr(self, name, np.array(city.links[name]))
        self.turns = {name: np.array(values) for name, values in city.turns.items()}
        self.signals = {name: np.array(values) for name, values in city.signals.items()}
        layer = city.layer("roads")
        count = len(self.start)
        if layer is not None and len(layer) == count:
            self.lines = np.array(layer.geometry.to_numpy(), object)
            named = layer["name"] if "name" in layer.columns else [""] * count
            self.names = np.array([name if isinstance(name, str) else "" for name in named], object)
            self.edges = np.array(layer["edge"] if "edge" in layer.columns else [""] * count, object)
        else:
            ends = np.stack([self.start, self.end], 1)
            self.lines = shapely.linestrings(np.stack([self.x[ends], self.y[ends]], -1))
            self.names, self.edges = np.full(count, "", object), np.full(count, "", object)
        for name, values in street_columns(city).items():
            setattr(self, name, values)

    @property
    def links(self) -> int:
        """Number of links."""
        return len(self.start)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return what changes of a street may change, by name."""
        return {name: getattr(self, name) for name in ("access", "speed", "lanes", *ADDED)}

    def twins(self) -> NDArray[np.int64]:
        """Return the other direction of each link, −1 where there is none."""
        if self._twins is None:
            self._twins = self._paired()
        return self._twins

    def _paired(self) -> NDArray[np.int64]:
        low, high = np.minimum(self.start, self.end), np.maximum(self.start, self.end)
        order = np.lexsort((np.arange(self.links), self.length, self.way, high, low))
        result = np.full(self.links, -1, np.int64)
        waiting: dict[int, int] = {}
        key = None
        for row in order.tolist():
            here = (low[row], high[row], self.way[row], self.length[row])
            if here != key:
                key, waiting = here, {}
            other = waiting.pop(int(self.end[row]), None)  # one that starts where this one ends
            if other is None:
                waiting.setdefault(int(self.start[row]), row)
            elif self.start[row] != self.end[row]:
                result[row], result[other] = other, row
        # two alone of one street between two junctions are its directions, though the lines are not equally long
        key_of = np.stack([low, high, self.way], 1)
        _, group, size = np.unique(key_of, axis=0, return_inverse=True, return_counts=True)
        group = group.reshape(-1)
        rows = np.flatnonzero((size[group] == 2) & (result < 0) & (self.start != self.end))
        rows = rows[np.argsort(group[rows], kind="stable")]
        there, back = rows[:-1], rows[1:]
        opposed = (group[there] == group[back]) & (self.start[there] == self.end[back])
        there, back = there[opposed], back[opposed]
        result[there], result[back] = back, there
        return result

    def describe(self, links: NDArray[np.int64]) -> str:
        """Return number, length and names of links for people to read."""
        twins = self.twins()
        once = links[~(np.isin(twins[links], links) & (twins[links] < links) & (twins[links] >= 0))]
        names = sorted({name for name in self.names[links].tolist() if name})
        told = f": {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}" if names else ""
        return f"{len(links)} link{'' if len(links) == 1 else 's'}, {self.length[once].sum() / 1000:.2f} km{told}"

    def name_of(self, link: int) -> str:
        """Return how messages call a link."""
        name = self.names[link]
        return f"link {link} ({name})" if name else f"link {link} (way {self.way[link]})"

    # ------------------------------------------------------------------ growing

    def add_node(self, x: float, y: float) -> int:
        """Add a node and return its number."""
        self.x, self.y = np.append(self.x, x), np.append(self.y, y)
        self.signal = np.append(self.signal, np.uint8(0))
        return len(self.x) - 1

    def add_link(self, like: dict[str, Any], line: shapely.LineString, name: str) -> int:
        """Add a link and return its number.

        Args:
            like: its columns; those of :data:`ADDED`, and ``edge``, may be left out.
            line: its shape, from start to end.
            name: name of its street.
        """
        for column in _LINKS:
            old = getattr(self, column)
            setattr(self, column, np.append(old, np.asarray(like[column], old.dtype)))
        for column, fill in ADDED.items():
            old = getattr(self, column)
            setattr(self, column, np.append(old, np.asarray(like.get(column, fill), old.dtype)))
        self._twins = None
        self.lines = np.append(self.lines, np.array([None], object))
        self.lines[-1] = line
        self.names = np.append(self.names, np.array([name], object))
        self.edges = np.append(self.edges, np.array([like.get("edge", "")], object))
        return self.links - 1

    def row(self, link: int) -> dict[str, Any]:
        """Return the columns of a link."""
        return {name: getattr(self, name)[link] for name in (*_LINKS, *ADDED)}

    def split(self, link: int, point: shapely.Point) -> int:
        """Cut a link, and the other direction with it, at the place nearest to a point; return the node there.

        The first part keeps the number of the link; the second is a new one.
        """
        twin = int(self.twins()[link])
        at = float(self.lines[link].project(point))
        where = self.lines[link].interpolate(at)
        node = self.add_node(where.x, where.y)
        share = at / self.lines[link].length
        for row, part in ((link, share), (twin, 1.0 - share)):
            if row < 0:
                continue
            line = self.lines[row]
            head = shapely.ops.substring(line, 0.0, part, normalized=True)
            tail = shapely.ops.substring(line, part, 1.0, normalized=True)
            second = self.row(row)
            whole, parking = float(second["length"]), second["parking"]
            second |= {"start": node, "length": max(whole * (1 - part), SHORTEST), "parking": parking * (1 - part)}
            second["edge"] = self.edges[row]
            second["toll"] *= 1 - part
            new = self.add_link(second, tail, self.names[row])
            self.end[row], self.length[row], self.lines[row] = node, max(whole * part, SHORTEST), head
            self.parking[row], self.toll[row] = parking * part, self.toll[row] * part
            for last in (self.turns["from_link"], self.signals["link"]):
                last[last == row] = new  # one turns off where the second part ends, and waits there
        self._twins = None
        return node

    def add_street(self, line: shapely.LineString, values: dict[str, Any]) -> list[int]:
        """Add a street whose ends join the streets that are there, and return its links.

        Args:
            line: as drawn.
            values: parameters of ``new_street``.

        Raises:
            ValueError: if neither end is near a street.
        """
        corners = list(line.coords)
        if not any(self._near(shapely.Point(corner)) for corner in (corners[0], corners[-1])):
            raise ValueError(f"neither end lies within {JOIN:g} m of a street; draw it up to the street that it joins")
        ends = [self._joined(shapely.Point(corner)) for corner in (corners[0], corners[-1])]
        if ends[0] == ends[1] and len(corners) < 3:
            raise ValueError("both ends join the same junction")
        corners[0], corners[-1] = ((self.x[node], self.y[node]) for node in ends)
        drawn = shapely.LineString(corners)
        users = {
            "all": Access.CAR | Access.BICYCLE | Access.FOOT | Access.BUS,
            "no cars": Access.BICYCLE | Access.FOOT | Access.BUS,
            "bicycles and feet": Access.BICYCLE | Access.FOOT,
        }[values["users"]]
        back = users & (Access.BICYCLE | Access.FOOT) if values["one_way"] else users
        way = min(0, int(self.way.min(initial=0))) - 1
        rows = []
        for start, end, access, shape in ((*ends, users, drawn), (*ends[::-1], back, drawn.reverse())):
            like = {
                "start": start,
                "end": end,
                "length": max(shape.length, SHORTEST),
                "speed": values["kmh"] / 3.6,
                "lanes": values["lanes"],
                "rank": RoadRank[values["rank"].upper()],
                "access": access,
                "way": way,
                "capacity": 0,
            }
            rows.append(self.add_link(like, shape, values["name"]))
        return rows

    def _near(self, point: shapely.Point) -> bool:
        return bool(self.links) and float(shapely.distance(self.lines, point).min()) <= JOIN

    def _joined(self, point: shapely.Point) -> int:
        """Return the node at which a street joins: a junction near by, a new one in the street near by, or a new one."""
        distance = shapely.distance(self.lines, point)
        link = int(distance.argmin())
        if distance[link] > JOIN:
            return self.add_node(point.x, point.y)
        line = self.lines[link]
        at = float(line.project(point))
        if min(at, line.length - at) <= min(AT_NODE, 0.5 * line.length):
            return int(self.start[link] if at < line.length - at else self.end[link])
        return self.split(link, point)

    # ------------------------------------------------------------------ back to a city

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the tables ``nodes``, ``links``, ``turns`` and ``signals`` of a city."""
        return {
            "nodes": {"x": self.x, "y": self.y, "signal": self.signal},
            "links": {name: getattr(self, name) for name in _LINKS},
            "turns": self.turns,
            "signals": self.signals,
        }

    def layer(
        self, old: "geopandas.GeoDataFrame | None", crs: str, touched: dict[int, str]
    ) -> "geopandas.GeoDataFrame":
        """Return the layer ``roads``: that of the city with the columns of :data:`ADDED`, and what a map wants to show.

        Args:
            old: the layer as it was.
            crs: CRS of the city.
            touched: by link, the changes that touch it.
        """
        import geopandas

        words = np.array([RoadRank(rank).name.lower().replace("_", " ") for rank in range(max(RoadRank) + 1)])
        texts = old is None or old["rank"].dtype.kind not in "iu"
        columns = {
            "name": self.names,
            "rank": words[self.rank] if texts else self.rank,
            "way": self.way,
            "speed_kmh": np.round(self.speed * 3.6, 1),
            "lanes": self.lanes,
            "users": users_text(self.access),
            "design": np.array([touched.get(link, "") for link in range(self.links)], object),
            **{name: getattr(self, name) for name in ADDED},
        }
        if old is not None and "edge" in old.columns:
            columns["edge"] = self.edges
        return geopandas.GeoDataFrame(columns, geometry=self.lines, crs=crs)


def users_text(access: NDArray[np.uint8]) -> NDArray[Any]:
    """Return who may use each link, as a text."""
    kinds = [", ".join(str(user.name).lower() for user in Access if bits & user) for bits in range(sum(Access) + 1)]
    kinds[0] = "nobody"
    return np.array(kinds, object)[access]


def street_columns(city: "City") -> dict[str, NDArray[Any]]:
    """Return what designs have put on the streets of a city beyond the table ``links``.

    Returns:
        ``bus_lane``, ``bike_lane`` bool (links,); ``toll`` float64 (links,) money for a passage by car; ``parking``
        float64 (links,) places at the kerb, nan where unknown. A city without a design has none of them.
    """
    layer = city.layer("roads")
    count = len(city.links)
    known = layer is not None and len(layer) == count
    return {
        name: np.array(layer[name]) if layer is not None and known and name in layer.columns else np.full(count, fill)
        for name, fill in ADDED.items()
    }

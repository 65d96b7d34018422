"""Hand-made OpenStreetMap files for tests: objects placed in metres around a point in the Netherlands."""

from pathlib import Path
from xml.sax.saxutils import quoteattr

LON, LAT = 5.9, 52.55
# degrees of a metre at that point: WGS84 arc lengths there, 111,271 m a degree of latitude and 67,823 m of longitude
LAT_PER_M, LON_PER_M = 1 / 111_271.0, 1 / 67_823.0


class Town:
    """Collects objects and writes them as .osm XML; every method returns the identifier it gave."""

    def __init__(self) -> None:
        self.items: dict[str, list[str]] = {"node": [], "way": [], "relation": []}
        self.count = 0

    def _add(self, kind: str, attributes: str, inner: str, tags: dict[str, object]) -> int:
        self.count += 1
        text = "".join(f"<tag k={quoteattr(k)} v={quoteattr(str(v))}/>" for k, v in tags.items())
        self.items[kind].append(f'<{kind} id="{self.count}" version="1" {attributes}>{inner}{text}</{kind}>')
        return self.count

    def node(self, x: float, y: float, tags: dict[str, object] | None = None) -> int:
        place = f'lon="{LON + x * LON_PER_M:.7f}" lat="{LAT + y * LAT_PER_M:.7f}"'
        return self._add("node", place, "", tags or {})

    def nodes(self, *points: tuple[float, float]) -> list[int]:
        return [self.node(x, y) for x, y in points]

    def way(self, nodes: list[int], tags: dict[str, object] | None = None) -> int:
        return self._add("way", "", "".join(f'<nd ref="{n}"/>' for n in nodes), tags or {})

    def street(self, *points: tuple[float, float], tags: dict[str, object] | None = None) -> int:
        return self.way(self.nodes(*points), {"highway": "residential"} | (tags or {}))

    def box(self, x: float, y: float, width: float, height: float, tags: dict[str, object] | None = None) -> int:
        """A closed way from the south-west corner (x, y)."""
        corners = self.nodes((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        return self.way([*corners, corners[0]], tags)

    def relation(self, members: list[tuple[int, str]], tags: dict[str, object], nodes: tuple[int, ...] = ()) -> int:
        """Members are ways, but for those named in ``nodes``."""
        kinds = [("node" if ref in nodes else "way", ref, role) for ref, role in members]
        inner = "".join(f'<member type="{kind}" ref="{ref}" role="{role}"/>' for kind, ref, role in kinds)
        return self._add("relation", "", inner, tags)

    def xml(self) -> str:
        body = "".join("".join(items) + "\n" for items in self.items.values())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<osm version="0.6" generator="test">\n{body}</osm>\n'

    def save(self, folder: Path, name: str = "town.osm") -> Path:
        path = folder / name
        path.write_text(self.xml(), encoding="utf-8")
        return path

"""Files of SUMO: a junction of four streets with a signal, and parts of which others are made."""

LOCATION = '<location netOffset="-683195.58,-4928877.56" projParameter="+proj=utm +zone=32 +ellps=WGS84 +units=m"/>'
LANE = '<lane id="{0}_{1}" index="{1}" speed="{2}" length="{3}" {4}/>'


def edge(name, start, end, *lanes, speed=13.89, length=100.0, kind="highway.secondary"):
    """An edge whose lanes have the given attributes, such as ``allow="bus"``."""
    inner = "".join(LANE.format(name, n, speed, length, more) for n, more in enumerate(lanes or [""]))
    return f'<edge id="{name}" from="{start}" to="{end}" type="{kind}">{inner}</edge>'


def junction(name, x, y, kind="priority"):
    return f'<junction id="{name}" type="{kind}" x="{x}" y="{y}" incLanes="" intLanes="" shape=""/>'


def connection(start, end, lane=0, tl=None, index=None, direction="s"):
    light = f'tl="{tl}" linkIndex="{index}"' if tl else ""
    return f'<connection from="{start}" to="{end}" fromLane="{lane}" toLane="0" dir="{direction}" state="M" {light}/>'


def program(name, *phases, offset=0):
    inner = "".join(f'<phase duration="{seconds}" state="{state}"/>' for seconds, state in phases)
    return f'<tlLogic id="{name}" type="static" programID="0" offset="{offset}">{inner}</tlLogic>'


# a from the west and b from the south meet at M; one goes on to the east (c) or back to the west (d)
EDGES = [edge("a", "W", "M", "", ""), edge("b", "S", "M", 'allow="bus"', ""), edge("c", "M", "E"), edge("d", "M", "W")]
JUNCTIONS = [
    junction("W", -100, 0),
    junction("S", 0, -100),
    junction("E", 100, 0),
    junction("M", 0, 0, "traffic_light"),
]
CONNECTIONS = [
    connection("a", "c", 0, "M", 0),
    connection("a", "d", 1, "M", 1, "t"),
    connection("b", "c", 0, "M", 2, "r"),
    connection("b", "c", 1, "M", 3, "r"),
]
PROGRAM = program("M", (30, "GGrr"), (5, "gyrr"), (5, "rrrr"), (20, "rrGG"))


def net(*parts, folder, name="town.net.xml"):
    body = "\n".join(parts or [LOCATION, *EDGES, PROGRAM, *JUNCTIONS, *CONNECTIONS])
    path = folder / name
    path.write_text(f'<?xml version="1.0"?>\n<net version="1.20">\n{body}\n</net>\n', encoding="utf-8")
    return path

"""Services of JEMSS: a small one is read as it is written, and what is wrong is said."""

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from citytwin.agents.response.jemss import read_jemss
from citytwin.agents.response.scenes import CallError
from citytwin.environment.network.network import NetworkError

CRS = "EPSG:2193"
TABLES = {
    # four corners of a square, joined both ways; the last may not be left
    "nodes.csv": "nodes,,,\nindex,x,y,offRoadAccess\n1,174.70,-36.80,1\n2,174.71,-36.80,1\n"
    "3,174.70,-36.81,1\n4,174.71,-36.81,0\n",
    "arcs.csv": "miscData,,\narcForm,numModes,\nundirected,2,\n,,\narcs,,\nindex,fromNode,toNode,distance,mode_1,mode_2\n"
    "1,1,2,0.9,0.0006,0.0009\n2,2,4,1.1,0.0008,0.0012\n3,4,3,0.9,0.0006,0.0009\n4,3,1,1.1,0.0008,0.0012\n",
    "stations_1.csv": "stations,,,\nindex,x,y,capacity,NAME\n1,174.70,-36.80,5,North\n2,174.71,-36.8095,5,South\n",
    "hospitals_1.csv": "hospitals,,,\nindex,x,y,name\n1,174.71,-36.80,General\n",
    "travel_1.csv": "travelModes,,\ntravelModeIndex,offRoadSpeed\n1,1128\n2,792\n,\ntravelSets,,\n"
    "travelSetIndex,priority,travelModeIndex\n1,highPriority,1\n1,medPriority,1\n1,lowPriority,2\n",
    "priorities_1.csv": "priorities,,\npriority,name,targetResponseTime\n1,high,0.005\n2,med,0.005\n3,low,0.01\n",
    "redispatch_some.csv": "miscData,,\nallowRedispatch,,\n1,,\n,,\nredispatchConditions,,\n"
    "fromCallPriority,toCallPriority,allowRedispatch\nlowPriority,highPriority,1\nmedPriority,highPriority,0\n",
    "redispatch_off.csv": "miscData,,\nallowRedispatch,,\n0,,\n,,\nredispatchConditions,,\n"
    "fromCallPriority,toCallPriority,allowRedispatch\nlowPriority,highPriority,1\n",
    "gen_config.xml": "<c><sim><callDistributions><interarrivalTime>Exponential(1/96)</interarrivalTime>"
    "<priority>Categorical([0.5, 0.25, 0.25])</priority><dispatchDelay>Normal(40/60/60/24, 0)</dispatchDelay>"
    "<onSceneDuration>Exponential(12/60/24)</onSceneDuration><transport>Bernoulli(0.75)</transport>"
    "<handoverDuration>Weibull(2.5, 34.3/60/24)</handoverDuration></callDistributions></sim></c>",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    profile = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(
        tmp_path / "density.tif", "w", transform=Affine(0.005, 0, 174.70, 0, -0.005, -36.80), **profile
    ) as to:
        to.write(np.array([[[1, 0], [2, 1]]], "float32"))
    return tmp_path


def test_a_service_is_read(folder):
    service = read_jemss(folder, CRS)
    assert (service.stations, service.hospitals) == (("North", "South"), ("General",))
    assert service.place.tolist() == [0, 2, 1]  # the roads are not left at the node that is nearest to the second
    assert service.aside[0] == pytest.approx(0, abs=1)
    assert service.aside[1] == pytest.approx(894, abs=10)
    assert service.per_day == pytest.approx(96)
    assert service.lights == 2
    assert service.speed == pytest.approx((47 / 3.6, 33 / 3.6))
    assert service.targets == pytest.approx((432, 432, 864))
    assert service.redispatch == {"redispatch_off": (), "redispatch_some": ((2, 0),)}
    assert service.kind.call_taking.mean == pytest.approx(40)
    assert service.kind.units["ambulance"].scene.mean == pytest.approx(720)
    assert service.kind.handover.mean == pytest.approx(60 * 30.43, rel=1e-3)  # as its authors give it
    assert (service.kind.transported, service.kind.priorities.tolist()) == (0.75, [0.5, 0.25, 0.25])
    centre = service.centre([0, 1, 1])
    tasks = service.tasks(2, seed=1)
    assert len(tasks) == pytest.approx(192, abs=60)
    centre.add(tasks)
    centre.run(3 * 86_400.0)
    assert centre.balance()["treated"] + centre.balance()["transported"] == len(tasks)


@pytest.mark.parametrize(
    ("file", "before", "after", "error", "says"),
    [
        ("hospitals_1.csv", None, None, NetworkError, "no file 'hospitals"),
        ("travel_1.csv", "medPriority,1", "medPriority,2", NetworkError, None),
        ("travel_1.csv", "lowPriority,2", "lowPriority,3", NetworkError, "mode 1 for the most urgent"),
        ("travel_1.csv", "Index,priority", "Index,urgency", NetworkError, "no column 'priority'"),
        ("redispatch_some.csv", "lowPriority,", "lastPriority,", NetworkError, "priorities lastPriority"),
        ("redispatch_some.csv", "fromCall", "ofCall", NetworkError, "no column 'fromCallPriority'"),
        ("gen_config.xml", "Exponential(12/60/24)", "Gamma(2, 3)", CallError, "Gamma"),
        ("gen_config.xml", "Exponential(12/60/24)", "twelve", CallError, "onSceneDuration is 'twelve'"),
        ("gen_config.xml", "Exponential(1/96)", "Normal(1/96, 0)", CallError, "Exponential, Categorical"),
        ("gen_config.xml", "[0.5, 0.25, 0.25]", "[0.5, 0.25]", CallError, "add up to 1"),
        ("gen_config.xml", "Exponential(12/60/24)", "Exponential(0)", CallError, "callDistributions"),
        ("gen_config.xml", "<c>", "", CallError, "XML"),
        ("nodes.csv", ",1\n", ",0\n", NetworkError, "offRoadAccess"),
    ],
)
def test_what_is_wrong_is_said(folder, file, before, after, error, says):
    if before is None:
        (folder / file).unlink()
    else:
        text = TABLES[file]
        assert before in text
        (folder / file).write_text(text.replace(before, after), encoding="utf-8")
    if says is None:  # lights for the most urgent only can be read
        assert read_jemss(folder, CRS).lights == 1
        return
    with pytest.raises(error, match=says) as raised:
        read_jemss(folder, CRS)
    assert str(folder) in str(raised.value)

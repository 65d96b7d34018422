"""Traffic flow against the kinematic wave theory of Lighthill, Whitham and Richards (1955, 1956) as Newell (1993) solved it.

The diagram is triangular: free speed u = 20 m/s, jam density kj = 0.2 vehicles/m (5 m each), backward wave w = 5 m/s, so
capacity is kj u w / (u + w) = 0.8 vehicles/s. Vehicles are single and time is continuous, so counts are exact and times hold
within one headway.
"""

import numpy as np
import pytest
from traffic_networks import Run, network

from citytwin.environment.network.network import Signals, Turns

U, KJ, W = 20.0, 0.2, 5.0
QMAX = KJ * U * W / (U + W)
LWR = "kinematic waves, triangular diagram (Newell 1993)"


def line(lengths, capacities, **more):
    return network([(i, i + 1) for i in range(len(lengths))], lengths, capacities, speed=U, **more)


def stream(flow, seconds, origin, destination, start=0.0):
    """Return trips that depart evenly."""
    return [(start + i / flow, origin, destination) for i in range(round(flow * seconds))]


def test_free_flow_takes_length_over_speed():
    run = Run(line([1000.0, 1000.0], QMAX), stream(0.1, 1000, 0, 2)).until(2000)
    np.testing.assert_allclose(run.seconds, 100.0, atol=0.01)


@pytest.mark.parametrize("capacity", [0.13, 0.3, 0.4, 0.7])
def test_a_link_discharges_at_its_capacity(validity, capacity):
    run = Run(line([2000.0, 1000.0], [capacity, QMAX]), stream(1.3, 2000, 0, 2)).until(20_000)
    entries = run.entries(1)
    found = (len(entries) - 1) / (entries[-1] - entries[0])
    validity("flow", f"discharge of a link of {capacity} vehicles/s", found, capacity, 0.001 * capacity, source=LWR)


def test_no_more_enter_than_the_diagram_allows():
    run = Run(line([2000.0, 1000.0], [10.0, 10.0]), stream(3.0, 1000, 0, 2)).until(10_000)
    entries = run.entries(0)
    # the coded capacity is beyond kj u = 4, so the wave is raised to 20 m/s; what then enters obeys the diagram of that wave
    assert (len(entries) - 1) / (entries[-1] - entries[0]) == pytest.approx(KJ * U * 20.0 / (U + 20.0), rel=0.005)
    plain = Run(line([2000.0, 1000.0], [QMAX, QMAX]), stream(3.0, 1000, 0, 2)).until(10_000)
    entries = plain.entries(0)
    assert (len(entries) - 1) / (entries[-1] - entries[0]) == pytest.approx(QMAX, rel=0.005)


def test_a_blocked_link_fills_to_jam_density(validity):
    streets = line([1000.0, 500.0, 100.0], QMAX)
    run = Run(streets, stream(0.8, 2000, 0, 3))
    run.flow.close(np.array([False, False, True]))
    run.until(3000)
    validity("flow", "vehicles on a blocked link of 1 km", run.flow.on_links[0], 1000 * KJ, source=LWR)
    validity("flow", "vehicles on a blocked link of 500 m", run.flow.on_links[1], 500 * KJ, source=LWR)


@pytest.mark.parametrize("step", [0.5, 1.0, 3.0])
def test_bottleneck(validity, step):
    """Demand q0 = 0.6 for T = 2,000 s meets Q = 0.4: total delay q0 (q0/Q − 1) T² / 2, and so on, whatever the step."""
    q0, q, duration = 0.6, 0.4, 2000.0
    run = Run(line([10_000.0, 1000.0], [q, QMAX]), stream(q0, duration, 0, 2), step=step)
    run.until(1899 // step * step)
    run.until(6000)
    delay = run.seconds - 550.0
    assert len(delay) == 1200
    for what, ours, expected in (
        ("total delay, vehicle-seconds", delay.sum(), q0 * (q0 / q - 1) * duration**2 / 2),
        ("largest delay, s", delay.max(), (q0 / q - 1) * duration),
        ("last arrival, s", run.flow.arrive.max(), 550 + q0 * duration / q),
    ):
        validity("flow", f"bottleneck in steps of {step:g} s: {what}", ours, expected, 0.01 * expected, source=LWR)


def test_the_queue_grows_at_the_speed_of_the_shock(validity):
    """Behind a bottleneck the queue has density kj − Q/w, and its tail moves at (q0 − Q) / (q0/u − that)."""
    q0, q = 0.6, 0.4
    cells = 100  # links of 100 m, so that the tail can be seen
    streets = line([100.0] * cells + [1000.0], [QMAX] * (cells - 1) + [q, QMAX])
    run = Run(streets, stream(q0, 2000, 0, cells + 1)).until(1900)
    density = run.flow.on_links[:cells] / 100.0
    queued = KJ - q / W
    shock = (q0 - q) / (q0 / U - queued)
    tail = 10_000 + shock * (1900 - 500)
    behind = np.arange(cells) * 100.0
    found = density[behind > tail + 200].mean()
    validity("flow", "density in the queue of a bottleneck, vehicles/m", found, queued, 0.02 * queued, source=LWR)
    assert density[behind < tail - 200].mean() == pytest.approx(q0 / U, rel=0.1)


def test_spillback_holds_as_many_as_the_backward_wave_lets(validity):
    """A full link whose exit lets 0.4 pass holds (kj − 0.4/w) L = 240 vehicles, not the 400 of its storage."""
    run = Run(line([20_000.0, 2000.0, 1000.0], [QMAX, 0.4, QMAX]), stream(0.6, 2000, 0, 3))
    most = 0
    for seconds in range(1100, 4200, 50):
        run.until(seconds)
        most = max(most, int(run.flow.on_links[1]))
    run.until(6000)
    validity("flow", "vehicles on a full link of 2 km whose exit lets 0.4 a second pass", most, 240, 1, source=LWR)
    delay = run.seconds - 1150.0
    assert delay.sum() == pytest.approx(600_000, rel=0.01)
    assert delay.max() == pytest.approx(1000, rel=0.01)
    assert run.flow.arrive.max() == pytest.approx(4150, rel=0.01)


def test_a_standing_queue_starts_backwards_at_the_speed_of_the_wave():
    streets = line([500.0] * 5 + [100.0], QMAX)
    run = Run(streets, stream(0.8, 1500, 0, 6))
    run.flow.close(np.array([False] * 5 + [True]))
    run.until(2400)
    run.flow.close(np.zeros(6, bool))
    run.until(6000)
    # whoever waits to enter link i can do so once the gap has travelled through all links below
    opened = run.entries(5)[0]
    for link in range(1, 5):
        entries = run.entries(link)
        after = entries[entries > opened][0]
        assert after - opened == pytest.approx((5 - link) * 500 / W, abs=5.0 + 1 / QMAX)
        discharge = np.diff(entries[entries > opened])
        assert discharge.mean() == pytest.approx(1 / QMAX, rel=0.01)


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_two_full_arms_merge_by_their_priority(validity, share):
    # the priority of an arm is its capacity; both have more than they may send
    streets = network([(0, 2), (1, 2), (2, 3)], 1000.0, [QMAX * share, QMAX * (1 - share), 0.4], speed=U)
    run = Run(streets, stream(0.8, 3000, 0, 3) + stream(0.8, 3000, 1, 3))
    run.until(1000)
    before = run.flow.left[:3].copy()
    run.until(3000)
    passed = run.flow.left[:3] - before
    assert passed[:2].sum() == pytest.approx(0.4 * 2000, rel=0.01)
    found = passed[0] / passed[:2].sum()
    validity("flow", f"share of an arm of priority {share} at a merge", found, share, 0.01, source="Daganzo 1995")


def test_what_an_arm_does_not_use_goes_to_the_other():
    streets = network([(0, 2), (1, 2), (2, 3)], 1000.0, [QMAX, QMAX, 0.4], speed=U)
    run = Run(streets, stream(0.1, 4000, 0, 3) + stream(0.8, 4000, 1, 3))
    run.until(2000)
    before = run.flow.left[:3].copy()
    run.until(4000)
    passed = (run.flow.left[:3] - before) / 2000
    assert passed[0] == pytest.approx(0.1, rel=0.01)
    assert passed[1] == pytest.approx(0.3, rel=0.01)


def test_the_numbers_of_links_decide_nothing_at_a_merge():
    passed = []
    for arcs in ([(0, 2), (1, 2), (2, 3)], [(1, 2), (0, 2), (2, 3)]):
        streets = network(arcs, 1000.0, [QMAX, QMAX, 0.4], speed=U)
        run = Run(streets, stream(0.8, 3000, 0, 3) + stream(0.8, 3000, 1, 3)).until(3000)
        passed.append(run.flow.left[:2].tolist())
    for one, other in passed:  # before there is a queue, who comes first goes first
        assert abs(one - other) <= 0.005 * (one + other)


def test_at_a_diverge_the_first_in_line_stops_all():
    """One lane: who wants into the blocked exit stops those who want the other."""
    streets = network([(0, 1), (1, 2), (1, 3)], [1000.0, 100.0, 100.0], QMAX, speed=U)
    run = Run(streets, stream(0.2, 1000, 0, 2) + stream(0.2, 1000, 0, 3))
    run.flow.close(np.array([False, True, False]))
    run.until(1500)
    assert run.flow.entered[1] == 0
    assert run.flow.entered[2] <= 1


@pytest.mark.parametrize(
    ("cycle", "green", "saturation", "delay"), [(60, 30, 0.5, 10.0), (90, 45, 0.8, 18.75), (120, 40, 0.9, 38.10)]
)
def test_uniform_delay_at_a_signal(validity, cycle, green, saturation, delay):
    """d1 = C (1 − g)² / (2 (1 − g x)) (Webster 1958) for even arrivals at x of the capacity s g."""
    flow = 10.0  # on 20 lanes, each with 1,800 vehicles an hour: many, so that they come near to a fluid
    signals = Signals(
        np.array([0], np.int32), *(np.array([value]) for value in (float(cycle), 0.0, 0.0, float(green), flow))
    )
    streets = line([1000.0, 1000.0], [flow, 20 * QMAX], lanes=20.0, signals=signals)
    arrivals = saturation * flow * green / cycle
    run = Run(streets, stream(arrivals, 40 * cycle, 0, 2)).until(60 * cycle)
    measured = run.seconds - 100.0
    share = green / cycle
    assert delay == pytest.approx(cycle * (1 - share) ** 2 / (2 * (1 - share * saturation)), abs=0.01)
    # vehicles are whole: the first of a queue leaves at the very start of green, up to a headway early
    what = f"delay at a signal, cycle {cycle} s, green {green} s, degree of saturation {saturation}, s"
    validity("flow", what, measured.mean(), delay, 0.02 * delay, source="Webster 1958, uniform delay")


def test_a_signal_lets_saturation_times_green_pass():
    flow = 0.5
    signals = Signals(np.array([0], np.int32), *(np.array([v]) for v in (60.0, 0.0, 0.0, 30.0, flow)))
    run = Run(line([1000.0, 1000.0], [flow, QMAX], signals=signals), stream(0.6, 4000, 0, 2)).until(3600)
    passed = np.count_nonzero((run.entries(1) >= 600) & (run.entries(1) < 3600))
    assert passed == pytest.approx(flow * 30 / 60 * 3000, rel=0.02)
    phase = run.entries(1) % 60
    assert phase.max() < 30


def test_spillback_stops_a_crossing_route():
    """Links 0 → 1 → 2 fill from the closed end; a route that shares link 0 is blocked too."""
    streets = network([(0, 1), (1, 2), (2, 3), (1, 4)], [500.0, 500.0, 500.0, 500.0], QMAX, speed=U)
    run = Run(streets, stream(0.4, 2000, 0, 3) + stream(0.1, 2000, 0, 4))
    run.flow.close(np.array([False, False, True, False]))
    run.until(2500)
    assert run.flow.on_links[:2].tolist() == [100, 100]
    before = int(run.flow.entered[3])
    run.until(4000)
    assert run.flow.entered[3] == before


def gridlock(**more):
    """A ring of four links, all full, on which everybody wants two links further."""
    streets = network([(0, 1), (1, 2), (2, 3), (3, 0)], 50.0, QMAX, speed=U)
    return Run(streets, [(i * 0.01, node, (node + 3) % 4) for i in range(200) for node in range(4)], **more)


def test_gridlock_stays_without_a_stuck_rule():
    run = gridlock().until(1000)
    arrived = int(run.flow.state.counters[1])
    balance = run.until(20_000).flow.balance()
    assert balance["arrived"] == arrived
    assert balance["on links"] == 40
    assert run.flow.state.counters[2] == 0


def test_forced_moves_dissolve_gridlock_and_are_counted():
    run = gridlock(stuck=60.0).until(100_000)
    assert run.flow.balance()["arrived"] == 800
    assert run.flow.state.counters[2] > 0
    assert run.flow.vehicles[:, 6].sum() == run.flow.state.counters[2]


def test_a_closed_link_is_entered_by_nobody_until_it_opens():
    run = Run(line([1000.0, 1000.0, 1000.0], QMAX), stream(0.3, 3000, 0, 3)).until(600)
    inside = int(run.flow.on_links[1])
    assert inside > 0
    run.flow.close(np.array([False, True, False]))
    run.until(1200)
    assert run.flow.on_links[1] == 0
    entries = run.entries(1)
    assert not np.any((entries > 601) & (entries < 1200))
    run.flow.close(np.zeros(3, bool))
    run.until(8000)
    assert run.flow.balance()["arrived"] == 900


def test_turn_penalties_are_spent():
    turns = Turns(np.array([0], np.int32), np.array([1], np.int32), np.array([7.0]))
    run = Run(line([1000.0, 1000.0], QMAX, turns=turns), stream(0.01, 1000, 0, 2)).until(2000)
    np.testing.assert_allclose(run.seconds, 107.0, atol=0.02)


def test_every_vehicle_is_somewhere_at_every_moment():
    """Departed = on links + waiting + arrived, and for each link: entered − left = on it."""
    rng = np.random.Generator(np.random.PCG64(3))
    side = 6
    arcs = [(i * side + j, i * side + j + 1) for i in range(side) for j in range(side - 1)]
    arcs += [(j * side + i, (j + 1) * side + i) for i in range(side) for j in range(side - 1)]
    arcs += [(b, a) for a, b in arcs]
    streets = network(arcs, 200.0, 0.3, speed=10.0)
    trips = [(t, *rng.integers(0, side * side, 2)) for t in rng.uniform(0, 600, 3000)]
    run = Run(streets, trips, stuck=120.0)
    for seconds in range(60, 7200, 60):
        run.until(seconds)
        assert np.array_equal(run.flow.entered - run.flow.left, run.flow.on_links)
    assert run.flow.balance()["arrived"] == 3000
    assert np.all(run.seconds >= 0)


def test_flow_over_density_rises_peaks_and_falls():
    """The macroscopic fundamental diagram of a grid that fills and empties (Geroliminis & Daganzo 2008)."""
    rng = np.random.Generator(np.random.PCG64(5))
    side = 6
    arcs = [(i * side + j, i * side + j + 1) for i in range(side) for j in range(side - 1)]
    arcs += [(j * side + i, (j + 1) * side + i) for i in range(side) for j in range(side - 1)]
    arcs += [(b, a) for a, b in arcs]
    streets = network(arcs, 200.0, 0.3, speed=10.0)
    trips = [(t, *rng.integers(0, side * side, 2)) for t in rng.triangular(0, 1800, 3600, 40_000)]
    run = Run(streets, trips, stuck=300.0)
    on, flow = [], []
    for seconds in range(120, 14_400, 120):
        before = run.flow.left.sum()
        run.until(seconds)
        on.append(run.flow.on_links.sum())
        flow.append((run.flow.left.sum() - before) / 120)
    on, flow = np.array(on, float), np.array(flow)
    most = on.max()
    loading = np.arange(len(on)) <= on.argmax()
    peak = flow[loading].argmax()
    assert on[loading][peak] < 0.9 * most  # flow is highest before the city is fullest
    assert flow[on.argmax()] < 0.9 * flow.max()
    light = on < 0.1 * most
    assert flow[light].max() < 0.7 * flow.max()

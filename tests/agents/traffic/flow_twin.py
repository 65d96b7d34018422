"""What the kernel of traffic flow computes, written to be read: events in order of time, objects, a heap."""

import heapq
import itertools
from collections import deque

import numpy as np


class Link:
    def __init__(self, free, headway, entry_headway, gap, places):
        self.free, self.headway, self.entry_headway, self.gap, self.places = free, headway, entry_headway, gap, places
        self.on = deque()  # (vehicle, when it has driven the link)
        self.queue = deque()  # vehicles that want to depart into it
        self.gaps = deque([0.0] * places)  # when each place that has become free can be taken
        self.next_exit = self.next_entry = 0.0
        self.waiting = []  # arms
        self.current = 0.0
        self.granted = False


class Arm:
    """The end of a link, or the queue of departures into one."""

    def __init__(self, link, source, cost):
        self.link, self.source, self.cost = link, source, cost
        self.share, self.shared = 0.0, None
        self.ready = 0.0


def flow(links, costs, trips, end):
    """Return when each trip arrives.

    Args:
        links: (free, headway, entry headway, gap, places) of each.
        costs: of arms that are links, then of arms that are queues.
        trips: (departure, way as a list of links) in order of departure.
        end: seconds.
    """
    streets = [Link(*link) for link in links]
    arms = [Arm(i, False, cost) for i, cost in enumerate(costs[: len(links)])]
    sources = [Arm(i, True, cost) for i, cost in enumerate(costs[len(links) :])]
    arrive = [None] * len(trips)
    ways = [deque(way) for _, way in trips]
    number = itertools.count()
    events = [(depart, 0, next(number), "depart", trip) for trip, (depart, _) in enumerate(trips)]
    heapq.heapify(events)

    def push(time, rank, kind, what):
        heapq.heappush(events, (time, rank, next(number), kind, what))

    def grant_later(link, time):
        street = streets[link]
        if not street.granted:
            street.granted = True
            push(max(time, street.next_entry, street.gaps[0]), 2, "grant", link)

    def move(arm, time):
        if arm.source:
            street = streets[arm.link]
            vehicle = street.queue.popleft()
            if street.queue:
                push(time, 1, "ready", arm)
            into = arm.link
        else:
            street = streets[arm.link]
            vehicle, _ = street.on.popleft()
            street.gaps.append(time + street.gap)
            street.next_exit = time + street.headway
            if street.on:
                push(max(street.on[0][1], street.next_exit), 1, "ready", arm)
            if street.waiting:
                grant_later(arm.link, time)
            into = ways[vehicle][0] if ways[vehicle] else None
        if into is None:
            arrive[vehicle] = time
            return
        ways[vehicle].popleft()
        street = streets[into]
        street.gaps.popleft()
        done = float(np.float32(time + street.free))  # as the kernel keeps it
        street.on.append((vehicle, done))
        street.next_entry = max(time, street.next_entry) + street.entry_headway
        if len(street.on) == 1:
            push(max(done, street.next_exit), 1, "ready", arms[into])
        if street.waiting and street.gaps:
            grant_later(into, time)

    while events and events[0][0] < end:
        time, _, _, kind, what = heapq.heappop(events)
        if kind == "depart":
            if not ways[what]:
                arrive[what] = time
                continue
            link = ways[what][0]
            streets[link].queue.append(what)
            if len(streets[link].queue) == 1:
                push(time, 1, "ready", sources[link])
        elif kind == "ready":
            arm = what
            if arm.source:
                into = arm.link
            else:
                vehicle = streets[arm.link].on[0][0]
                into = ways[vehicle][0] if ways[vehicle] else None
            if into is not None:
                street = streets[into]
                full = not street.gaps
                if full or street.waiting or max(street.next_entry, street.gaps[0]) > time + 1e-6:
                    arm.ready = time
                    arm.share = max(arm.share, street.current) if arm.shared == into else street.current
                    arm.shared = into
                    street.waiting.append(arm)
                    if not full:
                        grant_later(into, time)
                    continue
            move(arm, time)
        else:
            street = streets[what]
            street.granted = False
            if not street.waiting or not street.gaps:
                continue
            arm = min(street.waiting, key=lambda a: (a.share, a.source, a.link))
            street.waiting.remove(arm)
            street.current = arm.share
            arm.share += arm.cost
            move(arm, time)
    return arrive

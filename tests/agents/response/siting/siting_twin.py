"""Greedy choice and swaps in plain Python: what the kernels of siting must do, to the bit."""


def rows_of(cover, site):
    return cover.site_row[cover.site_first[site] : cover.site_first[site + 1]]


def one_more(cover, row, count):
    """Worth of one more unit for a row."""
    worth = cover.worth[cover.kind[row]]
    return worth[count + 1] - worth[count]


class Placed:
    """Units at sites, with what one more gains everywhere."""

    def __init__(self, cover, units):
        self.cover, self.units = cover, units
        self.count = [0] * len(cover.weight)
        self.gain = [0.0] * len(units)
        for site in range(len(units)):
            for row in rows_of(cover, site):
                self.gain[site] += cover.weight[row] * one_more(cover, row, 0)
        for site, number in enumerate(units):
            for _ in range(number):
                self.move(site, 1)

    def move(self, site, by):
        for row in rows_of(self.cover, site):
            before = self.count[row]
            self.count[row] += by
            change = one_more(self.cover, row, self.count[row]) - one_more(self.cover, row, before)
            if change:
                for other in self.cover.row_site[self.cover.row_first[row] : self.cover.row_first[row + 1]]:
                    self.gain[other] += change * self.cover.weight[row]

    def best(self, most, tolerance):
        best = None
        for site, gain in enumerate(self.gain):
            if self.units[site] < most[site] and (best is None or gain > self.gain[best] + tolerance):
                best = site
        return best

    def greedily(self, most, total, useful, tolerance):
        while sum(self.units) < total:
            site = self.best(most, tolerance)
            if site is None or (useful and self.gain[site] <= tolerance):
                return
            self.units[site] += 1
            self.move(site, 1)

    def by_swaps(self, least, most, tolerance):
        unchanged = site = 0
        while unchanged < len(self.units):
            unchanged += 1
            if self.units[site] > least[site]:
                gain, count = list(self.gain), list(self.count)
                self.move(site, -1)
                self.units[site] -= 1
                best = self.best(most, tolerance)
                if self.gain[best] > self.gain[site] + tolerance:
                    self.units[best] += 1
                    self.move(best, 1)
                    unchanged = 0
                else:
                    self.units[site] += 1
                    self.gain, self.count = gain, count
            site = (site + 1) % len(self.units)

    def value(self):
        value = 0.0
        for row, count in enumerate(self.count):
            value += self.cover.weight[row] * self.cover.worth[self.cover.kind[row]][count]
        return value


def nearest(cost, units, point, farthest):
    """Costs of the nearest and the second nearest open site, and the nearest itself; the lower site if they are equal."""
    ways = sorted((cost[site][point], site) for site in range(len(units)) if units[site])
    if not ways:
        return farthest[point], farthest[point], None
    return ways[0][0], ways[1][0] if len(ways) > 1 else farthest[point], ways[0][1]


def median_greedily(cost, units, most, total, farthest, tolerance):
    points = range(len(farthest))
    while sum(units) < total:
        near = [nearest(cost, units, point, farthest)[0] for point in points]
        best, best_gain = None, None
        for site in range(len(units)):
            if units[site] < most[site]:
                gain = 0.0
                for point in points:
                    if cost[site][point] < near[point]:
                        gain += near[point] - cost[site][point]
                if best is None or gain > best_gain + tolerance:
                    best, best_gain = site, gain
        if best is None:
            return
        units[best] = 1


def median_by_swaps(cost, units, least, most, farthest, tolerance):
    points = range(len(farthest))
    unchanged = site = 0
    while unchanged < len(units):
        unchanged += 1
        if not units[site] and most[site]:
            gain, loss = 0.0, [0.0] * len(units)
            for point in points:
                near, next_near, first = nearest(cost, units, point, farthest)
                if cost[site][point] < near:
                    gain += near - cost[site][point]
                elif first is not None:
                    loss[first] += min(cost[site][point], next_near) - near
            close = None
            for other in range(len(units)):
                if units[other] > least[other] and (close is None or loss[other] < loss[close] - tolerance):
                    close = other
            if close is not None and gain - loss[close] > tolerance:
                units[close], units[site], unchanged = 0, 1, 0
        site = (site + 1) % len(units)
    return [nearest(cost, units, point, farthest)[0] for point in points]

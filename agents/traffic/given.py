"""Routes that are given: vehicles keep to them, unless a street on them is closed."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .moving import Moving
from .routes import Router, Routes

if TYPE_CHECKING:
    from .flow import Flow


class GivenRoutes:
    """Vehicles of a flow that keep to given routes.

    Args:
        flow: the flow.
        router: finds ways around closed streets.
        rows: what the rows of the flow are.

    Attributes:
        mine: bool (rows,) which rows these are.
    """

    def __init__(self, flow: "Flow", router: Router, rows: Moving):
        self.mine = np.zeros(len(rows.depart), np.bool_)
        self.mine[rows.given.row] = True
        self._given, self._depart = rows.given, rows.depart[rows.given.row]
        self._routes = Routes(flow, router, rows.destination, self.mine)
        self._sent = 0

    def send(self, until: float, cost: NDArray[np.float64], closed: NDArray[np.bool_], *, closing: bool) -> None:
        """Give vehicles that leave before ``until`` their routes; around closed streets if there is a way.

        Args:
            until: seconds after midnight.
            cost: float64 (links,) seconds; infinite where closed.
            closed: bool (links,) which links are closed.
            closing: whether some have been closed just now.
        """
        row, first, link = self._given
        begin = self._sent
        self._sent = int(np.searchsorted(self._depart, until))
        if self._sent > begin:
            self._routes.take(row[begin : self._sent], first[begin : self._sent + 1], link)
        if closing or (self._sent > begin and closed.any()):
            self._routes.avoid(cost, closed)

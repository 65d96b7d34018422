"""Blocks between streets, and how things are spread over them: what the parts of an invented city share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..randomness import key, uniforms


@dataclass
class Blocks:
    """Blocks between streets: four corner nodes each, residents, centre, area [m2], zone; and the street segments."""

    node_x: NDArray[np.float64]
    node_y: NDArray[np.float64]
    corners: NDArray[np.int64]
    people: NDArray[np.float64]
    zone: NDArray[np.int32]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    rank: NDArray[np.uint8]
    centre: tuple[float, float]
    core: float
    """Distance from the centre within which central functions gather, m."""

    def __post_init__(self) -> None:
        x, y = self.node_x[self.corners], self.node_y[self.corners]
        self.x, self.y = x.mean(1), y.mean(1)
        self.area = 0.5 * np.abs((x[:, 2] - x[:, 0]) * (y[:, 3] - y[:, 1]) - (x[:, 3] - x[:, 1]) * (y[:, 2] - y[:, 0]))


def normals(number: int, seed: int, purpose: str) -> NDArray[np.float64]:
    """Standard normal numbers by Box and Muller."""
    who, draw = np.arange(number), key(seed, purpose)
    return np.sqrt(-2 * np.log(uniforms(draw, who, 0))) * np.cos(2 * np.pi * uniforms(draw, who, 1))


def spread(weight, number: int, seed: int, purpose: str) -> NDArray[np.int64]:
    """Choose blocks by weight, evenly along the space-filling order (systematic sampling from a random start)."""
    steps = np.cumsum(weight)
    start = uniforms(key(seed, purpose), np.arange(number), 0)
    ticks = (np.arange(number) + start) / max(number, 1) * steps[-1]
    return np.minimum(np.searchsorted(steps, ticks), len(steps) - 1)

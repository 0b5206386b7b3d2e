"""A picture as a 4:2:0 encoder takes it, and the textures that more than one kind of content is drawn from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
NEUTRAL = 128
"""Of both colour planes: no colour."""
DARKEST, BRIGHTEST = 16, 235
"""Of luma, in the range that television uses."""


class Picture(NamedTuple):
    """One picture in YCbCr 4:2:0.

    Attributes:
        luma: brightness, (height, width).
        blue: blue difference, (height / 2, width / 2), like the next.
        red: red difference.
    """

    luma: Plane
    blue: Plane
    red: Plane


def fractal_noise(rng: np.random.Generator, width: int, height: int, cells: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return noise of several cell sizes, coarse strongest, of mean 0 and deviation 1, (height, width).

    The spectrum of natural pictures falls with frequency, and so does its spectrum.
    """
    total = np.zeros((height, width))
    for cell in cells:
        coarse = rng.normal(0, 1, (height // cell + 2, width // cell + 2))
        total += cell**0.5 * _stretched(coarse, cell)[:height, :width]
    return total / total.std()


def _stretched(coarse: npt.NDArray[np.float64], cell: int) -> npt.NDArray[np.float64]:
    """Return the array `cell` times larger each way, interpolated linearly."""
    for axis in (0, 1):
        at = np.arange((coarse.shape[axis] - 1) * cell) / cell
        below = at.astype(int)
        share = np.expand_dims(at - below, 1 - axis)
        coarse = np.take(coarse, below, axis) * (1 - share) + np.take(coarse, below + 1, axis) * share
    return coarse

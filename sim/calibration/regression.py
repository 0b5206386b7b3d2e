"""Non-negative least squares in relative errors, one solution per draw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

Floats = npt.NDArray[np.float64]

ALIKE = 0.01
"""Relative difference below which two sizes are one."""


def relative_nnls(seen: Floats, features: Floats, *, weights: Floats, scale: Floats | None = None) -> Floats:
    """Return coefficients ≥ 0 that fit `seen` ≈ `features` @ coefficients with the least relative errors.

    Args:
        seen: observations, shape (draws, observations).
        features: shape (observations, coefficients), the same in all draws, or (draws, observations, coefficients).
        weights: of each observation in each draw, shape (draws, observations).
        scale: what an error is relative to, shape (observations,); the mean of `seen` over the draws if None.

    Returns:
        Shape (draws, coefficients).
    """
    relative_to = seen.mean(axis=0) if scale is None else scale
    every = np.broadcast_to(features, (len(seen), *features.shape[-2:]))
    size = np.abs(every[0]).max(axis=0)
    size = np.where(size > 0, size, 1.0)
    root = np.sqrt(weights) / relative_to
    found = [
        nnls(row[:, np.newaxis] * columns / size, row * target)[0]
        for row, columns, target in zip(root, every, seen, strict=True)
    ]
    return np.array(found) / size


def distinct(sizes: Floats) -> int:
    """Return how many different rows there are among the sizes that are not 0."""
    rows = np.atleast_2d(sizes.T).T
    rows = rows[(rows > 0).any(axis=1)]
    steps = np.log(np.where(rows > 0, rows, 1.0)) / np.log1p(ALIKE)
    return len(np.unique(np.round(steps), axis=0)) if len(rows) else 0

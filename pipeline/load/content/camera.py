"""Camera-like content: a pan over a textured scene with a moving object, under the noise of a sensor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pipeline.load.content.picture import BRIGHTEST, DARKEST, Picture, Plane, fractal_noise

NOISE_LEVEL = 4
"""Standard deviation of the sensor noise, in steps of 8-bit luma: a camera indoors."""
NOISE_TILES = 8


def camera(width: int, height: int, frames: int) -> Iterator[Picture]:
    """Yield a camera's pictures, panning to and fro; see `CONTENTS`.

    Noise and fine texture keep the decoder and encoder as busy as real pictures do; a test pattern would not.
    Every profile that was measured so far was measured with these very pictures.
    """
    rng = np.random.default_rng(720)
    backdrop = _backdrop(rng, width + width // 4, height + height // 8)
    noise = rng.normal(0, NOISE_LEVEL, (NOISE_TILES, height, width)).round().astype(np.int16)
    object_size = height // 5
    for number in range(frames):
        turn = 2 * np.pi * number / frames
        left = min(round(width / 8 * (1 + np.sin(turn))), width // 4)
        top = min(round(height / 16 * (1 + np.sin(2 * turn))), height // 8)
        picture = backdrop[top : top + height, left : left + width].copy()
        x = round((width - object_size) / 2 * (1 + np.cos(3 * turn)))
        y = round((height - object_size) / 2 * (1 + np.sin(2 * turn)))
        picture[y : y + object_size, x : x + object_size] = 255 - picture[y : y + object_size, x : x + object_size]
        shifted = np.roll(noise[number % NOISE_TILES], 37 * number, axis=1)
        yield _tinted(np.clip(picture + shifted, DARKEST, BRIGHTEST).astype(np.uint8))


def _tinted(luma: Plane) -> Picture:
    """Return a picture whose colours follow its brightness."""
    tint = luma[::2, ::2] // 8
    return Picture(luma, 140 - tint, 112 + tint)


def _backdrop(rng: np.random.Generator, width: int, height: int) -> npt.NDArray[np.int16]:
    noise = fractal_noise(rng, width, height, (128, 64, 32, 16, 8, 4))
    return (126 + 38 * noise).clip(DARKEST, BRIGHTEST).astype(np.int16)

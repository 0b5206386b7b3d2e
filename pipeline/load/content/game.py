"""Game-like content: a fast ride over detailed ground with cuts, bursts of particles and a display in front."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pipeline.load.content.lettering import CHARACTERS, font, stamp, typeset
from pipeline.load.content.picture import BRIGHTEST, DARKEST, NEUTRAL, Picture, Plane, fractal_noise

SCENES = 5
"""Rides in a loop, with a cut between them."""
GROUND = 1024
"""Pixels along each side of the ground, which repeats."""
SPEED = 6.0
"""Widths of the picture that pass in a loop's length of riding."""
ZOOM = 0.35
"""How far the view goes in and out, as a share of its size, over one scene."""
PARTICLES = 400
BURSTS = 3
"""Bursts of particles in one scene."""
SPREAD = 0.5
"""How far a particle flies before the next burst, in heights of the picture."""

Signal = npt.NDArray[np.float64]


def game(width: int, height: int, frames: int) -> Iterator[Picture]:
    """Yield a game's pictures; see `CONTENTS`. A zoom leaves no block of a picture where motion would find it."""
    world = _World(width, height)
    for number in range(frames):
        yield world.picture(number / frames)


class _World:
    """Ground, particles and display; `picture` draws them at a share of the loop."""

    def __init__(self, width: int, height: int) -> None:
        rng = np.random.default_rng(60)
        self._width, self._height = width, height
        self._grounds = [_ground(rng) for _ in range(SCENES)]
        self._angles = rng.uniform(0, 2 * np.pi, (SCENES * BURSTS, PARTICLES))
        self._speeds = rng.uniform(0.1, 1.0, (SCENES * BURSTS, PARTICLES))
        self._centres = rng.uniform(0.2, 0.8, (SCENES * BURSTS, 2))
        self._font = font(rng)

    def picture(self, turn: float) -> Picture:
        """Return the picture at `turn` of the loop, from 0 to below 1."""
        scene, ridden = divmod(turn * SCENES, 1.0)
        picture = self._ride(self._grounds[int(scene)], int(scene), ridden)
        self._burst(picture.luma, turn)
        self._display(picture, turn, ridden)
        return picture

    def _ride(self, ground: Picture, scene: int, ridden: float) -> Picture:
        """Return the ground as seen from a moving and zooming view."""
        zoom = (1 + ZOOM * np.sin(2 * np.pi * ridden)) * GROUND / 2 / self._height
        along = SPEED / SCENES * self._width * ridden * (1 if scene % 2 else -1)
        across = self._height / 3 * np.sin(2 * np.pi * ridden)
        x = (zoom * (np.arange(self._width) - self._width / 2) + along).astype(int) % GROUND
        y = (zoom * (np.arange(self._height) - self._height / 2) + across).astype(int) % GROUND
        coarse = np.ix_(y[::2], x[::2])
        return Picture(ground.luma[np.ix_(y, x)], ground.blue[coarse], ground.red[coarse])

    def _burst(self, luma: Plane, turn: float) -> None:
        """Draw the particles of the burst that is under way."""
        burst, flown = divmod(turn * SCENES * BURSTS, 1.0)
        angles, reach = self._angles[int(burst)], SPREAD * self._height * flown * self._speeds[int(burst)]
        x = (self._centres[int(burst), 0] * self._width + reach * np.cos(angles)).astype(int)
        y = (self._centres[int(burst), 1] * self._height + reach * np.sin(angles)).astype(int)
        size = max(2, self._height // 240)
        for down in range(size):
            for right in range(size):
                luma[(y + down) % self._height, (x + right) % self._width] = BRIGHTEST

    def _display(self, picture: Picture, turn: float, ridden: float) -> None:
        """Draw what stays in place: a bar that shrinks, and figures that count."""
        thick, margin = max(2, self._height // 40), self._height // 20
        full = self._width // 4
        picture.luma[margin : margin + thick, margin : margin + full] = DARKEST
        picture.luma[margin : margin + thick, margin : margin + round(full * (1 - ridden))] = 200
        picture.red[margin // 2 : (margin + thick) // 2, margin // 2 : (margin + full) // 2] = 200
        digits = np.array([[int(turn * 10**place) % (CHARACTERS - 1) + 1 for place in range(6)]])
        ink = typeset(self._font, digits, max(1, self._height // 180))
        left = max(self._width - margin - ink.shape[1], 0)
        stamp(picture.luma, ink, top=margin, left=left, level=BRIGHTEST)


def _ground(rng: np.random.Generator) -> Picture:
    """Return a square of detailed ground in two colours, at full size in all three planes."""
    detail = fractal_noise(rng, GROUND, GROUND, (64, 16, 8, 4, 2))
    hue: Signal = fractal_noise(rng, GROUND, GROUND, (128, 64))
    luma = (120 + 45 * detail).clip(DARKEST, BRIGHTEST).astype(np.uint8)
    blue, red = ((NEUTRAL + side * 25 * hue).clip(DARKEST, BRIGHTEST).astype(np.uint8) for side in (1, -1))
    return Picture(luma, blue, red)

"""Screen-like content: windows of text, mostly still, with typing, scrolling, a pointer and sudden changes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.load.content.lettering import BLANK, CELL_HEIGHT, CELL_WIDTH, Text, font, stamp, text, typeset
from pipeline.load.content.picture import NEUTRAL, Picture, Plane

PAGES = 4
"""Documents that the editor shows one after another: so many sudden changes in a loop."""
SCROLLED_LINES = 40
"""How far the terminal scrolls in a loop."""
TYPED_LINES = 3
"""What is typed while one document is shown."""
LINES_PER_PICTURE = 360
"""Picture lines to one dot of the font: text is as large on any screen."""
WALLPAPER, PAPER, INK, TITLE, NIGHT, GLOW, POINTER = 90, 225, 40, 60, 30, 190, 235
"""Luma of what is seen."""


def screen(width: int, height: int, frames: int) -> Iterator[Picture]:
    """Yield a desktop's pictures: an editor on the left, a terminal on the right; see `CONTENTS`."""
    desktop = _Desktop(width, height)
    for number in range(frames):
        yield desktop.picture(number / frames)


class _Desktop:
    """What is on the screen; `picture` draws it at a share of the loop."""

    def __init__(self, width: int, height: int) -> None:
        rng = np.random.default_rng(1080)
        self._scale = max(1, height // LINES_PER_PICTURE)
        self._font = font(rng)
        self._line = CELL_HEIGHT * self._scale
        self._margin = height // 24
        self._split = width * 5 // 8
        lines = (height - 3 * self._margin) // self._line
        columns = (self._split - 2 * self._margin) // (CELL_WIDTH * self._scale)
        narrow = (width - self._split - self._margin) // (CELL_WIDTH * self._scale)
        self._pages = [text(rng, lines, columns) for _ in range(PAGES)]
        self._log = text(rng, SCROLLED_LINES, narrow)
        self._lines = lines
        self._empty = self._without_text(width, height)
        self._pointer = np.tri(height // 30, height // 50, dtype=bool)

    def picture(self, turn: float) -> Picture:
        """Return the picture at `turn` of the loop, from 0 to below 1."""
        luma = self._empty.luma.copy()
        page, typed = divmod(turn * PAGES, 1.0)
        self._print(luma, self._margin, self._typed(self._pages[int(page)], typed), INK)
        self._print(luma, self._split, self._scrolled(turn), GLOW)
        self._point(luma, turn)
        return Picture(luma, self._empty.blue, self._empty.red)

    def _without_text(self, width: int, height: int) -> Picture:
        luma = np.full((height, width), WALLPAPER, dtype=np.uint8)
        blue, red = (np.full((height // 2, width // 2), NEUTRAL, dtype=np.uint8) for _ in range(2))
        top, bottom = self._margin, height - self._margin
        for left, right, paper, tint in (
            (self._margin, self._split - self._margin, PAPER, 120),
            (self._split, width - self._margin // 2, NIGHT, 140),
        ):
            luma[top:bottom, left:right] = paper
            luma[top : top + self._margin, left:right] = TITLE
            blue[top // 2 : (top + self._margin) // 2, left // 2 : right // 2] = 170
            red[(top + self._margin) // 2 : bottom // 2, left // 2 : right // 2] = tint
        return Picture(luma, blue, red)

    def _print(self, luma: Plane, left: int, characters: Text, ink: int) -> None:
        stamp(luma, typeset(self._font, characters, self._scale), top=2 * self._margin, left=left, level=ink)

    def _typed(self, page: Text, share: float) -> Text:
        """Return the page with its middle lines written as far as a share of them."""
        characters = page.copy()
        first = len(page) // 2
        lines = characters[first : first + TYPED_LINES]
        lines.reshape(-1)[round(share * lines.size) :] = BLANK
        return characters

    def _scrolled(self, turn: float) -> Text:
        first = int(turn * SCROLLED_LINES)
        return np.take(self._log, range(first, first + self._lines), axis=0, mode="wrap")

    def _point(self, luma: Plane, turn: float) -> None:
        tall, wide = self._pointer.shape
        x = round((luma.shape[1] - wide) / 2 * (1 + np.sin(2 * np.pi * turn)))
        y = round((luma.shape[0] - tall) / 2 * (1 + np.cos(4 * np.pi * turn)))
        stamp(luma, self._pointer, top=y, left=x, level=POINTER)

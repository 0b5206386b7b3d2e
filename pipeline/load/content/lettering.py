"""Text-like pictures: characters of an invented font, whose sharp edges cost an encoder what real text does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.load.content.picture import Plane

CHARACTERS = 64
BLANK = 0
"""The character that shows nothing."""
GLYPH_HEIGHT, GLYPH_WIDTH = 7, 5
CELL_HEIGHT, CELL_WIDTH = 9, 6
INK = 0.45
"""Share of a glyph's dots that are set."""
BLANKS = 0.2
"""Share of a text that is blank: words of five characters."""

Text = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


def font(rng: np.random.Generator) -> Mask:
    """Return the cells of all characters, (characters, cell height, cell width); True is ink."""
    cells = np.zeros((CHARACTERS, CELL_HEIGHT, CELL_WIDTH), dtype=bool)
    cells[1:, 1 : 1 + GLYPH_HEIGHT, :GLYPH_WIDTH] = rng.random((CHARACTERS - 1, GLYPH_HEIGHT, GLYPH_WIDTH)) < INK
    return cells


def text(rng: np.random.Generator, lines: int, columns: int) -> Text:
    """Return characters in words, in lines of differing length, (lines, columns)."""
    characters = rng.integers(1, CHARACTERS, (lines, columns))
    characters[rng.random((lines, columns)) < BLANKS] = BLANK
    lengths = rng.integers(columns // 4, columns + 1, lines)
    characters[np.arange(columns) >= lengths[:, None]] = BLANK
    return characters


def typeset(cells: Mask, characters: Text, scale: int) -> Mask:
    """Return the ink of a text, `scale` pixels to a dot of the font."""
    lines, columns = characters.shape
    dots = cells[characters].transpose(0, 2, 1, 3).reshape(lines * CELL_HEIGHT, columns * CELL_WIDTH)
    return dots.repeat(scale, axis=0).repeat(scale, axis=1)


def stamp(luma: Plane, ink: Mask, *, top: int, left: int, level: int) -> None:
    """Paint ink into a picture, in place; what would stand outside is cut off."""
    region = luma[top : top + ink.shape[0], left : left + ink.shape[1]]
    region[ink[: region.shape[0], : region.shape[1]]] = level

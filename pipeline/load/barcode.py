"""A number in the picture that survives scaling and coding: for following one picture from publisher to viewer.

40 bits stand in one row across the top: the number, most significant bit first, and 8 bits of check. Places are
shares of the picture, so that any rung is read as it is; black and white pictures and test patterns are no code.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from pipeline.load.content.picture import NEUTRAL, Picture, Plane

NUMBER_BITS, CHECK_BITS = 32, 8
BITS = NUMBER_BITS + CHECK_BITS
SHARE = 24
"""The row is 1 / `SHARE` of the picture's height: blocks of 48 by 45 pixels at 1920x1080."""
ZERO, ONE = 30, 220
"""Luma of the two bits."""
CHECK_MASK = 0x5A
"""Makes the check of an all-black and of an all-white row wrong."""


def write_barcode(picture: Picture, number: int) -> None:
    """Draw a number from 0 to 2^32 - 1 into a picture, in place."""
    height, width = picture.luma.shape
    rows = max(height // SHARE, 1)
    levels = np.where(_bits(number), ONE, ZERO).astype(np.uint8)
    picture.luma[:rows] = levels[np.arange(width) * BITS // width]
    picture.blue[: (rows + 1) // 2] = NEUTRAL
    picture.red[: (rows + 1) // 2] = NEUTRAL


def read_barcode(luma: Plane) -> int | None:
    """Return the number in a picture's luma, (height, width); None where the check says that there is none.

    Blocks of 8 pixels or more (a picture 320 wide) are read after any sane coding. The outer quarters of each block
    are left out: scaling mixes them with what is next to them.
    """
    height, width = luma.shape
    rows = max(height // SHARE, 1)
    profile = luma[rows // 4 : max(rows - rows // 4, 1)].mean(axis=0)
    sums = np.concatenate(([0.0], np.cumsum(profile)))
    edges = np.arange(BITS) * width / BITS
    left = np.round(edges + width / BITS / 4).astype(int)
    right = np.maximum(np.round(edges + width / BITS * 3 / 4).astype(int), left + 1)
    bits = (sums[right] - sums[left]) / (right - left) > (ZERO + ONE) / 2
    number = int.from_bytes(np.packbits(bits[:NUMBER_BITS]).tobytes(), "big")
    return number if np.array_equal(bits, _bits(number)) else None


def _bits(number: int) -> npt.NDArray[np.bool_]:
    data = number.to_bytes(NUMBER_BITS // 8, "big")
    check = (zlib.crc32(data) & 0xFF) ^ CHECK_MASK
    return np.unpackbits(np.frombuffer(data + bytes([check]), dtype=np.uint8)).astype(bool)

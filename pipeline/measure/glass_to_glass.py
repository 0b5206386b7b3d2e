"""From a picture's sending to its arrival at a viewer: joining what was seen with the publisher's log.

A clip repeats its pictures, so the number in a picture is its place in the loop. The loop it belongs to is told by
the picture's date (`EXT-X-PROGRAM-DATE-TIME` and its time stamp): of all sendings of that place, the one whose
moment is nearest to the date. That is right as long as the date is less than half a loop wrong, however late the
picture is; dates follow arrivals and are milliseconds after the sending, or as much as the server stood still.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.load.glass import SeenPicture
from scenarios.errors import NotReady

Moments = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GlassToGlass:
    """What became of a stream's pictures on one rung, from the first that was seen to the last that was sent.

    Attributes:
        latency_s: from the sending of each picture of the window until its segment was fetched, in sending order. A
            player shows it later by what it holds back.
        pictures: different pictures that were seen.
        lost: pictures that should have been on the rung and were not seen; exact where the source's rate is a multiple
            of the rung's.
        duplicated: times that a picture was seen once more.
        unread: pictures whose number could not be read.
    """

    latency_s: tuple[float, ...]
    pictures: int
    lost: int
    duplicated: int
    unread: int


def glass_to_glass(
    seen: Sequence[SeenPicture],
    sent_s: Sequence[float],
    *,
    loop_frames: int,
    source_fps: float,
    rung_fps: float,
    window: tuple[float, float],
) -> GlassToGlass:
    """Return what became of the pictures.

    Args:
        seen: what the viewer saw, in order.
        sent_s: when each frame was sent, by its number in the stream; CLOCK_MONOTONIC, as all times here.
        loop_frames: pictures in the clip's loop.
        source_fps: frames per second that were sent.
        rung_fps: frames per second of the rung.
        window: start and end; pictures sent in it have their latency told.

    Raises:
        NotReady: nothing could be read, or a picture was fetched before it was sent: its date is wrong.
    """
    read = [picture for picture in seen if picture.index is not None and picture.dated_s is not None]
    if not read:
        raise NotReady(f"none of {len(seen)} pictures that were watched could be read; is the rung very small?")
    sent = np.asarray(sent_s)
    index = np.array([picture.index for picture in read])
    number = _numbers(index, np.array([picture.dated_s for picture in read]), sent, loop_frames, source_fps)
    latency = np.array([picture.fetched_s for picture in read]) - sent[number]
    if latency.min() < 0:
        raise NotReady("a picture arrived before it was sent: its date is half a loop wrong; is the server frozen?")
    distinct, first_seen = np.unique(number, return_index=True)
    kept = min(rung_fps / source_fps, 1.0)
    expected = math.ceil((len(sent) - distinct[0]) * kept)
    measured = first_seen[(sent[distinct] >= window[0]) & (sent[distinct] < window[1])]
    return GlassToGlass(
        latency_s=tuple(latency[measured].tolist()),
        pictures=len(distinct),
        lost=max(expected - len(distinct) - (len(seen) - len(read)), 0),
        duplicated=len(number) - len(distinct),
        unread=len(seen) - len(read),
    )


def _numbers(
    index: npt.NDArray[np.intp], dated_s: Moments, sent_s: Moments, loop_frames: int, source_fps: float
) -> npt.NDArray[np.intp]:
    """Return the number in the stream of each picture, of those with its index the one sent nearest to its date."""
    if index.max() >= min(loop_frames, len(sent_s)):
        raise NotReady(f"picture {index.max()} was seen, which was never sent; is another publisher on the stream?")
    loops = np.round((dated_s - sent_s[index]) * source_fps / loop_frames).astype(int)
    return index + loop_frames * np.clip(loops, 0, (len(sent_s) - 1 - index) // loop_frames)

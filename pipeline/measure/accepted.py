"""Did the encoder take the options it was asked to take? x264 says in its first packet what it really does."""

from __future__ import annotations

import re

import av
from av.video.frame import PictureType

from pipeline.ladders.threads import TIME_BASE
from pipeline.ladders.x264 import X264Encoder, x264_options
from scenarios.ladder import Ladder, Rung

OPTIONS = re.compile(rb"x264 - core \d+.*? - options: ([\x20-\x7e]+)")
"""The text that x264 puts into a stream as user data (SEI, ITU-T H.264 D.1.7)."""
AS_X264_CALLS_IT = {"g": "keyint", "sc_threshold": "scenecut", "bf": "bframes"}
IN_KBIT = {"maxrate": "vbv_maxrate", "bufsize": "vbv_bufsize"}
WITHOUT_DELAY = {"rc_lookahead": "0", "mbtree": "0", "threads": "1"}
"""What `tune=zerolatency` and one thread come to."""
PRESETS: dict[str, dict[str, str]] = {
    "ultrafast": {"subme": "0", "me": "dia", "ref": "1", "cabac": "0", "trellis": "0"},
    "superfast": {"subme": "1", "me": "dia", "ref": "1", "cabac": "1", "trellis": "0"},
    "veryfast": {"subme": "2", "me": "hex", "ref": "1", "cabac": "1", "trellis": "0"},
    "faster": {"subme": "4", "me": "hex", "ref": "2", "cabac": "1", "trellis": "1"},
    "fast": {"subme": "6", "me": "hex", "ref": "2", "cabac": "1", "trellis": "1"},
    "medium": {"subme": "7", "me": "hex", "ref": "3", "cabac": "1", "trellis": "1"},
    "slow": {"subme": "8", "me": "hex", "ref": "5", "cabac": "1", "trellis": "2"},
    "slower": {"subme": "9", "me": "umh", "ref": "8", "cabac": "1", "trellis": "2"},
    "veryslow": {"subme": "10", "me": "umh", "ref": "16", "cabac": "1", "trellis": "2"},
}
"""Effects of each preset (x264's own table, `x264 --fullhelp`); no two presets have the same."""


def refused_options(*, backend: str, preset: str, ladder: Ladder) -> str | None:
    """Return what the encoder of some rung does otherwise than asked; None if all is as asked.

    Only x264 tells. NVENC's streams hold no such text; there an option that is left over is an error already.
    """
    if backend != "x264":
        return None
    for rung in ladder.encoded:
        where = f"for rung {rung.name} with preset {preset}"
        try:
            taken = _taken(rung, preset)
        except ValueError:  # no packet for the first picture: look-ahead or B-frames
            return f"x264 took other options than asked: it keeps pictures back {where}"
        for option, value in _asked(rung, preset).items():
            if taken.get(option) != value:
                found = f"{option}={taken.get(option)} instead of {value}"
                return f"x264 took other options than asked: {found} {where}"
    return None


def _asked(rung: Rung, preset: str) -> dict[str, str]:
    """Return the options as x264 tells them."""
    handed = x264_options(rung, preset=preset)
    asked = {theirs: handed[ours] for ours, theirs in AS_X264_CALLS_IT.items()}
    asked |= {theirs: str(int(handed[ours]) // 1000) for ours, theirs in IN_KBIT.items()}
    return PRESETS[preset] | WITHOUT_DELAY | asked | {"bitrate": str(round(rung.bitrate_bps) // 1000)}


def _taken(rung: Rung, preset: str) -> dict[str, str]:
    encoder = X264Encoder(rung, preset=preset)
    picture = av.VideoFrame(rung.width, rung.height, "yuv420p")
    for plane in picture.planes:
        plane.update(bytes(plane.buffer_size))
    picture.pts, picture.time_base, picture.pict_type = 0, TIME_BASE, PictureType.I
    found = OPTIONS.search(bytes(encoder.encode(picture)))
    told = found[1].decode("ascii").split() if found else []
    return dict(option.partition("=")[::2] for option in told)

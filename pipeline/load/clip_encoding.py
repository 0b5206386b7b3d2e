"""Encoding a clip: x264 as a live encoder is set, and a tone that repeats without a click."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from pipeline.load.barcode import write_barcode
from pipeline.load.content import CONTENTS
from pipeline.load.content.picture import Picture
from pipeline.load.flv_file import SAMPLES_PER_FRAME, TONE_RATE_HZ

if TYPE_CHECKING:
    from pipeline.load.clip import ClipSpec

PRESET = "veryfast"
TONE_HZ = 10 * TONE_RATE_HZ / SAMPLES_PER_FRAME
"""Ten whole waves to an AAC frame: each frame follows any other without a click."""
TONE_BPS = 128_000
TONE_FRAMES = 64
"""Frames of tone in a clip; publishers repeat them."""
SETTLING_FRAMES = 4
"""Frames at both ends of the encoder's output in which the tone comes and goes; they are left out."""


def encode_clip(spec: ClipSpec, path: Path, *, loop_s: float, gop_s: float) -> None:
    """Draw and encode a clip of `loop_s` into an FLV file; a second of buffer and closed GOPs of `gop_s`.

    The same bytes come out on every machine with the same libraries.
    """
    with av.open(str(path), "w", format="flv", options={"flvflags": "no_duration_filesize"}) as container:
        video = _video_stream(container, spec, gop_s)
        sound = container.add_stream("aac", rate=TONE_RATE_HZ, layout="stereo") if spec.tone else None
        source = spec.source
        for number, picture in enumerate(
            CONTENTS[spec.content](source.width, source.height, round(loop_s * source.fps))
        ):
            if spec.numbered:
                write_barcode(picture, number)
            container.mux(video.encode(_frame(picture, number)))
        container.mux(video.encode(None))
        if sound is not None:
            sound.bit_rate = TONE_BPS
            packets = [packet for samples in _tone() for packet in sound.encode(samples)]
            for packet in packets[SETTLING_FRAMES : SETTLING_FRAMES + TONE_FRAMES]:
                container.mux(packet)


def _video_stream(container: av.container.OutputContainer, spec: ClipSpec, gop_s: float) -> av.VideoStream:
    source = spec.source
    rate = Fraction(source.fps).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate, width=source.width, height=source.height)
    stream.pix_fmt = "yuv420p"
    stream.bit_rate = round(source.bitrate_bps)
    stream.codec_context.thread_count = 1  # the same bytes on every machine
    gop = str(round(gop_s * source.fps))
    bits = str(round(source.bitrate_bps))
    stream.options = {
        "preset": PRESET,
        "g": gop,
        "keyint_min": gop,
        "sc_threshold": "0",
        "bf": "0",
        "maxrate": bits,
        "bufsize": bits,
    }
    return stream


def _frame(picture: Picture, number: int) -> av.VideoFrame:
    flat = np.concatenate([plane.reshape(-1, picture.luma.shape[1]) for plane in picture])
    frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
    frame.pts = number
    return frame


def _tone() -> Iterator[av.AudioFrame]:
    """Yield the samples of one AAC frame after another, with some to spare at both ends."""
    wave = 0.25 * np.sin(2 * np.pi * TONE_HZ / TONE_RATE_HZ * np.arange(SAMPLES_PER_FRAME)).astype(np.float32)
    for number in range(TONE_FRAMES + 2 * SETTLING_FRAMES):
        samples = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        samples.sample_rate, samples.time_base = TONE_RATE_HZ, Fraction(1, TONE_RATE_HZ)
        samples.pts = number * SAMPLES_PER_FRAME
        yield samples

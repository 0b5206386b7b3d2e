"""Encoded rungs for the tests, of any codec, as a ladder backend emits them, and what a segmenter makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import av
from clips import _pictures

from pipeline.hls.codec_parameters import AacFormat
from pipeline.hls.containers import Container
from pipeline.hls.segmenter import AudioUnit, RungSegmenter
from pipeline.hls.store import RungStore
from pipeline.ladders.backend import TICKS_PER_S, RungPacket
from pipeline.marks import NoMarks
from scenarios.ladder import Rung

FPS = 30
FRAME = TICKS_PER_S // FPS
GOP = 15
START = TICKS_PER_S
"""Where these streams begin: decode times before the first picture's must not be negative."""
ASC = b"\x12\x10"
"""AAC-LC, 44100 Hz, stereo."""
OPTIONS = {
    "h264": ("libx264", {"preset": "ultrafast", "g": str(GOP), "keyint_min": str(GOP), "sc_threshold": "0"}),
    "hevc": ("libx265", {"preset": "ultrafast"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": f"keyint={GOP}:lp=1"}),
}


def rung(codec: str = "h264", *, width: int = 320, height: int = 180) -> Rung:
    return Rung(name="rung", width=width, height=height, fps=FPS, bitrate_bps=300_000.0, codec=codec)


@cache
def coded(
    codec: str = "h264", *, seconds: float = 3.0, b_frames: int = 0, segment_s: float = 1.0, width: int = 320
) -> tuple[RungPacket, ...]:
    """Return frames in decode order, with an IDR picture every half second that only starts a segment if it is due."""
    name, options = OPTIONS[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, 180, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, TICKS_PER_S), Fraction(FPS), 300_000
    x265 = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop=0:bframes={b_frames}:repeat-headers=1:log-level=none"
    extra = {"h264": {"bf": str(b_frames)}, "hevc": {"x265-params": x265}, "av1": {}}[codec]
    encoder.options = options | extra
    packets = []
    for number, picture in enumerate(_pictures(round(seconds * FPS), FPS, width, 180)):
        picture.pts, picture.time_base = START + number * FRAME, Fraction(1, TICKS_PER_S)
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    return tuple(
        RungPacket(
            rung="rung",
            pts=packet.pts,
            dts=packet.dts,
            data=bytes(packet),
            is_keyframe=packet.is_keyframe and (packet.pts - START) % round(segment_s * TICKS_PER_S) == 0,
            frame_index=index,
            arrival_s=index / FPS,
            epoch=0,
        )
        for index, packet in enumerate(packets)
    )


def made_of(
    packets: Iterable[RungPacket],
    container: Container,
    *,
    codec: str = "h264",
    audio: Iterable[AudioUnit] = (),
    store: RungStore | None = None,
) -> RungStore:
    """Return the store that one publisher's frames were segmented into, audio interleaved as it would arrive."""
    store = store or RungStore(rung(codec), segment_s=1.0, listed=100, container=container)
    segmenter = RungSegmenter(store, stream="test", segment_s=1.0, unix_offset_s=0.0, marks=NoMarks())
    for item in sorted([*packets, *audio], key=lambda item: item.dts if isinstance(item, RungPacket) else item.pts):
        if isinstance(item, RungPacket):
            segmenter.video(item)
        else:
            segmenter.audio(item)
    segmenter.close()
    return store


def sound(seconds: float = 3.0, *, every: int = 1) -> list[AudioUnit]:
    """Return silent AAC beside `coded`, at the whole milliseconds of FLV; `every` leaves out all but each nth."""
    aac = AacFormat.from_config(ASC)
    silence = bytes.fromhex("210049900219002380")
    count = round(seconds * aac.sample_rate_hz / 1024)
    times_ms = [round(1000 * START / TICKS_PER_S + 1000 * 1024 * n / aac.sample_rate_hz) for n in range(count)]
    return [AudioUnit(90 * time_ms, aac.adts(silence), aac) for time_ms in times_ms[::every]]

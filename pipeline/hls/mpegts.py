"""MPEG-TS segments cut by FFmpeg's `hls` muxer into memory; its playlists are thrown away for our own."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import av

from pipeline.hls.codec_parameters import AacFormat, avc1_codec
from pipeline.ladders.backend import TICKS_PER_S, RungPacket
from scenarios.ladder import Rung

TIME_BASE = Fraction(1, TICKS_PER_S)
MAX_INTERLEAVE_S = 0.2
"""How long a muxer holds video back for audio that should lie before it, and does not come."""


class _File(Protocol):
    def write(self, data: bytes) -> int: ...

    def close(self) -> None: ...


class _SegmentFile:
    """What FFmpeg writes one segment into; its `close` is the instant of publishing."""

    def __init__(self, publish: Callable[[bytes], None]) -> None:
        self._publish = publish
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def close(self) -> None:
        self._publish(bytes(self._data))


class _PlaylistFile:
    """Where FFmpeg's playlist goes: nowhere."""

    def write(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        return None


class MpegTsMuxer:
    """A `Muxer` of MPEG-TS.

    Attributes:
        init: None; each segment begins with its own tables and parameter sets.
        video_codec: RFC 6381 name of the video.
    """

    init: bytes | None = None

    def __init__(self, rung: Rung, *, first: bytes, audio: AacFormat | None, publish: Callable[[bytes], None]) -> None:
        """Open the muxer; see `Container.open`."""
        self.video_codec = avc1_codec(first)
        self._publish = publish
        self._container = av.open(
            "mem:index.m3u8",  # to a scheme that FFmpeg does not know it writes no temporary file
            "w",
            format="hls",
            io_open=self._open_file,
            options={
                "hls_time": "0",  # FFmpeg then cuts at every packet that says it is a keyframe
                "hls_list_size": "1",
                "hls_segment_filename": "mem:%d.ts",
                "max_interleave_delta": str(round(MAX_INTERLEAVE_S * 1e6)),
            },
        )
        self._video = self._container.add_mux_stream(
            "h264", rate=Fraction(rung.fps).limit_denominator(1001), width=rung.width, height=rung.height
        )
        self._audio = None
        if audio is not None:
            self._audio = self._container.add_mux_stream("aac", rate=audio.sample_rate_hz)

    def _open_file(self, url: str, flags: int, options: dict[str, str]) -> _File:
        return _SegmentFile(lambda data: self._publish(data)) if url.endswith(".ts") else _PlaylistFile()

    def video(self, packet: RungPacket) -> None:
        """See `Muxer.video`."""
        coded = av.Packet(packet.data)
        coded.stream = self._video
        coded.pts, coded.dts, coded.time_base = packet.pts, packet.dts, TIME_BASE
        coded.is_keyframe = packet.is_keyframe
        self._container.mux_one(coded)

    def audio(self, pts: int, adts: bytes) -> None:
        """See `Muxer.audio`."""
        coded = av.Packet(adts)
        coded.stream = self._audio
        coded.pts = coded.dts = pts
        coded.time_base = TIME_BASE
        coded.is_keyframe = True
        self._container.mux_one(coded)

    def close(self) -> None:
        """See `Muxer.close`."""
        self._container.close()

    def abandon(self) -> None:
        """See `Muxer.abandon`."""
        self._publish = lambda data: None
        self._container.close()

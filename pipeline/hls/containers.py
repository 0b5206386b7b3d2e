"""The containers that segments come in, and all that depends on which one it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.hls.codec_parameters import AacFormat
from pipeline.hls.fmp4 import Fmp4Muxer
from pipeline.hls.mpegts import MpegTsMuxer
from pipeline.ladders.backend import RungPacket
from scenarios.errors import Problem, ScenarioError
from scenarios.ladder import Ladder, Rung

CODEC_TITLES = {"h264": "H.264", "hevc": "HEVC", "av1": "AV1"}


class Muxer(Protocol):
    """Packets of one rung in, finished segments out, along one unbroken timeline.

    A packet whose `is_keyframe` is set starts a segment; other IDR pictures do not. With audio, packets leave in
    the order of their decode times: a segment then closes when the next one's first frame and the first audio
    frame after it are both here.

    Attributes:
        init: what a player must read before any segment of this muxer; None if segments stand for themselves.
        video_codec: RFC 6381 name of the video.
    """

    init: bytes | None
    video_codec: str

    def video(self, packet: RungPacket) -> None:
        """Mux one frame, in decode order; the first must be a keyframe."""

    def audio(self, pts: int, adts: bytes) -> None:
        """Mux one ADTS frame; only if the muxer was opened with audio."""

    def close(self) -> None:
        """Write out what is left: the last segment is published."""

    def abandon(self) -> None:
        """Close without publishing what is left; else the garbage collector would, whenever it likes."""


class OpenMuxer(Protocol):
    """Opens a muxer of one container."""

    def __call__(self, rung: Rung, *, first: bytes, audio: AacFormat | None, publish: Callable[[bytes], None]) -> Muxer:
        """Return a muxer.

        Args:
            rung: what is muxed.
            first: data of the first frame, with its parameter sets.
            audio: format of the audio beside it, if there is any.
            publish: gets each segment's bytes, from within `video`, `audio` or `close` of the muxer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container.

    Attributes:
        name: as `--segments` takes it.
        title: as texts call it.
        open: opens its muxer.
        suffix: of its segments' names.
        content_type: of its segments.
        playlist_version: what its media playlists declare (RFC 8216, 7).
        codecs: video that it may carry.
    """

    name: str
    title: str
    open: OpenMuxer = field(repr=False)
    suffix: str
    content_type: str
    playlist_version: int
    codecs: frozenset[str]

    def check(self, ladder: Ladder) -> None:
        """Raise ScenarioError, naming each rung, if the ladder has a codec that this container may not carry."""
        problems = [
            Problem(
                file="ladder",
                line=None,
                column=None,
                field=f"rungs.{rung.name}.codec",
                message=f"{CODEC_TITLES[rung.codec]} is not carried in {self.title}: HLS has it in fMP4 only "
                "(Apple's HLS authoring specification; RFC 8216 leaves it open)",
                hint="use --segments fmp4",
            )
            for rung in ladder.rungs
            if rung.codec not in self.codecs
        ]
        if problems:
            raise ScenarioError(problems)


MPEGTS = Container(
    name="mpegts",
    title="MPEG-TS",
    open=MpegTsMuxer,
    suffix=".ts",
    content_type="video/mp2t",
    playlist_version=3,  # for EXTINF with decimals
    codecs=frozenset(("h264",)),
)
FMP4 = Container(
    name="fmp4",
    title="fMP4",
    open=Fmp4Muxer,
    suffix=".m4s",
    content_type="video/iso.segment",
    playlist_version=7,  # EXT-X-MAP asks for 6; 7 is what other packagers declare and players are tried with
    codecs=frozenset(("h264", "hevc", "av1")),
)
CONTAINERS = {container.name: container for container in (MPEGTS, FMP4)}

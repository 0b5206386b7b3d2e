"""The ladder: the source a broadcaster sends and the rungs it is encoded to. Both halves read it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import BitsPerSecond, FramesPerSecond, Name, PositiveSeconds, SpecModel

Dimension = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]
Codec = Literal["h264", "hevc", "av1"]


class Picture(SpecModel):
    """Size and rate of a video: what a codec works on."""

    width: Dimension
    """Pixels per line; even, as 4:2:0 chroma needs."""
    height: Dimension
    """Lines per frame; even."""
    fps: FramesPerSecond
    """Frames per second."""

    @property
    def pixels(self) -> int:
        """Pixels of one frame."""
        return self.width * self.height

    @property
    def pixel_rate(self) -> float:
        """Pixels per second."""
        return self.pixels * self.fps

    @property
    def label(self) -> str:
        """The picture as coefficients are named by it: `1280x720@30`."""
        return f"{self.width}x{self.height}@{self.fps:g}"


class Source(Picture):
    """What the broadcaster sends."""

    bitrate_bps: BitsPerSecond
    """Video and audio together."""
    codec: Codec = "h264"


class Rung(Picture):
    """One encoding of the ladder."""

    name: Name
    """As it stands in playlists and reports: `720p30`."""
    bitrate_bps: BitsPerSecond
    """Target of the encoder."""
    codec: Codec = "h264"


class Ladder(SpecModel):
    """The rungs of a broadcast, highest first, and the segments they are cut into."""

    segment_s: PositiveSeconds = 2.0
    """Length of a segment; every rung starts one with a keyframe at the same frame."""
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _monotone(self) -> Ladder:
        names = [rung.name for rung in self.rungs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"rung {name!r} stands twice; give each rung its own name")
        for upper, lower in zip(self.rungs, self.rungs[1:], strict=False):
            if lower.pixel_rate > upper.pixel_rate or lower.bitrate_bps >= upper.bitrate_bps:
                raise ValueError(
                    f"rung {lower.name!r} is not below {upper.name!r}: order rungs from the highest to the lowest, "
                    "each with no more pixels per second and a lower bitrate"
                )
        return self

    @property
    def egress_bps(self) -> float:
        """Sum of the rungs' bitrates: what a transcode node sends to the origin for one broadcast."""
        return sum(rung.bitrate_bps for rung in self.rungs)

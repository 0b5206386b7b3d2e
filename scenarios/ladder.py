"""The ladder: the source a broadcaster sends and the rungs that viewers are offered. Both halves read it."""

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

    def exceeds(self, other: Picture) -> bool:
        """True when it has more lines, columns or frames than another picture."""
        return self.height > other.height or self.width > other.width or self.fps > other.fps


class Source(Picture):
    """What the broadcaster sends."""

    bitrate_bps: BitsPerSecond
    """Video and audio together."""
    codec: Codec = "h264"


Stage = Literal["scale", "encode", "mux"]


class Rung(Picture):
    """One rendition of the ladder: encoded, or the publisher's own packets passed on."""

    name: Name
    """As it stands in playlists and reports: `720p30`."""
    bitrate_bps: BitsPerSecond
    """Target of the encoder; of a copied rung what the publisher sends."""
    codec: Codec = "h264"
    copied: bool = False
    """The publisher's packets are passed on as they are; nothing is encoded for this rung."""

    @property
    def label(self) -> str:
        """The rung as coefficients are named by it: `1280x720@30`, or `copied 1280x720@30`."""
        return f"copied {super().label}" if self.copied else super().label

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What costs CPU for each of its frames, in order."""
        return ("mux",) if self.copied else ("scale", "encode", "mux")


class Ladder(SpecModel):
    """The rungs of a broadcast, highest first, and the segments they are cut into."""

    segment_s: PositiveSeconds = 2.0
    """Length of a segment; every rung starts one with a keyframe at the same frame.

    With a copied rung that is a keyframe of the publisher, and segments are as long as whole groups of pictures are.
    """
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

    @model_validator(mode="after")
    def _only_the_first_is_copied(self) -> Ladder:
        for rung in self.rungs[1:]:
            if rung.copied:
                raise ValueError(
                    f"rung {rung.name!r} is copied, but {self.rungs[0].name!r} stands above it: only the first rung "
                    "can be the publisher's own; put it first, or leave out its copied: true"
                )
        return self

    @property
    def copied(self) -> Rung | None:
        """The rung that is the publisher's own, if there is one."""
        return self.rungs[0] if self.rungs[0].copied else None

    @property
    def encoded(self) -> tuple[Rung, ...]:
        """The rungs that are encoded; may be none."""
        return tuple(rung for rung in self.rungs if not rung.copied)

    @property
    def egress_bps(self) -> float:
        """Sum of the rungs' bitrates: what a transcode node sends to the origin for one broadcast."""
        return sum(rung.bitrate_bps for rung in self.rungs)

    def of(self, source: Source) -> Ladder:
        """Return the ladder that a source can have: without what it would have to be enlarged for.

        A rung that is copied is the source itself, whatever it is, and rungs at or above its bitrate are left out.

        Raises:
            ValueError: no rung remains.
        """
        own = self.copied
        top = () if own is None else (own.model_copy(update=source.model_dump()),)
        fitting = tuple(rung for rung in self.encoded if not rung.exceeds(source))
        if own is not None:
            fitting = tuple(rung for rung in fitting if rung.bitrate_bps < source.bitrate_bps)
        if not top + fitting:
            raise ValueError(f"no rung of the ladder fits a source of {source.label}: a ladder never enlarges")
        return self if top + fitting == self.rungs else self.model_copy(update={"rungs": top + fitting})

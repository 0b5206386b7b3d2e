"""What a profile was measured for: a stream outside that range is refused unless the reader asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from scenarios.profile import Measured, Profile, Range

SAME_PIXELS = 0.02
"""Share by which a picture may lie beyond an end of the range: 852 lines are encoded as 854 are."""
NEAR_BITS = 0.5
"""Share by which a source's bitrate may lie beyond an end of the range: decoding has a term in bytes."""


def require_coverage(
    profile: Profile, source: Source, ladder: Ladder, *, content: str | None = None, extrapolate: bool = False
) -> tuple[str, ...]:
    """Return in what respects a profile is used beyond its range; nothing if it is not.

    Args:
        profile: whose range.
        source: what is decoded.
        ladder: what is offered.
        content: what the stream shows; the reference content if None.
        extrapolate: the reader asked for it.

    Raises:
        CalibrationError: there are such respects and `extrapolate` is false, or the laws do not hold for the codec at
            all; the text names range and remedy.
    """
    if any(rung.codec != "h264" for rung in ladder.rungs) or source.codec != "h264":
        raise CalibrationError(f"profile {profile.name} was measured with h264; write codec: h264 in the ladder")
    if ladder.encoded and profile.measured.rung_pixels is None:
        raise CalibrationError(
            f"profile {profile.name} was measured with copied rungs alone, and says nothing of encoding; "
            "measure a ladder with an encoded rung, or choose another profile"
        )
    beyond = tuple(_beyond(profile.measured, source, ladder, content))
    if beyond and not extrapolate:
        raise CalibrationError(
            f"profile {profile.name}: {'; '.join(beyond)}; measure such a stream (`headroom measure`) and fit again, "
            "choose another profile, or add --extrapolate to go on all the same"
        )
    return beyond


def extrapolation(profile: Profile, source: Source, ladder: Ladder, *, content: str | None = None) -> tuple[str, ...]:
    """Return the sentences that stand above a result that reaches beyond a profile's range; nothing if none does."""
    beyond = require_coverage(profile, source, ladder, content=content, extrapolate=True)
    return tuple(f"EXTRAPOLATED beyond what profile {profile.name} was measured for: {one}" for one in beyond)


def _beyond(measured: Measured, source: Source, ladder: Ladder, content: str | None) -> Iterator[str]:
    if ladder.encoded and not measured.source_pixels.holds(source.pixels, slack=SAME_PIXELS):
        yield f"a source of {source.label}, measured were {_text(measured.source_pixels)} pixels"
    for rung in ladder.encoded:
        if measured.rung_pixels and not measured.rung_pixels.holds(rung.pixels, slack=SAME_PIXELS):
            yield f"rung {rung.name} of {rung.label}, measured were {_text(measured.rung_pixels)} pixels"
    for fps in sorted({source.fps, *(rung.fps for rung in ladder.rungs)}):
        if not measured.fps.holds(fps, slack=SAME_PIXELS):
            yield f"{fps:g} frames a second, measured were {_text(measured.fps)}"
    if not measured.source_bps.holds(source.bitrate_bps, slack=NEAR_BITS):
        yield f"a source of {source.bitrate_bps:,.0f} bit/s, measured were {_text(measured.source_bps)}"
    if content is not None and content not in measured.contents:
        yield f"content {content!r}, measured were {', '.join(measured.contents)}"


def _text(span: Range) -> str:
    return f"{span.low:,.0f}" if span.low == span.high else f"{span.low:,.0f} to {span.high:,.0f}"

"""What RFC 8216 asks of a live stream over time: of two readings of a playlist, and of what its URIs bring.

The tables continue those of `pipeline.hls.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.hls.parser import ListedSegment, MediaPlaylist
from pipeline.hls.rules import Finding, Rule
from pipeline.hls.segment_facts import Part, SegmentFacts, pts_step_s

MAX_SILENCE_TARGETS = 1.5
"""A live playlist gains a segment within so many target durations (RFC 8216, 6.2.1)."""
MIN_WINDOW_TARGETS = 3
"""No segment may leave a live playlist that would then be shorter than this (RFC 8216, 6.2.2)."""
DURATION_TOLERANCE_S = 0.25
"""How far a segment's frames may be from its EXTINF: some frames lost, no more."""
STEP_TOLERANCE_S = 0.05
"""How far a segment's first time stamp may be from the end of the one before: a frame and rounding."""


@dataclass(frozen=True, slots=True)
class Change:
    """Two readings of one media playlist; `before.read_s` is when that version was first seen."""

    before: MediaPlaylist
    after: MediaPlaylist


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One listed URI and what was received for it.

    Attributes:
        refusal: why nothing came back; empty if something did.
        segment: its description in the playlist; None for a playlist.
        facts: what it holds, if it came back.
        before: description and facts of the segment before it, if they are known.
        aligned: first time stamp of the segment of that number in other rungs, by the rung's playlist.
    """

    uri: str
    line: int
    refusal: str = ""
    segment: ListedSegment | None = None
    facts: SegmentFacts | None = None
    before: tuple[ListedSegment, SegmentFacts] | None = None
    aligned: dict[str, int]


# Two readings of one media playlist


def _never_back(change: Change) -> Iterator[Finding]:
    """Media sequence numbers never decrease."""
    before, after = change.before, change.after
    if after.media_sequence < before.media_sequence or after.end_sequence < before.end_sequence:
        yield (
            1,
            (
                f"listed {before.media_sequence} to {before.end_sequence - 1}, "
                f"and now {after.media_sequence} to {after.end_sequence - 1}"
            ),
        )


def _numbers_stay(change: Change) -> Iterator[Finding]:
    """The media sequence rises by one for each segment that leaves."""
    numbers = {segment.uri: segment.sequence for segment in change.before.segments}
    for segment in change.after.segments:
        was = numbers.get(segment.uri, segment.sequence)
        if was != segment.sequence:
            yield segment.line, f"{segment.uri} was number {was} and is now {segment.sequence}"


def _segments_stay(change: Change) -> Iterator[Finding]:
    """A listed segment does not change."""
    before = {segment.sequence: segment for segment in change.before.segments}
    old_uris = {segment.uri for segment in change.before.segments}
    new_uris = {segment.uri for segment in change.after.segments}
    for segment in change.after.segments:
        was = before.get(segment.sequence)
        if was is None:
            continue
        if segment.uri != was.uri and (segment.uri in old_uris or was.uri in new_uris):
            continue  # moved, not changed: the rule above says so
        old = (was.uri, was.map_uri, was.duration_s, was.unix_s, was.discontinuity)
        new = (segment.uri, segment.map_uri, segment.duration_s, segment.unix_s, segment.discontinuity)
        if old != new:
            yield segment.line, f"segment {segment.sequence} was {old} and is now {new}"


def _breaks_are_counted(change: Change) -> Iterator[Finding]:
    """Each discontinuity that leaves is counted."""
    before, after = change.before, change.after
    if not before.media_sequence <= after.media_sequence <= before.end_sequence:
        return  # what left in between was never seen
    left = [segment for segment in before.segments if segment.sequence < after.media_sequence]
    expected = before.discontinuity_sequence + sum(segment.discontinuity for segment in left)
    if after.discontinuity_sequence != expected:
        yield 1, f"the discontinuity sequence is {after.discontinuity_sequence} after {len(left)} left, not {expected}"


def _grows(change: Change) -> Iterator[Finding]:
    """A live playlist gains a segment within 1.5 target durations."""
    before, after = change.before, change.after
    limit_s = MAX_SILENCE_TARGETS * before.target_duration_s
    stalled = after.end_sequence == before.end_sequence and not after.ended
    if stalled and after.read_s - before.read_s > limit_s:
        yield 1, f"no segment followed number {after.end_sequence - 1} within {limit_s:g} s"


def _end_is_final(change: Change) -> Iterator[Finding]:
    """Nothing follows #EXT-X-ENDLIST."""
    before, after = change.before, change.after
    if before.ended and not (after.ended and after.end_sequence == before.end_sequence):
        yield 1, f"ended after number {before.end_sequence - 1}, and went on"


def _target_stays(change: Change) -> Iterator[Finding]:
    """The target duration never changes."""
    before_s, after_s = change.before.target_duration_s, change.after.target_duration_s
    if after_s != before_s:
        yield 1, f"the target duration was {before_s} s and is now {after_s} s"


def _window(change: Change) -> Iterator[Finding]:
    """A live playlist that drops a segment keeps three target durations."""
    before, after = change.before, change.after
    least_s = MIN_WINDOW_TARGETS * after.target_duration_s
    listed_s = sum(segment.duration_s for segment in after.segments)
    if after.media_sequence > before.media_sequence and not after.ended and listed_s < least_s:
        yield 1, f"a segment left, and {listed_s:g} s remain; a live playlist keeps {least_s} s"


# What is received for a URI


def _fetchable(received: Received) -> Iterator[Finding]:
    """What is listed can be fetched."""
    if received.refusal:
        yield received.line, f"{received.uri} is listed and cannot be fetched: {received.refusal}"


def _faults(received: Received, part: Part) -> Iterator[Finding]:
    for fault in received.facts.faults if received.facts is not None else ():
        if fault.part == part:
            yield received.line, f"{received.uri} {fault.message}"


def _tables(received: Received) -> Iterator[Finding]:
    """A segment of MPEG-TS starts with a PAT and its PMT; a SHOULD."""
    return _faults(received, "tables")


def _mapped(received: Received) -> Iterator[Finding]:
    """A segment of fMP4 has an #EXT-X-MAP applied to it."""
    return _faults(received, "map")


def _init(received: Received) -> Iterator[Finding]:
    """An init segment is a ftyp and a moov without samples, which says by its mvex that fragments follow."""
    for line, message in _faults(received, "init"):
        yield line, f"the init segment of {message}"


def _fragment(received: Received) -> Iterator[Finding]:
    """A segment of fMP4 is moof boxes with their mdat, of known tracks, each with its decode time."""
    return _faults(received, "fragment")


def _decode_times(received: Received) -> Iterator[Finding]:
    """No track of fMP4 goes back in decode time; ours, as the RFC asks it of time stamps in general."""
    segment, facts, before = received.segment, received.facts, received.before
    if segment is None or facts is None or before is None or segment.discontinuity:
        return
    for number, span in facts.spans.items():
        former = before[1].spans.get(number)
        if former is not None and span.start_s < former.end_s - STEP_TOLERANCE_S:
            yield (
                received.line,
                f"{received.uri} has track {number} begin {former.end_s - span.start_s:.3f} s too early",
            )


def _idr(received: Received) -> Iterator[Finding]:
    """A segment starts with an IDR picture, as #EXT-X-INDEPENDENT-SEGMENTS promises."""
    facts = received.facts
    if facts is not None and not facts.faults and not facts.starts_with_idr:
        what = "holds no video that can be read" if facts.first_pts is None else "does not start with an IDR picture"
        yield received.line, f"{received.uri} {what}"


def _duration(received: Received) -> Iterator[Finding]:
    """EXTINF is the segment's duration."""
    segment, facts = received.segment, received.facts
    if segment is None or facts is None or facts.first_pts is None:
        return
    if abs(facts.video_s - segment.duration_s) > DURATION_TOLERANCE_S:
        yield received.line, f"{received.uri} holds {facts.video_s:.3f} s of video, EXTINF says {segment.duration_s:g}"


def _continues(received: Received) -> Iterator[Finding]:
    """Time stamps continue, or a discontinuity is declared."""
    segment, facts, before = received.segment, received.facts, received.before
    if segment is None or facts is None or before is None or segment.discontinuity:
        return
    former, former_facts = before
    if facts.first_pts is None or former_facts.first_pts is None:
        return
    step_s = pts_step_s(former_facts.first_pts, facts.first_pts)
    if abs(step_s - former.duration_s) > STEP_TOLERANCE_S:
        yield (
            received.line,
            f"{received.uri} starts {step_s:.3f} s after {former.uri}, which lasts {former.duration_s:g}",
        )


def _aligned(received: Received) -> Iterator[Finding]:
    """All rungs start a segment at the same time."""
    facts = received.facts
    if facts is None or facts.first_pts is None:
        return
    for playlist, pts in received.aligned.items():
        if pts != facts.first_pts:
            off_s = pts_step_s(pts, facts.first_pts)
            yield received.line, f"{received.uri} starts {off_s:+.4f} s from the same segment of {playlist}"


CHANGE_RULES: tuple[Rule[Change], ...] = (
    Rule("never-back", "6.2.2", _never_back, "go on counting over restarts"),
    Rule("numbers-stay", "6.2.2", _numbers_stay, "raise #EXT-X-MEDIA-SEQUENCE by one per segment that leaves"),
    Rule("segments-stay", "6.2.1", _segments_stay, "publish only what is final"),
    Rule("breaks-counted", "6.2.2", _breaks_are_counted, "raise #EXT-X-DISCONTINUITY-SEQUENCE as they leave"),
    Rule("grows", "6.2.1", _grows, "look for an overload or a lost publisher"),
    Rule("end-is-final", "6.2.1", _end_is_final, "end only what does not return; viewers have left"),
    Rule("target-stays", "6.2.1", _target_stays, "declare the longest duration from the start"),
    Rule("window", "6.2.2", _window, "list more segments"),
)
SEGMENT_RULES: tuple[Rule[Received], ...] = (
    Rule("fetchable", "6.2.1", _fetchable, "publish before listing, and keep what was listed"),
    Rule("tables", "3.2", _tables, "write both tables at the start of each segment"),
    Rule("mapped", "3.3", _mapped, "write #EXT-X-MAP with the URI of its init segment"),
    Rule("init", "3.3", _init, "write it as a CMAF header"),
    Rule("fragment", "3.3", _fragment, "write it as a CMAF segment"),
    Rule("idr", "4.3.5.1", _idr, "force a keyframe at each boundary"),
    Rule("duration", "4.3.2.1", _duration, "measure it on the frames"),
    Rule("continues", "4.3.2.3", _continues, "write #EXT-X-DISCONTINUITY before it"),
    Rule("decode-times", "4.3.2.3", _decode_times, "let tfdt go on from segment to segment"),
    Rule("aligned", "6.2.4", _aligned, "decide keyframes once for all rungs"),
)

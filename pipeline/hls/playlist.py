"""HLS playlists as text (RFC 8216): a media playlist per rung, a multivariant playlist per stream."""

from __future__ import annotations

import datetime
from urllib.parse import quote

from pipeline.hls.store import Init, RungStore, Segment, StreamStore, Window

ENDLIST = "#EXT-X-ENDLIST\n"
"""The last line of a playlist that no segment will follow."""


def media_playlist(window: Window) -> str:
    """Return the media playlist of one rung; its segments and their init segments lie beside it.

    Raises:
        ValueError: the window lists nothing; an empty playlist would be an answer no player can use.
    """
    if not window.listed:
        raise ValueError("a media playlist needs a segment")
    head = media_head(
        version=window.container.playlist_version,
        target_duration_s=window.target_duration_s,
        media_sequence=window.listed[0].sequence,
        discontinuity_sequence=window.discontinuity_sequence,
    )
    inits = [None, *(segment.init for segment in window.listed)]
    entries = map(segment_entry, window.listed, inits)
    return head + "".join(entries) + (ENDLIST if window.ended else "")


def media_head(
    *, version: int, target_duration_s: int, media_sequence: int, discontinuity_sequence: int, playlist_type: str = ""
) -> str:
    """Return what stands before the first segment; `playlist_type` is `EVENT`, `VOD` or nothing (4.3.3.5)."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{version}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        *([f"#EXT-X-PLAYLIST-TYPE:{playlist_type}"] if playlist_type else []),
        f"#EXT-X-TARGETDURATION:{target_duration_s}",
        f"#EXT-X-MEDIA-SEQUENCE:{media_sequence}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}",
    ]
    return "\n".join(lines) + "\n"


def segment_entry(segment: Segment, init: Init | None = None) -> str:
    """Return the lines of one segment; `init` is that of the segment before it in the playlist."""
    lines = ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
    if segment.init is not None and segment.init != init:
        lines.append(f'#EXT-X-MAP:URI="{segment.init.name}"')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_iso(segment.unix_s)}")
    lines.append(f"#EXTINF:{segment.duration_s:.5f},")
    lines.append(segment.name)
    return "\n".join(lines) + "\n"


def multivariant_playlist(stream: StreamStore) -> str:
    """Return the multivariant playlist: one variant per rung, highest first, at `{rung}/index.m3u8`.

    `BANDWIDTH` is the highest rate of any segment so far, and never less than the encoder's target: a still
    picture now says nothing about the goal that comes. `AVERAGE-BANDWIDTH` is what was measured.

    Raises:
        ValueError: a rung has no segment yet.
    """
    if not stream.playable:
        raise ValueError(f"stream {stream.name!r} has a rung without a segment")
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for rung in stream.rungs.values():
        lines.append(f"#EXT-X-STREAM-INF:{_attributes(rung)}")
        lines.append(f"{quote(rung.rung.name)}/index.m3u8")
    return "\n".join(lines) + "\n"


def _attributes(store: RungStore) -> str:
    rung, window = store.rung, store.window
    average_bps = 8 * window.total_bytes / window.total_s
    attributes = {
        "BANDWIDTH": str(round(max(window.peak_bps, average_bps, rung.bitrate_bps))),
        "AVERAGE-BANDWIDTH": str(round(average_bps)),
        "CODECS": f'"{",".join(window.codecs)}"',
        "RESOLUTION": f"{rung.width}x{rung.height}",
        "FRAME-RATE": f"{rung.fps:.3f}",
    }
    return ",".join(f"{name}={value}" for name, value in attributes.items())


def _iso(unix_s: float) -> str:
    moment = datetime.datetime.fromtimestamp(unix_s, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

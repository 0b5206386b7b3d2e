"""Published segments for the tests: in either container, as ffprobe reads them, and as a playlist lists them."""

from __future__ import annotations

import json
import subprocess

import pytest

from pipeline.hls.containers import CONTAINERS
from pipeline.hls.store import Segment

IN_EITHER_CONTAINER = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)


def joined(segments: tuple[Segment, ...]) -> bytes:
    """Return the segments as one file: with the init segment of the first, if it has one."""
    init = segments[0].init
    return (init.data if init is not None else b"") + b"".join(segment.data for segment in segments)


def probe(*segments: Segment) -> dict[str, list[dict[str, str]]]:
    """Return ffprobe's packets of segments that need no others, by kind of stream."""
    command = ["ffprobe", "-v", "error", "-show_packets", "-of", "json", "-"]
    answer = subprocess.run(command, input=joined(segments), capture_output=True, check=True, timeout=30)
    assert not answer.stderr, answer.stderr.decode()
    found = json.loads(answer.stdout)
    return {
        kind: [packet for packet in found["packets"] if packet["codec_type"] == kind] for kind in ("video", "audio")
    }


def parse(playlist: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the tags of a media playlist, and those of each segment with its `uri`; strict about order."""
    lines = playlist.splitlines()
    assert lines[0] == "#EXTM3U"
    assert playlist.endswith("\n")
    header: dict[str, str] = {}
    segments: list[dict[str, str]] = []
    pending: dict[str, str] = {}
    for line in lines[1:]:
        if not line.startswith("#"):
            segments.append(pending | {"uri": line})
            pending = {}
            continue
        tag, _, value = line.removeprefix("#").partition(":")
        of_segment = tag in ("EXTINF", "EXT-X-DISCONTINUITY", "EXT-X-PROGRAM-DATE-TIME")
        (pending if of_segment else header)[tag] = value
    assert not pending
    return header, segments

"""Streams for the recorder's tests: segments of known bytes or real video, and what lies on disk afterwards."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from clips import ladder

from pipeline.hls.checker import check_playlist
from pipeline.hls.store import Store, StreamStore
from pipeline.recording import Recorder

RUNGS = ladder((320, 180, 30), (160, 90, 15))
SEGMENT_BYTES = 20_000
START_UNIX_S = 1_800_000_000.0


def marked_bytes(rung: str, number: int, size: int = SEGMENT_BYTES) -> bytes:
    """Return bytes that say whose they are, from the first to the last."""
    mark = f"{rung}/{number} ".encode()
    return (mark * (size // len(mark) + 1))[:size]


@cache
def real_segment(rung: str, number: int) -> bytes:
    """Return two seconds of H.264 in MPEG-TS, the timestamps going on from the segment before."""
    width, height, fps = {"180p30": (320, 180, 30), "90p15": (160, 90, 15)}[rung]
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=fps, width=width, height=height)
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1
        video.options = {"preset": "ultrafast", "g": "600", "bf": "0"}
        for frame in range(2 * fps):
            grey = np.full((3 * height // 2, width), (5 * frame + 40 * number) % 256, dtype=np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="yuv420p")
            picture.pts, picture.time_base = 2 * fps * number + frame, Fraction(1, fps)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return file.getvalue()


def frames_of(data: bytes) -> int:
    """Return how many pictures a segment decodes to; av.error.FFmpegError if it does not."""
    with av.open(io.BytesIO(data), format="mpegts") as container:
        return sum(1 for _ in container.decode(video=0))


def publish(stream: StreamStore, numbers: Iterable[int], content: Callable[[str, int], bytes] = marked_bytes) -> None:
    """Publish segments in every rung, as a packager does: rung after rung."""
    for number in numbers:
        for name, rung in stream.rungs.items():
            rung.append(
                content(name, number),
                duration_s=2.0,
                unix_s=START_UNIX_S + 2.0 * number,
                codecs=("avc1.42c00d",),
            )


def recorded_store(recorder: Recorder) -> Store:
    return Store(hooks=recorder.hooks)


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, "it did not come to that"
        time.sleep(0.005)


@dataclass(frozen=True)
class Listing:
    """One media playlist on disk."""

    names: list[str]
    breaks: list[str]
    """Names that follow an `EXT-X-DISCONTINUITY`."""
    text: str

    @property
    def ended(self) -> bool:
        return self.text.endswith("#EXT-X-ENDLIST\n")

    def value(self, tag: str) -> str:
        return self.text.split(f"#{tag}:", 1)[1].split("\n", 1)[0]


def listing(playlist: Path) -> Listing:
    """Read a media playlist; it must be valid, and every file it lists must be there."""
    text = playlist.read_text(encoding="utf-8")
    assert check_playlist(str(playlist), text.encode()) == []
    names: list[str] = []
    breaks: list[str] = []
    broken = False
    for line in text.splitlines():
        broken |= line == "#EXT-X-DISCONTINUITY"
        if not line.startswith("#"):
            names.append(line)
            breaks += [line] if broken else []
            broken = False
    assert names
    return Listing(names, breaks, text)


def recordings(root: Path) -> list[Path]:
    """Return the recordings' folders, the oldest first."""
    return sorted(path for path in root.iterdir() if path.is_dir())


def assert_whole(folder: Path, content: Callable[[str, int], bytes] = marked_bytes) -> dict[str, Listing]:
    """Return the rungs' listings of one recording, having compared every file with what was published."""
    assert check_playlist("index", (folder / "index.m3u8").read_bytes()) == []
    found = {}
    for rung in (path for path in folder.iterdir() if path.is_dir()):
        found[rung.name] = read = listing(rung / "index.m3u8")
        for name in read.names:
            assert (rung / name).read_bytes() == content(rung.name, int(name.removesuffix(".ts"))), name
    assert len({tuple(read.names) for read in found.values()}) == 1, "rungs differ"
    assert len({tuple(read.breaks) for read in found.values()}) == 1, "discontinuities differ"
    return found

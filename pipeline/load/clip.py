"""Source clips: drawn content, encoded once and cached, for publishers that never encode.

The file is FLV, whose tags are what RTMP messages carry, so that a publisher needs no codec library to send it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.load.content import CONTENTS
from pipeline.load.flv_file import AUDIO, VIDEO, Tag, read_tags
from scenarios.bundle import Content
from scenarios.errors import CalibrationError, NotReady
from scenarios.ladder import Source

DEFAULT_SOURCE = Source(width=1280, height=720, fps=30.0, bitrate_bps=3.5e6)
DEFAULT_CONTENT = "camera"
LOOP_S = 10.0
GOP_S = 2.0
RECIPE = 1
"""Counted up when what follows draws or encodes another clip."""


@dataclass(frozen=True)
class SourceClip:
    """A loop of video that can be sent again and again.

    Attributes:
        path: the FLV file; its name ends in the start of its SHA-256.
        content: what a bundle says about it.
    """

    path: Path
    content: Content


@dataclass(frozen=True)
class ClipSpec:
    """Which clip is wanted.

    Attributes:
        source: size, rate and bitrate of its video; must be H.264, which is all that the pipeline takes in.
        content: what it shows, of `CONTENTS`.
        numbered: whether each picture carries its number in the loop as a barcode.
        tone: whether it has AAC audio beside the video.
    """

    source: Source = DEFAULT_SOURCE
    content: str = DEFAULT_CONTENT
    numbered: bool = False
    tone: bool = False

    @property
    def stem(self) -> str:
        """What a file of it is called, up to the digest of its bytes."""
        extras = "-numbered" * self.numbered + "-tone" * self.tone
        picture = self.source.label.replace("@", "p")
        return f"{self.content}{extras}-{picture}-{self.source.bitrate_bps / 1e3:.0f}k-{RECIPE}"


def cache_folder() -> Path:
    """Return where clips are kept: `headroom` under XDG's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headroom"


def source_clip(
    source: Source = DEFAULT_SOURCE,
    *,
    content: str = DEFAULT_CONTENT,
    numbered: bool = False,
    tone: bool = False,
    folder: Path | None = None,
) -> SourceClip:
    """Return a clip, from the cache if it is there whole; else make it, in some 10 s of CPU.

    Args:
        source: as the next three, see `ClipSpec`.
        content: what it shows.
        numbered: whether its pictures carry barcodes.
        tone: whether it has audio.
        folder: the cache; `cache_folder()` if omitted.

    Raises:
        NotReady: PyAV is missing, or the cache cannot be written.
        CalibrationError: the source is no H.264, or there is no such content.
    """
    if source.codec != "h264":
        raise CalibrationError(
            f"the pipeline takes in H.264 only, the source is {source.codec}; write codec: h264 in workload.source"
        )
    if content not in CONTENTS:
        raise CalibrationError(f"there is no content {content!r}; choose from {', '.join(CONTENTS)}")
    spec = ClipSpec(source, content, numbered, tone)
    folder = folder or cache_folder()
    for path in sorted(folder.glob(f"{spec.stem}-*.flv")):
        if path.stem.removeprefix(f"{spec.stem}-") == _digest(path)[:16]:
            return SourceClip(path, _content(path, spec))
        path.unlink()  # damaged: its content is not what its name says
    return _make(spec, folder)


def _make(spec: ClipSpec, folder: Path) -> SourceClip:
    if importlib.util.find_spec("av") is None:
        raise NotReady("PyAV is not installed and the source clip is not made yet; pip install 'headroom[pipeline]'")
    from pipeline.load.clip_encoding import encode_clip

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".clip-") as name:
            draft = Path(name) / "draft.flv"
            encode_clip(spec, draft, loop_s=LOOP_S, gop_s=GOP_S)
            path = folder / f"{spec.stem}-{_digest(draft)[:16]}.flv"
            draft.replace(path)
    except OSError as error:
        raise NotReady(
            f"{folder}: the source clip cannot be written ({error.strerror}); free space or set XDG_CACHE_HOME"
        ) from error
    return SourceClip(path, _content(path, spec))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _content(path: Path, spec: ClipSpec) -> Content:
    tags = [tag for kind in (VIDEO, AUDIO) for tag in read_tags(path, kind) if tag.is_frame]
    frames = sum(tag.kind == VIDEO for tag in tags)
    sent_bps = sum(len(tag.body) for tag in tags if tag.kind == VIDEO) * 8 * spec.source.fps / frames
    return Content(
        name=spec.stem,
        source=spec.source.model_copy(update={"bitrate_bps": float(round(sent_bps, -3))}),
        frames=frames,
        gop_s=GOP_S,
        sha256=_digest(path),
    )


def frames_of(path: Path) -> tuple[Tag, tuple[Tag, ...]]:
    """Return the sequence header and the video frames of a clip.

    Raises:
        NotReady: the file is no clip of ours.
    """
    header, frames = _track(path, VIDEO)
    if header is None or not frames:
        raise NotReady(f"{path}: not a source clip; delete it and measure again")
    return header, frames


def tone_of(path: Path) -> tuple[Tag | None, tuple[Tag, ...]]:
    """Return the sequence header and the audio frames of a clip; None and nothing where it has no audio."""
    return _track(path, AUDIO)


def _track(path: Path, kind: int) -> tuple[Tag | None, tuple[Tag, ...]]:
    tags = read_tags(path, kind)
    header = next((tag for tag in tags if tag.is_header), None)
    return header, tuple(tag for tag in tags if tag.is_frame)

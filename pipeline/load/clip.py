"""The source clip: a camera-like scene, encoded once and cached, for publishers that never encode.

The file is FLV, whose tags are what RTMP messages carry, so that a publisher needs no codec library to send it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.load.flv_file import Tag, read_tags
from scenarios.bundle import Content
from scenarios.errors import CalibrationError, NotReady
from scenarios.ladder import Source

if TYPE_CHECKING:
    import av

DEFAULT_SOURCE = Source(width=1280, height=720, fps=30.0, bitrate_bps=3.5e6)
LOOP_S = 10.0
GOP_S = 2.0
RECIPE = 1
"""Counted up when what follows draws or encodes another clip."""
PRESET = "veryfast"
NOISE_LEVEL = 4
"""Standard deviation of the sensor noise, in steps of 8-bit luma: a camera indoors."""
NOISE_TILES = 8

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SourceClip:
    """A loop of video that can be sent again and again.

    Attributes:
        path: the FLV file; its name ends in the start of its SHA-256.
        content: what a bundle says about it.
    """

    path: Path
    content: Content


def cache_folder() -> Path:
    """Return where clips are kept: `headroom` under XDG's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headroom"


def source_clip(source: Source = DEFAULT_SOURCE, *, folder: Path | None = None) -> SourceClip:
    """Return the clip of a source, from the cache if it is there whole; else make it, in some 10 s of CPU.

    Raises:
        NotReady: PyAV is missing, or the cache cannot be written.
        CalibrationError: the source is no H.264, which is all that the pipeline takes in.
    """
    if source.codec != "h264":
        raise CalibrationError(
            f"the pipeline takes in H.264 only, the source is {source.codec}; write codec: h264 in workload.source"
        )
    folder = folder or cache_folder()
    stem = f"camera-{source.label.replace('@', 'p')}-{source.bitrate_bps / 1e3:.0f}k-{RECIPE}"
    for path in sorted(folder.glob(f"{stem}-*.flv")):
        if path.stem.removeprefix(f"{stem}-") == _digest(path)[:16]:
            return SourceClip(path, _content(path, stem, source))
        path.unlink()  # damaged: its content is not what its name says
    return _make(source, folder, stem)


def _make(source: Source, folder: Path, stem: str) -> SourceClip:
    if importlib.util.find_spec("av") is None:
        raise NotReady("PyAV is not installed and the source clip is not made yet; pip install 'headroom[pipeline]'")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".clip-") as name:
            draft = Path(name) / "draft.flv"
            _encode(source, draft)
            path = folder / f"{stem}-{_digest(draft)[:16]}.flv"
            draft.replace(path)
    except OSError as error:
        raise NotReady(
            f"{folder}: the source clip cannot be written ({error.strerror}); free space or set XDG_CACHE_HOME"
        ) from error
    return SourceClip(path, _content(path, stem, source))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _content(path: Path, stem: str, source: Source) -> Content:
    frames = [tag for tag in read_tags(path) if tag.is_frame]
    seconds = len(frames) / source.fps
    sent_bps = sum(len(tag.body) for tag in frames) * 8 / seconds
    return Content(
        name=stem,
        source=source.model_copy(update={"bitrate_bps": float(round(sent_bps, -3))}),
        frames=len(frames),
        gop_s=GOP_S,
        sha256=_digest(path),
    )


def _encode(source: Source, path: Path) -> None:
    """Draw and encode the clip; a second of buffer and closed GOPs, as a live encoder is set."""
    import av

    with av.open(str(path), "w", format="flv", options={"flvflags": "no_duration_filesize"}) as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(source.fps).limit_denominator(1001), width=source.width, height=source.height
        )
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = round(source.bitrate_bps)
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        bits = str(round(source.bitrate_bps))
        stream.options = {
            "preset": PRESET,
            "g": str(round(GOP_S * source.fps)),
            "keyint_min": str(round(GOP_S * source.fps)),
            "sc_threshold": "0",
            "bf": "0",
            "maxrate": bits,
            "bufsize": bits,
        }
        for number, luma in enumerate(scene(source.width, source.height, round(LOOP_S * source.fps))):
            container.mux(stream.encode(_picture(luma, number)))
        container.mux(stream.encode(None))


def _picture(luma: Luma, number: int) -> av.VideoFrame:
    """Return a picture of the luma whose colours follow its brightness."""
    import av

    tint = luma[::2, ::2] // 8
    flat = np.concatenate([plane.reshape(-1, luma.shape[1]) for plane in (luma, 140 - tint, 112 + tint)])
    picture = av.VideoFrame.from_ndarray(flat, format="yuv420p")
    picture.pts = number
    return picture


def scene(width: int, height: int, frames: int) -> Iterator[Luma]:
    """Yield luma pictures of a camera panning to and fro over a textured scene, with a moving object and noise.

    Noise and fine texture keep the decoder and encoder as busy as real pictures do; a test pattern would not.
    The last picture leads into the first. The pictures depend on the arguments alone.
    """
    rng = np.random.default_rng(720)
    backdrop = _backdrop(rng, width + width // 4, height + height // 8)
    noise = rng.normal(0, NOISE_LEVEL, (NOISE_TILES, height, width)).round().astype(np.int16)
    object_size = height // 5
    for number in range(frames):
        turn = 2 * np.pi * number / frames
        left = round(width / 8 * (1 + np.sin(turn)))
        top = round(height / 16 * (1 + np.sin(2 * turn)))
        picture = backdrop[top : top + height, left : left + width].copy()
        x = round((width - object_size) / 2 * (1 + np.cos(3 * turn)))
        y = round((height - object_size) / 2 * (1 + np.sin(2 * turn)))
        picture[y : y + object_size, x : x + object_size] = 255 - picture[y : y + object_size, x : x + object_size]
        shifted = np.roll(noise[number % NOISE_TILES], 37 * number, axis=1)
        yield np.clip(picture + shifted, 16, 235).astype(np.uint8)


def _backdrop(rng: np.random.Generator, width: int, height: int) -> npt.NDArray[np.int16]:
    """Return noise of several sizes, coarse strongest: the spectrum of natural pictures falls with frequency."""
    total = np.zeros((height, width))
    for cell in (128, 64, 32, 16, 8, 4):
        coarse = rng.normal(0, 1, (height // cell + 2, width // cell + 2))
        total += cell**0.5 * _stretched(coarse, cell)[:height, :width]
    return (126 + 38 * total / total.std()).clip(16, 235).astype(np.int16)


def _stretched(coarse: npt.NDArray[np.float64], cell: int) -> npt.NDArray[np.float64]:
    """Return the array `cell` times larger each way, interpolated linearly."""
    for axis in (0, 1):
        at = np.arange((coarse.shape[axis] - 1) * cell) / cell
        below = at.astype(int)
        share = np.expand_dims(at - below, 1 - axis)
        coarse = np.take(coarse, below, axis) * (1 - share) + np.take(coarse, below + 1, axis) * share
    return coarse


def frames_of(path: Path) -> tuple[Tag, tuple[Tag, ...]]:
    """Return the sequence header and the frames of a clip.

    Raises:
        NotReady: the file is no clip of ours.
    """
    tags = read_tags(path)
    headers = [tag for tag in tags if tag.is_header]
    frames = tuple(tag for tag in tags if tag.is_frame)
    if not headers or not frames:
        raise NotReady(f"{path}: not a source clip; delete it and measure again")
    return headers[0], frames

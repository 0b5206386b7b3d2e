"""Small broadcasts for the tests, made by FFmpeg's encoders and FLV muxer, as a publisher would send them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np

from pipeline.ladders.backend import SourcePacket
from pipeline.rtmp.frames import AudioFrame, VideoFrame
from scenarios.ladder import Ladder, Rung

SAMPLE_RATE_HZ = 44100


@dataclass(frozen=True)
class Clip:
    """Frames of a broadcast in the order they are sent."""

    frames: tuple[VideoFrame | AudioFrame, ...]

    @property
    def video(self) -> list[VideoFrame]:
        return [frame for frame in self.frames if isinstance(frame, VideoFrame)]

    @property
    def audio(self) -> list[AudioFrame]:
        return [frame for frame in self.frames if isinstance(frame, AudioFrame)]

    def packets(self) -> list[SourcePacket]:
        """The video as a ladder takes it, timestamps as FLV rounded them."""
        return [
            SourcePacket(
                index=index,
                pts=frame.pts_ms * 90,
                dts=frame.dts_ms * 90,
                is_keyframe=frame.is_keyframe,
                data=frame.payload,
                avcc=frame.avcc,
                arrival_s=frame.dts_ms / 1000,
            )
            for index, frame in enumerate(self.video)
        ]


@cache
def clip(
    *,
    seconds: float = 5.0,
    fps: int = 30,
    width: int = 320,
    height: int = 180,
    gop: int = 60,
    b_frames: int = 0,
    audio: bool = False,
) -> Clip:
    """Return a clip of moving noise; cached, as most tests share a few."""
    file = io.BytesIO()
    with av.open(file, "w", format="flv") as container:
        video = container.add_stream("libx264", rate=fps, width=width, height=height, bit_rate=600_000)
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1
        video.options = {"preset": "ultrafast", "g": str(gop), "sc_threshold": "0", "bf": str(b_frames)}
        sound = container.add_stream("aac", rate=SAMPLE_RATE_HZ) if audio else None
        for picture in _pictures(round(seconds * fps), fps, width, height):
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if sound is not None:
            for samples in _tone(seconds):
                container.mux(sound.encode(samples))
            container.mux(sound.encode(None))
    file.seek(0)
    return _read_flv(file)


def _pictures(count: int, fps: int, width: int, height: int):
    noise = np.random.default_rng(1).integers(0, 256, (3 * height // 2, 2 * width), dtype=np.uint8)
    for number in range(count):
        at = 4 * number % width
        picture = av.VideoFrame.from_ndarray(noise[:, at : at + width].copy(), format="yuv420p")
        picture.pts, picture.time_base = number, Fraction(1, fps)
        yield picture


def _tone(seconds: float):
    for start in range(0, round(seconds * SAMPLE_RATE_HZ), 1024):
        wave = np.sin(2 * np.pi * 440 / SAMPLE_RATE_HZ * np.arange(start, start + 1024)).astype(np.float32)
        samples = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        samples.sample_rate, samples.pts, samples.time_base = (
            SAMPLE_RATE_HZ,
            start,
            Fraction(1, SAMPLE_RATE_HZ),
        )
        yield samples


def _read_flv(file: io.BytesIO) -> Clip:
    frames: list[VideoFrame | AudioFrame] = []
    with av.open(file, format="flv") as container:
        for packet in container.demux():
            if packet.size == 0:
                continue
            config = bytes(packet.stream.codec_context.extradata)
            if packet.stream.type == "video":
                frame = VideoFrame(packet.pts, packet.dts, packet.is_keyframe, bytes(packet), config)
                frames.append(frame)
            else:
                frames.append(AudioFrame(packet.pts, bytes(packet), config))
    frames.sort(key=lambda frame: frame.dts_ms if isinstance(frame, VideoFrame) else frame.pts_ms)
    return Clip(tuple(frames))


def ladder(*rungs: tuple[int, int, float], segment_s: float = 2.0) -> Ladder:
    """Return a ladder of `(width, height, fps)` rungs, 300 kbit/s and then less."""
    return Ladder(
        segment_s=segment_s,
        rungs=tuple(
            Rung(
                name=f"{height}p{fps:g}",
                width=width,
                height=height,
                fps=float(fps),
                bitrate_bps=300_000.0 - 50_000.0 * number,
            )
            for number, (width, height, fps) in enumerate(rungs)
        ),
    )

"""Codecs that stand in for NVDEC and NVENC: same names, options checked against the real ones, work done on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import av
import av.error
import av.logging
import pytest
from av.video.reformatter import VideoReformatter

from pipeline.ladders import nvenc_codecs, threads
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.nvenc_options import NVENC_ENCODERS

CPU_ENCODERS = {
    "h264_nvenc": (
        "libx264",
        {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0", "forced-idr": "1"},
    ),
    "hevc_nvenc": (
        "libx265",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "x265-params": "scenecut=0:repeat-headers=1:log-level=none",
        },
    ),
}
"""What stands in; nothing does for AV1, whose encoders on the CPU hold pictures back."""
REAL_CREATE = av.CodecContext.create


class Gpu:
    """What the stand-ins did, and which call of theirs fails with which recorded lines.

    Attributes:
        encoders, decoders: the stand-ins that were opened, in order.
        fail: given a codec's name and what it is about to do (`open`, `encode` or `decode`) and how often it or others
            of its name did so before; returns the lines to log before failing, or nothing.
    """

    def __init__(self) -> None:
        self.encoders: list[StandInEncoder] = []
        self.decoders: list[StandInDecoder] = []
        self.calls: dict[tuple[str, str], int] = {}
        self.lock = threading.Lock()
        self.fail: Callable[[str, str, int], list[str] | None] = lambda name, call, before: None

    def called(self, name: str, call: str) -> None:
        with self.lock:
            before = self.calls.get((name, call), 0)
            self.calls[name, call] = before + 1
        lines = self.fail(name, call, before)
        if lines is not None:
            for line in lines:
                av.logging.log(av.logging.WARNING, name, line)
            raise av.error.ExternalError(542398533, "Generic error in an external library")


class StandIn:
    """The attributes that are set before opening are kept; the options are those of the real codec."""

    def __init__(self, gpu: Gpu, name: str, mode: str) -> None:
        self.gpu, self.name = gpu, name
        self.supported_options = REAL_CREATE(name, mode).supported_options
        self.options: dict[str, str] = {}
        self.flags = 0
        self.is_open = False

    def open(self) -> None:
        self.gpu.called(self.name, "open")
        self.is_open = True


class StandInEncoder(StandIn):
    """An encoder on the CPU under NVENC's name."""

    def encode(self, picture: av.VideoFrame | None) -> list[av.Packet]:
        if not self.is_open:
            self._adopt(picture)
        self.gpu.called(self.name, "encode")
        return self.context.encode(picture)

    def _adopt(self, picture: av.VideoFrame) -> None:
        assert self.pix_fmt == "cuda", "NVENC opens at the first picture only to adopt its place on the GPU"
        assert (picture.width, picture.height) == (self.width, self.height), "there is no scaler on the GPU"
        self.open()

    def open(self) -> None:
        super().open()
        self.gpu.encoders.append(self)
        name, options = CPU_ENCODERS[self.name]
        self.context = REAL_CREATE(name, "w")
        for attribute in ("width", "height", "time_base", "framerate", "bit_rate"):
            setattr(self.context, attribute, getattr(self, attribute))
        self.context.pix_fmt = "yuv420p"
        self.context.thread_count = 1
        taken = {name: self.options[name] for name in ("g", "bf", "maxrate", "bufsize")}
        self.context.options = options | taken


class StandInDecoder(StandIn):
    """A decoder on the CPU under NVDEC's name, which scales as `resize` says."""

    is_hwaccel = True

    def open(self) -> None:
        super().open()
        self.gpu.decoders.append(self)
        self.width, self.height = map(int, self.options["resize"].split("x"))
        self.scaler = VideoReformatter()
        self.context = REAL_CREATE("h264", "r")
        self.context.extradata = self.extradata
        self.context.thread_count = self.thread_count
        self.context.flags |= self.flags

    def decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        self.gpu.called(self.name, "decode")
        pictures = self.context.decode(packet)
        return [self.scaler.reformat(picture, self.width, self.height, "yuv420p", threads=1) for picture in pictures]


def stand_in_gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """Put stand-ins where this process would open NVDEC and NVENC; a slow machine drops nothing meanwhile."""
    stand_ins = Gpu()

    class CodecContext:
        @staticmethod
        def create(name, mode, hwaccel=None):
            if name in NVENC_ENCODERS.values():
                return StandInEncoder(stand_ins, name, mode)
            if name == "h264_cuvid":
                assert hwaccel.is_hw_owned
                assert not hwaccel.allow_software_fallback
                return StandInDecoder(stand_ins, name, mode)
            return REAL_CREATE(name, mode, hwaccel)

    monkeypatch.setattr(av, "CodecContext", CodecContext)
    monkeypatch.setattr(threads, "Backlog", partial(Backlog, max_packets=10_000))
    monkeypatch.setattr(nvenc_codecs, "_open_encoders", type(nvenc_codecs._open_encoders)())
    return stand_ins

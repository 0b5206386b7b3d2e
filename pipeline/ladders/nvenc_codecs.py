"""NVDEC and NVENC through PyAV, for one rung each. Never run on an NVENC GPU."""

from __future__ import annotations

import weakref
from fractions import Fraction

import av
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.video.reformatter import VideoReformatter

from pipeline.ladders.nvenc_errors import GpuFailed, gpu_errors_explained
from pipeline.ladders.nvenc_options import NVENC_ENCODERS, nvenc_options
from pipeline.ladders.threads import TIME_BASE
from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Rung

DECODER = "h264_cuvid"

_open_encoders: weakref.WeakSet[NvencEncoder] = weakref.WeakSet()
"""Sessions of this process: how many there are tells what a refused one means."""


class CuvidDecoder:
    """NVDEC for one rung and one configuration record: pictures come out scaled, in the GPU's memory.

    The picture is copied out of the decoder's own surfaces, which are therefore free again at once.
    """

    def __init__(self, rung: Rung, avcc: bytes) -> None:
        # Without the primary context each decoder would have a CUDA context of its own; `is_hw_owned` asks for it.
        device = HWAccel("cuda", allow_software_fallback=False, is_hw_owned=True)
        with gpu_errors_explained(DECODER):
            self._context = av.CodecContext.create(DECODER, "r", hwaccel=device)
            if not self._context.is_hwaccel:
                raise EncoderUnavailable("the FFmpeg that PyAV brings was built without CUDA")
            self._context.extradata = avcc
            self._context.thread_count = 1
            self._context.flags |= Flags.low_delay
            self._context.options = {"resize": f"{rung.width}x{rung.height}"}
            refuse_unknown_options(self._context)
            self._context.open()

    def decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        """See `PacketDecoder.decode`; EncoderUnavailable or GpuFailed if the GPU fails."""
        with gpu_errors_explained(DECODER):
            return self._context.decode(packet)


class NvencEncoder:
    """One rung's NVENC session.

    With `cuda` as the pixel format it opens at the first picture, whose place in the GPU's memory it adopts.
    """

    def __init__(self, rung: Rung, *, preset: str, pix_fmt: str) -> None:
        self._rung, self._codec = rung, NVENC_ENCODERS[rung.codec]
        with gpu_errors_explained(self._codec):
            self._context = av.CodecContext.create(self._codec, "w")
        self._context.width, self._context.height = rung.width, rung.height
        self._context.pix_fmt = pix_fmt
        self._context.time_base = TIME_BASE
        self._context.framerate = Fraction(rung.fps).limit_denominator(1001)
        options = nvenc_options(rung, preset=preset, declared_fps=rung.fps)
        self._context.bit_rate = int(options["maxrate"])
        self._context.options = options
        refuse_unknown_options(self._context)
        if pix_fmt != "cuda":
            with gpu_errors_explained(self._codec, open_sessions=len(_open_encoders)):
                self._context.open()
            _open_encoders.add(self)

    def encode(self, picture: av.VideoFrame) -> av.Packet:
        """See `PictureEncoder.encode`; EncoderUnavailable or GpuFailed if the GPU fails."""
        with gpu_errors_explained(self._codec, open_sessions=len(_open_encoders)):
            packets = self._context.encode(picture)
        _open_encoders.add(self)
        if len(packets) != 1:
            raise GpuFailed(
                f"rung {self._rung.name!r}: {self._codec} gave {len(packets)} packets for one picture: "
                "it holds pictures back though it was told not to"
            )
        return packets[0]


class HybridEncoder(NvencEncoder):
    """One rung: swscale on the CPU, then NVENC, which uploads the picture."""

    def __init__(self, rung: Rung, *, preset: str) -> None:
        super().__init__(rung, preset=preset, pix_fmt="yuv420p")
        self._reformatter = VideoReformatter()

    def scale(self, picture: av.VideoFrame) -> av.VideoFrame:
        """See `RungEncoder.scale`."""
        return self._reformatter.reformat(
            picture, self._rung.width, self._rung.height, "yuv420p", interpolation="BILINEAR", threads=1
        )


def refuse_unknown_options(context: av.CodecContext) -> None:
    """Raise RuntimeError if the codec has no option of a name that it is given: FFmpeg would just leave it."""
    known = context.supported_options
    names = {option.name for option in (*known.generic, *known.private)}
    strangers = {name: value for name, value in context.options.items() if name not in names}
    if strangers:
        raise RuntimeError(f"{context.name} has no such options: {strangers}")

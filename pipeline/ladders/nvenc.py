"""The `nvenc` backends: encoding on an NVIDIA GPU, with the FFmpeg libraries that PyAV brings.

`nvenc` keeps pictures on the GPU: each rung has its own NVDEC decoder, which scales as it decodes, and hands its
pictures to NVENC. `nvenc-hybrid` decodes and scales on the CPU and has NVENC encode. Neither takes the other's place
unasked. Never run on an NVENC GPU: everything around the two codecs is tested, with others standing in for them.
"""

from __future__ import annotations

from pipeline.ladders.backend import Emit, Ended, LadderSession
from pipeline.ladders.gpu_session import GpuSession
from pipeline.ladders.nvenc_codecs import DECODER, CuvidDecoder, HybridEncoder, NvencEncoder
from pipeline.ladders.nvenc_options import DEFAULT_NVENC_PRESET, checked_nvenc_preset
from pipeline.ladders.probe import probe_nvdec, probe_nvenc
from pipeline.ladders.session import ThreadedSession
from pipeline.marks import Marks
from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Ladder


class _NvencBackend:
    """What both backends ask of the GPU; codecs that have worked once are not tried again for every broadcast."""

    name: str

    def __init__(self, *, preset: str = DEFAULT_NVENC_PRESET) -> None:
        self.preset = checked_nvenc_preset(preset)
        self._tried: set[str] = set()

    def check(self, ladder: Ladder) -> None:
        """See `LadderBackend.check`; opens a small session of each codec that the ladder asks for."""
        for codec in dict.fromkeys(rung.codec for rung in ladder.encoded):
            if codec in self._tried:
                continue
            probe = probe_nvenc(codec)
            if probe.reason is not None:
                rungs = ", ".join(f"{rung.name} ({codec})" for rung in ladder.encoded if rung.codec == codec)
                raise EncoderUnavailable(f"{self.name} cannot encode {rungs}: {probe.reason}")
            self._tried.add(codec)


class HybridBackend(_NvencBackend):
    """Decodes and scales on the CPU, encodes with NVENC; needs a GPU that has it."""

    name = "nvenc-hybrid"

    def open(
        self,
        source_avcc: bytes,
        ladder: Ladder,
        emit: Emit,
        *,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
    ) -> LadderSession:
        """See `LadderBackend.open`."""
        self.check(ladder)
        return ThreadedSession(
            source_avcc,
            ladder=ladder,
            open_encoder=lambda rung: HybridEncoder(rung, preset=self.preset),
            emit=emit,
            ended=ended,
            stream=stream,
            marks=marks,
        )


class NvencBackend(_NvencBackend):
    """Decodes, scales and encodes on the GPU; needs one that has NVDEC and NVENC."""

    name = "nvenc"

    def check(self, ladder: Ladder) -> None:
        """See `LadderBackend.check`; also decodes a few pictures on the GPU."""
        super().check(ladder)
        if DECODER not in self._tried:
            probe = probe_nvdec()
            if probe.reason is not None:
                raise EncoderUnavailable(
                    f"{self.name} decodes on the GPU, which does not work: {probe.reason}; "
                    "--encoder nvenc-hybrid decodes and scales on the CPU"
                )
            self._tried.add(DECODER)

    def open(
        self,
        source_avcc: bytes,
        ladder: Ladder,
        emit: Emit,
        *,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
    ) -> LadderSession:
        """See `LadderBackend.open`."""
        self.check(ladder)
        return GpuSession(
            source_avcc,
            ladder=ladder,
            open_decoder=CuvidDecoder,
            open_encoder=lambda rung: NvencEncoder(rung, preset=self.preset, pix_fmt="cuda"),
            emit=emit,
            ended=ended,
            stream=stream,
            marks=marks,
        )

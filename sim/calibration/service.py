"""Service times of every frame of a load, drawn from a profile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.errors import CalibrationError
from scenarios.ladder import Rung
from scenarios.profile import Profile
from sim.calibration.arrivals import Arrivals, Bools, Floats, StreamArrivals
from sim.capacity import load_growth
from sim.sampling import stream as random_stream

Segments = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RungService:
    """What one rung's thread does for each frame of a stream; arrays over the stream's frames.

    Attributes:
        kept: whether the rung has the frame at all.
        picture_s: scaling and encoding; None for a copied rung, which has no thread of its own.
        mux_s: muxing.
    """

    kept: Bools
    picture_s: Floats | None
    mux_s: Floats

    @property
    def cpu_s(self) -> Floats:
        """CPU of each frame that the rung has, from scaling to muxing."""
        return self.mux_s if self.picture_s is None else self.picture_s + self.mux_s


@dataclass(frozen=True)
class StreamService:
    """What one stream asks of the machine.

    Attributes:
        segments: segment of each frame.
        send_s: CPU of the load generator for each frame; 0 where it does not run on the node.
        receive_s: event-loop CPU for each frame.
        decode_s: of each frame.
        rungs: by name.
    """

    segments: Segments
    send_s: float
    receive_s: float
    decode_s: Floats
    rungs: Mapping[str, RungService]


def service_times(
    arrivals: Arrivals, profile: Profile, *, values: Mapping[str, float], seed: int
) -> tuple[StreamService, ...]:
    """Return the service times of every frame of every stream.

    A time is the profile's mean of its kind (keyframes apart), times the growth with load, times lognormal
    noise of the profile's coefficient of variation. The CPU that no stage accounts for is spent around the
    stages, so it is spread evenly over the jobs of a frame: decoding, and encoding and muxing for each rung; a
    copied one is only muxed.
    A stream's numbers depend on `seed` and its position alone, so another load draws the same ones again.

    Raises:
        CalibrationError: the profile lacks the source or a rung, or its keyframes contradict the arrivals.
    """
    growth = load_growth(values, streams=len(arrivals.streams), capacity_streams=profile.measured.capacity_streams)
    grown = {key: value * growth if "cpu_s_per" in key else value for key, value in values.items()}
    drawing = _Drawing(arrivals, profile, grown, seed)
    return tuple(drawing.of_stream(position) for position in range(len(arrivals.streams)))


@dataclass(frozen=True)
class _Drawing:
    """One load's service times in the making; `values` are those at this load."""

    arrivals: Arrivals
    profile: Profile
    values: Mapping[str, float]
    seed: int

    def of_stream(self, position: int) -> StreamService:
        stream, source, ladder = self.arrivals.streams[position], self.arrivals.source, self.arrivals.ladder
        segments = self.arrivals.segments(stream)
        jobs = 1 + len(ladder.encoded) + len(ladder.rungs)
        other_s = self.values["other_cpu_s_per_stream_s"] / source.fps / jobs
        decode_s = self._expected(
            "decode",
            source.label,
            stages=("decode",),
            is_keyframe=stream.is_keyframe,
            key_share=float(stream.is_keyframe.mean()),
        ) * self._noise(f"decode_cpu_cv {source.label}", position, "decode")
        rungs = {rung.name: self._of_rung(rung, position, segments, other_s=other_s) for rung in ladder.rungs}
        receive_s = self.values["ingest_cpu_s_per_stream_s"] / source.fps
        return StreamService(segments, receive_s, decode_s + other_s, rungs)

    def _of_rung(self, rung: Rung, position: int, segments: Segments, *, other_s: float) -> RungService:
        stream: StreamArrivals = self.arrivals.streams[position]
        mux_s = self._mean("mux", rung.label) + other_s
        if rung.copied:
            return RungService(np.ones(segments.size, dtype=bool), None, mux_s)
        picture_s = self._expected(
            "encode",
            rung.label,
            stages=("scale", "encode"),
            is_keyframe=np.r_[True, np.diff(segments) > 0],
            key_share=1.0 / (self.profile.measured.ladder.segment_s * rung.fps),
        ) * self._noise(f"encode_cpu_cv {rung.label}", position, rung.name)
        return RungService(stream.kept(rung.fps, segments), picture_s + other_s, mux_s)

    def _expected(
        self, kind: str, label: str, *, stages: tuple[str, ...], is_keyframe: Bools, key_share: float
    ) -> Floats:
        """Return each frame's expected cost; frames cost the stages' mean where `key_share` are keyframes."""
        mean = sum(self._mean(stage, label) for stage in stages)
        factor = self.values[f"{kind}_keyframe_factor {label}"]
        if key_share * factor >= 1.0:
            raise CalibrationError(
                f"{kind}_keyframe_factor {label} is {factor:.3g}, but {key_share:.1%} of the frames are "
                "keyframes: the profile was measured with keyframes further apart; measure such a source"
            )
        ordinary = mean * (1.0 - key_share * factor) / (1.0 - key_share)
        return np.where(is_keyframe, mean * factor, ordinary)

    def _mean(self, stage: str, label: str) -> float:
        return self.values[self.profile.coefficient(f"{stage}_cpu_s_per_frame", label).key]

    def _noise(self, cv_key: str, position: int, name: str) -> Floats:
        sigma = math.sqrt(math.log1p(self.values[cv_key] ** 2))
        generator = random_stream(self.seed, position, f"replay {name}")
        frames = self.arrivals.streams[position].pts_s.size
        return generator.lognormal(-(sigma**2) / 2, sigma, size=frames)

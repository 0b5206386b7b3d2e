"""Service times of every frame of a load, drawn from a profile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.errors import CalibrationError
from scenarios.ladder import Rung
from sim.calibration.arrivals import Arrivals, Bools, Floats, StreamArrivals
from sim.sampling import stream as random_stream
from sim.stream_cost import (
    FrameCosts,
    content_factor,
    decode_cpu_s,
    frame_costs,
    load_growth,
    needed,
    stream_cpu_s,
    utilisation,
)

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


def service_times(arrivals: Arrivals, *, values: Mapping[str, float], seed: int) -> tuple[StreamService, ...]:
    """Return the service times of every frame of every stream.

    A time is the profile's mean of its kind (keyframes apart), times the growth with load, times lognormal
    noise of the profile's coefficient of variation. The CPU that no stage accounts for is spent around the
    stages, so each job of a frame has its part: decoding, and encoding and muxing for each rung; a
    copied one is only muxed. What the process takes each second is spread over the frames it receives.
    A stream's numbers depend on `seed` and its position alone, so another load draws the same ones again.

    Raises:
        CalibrationError: the profile lacks a coefficient, or its keyframes contradict the arrivals.
    """
    source, ladder, streams = arrivals.source, arrivals.ladder, len(arrivals.streams)
    # What an unseen clip shows is not known: it counts as the reference content.
    content = arrivals.content if f"encode_content_factor {arrivals.content}" in values else None
    send_s = needed(values, "generator_cpu_s_per_frame") if arrivals.has_generator else 0.0
    cpu_s = streams * (stream_cpu_s(values, source, ladder, content) + send_s * source.fps)
    growth = load_growth(values, utilisation(values, cpu_s, cores=arrivals.cores))
    drawing = _Drawing(
        arrivals,
        values,
        frame_costs(values, source, ladder, content=content),
        content,
        growth,
        send_s * growth,
        values["base_cpu_s_per_s"] / (streams * source.fps),
        seed,
    )
    return tuple(drawing.of_stream(position) for position in range(streams))


@dataclass(frozen=True)
class _Drawing:
    """One load's service times in the making: costs at no load, and the factor on them at this one."""

    arrivals: Arrivals
    values: Mapping[str, float]
    costs: FrameCosts
    content: str | None
    growth: float
    send_s: float
    base_s: float
    seed: int

    def of_stream(self, position: int) -> StreamService:
        stream, ladder = self.arrivals.streams[position], self.arrivals.ladder
        segments = self.arrivals.segments(stream)
        decode_s = np.zeros(stream.bytes.size)
        if ladder.encoded:
            expected_s = decode_cpu_s(self.values, self.arrivals.source, stream.bytes, content=self.content)
            decode_s = expected_s * self.growth * self._noise("decode_cpu_cv", position, "decode")
        rungs = {rung.name: self._of_rung(rung, position, segments) for rung in ladder.rungs}
        receive_s = (self.costs.receive_s + self.costs.audio_s) * self.growth + self.base_s
        return StreamService(segments, self.send_s, receive_s, decode_s + self.costs.other_s * self.growth, rungs)

    def _of_rung(self, rung: Rung, position: int, segments: Segments) -> RungService:
        stream: StreamArrivals = self.arrivals.streams[position]
        other_s = self.costs.other_s * self.growth
        opens = np.r_[True, np.diff(segments) > 0]
        # The frame that opens a segment has the one before it written out.
        mux_s = other_s + self._expected("mux", self.costs.mux_s[rung.name], opens, rung)
        if rung.copied:
            return RungService(np.ones(segments.size, dtype=bool), None, mux_s)
        cost_s = self.costs.scale_s[rung.name] + self.costs.encode_s[rung.name]
        noise = self._noise("encode_cpu_cv", position, rung.name)
        picture_s = self._expected("encode", cost_s, opens, rung) * noise
        return RungService(stream.kept(rung.fps, segments), picture_s + other_s, mux_s)

    def _expected(self, kind: str, cost_s: float, opens: Bools, rung: Rung) -> Floats:
        """Return each frame's expected cost; the mean over a segment, whose first frame is a keyframe, is the law's."""
        mean, factor = cost_s * self.growth, self.values[f"{kind}_keyframe_factor"]
        if kind == "encode":
            factor *= content_factor(self.values, "encode_keyframe", self.content)
        key_share = 1.0 / (self.arrivals.ladder.segment_s * rung.fps)
        if key_share * factor >= 1.0:
            raise CalibrationError(
                f"{kind}_keyframe_factor is {factor:.3g}, but {key_share:.1%} of the frames are "
                "keyframes: the profile was measured with keyframes further apart; measure such a source"
            )
        ordinary = mean * (1.0 - key_share * factor) / (1.0 - key_share)
        return np.where(opens, mean * factor, ordinary)

    def _noise(self, cv_name: str, position: int, name: str) -> Floats:
        cv = self.values[cv_name] * content_factor(self.values, cv_name, self.content)
        sigma = math.sqrt(math.log1p(cv**2))
        generator = random_stream(self.seed, position, f"replay {name}")
        frames = self.arrivals.streams[position].pts_s.size
        return generator.lognormal(-(sigma**2) / 2, sigma, size=frames)

"""What one stream costs a node: the measured laws put together for any source and ladder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Rung, Source
from sim.sampling import Floats

BITS_PER_BYTE = 8


@dataclass(frozen=True)
class FrameCosts:
    """Expected CPU-seconds of one frame at no load; `load_growth` is the factor at another.

    Attributes:
        receive_s: the event loop's, for each source frame.
        decode_s: of one source frame; 0 if nothing is encoded.
        scale_s, encode_s, mux_s: by rung name, of each frame that the rung has; a copied rung is muxed alone.
        other_s: of each job of a frame, beside its stages. A decoding is a job, so is each encoding and each muxing.
        audio_s: of the audio that comes with one source frame; 0 unless it was measured.
    """

    receive_s: float
    decode_s: float
    scale_s: Mapping[str, float]
    encode_s: Mapping[str, float]
    mux_s: Mapping[str, float]
    other_s: float
    audio_s: float


def frame_costs(
    values: Mapping[str, float], source: Source, ladder: Ladder, *, content: str | None = None
) -> FrameCosts:
    """Return what the stages of one frame cost.

    Args:
        values: coefficient key → value, of one draw or the middle.
        source: what is decoded.
        ladder: what is offered.
        content: what the stream shows, as `screen`; the profile's reference content if None.

    Raises:
        CalibrationError: the values lack a coefficient or the content.
    """
    frame_bytes = source.bitrate_bps / BITS_PER_BYTE / source.fps
    decode_s = float(decode_cpu_s(values, source, np.array(frame_bytes), content=content)) if ladder.encoded else 0.0
    encoding = content_factor(values, "encode", content) if ladder.encoded else 1.0
    return FrameCosts(
        receive_s=needed(values, "ingest_cpu_s_per_frame") + needed(values, "ingest_cpu_s_per_byte") * frame_bytes,
        decode_s=decode_s,
        scale_s={rung.name: _scale_s(values, source, rung) for rung in ladder.encoded},
        encode_s={
            rung.name: encoding
            * (needed(values, "encode_cpu_s_per_frame") + needed(values, "encode_cpu_s_per_pixel") * rung.pixels)
            for rung in ladder.encoded
        },
        mux_s={
            rung.name: needed(values, "mux_cpu_s_per_frame")
            + needed(values, "mux_cpu_s_per_byte") * rung.bitrate_bps / BITS_PER_BYTE / rung.fps
            for rung in ladder.rungs
        },
        other_s=needed(values, "other_cpu_s_per_job"),
        audio_s=values.get("audio_cpu_s_per_stream_s", 0.0) / source.fps,
    )


def decode_cpu_s(
    values: Mapping[str, float], source: Source, frame_bytes: Floats, *, content: str | None = None
) -> Floats:
    """Return what decoding frames of these sizes costs at no load; keyframes cost more because they are larger.

    Raises:
        CalibrationError: the values lack a coefficient or the content.
    """
    of_frame = needed(values, "decode_cpu_s_per_frame") + needed(values, "decode_cpu_s_per_pixel") * source.pixels
    return (of_frame + needed(values, "decode_cpu_s_per_byte") * frame_bytes) * content_factor(
        values, "decode", content
    )


def stream_cpu_s(values: Mapping[str, float], source: Source, ladder: Ladder, content: str | None = None) -> float:
    """Return CPU-seconds per stream-second of one stream at no load, the process's own `base_cpu_s_per_s` apart.

    A rung of a lower frame rate than the source costs per frame it keeps. A copied rung is muxed and no more, and
    nothing is decoded for it.

    Raises:
        CalibrationError: the values lack a coefficient or the content.
    """
    costs = frame_costs(values, source, ladder, content=content)
    decoding = costs.decode_s + (costs.other_s if ladder.encoded else 0.0)
    total = source.fps * (costs.receive_s + costs.audio_s + decoding)
    for rung in ladder.rungs:
        jobs = 1 if rung.copied else 2
        encoding = 0.0 if rung.copied else costs.scale_s[rung.name] + costs.encode_s[rung.name]
        total += min(rung.fps, source.fps) * (encoding + costs.mux_s[rung.name] + jobs * costs.other_s)
    return total


def host_cpu_s(values: Mapping[str, float], source: Source, ladder: Ladder) -> float:
    """Return CPU-seconds per stream-second that are left when an accelerator decodes, scales and encodes.

    Receiving, muxing, and what every job takes beside its stages: decoding and encoding are handed over too. The CPU
    of the accelerator's driver is not in it; nobody has measured that.
    """
    costs = frame_costs(values, source, ladder)
    saved = source.fps * costs.decode_s
    for rung in ladder.encoded:
        saved += min(rung.fps, source.fps) * (costs.scale_s[rung.name] + costs.encode_s[rung.name])
    return stream_cpu_s(values, source, ladder) - saved


def load_growth(values: Mapping[str, float], utilisation: float) -> float:
    """Return the factor on every CPU time of a stream: 1 + `cpu_growth_with_load` · utilisation.

    A core that shares its caches, its memory and its clock with busy neighbours is slower. How busy they are is the
    share of all cores in use, by whatever stream of whatever ladder (in a measurement by server and generator), so
    the growth seen with one ladder holds for another. Level from 1 on: all cores are busy then.
    """
    return 1.0 + needed(values, "cpu_growth_with_load") * min(max(utilisation, 0.0), 1.0)


def utilisation(values: Mapping[str, float], cpu_s: float, *, cores: float) -> float:
    """Return the share of all cores that streams take which would cost `cpu_s` per second at no load; at most 1.

    The growth that they cause themselves is in it: u · cores = base + cpu_s · (1 + g · u).
    """
    left = cores - needed(values, "cpu_growth_with_load") * cpu_s
    return min((needed(values, "base_cpu_s_per_s") + cpu_s) / left, 1.0) if left > 0 else 1.0


def stream_rss_bytes(values: Mapping[str, float], source: Source, ladder: Ladder) -> float:
    """Return resident bytes of one stream: decoder, encoders, and the segments that its rungs keep."""
    pixels = source.pixels + sum(rung.pixels for rung in ladder.encoded)
    return needed(values, "rss_bytes_per_stream") + needed(values, "rss_bytes_per_pixel") * pixels


def startup_s(values: Mapping[str, float], ladder: Ladder) -> float:
    """Return the time from a publish until every rung lists its first segment: its length and an overhead.

    The time until the publish is accepted is in it where it was measured.
    """
    return ladder.segment_s + needed(values, "startup_overhead_s") + values.get("authorisation_s", 0.0)


def origin_cpu_s(values: Mapping[str, float], *, requests: Floats, sent_bytes: Floats, transport: str) -> Floats:
    """Return the CPU-seconds that an origin like the measured one takes to serve requests.

    Args:
        values: coefficient key → value.
        requests: how many.
        sent_bytes: of their objects.
        transport: "plain" or "tls".

    Raises:
        CalibrationError: the origin was not measured over this transport.
    """
    per_request = needed(values, f"origin_cpu_s_per_request {transport}")
    return per_request * requests + needed(values, f"origin_cpu_s_per_byte {transport}") * sent_bytes


def content_factor(values: Mapping[str, float], of: str, content: str | None) -> float:
    """Return `of` a content ÷ that of the reference content, which None stands for.

    Raises:
        CalibrationError: the content was not measured.
    """
    return 1.0 if content is None else needed(values, f"{of}_content_factor {content}")


def needed(values: Mapping[str, float], key: str) -> float:
    """Return one coefficient.

    Raises:
        CalibrationError: it was not measured.
    """
    if key not in values:
        raise CalibrationError(
            f"the profile has no {key}; measure what it comes from (docs/coefficients.md) and fit again, "
            "or choose another profile"
        )
    return values[key]


def _scale_s(values: Mapping[str, float], source: Source, rung: Rung) -> float:
    cost = needed(values, "scale_cpu_s_per_frame")
    if (rung.width, rung.height) == (source.width, source.height):
        return cost  # the encoder gets the decoder's picture
    return (
        cost
        + needed(values, "scale_cpu_s_per_source_pixel") * source.pixels
        + needed(values, "scale_cpu_s_per_rung_pixel") * rung.pixels
    )

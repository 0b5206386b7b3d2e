"""What the process costs beside its stages: receiving, everything unexplained, memory, start-up, publication."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sim.calibration.evidence import Case
from sim.calibration.laws import run_weights, stages_per_stream_s
from sim.calibration.regression import Floats, distinct, relative_nnls
from sim.calibration.resample import Sample


def process_laws(sample: Sample, cases: Sequence[Case], growth: Floats) -> dict[str, Floats]:
    """Return CPU of the process that no stage has, by key, each of shape (draws,).

    The event loop takes a little each second whatever comes (with more streams one wake-up serves several), the rest
    by frame and by byte. What is left of the process's CPU after it, audio and all stages belongs to the jobs of a
    frame, and again a little to each second.
    """
    facts, weights = sample.facts, run_weights(sample)
    load = 1.0 + growth[:, np.newaxis] * facts["utilisation"].to_numpy(float)
    wall_s, media_s = facts["wall_s"].to_numpy(float), facts["media_s"].to_numpy(float)
    streams = media_s / wall_s
    frames = streams * facts["fps"].to_numpy(float)
    size = sample.ratio("source bytes", "source count").mean(axis=0)
    ingest = facts["ingest_cpu_s"].to_numpy(float) / wall_s * sample.slow
    columns = [np.ones_like(load), frames * load] + [frames * size * load] * (distinct(size) > 1)
    found = relative_nnls(ingest, np.stack(columns, axis=-1), weights=weights)
    per_byte = found[:, 2] if found.shape[1] > 2 else np.zeros(sample.draws)
    cpu = facts["cpu_s"].to_numpy(float) / wall_s * sample.slow
    audio = np.nan_to_num(facts["audio_cpu_s"].to_numpy(float)) / wall_s * sample.slow
    other = np.maximum(cpu - ingest - audio - stages_per_stream_s(sample, cases) * streams, 0.0)
    jobs = streams * facts["jobs"].to_numpy(float) * load
    rest = relative_nnls(other, np.stack([np.ones_like(load), jobs], axis=-1), weights=weights, scale=cpu.mean(axis=0))
    sent = facts["generator_cpu_s"].to_numpy(float) / wall_s / frames * sample.slow / load
    values = {
        "generator_cpu_s_per_frame": _average(sent, weights),
        "base_cpu_s_per_s": found[:, 0] + rest[:, 0],
        "ingest_cpu_s_per_frame": found[:, 1],
        "ingest_cpu_s_per_byte": per_byte,
        "other_cpu_s_per_job": rest[:, 1],
    }
    heard = facts["audio_cpu_s"].to_numpy(float) > 0
    if heard.any():
        per_stream_s = (audio / streams / load)[:, heard]
        values["audio_cpu_s_per_stream_s"] = _average(per_stream_s, weights[:, heard])
    return values


def memory_law(sample: Sample) -> dict[str, Floats]:
    """Return resident bytes of the process, of each stream, and of each pixel of its source and encoded rungs.

    Where memory did not grow with the streams the whole process ÷ pixels of its streams stands in: an upper bound.
    """
    facts, weights = sample.facts, run_weights(sample)
    idle = facts["idle_rss_bytes"].fillna(0.0).to_numpy(float)
    streams = facts["streams"].to_numpy(float)
    pixels = streams * facts["pixels"].to_numpy(float)
    rss = facts["rss_bytes"].to_numpy(float) - idle
    columns = [np.ones_like(streams), pixels] + [streams] * (distinct(facts["pixels"].to_numpy(float)) > 1)
    seen = np.broadcast_to(rss, weights.shape)
    found = relative_nnls(seen, np.stack(columns, axis=-1), weights=weights)
    per_stream = found[:, 2] if found.shape[1] > 2 else np.zeros(sample.draws)
    bound = float((facts["rss_bytes"].to_numpy(float) / pixels).min())
    grew = (found[:, 1] > 0) | (per_stream > 0)
    return {
        "rss_bytes_of_process": found[:, 0] + (weights @ idle) / weights.sum(axis=1),
        "rss_bytes_per_stream": per_stream,
        "rss_bytes_per_pixel": np.where(grew, found[:, 1], bound),
    }


def latency_laws(sample: Sample) -> dict[str, Floats]:
    """Return the start-up overhead over the first segment; nothing where no stream got so far."""
    facts, weights = sample.facts, run_weights(sample)
    overhead = (facts["startup_s"] - facts["segment_s"]).to_numpy(float)
    known = np.isfinite(overhead)
    if not known.any():
        return {}
    return {"startup_overhead_s": np.maximum(_average(overhead[known] * sample.slow[:, known], weights[:, known]), 0)}


def spread_laws(sample: Sample, cases: Sequence[Case], *, preset: str) -> dict[str, Floats]:
    """Return variation and keyframe factors of the stages: means over rungs of single streams of the reference content.

    For every content a factor on each: a screen stands still, and then everything on it moves. Of a content that was
    run with no single stream its smallest load serves. A decoded keyframe costs what its bytes do. Muxing costs the
    same for every frame but the one that opens a segment, whatever it shows.
    """
    facts, reference = sample.facts, cases[0].content
    positions = [str(position) for position in range(max(len(case.ladder.rungs) for case in cases))]
    judged = facts[facts["holds"] & (facts["preset"] == preset)]
    values: dict[str, Floats] = {}
    for content in sorted(set(judged["content"]), key=lambda content: content != reference):
        of_content = judged[judged["content"] == content]
        fewest = of_content.index[of_content["streams"] == of_content["streams"].min()]
        single = facts.index.isin(fewest)
        spread = {
            "decode_cpu_cv": np.sqrt(_pooled(sample, _squared_variation, "decode", [""], single)),
            "encode_cpu_cv": np.sqrt(_pooled(sample, _squared_variation, "picture", positions, single)),
            "encode_keyframe": _pooled(sample, _keyframe_factor, "picture", positions, single),
        }
        if content == reference:
            values = {f"{name}_factor" if name == "encode_keyframe" else name: of for name, of in spread.items()}
            values["mux_keyframe_factor"] = _pooled(sample, _keyframe_factor, "mux", positions, single)
            base = spread
        values |= {f"{name}_content_factor {content}": _ratio(of, base[name]) for name, of in spread.items()}
    return values


def _ratio(values: Floats, base: Floats) -> Floats:
    """Return one ÷ the other; 1 where both are the same, 0 among them."""
    ratio: Floats = np.divide(values, base, out=np.ones_like(values), where=values != base)
    return ratio


def _pooled(
    sample: Sample,
    statistic: Callable[[Sample, str, str], Floats],
    quantity: str,
    subjects: Sequence[str],
    chosen: npt.NDArray[np.bool_],
) -> Floats:
    """Return the weighted mean of a statistic over some runs and all that each has of the subjects."""
    found = [statistic(sample, quantity, of)[:, chosen] for of in subjects]
    return _average(np.hstack(found), np.hstack([run_weights(sample)[:, chosen]] * len(subjects)))


def _squared_variation(sample: Sample, quantity: str, of: str) -> Floats:
    """Return variance ÷ mean² over the frames that are no keyframes."""
    mean = sample.ratio(f"{quantity} other_sum {of}".strip(), f"{quantity} others {of}".strip())
    squares = sample.ratio(f"{quantity} other_squares {of}".strip(), f"{quantity} others {of}".strip())
    return np.asarray(np.maximum(squares / mean**2 - 1.0, 0.0), dtype="float64")


def _keyframe_factor(sample: Sample, quantity: str, of: str) -> Floats:
    """Return the mean keyframe ÷ the mean frame; NaN where there was no keyframe."""
    mean = sample.ratio(f"{quantity} sum {of}".strip(), f"{quantity} count {of}".strip())
    of_keys = sample.ratio(f"{quantity} key_sum {of}".strip(), f"{quantity} keys {of}".strip())
    return np.asarray(of_keys / mean, dtype="float64")


def _average(values: Floats, weights: Floats) -> Floats:
    """Return the weighted mean over runs of what is known; NaN for a draw that knows nothing."""
    known = np.where(np.isfinite(values), weights, 0.0)
    total = known.sum(axis=1)
    summed = (np.nan_to_num(values) * known).sum(axis=1)
    average: Floats = np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0)
    return average

"""The laws: what a stage costs per frame, pixel and byte, fitted to stage means of every run and rung at once.

    decode  a + b · pixels of the source + c · bytes of the frame
    scale   a + b · pixels of the source + c · pixels of the rung; a alone where the rung has the source's size
    encode  a + b · pixels of the rung
    mux     a + b · bytes of the frame

each times 1 + growth · utilisation, and decoding and encoding times a factor for content other than the chief's.
Least squares of relative errors with coefficients ≥ 0: a rung of 240 lines counts as much as one of 720, and every
case as much as every other, however often it was run. Where one size alone was measured a law is proportional to it.
Only runs that hold count. Encoding is fitted to one preset; every other stage takes all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.calibration.evidence import Case
from sim.calibration.regression import Floats, distinct, relative_nnls
from sim.calibration.resample import Sample

EQUAL_PIXELS = 0.05
"""Weight of the belief that a source's and a rung's pixel cost the same in scaling, where ladders hardly tell."""


@dataclass(frozen=True)
class Observations:
    """The means of one stage.

    Attributes:
        rows: run (position in the sample), rung (position in the ladder, -1: the source), content, preset, and the
            sizes of its law.
        seen: mean CPU of a frame, shape (draws, rows).
        weights: shape (draws, rows).
    """

    rows: pd.DataFrame
    seen: Floats
    weights: Floats

    def where(self, chosen: pd.Series[bool]) -> Observations:
        """Return some of the rows."""
        mask = chosen.to_numpy(bool)
        return Observations(self.rows[mask], self.seen[:, mask], self.weights[:, mask])


def observations(sample: Sample, cases: Sequence[Case], stage: str, growth: Floats) -> Observations:
    """Return the means of a stage in all runs that hold, with the growth with load taken out."""
    measured = mean_cpu(sample, cases, stage)
    utilisation = sample.facts["utilisation"].to_numpy(float)[measured.rows["run"]]
    return Observations(measured.rows, measured.seen / (1.0 + growth[:, np.newaxis] * utilisation), measured.weights)


def mean_cpu(sample: Sample, cases: Sequence[Case], stage: str) -> Observations:
    """Return the means of a stage in all runs that hold, at the load of each."""
    columns = ["run", "rung", "content", "preset", "pixels", "source_pixels", "rung_pixels", "bytes"]
    rows = pd.DataFrame(list(_rows(sample, cases, stage)), columns=columns).astype({"run": "int64", "rung": "int64"})
    keys = zip(rows["run"].tolist(), rows["rung"].tolist(), strict=True)
    means = [sample.cpu_per_frame(stage, "" if rung < 0 else str(rung))[:, run] for run, rung in keys]
    seen: Floats = np.array(means).reshape(len(rows), sample.draws).T
    return Observations(rows, seen, run_weights(sample)[:, rows["run"]])


def run_weights(sample: Sample) -> Floats:
    """Return weights of runs under which every case weighs 1 in every draw; 0 for a run that does not hold."""
    weights: Floats = sample.weights * sample.facts["holds"].to_numpy(float)
    cases = sample.facts["case"].to_numpy()
    for case in set(cases.tolist()):
        of_case = cases == case
        total = weights[:, of_case].sum(axis=1, keepdims=True)
        weights[:, of_case] /= np.where(total > 0, total, 1.0)
    return weights


def stages_per_stream_s(sample: Sample, cases: Sequence[Case]) -> Floats:
    """Return core-seconds of all measured stages per stream-second, shape (draws, runs)."""
    total: Floats = np.nan_to_num(sample.cpu_per_frame("decode")) * sample.facts["fps"].to_numpy(float)
    for position in range(max(len(case.ladder.rungs) for case in cases)):
        rates = np.array([_rung_fps(cases[case], position) for case in sample.facts["case"]])
        for stage in ("scale", "encode", "mux"):
            total = total + np.nan_to_num(sample.cpu_per_frame(stage, str(position))) * rates
    return total


def growth_with_load(sample: Sample, cases: Sequence[Case]) -> Floats:
    """Return g of cost = cost at no load · (1 + g · utilisation), pooled over the cases, ≥ 0; one per draw.

    Within a case all runs do the same work, so the stages' CPU per stream-second differs by load alone.
    """
    cost = stages_per_stream_s(sample, cases)
    weights = run_weights(sample)
    load = sample.facts["utilisation"].to_numpy(float)
    case_of = sample.facts["case"].to_numpy()
    growth = np.zeros(sample.draws)
    for _ in range(8):
        upper, lower = np.zeros(sample.draws), np.zeros(sample.draws)
        for case in set(case_of.tolist()):
            of_case = case_of == case
            share, at = weights[:, of_case], load[of_case]
            total = share.sum(axis=1)
            mean_load = np.divide(share @ at, total, out=np.zeros_like(total), where=total > 0)
            mean_cost = np.divide(
                (share * cost[:, of_case]).sum(axis=1), total, out=np.ones_like(total), where=total > 0
            )
            apart = (at - mean_load[:, np.newaxis]) / (1.0 + growth * mean_load)[:, np.newaxis]
            upper += (share * (cost[:, of_case] / mean_cost[:, np.newaxis] - 1.0) * apart).sum(axis=1)
            lower += (share * apart**2).sum(axis=1)
        growth = np.maximum(np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 1e-12), 0.0)
    return growth


def stage_laws(sample: Sample, cases: Sequence[Case], growth: Floats, *, preset: str) -> dict[str, Floats]:
    """Return the coefficients of all stages by key, each of shape (draws,)."""
    reference = cases[0].content
    values = {"cpu_growth_with_load": growth}
    seen = {stage: observations(sample, cases, stage, growth) for stage in ("scale", "encode", "mux")}
    seen["encode"] = seen["encode"].where(seen["encode"].rows["preset"] == preset)
    decoded = observations(sample, cases, "decode", growth)
    if len(decoded.rows):
        values |= _decode_law(sample, decoded, growth, reference)
        values |= _factors("decode", decoded, values, reference)
    if len(seen["encode"].rows):
        scaled = seen["scale"].where(seen["scale"].rows["content"] == reference)
        values |= _law("scale", scaled, ("source_pixels", "rung_pixels"))
        encoded = seen["encode"].where(seen["encode"].rows["content"] == reference)
        values |= _law("encode", encoded, ("pixels",))
        values |= _factors("encode", seen["encode"], values, reference)
    return values | _law("mux", seen["mux"], ("bytes",))


LAWS = {
    "decode": ("pixels", "bytes"),
    "scale": ("source_pixels", "rung_pixels"),
    "encode": ("pixels",),
    "mux": ("bytes",),
}
"""Stage → the sizes of its law, beside the frame itself."""


def coefficient_of(stage: str, size: str) -> str:
    """Return the name of a law's coefficient: `coefficient_of("scale", "rung_pixels")`."""
    return f"{stage}_cpu_s_per_{size.removesuffix('s') if size != 'frame' else size}"


def predicted(stage: str, rows: pd.DataFrame, values: dict[str, Floats]) -> Floats:
    """Return what a law says of each row, shape (draws, rows), at no load and of the reference content."""
    cost = values[coefficient_of(stage, "frame")][:, np.newaxis] * np.ones(len(rows))
    for size in LAWS[stage]:
        cost = cost + values[coefficient_of(stage, size)][:, np.newaxis] * rows[size].to_numpy(float)
    return cost


def _law(stage: str, seen: Observations, sizes: tuple[str, ...]) -> dict[str, Floats]:
    features, seen_s, weights = seen.rows[list(sizes)].to_numpy(float), seen.seen, seen.weights
    kinds, constant = distinct(features), np.ones((len(features), 1))
    names = [coefficient_of(stage, size) for size in sizes]
    if kinds < 2:  # proportional to the one size; frames of size 0, where there are any, tell the constant
        has_zero = bool((features == 0).all(axis=1).any())
        columns = np.hstack([constant * has_zero, features.sum(axis=1, keepdims=True)])
        found = relative_nnls(seen_s, columns, weights=weights)
        return {coefficient_of(stage, "frame"): found[:, 0], **dict.fromkeys(names, found[:, 1])}
    columns = np.hstack([constant, features])
    if len(sizes) == 2:
        tie = np.array([[0.0, 1.0, -1.0]]) * features.mean()
        columns = np.vstack([columns, tie])
        seen_s = np.hstack([seen_s, np.zeros((len(seen_s), 1))])
        weights = np.hstack([weights, EQUAL_PIXELS**2 * weights.sum(axis=1, keepdims=True)])
        scale = np.r_[seen.seen.mean(axis=0), seen.seen.mean()]
        found = relative_nnls(seen_s, columns, weights=weights, scale=scale)
    else:
        found = relative_nnls(seen_s, columns, weights=weights)
    return dict(zip([coefficient_of(stage, "frame"), *names], found.T, strict=True))


def _decode_law(sample: Sample, seen: Observations, growth: Floats, reference: str) -> dict[str, Floats]:
    """Return the law of decoding; what a byte costs is seen between the frames of one clip, the rest between clips."""
    of_reference = seen.where(seen.rows["content"] == reference)
    load = 1.0 + growth[:, np.newaxis] * sample.facts["utilisation"].to_numpy(float)
    size, count = sample.total("decode bytes"), np.maximum(sample.total("decode count"), 1.0)
    spread = sample.total("decode bytes_squares") - size**2 / count
    together = sample.total("decode bytes_products") - size * sample.total("decode sum") / count
    chosen = np.zeros(len(sample.facts))
    chosen[of_reference.rows["run"]] = 1.0
    weights = run_weights(sample) * chosen / np.maximum(spread.mean(axis=0), 1e-30)
    lower = (weights * spread).sum(axis=1)
    per_byte = (weights * together * sample.slow / load).sum(axis=1)
    per_byte = np.divide(per_byte, lower, out=np.zeros_like(lower), where=lower > 0)
    sizes = of_reference.rows["bytes"].to_numpy(float)
    most = np.where(sizes > 0, of_reference.seen / np.where(sizes > 0, sizes, 1.0), np.inf).min(axis=1)
    per_byte = np.clip(per_byte, 0.0, MOST_OF_DECODING * most)
    rest = of_reference.seen - per_byte[:, np.newaxis] * sizes
    law = _law("decode", Observations(of_reference.rows, rest, of_reference.weights), ("pixels",))
    return law | {"decode_cpu_s_per_byte": per_byte}


MOST_OF_DECODING = 0.9
"""Share of a mean frame's decoding that its bytes may explain; its pixels cost something too."""


def _factors(stage: str, seen: Observations, values: dict[str, Floats], reference: str) -> dict[str, Floats]:
    """Return, for each content but the reference, what its frames cost ÷ what the law says."""
    factors = {f"{stage}_content_factor {reference}": np.ones(len(seen.seen))}
    for content in sorted(set(seen.rows["content"]) - {reference}):
        of = seen.where(seen.rows["content"] == content)
        ratios = of.seen / predicted(stage, of.rows, values)
        factors[f"{stage}_content_factor {content}"] = np.average(ratios, axis=1, weights=_positive(of.weights))
    return factors


def _positive(weights: Floats) -> Floats:
    """Return weights of which each draw has some: a draw that took none of these runs takes all alike."""
    none: Floats = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, 1.0)
    return none


def _rows(sample: Sample, cases: Sequence[Case], stage: str) -> Iterator[dict[str, object]]:
    bytes_of = sample.ratio("source bytes", "source count").mean(axis=0)
    for run, (number, holds) in enumerate(zip(sample.facts["case"], sample.facts["holds"], strict=True)):
        case = cases[number]
        common = {"run": run, "content": case.content, "preset": case.preset}
        if not holds:
            continue
        if stage == "decode" and case.ladder.encoded:
            yield common | {"rung": -1, "pixels": case.source.pixels, "bytes": bytes_of[run]}
        for position, rung in enumerate(case.ladder.rungs):
            if stage not in rung.stages:
                continue
            scaled = (rung.width, rung.height) != (case.source.width, case.source.height)
            of_segment = sample.total(f"segment sum {position}").mean(axis=0)[run]
            frames = sample.total(f"mux count {position}").mean(axis=0)[run]
            yield common | {
                "rung": position,
                "pixels": rung.pixels,
                "source_pixels": case.source.pixels * scaled,
                "rung_pixels": rung.pixels * scaled,
                "bytes": of_segment / frames if frames else 0.0,
            }


def _rung_fps(case: Case, position: int) -> float:
    rungs = case.ladder.rungs
    return min(rungs[position].fps, case.source.fps) if position < len(rungs) else 0.0

"""Sums over segment blocks: all that the fit needs of the raw samples.

A block is everything that one segment of one stream of one run caused, in every stage and on every rung.
Frames of a block share what the machine was doing just then, so a resample takes or leaves a block as a
whole; and as every coefficient is a ratio of sums over blocks, a resample is nothing but a sum of rows of
one table.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from scenarios.errors import CalibrationError
from scenarios.ladder import Rung
from sim.calibration.tables import Bundle

BLOCK = ["run", "stream", "segment"]


def block_sums(bundle: Bundle) -> pd.DataFrame:
    """Return sums over the blocks of a bundle: closed segments after the warm-up.

    Returns:
        One row per block, index (run, stream, segment). Columns are texts `quantity statistic picture`,
        where quantity is decode, scale, encode, mux, picture (scaling and encoding together) or publish,
        and statistic is `count` or `sum` over all its frames, `keys` or `key_sum` over keyframes, or
        `others`, `other_sum` and `other_squares` over the rest. Rungs of one picture are pooled.

    Raises:
        CalibrationError: a stage was not measured at all.
    """
    segments = bundle.segments.dropna(subset=["closing_arrival_s", "closed_s"])
    warm_up = segments.groupby(BLOCK)["warm_up"].any()
    blocks = warm_up.index[~warm_up]
    parts = [*_decode_parts(bundle), *_rung_parts(bundle), _publish_part(segments)]
    sums = pd.concat(parts, axis=1).reindex(blocks).fillna(0.0)
    for column in sums.columns:
        if " count" in column and not sums[column].any() and not sums.empty:
            raise CalibrationError(
                f"{bundle.folder}: {column.replace(' count', '').strip()} was not measured in any segment; "
                "measure again"
            )
    return sums.sort_index()


def frame_segments(bundle: Bundle) -> pd.DataFrame:
    """Return run, stream, frame and segment of every frame from a stream's first segment on.

    Segments count from 0 in the order of the keyframes that open one.
    """
    opening = bundle.rungs.loc[bundle.rungs["starts_segment"], ["run", "stream", "frame"]].drop_duplicates()
    opening = opening.sort_values(["run", "stream", "frame"])
    opening["segment"] = opening.groupby(["run", "stream"]).cumcount()
    frames = bundle.frames[["run", "stream", "frame"]].sort_values(["run", "stream", "frame"])
    placed = frames.merge(opening, on=["run", "stream", "frame"], how="left")
    placed["segment"] = placed.groupby(["run", "stream"])["segment"].ffill()
    return placed.dropna(subset=["segment"]).astype({"segment": "int64"})


def _decode_parts(bundle: Bundle) -> Iterator[pd.DataFrame]:
    frames = bundle.frames.merge(frame_segments(bundle), on=["run", "stream", "frame"])
    frames = frames.dropna(subset=["decode_cpu_s"])
    yield _sums(frames, "decode", frames["decode_cpu_s"], bundle.source.label)
    yield _key_sums(frames, "decode", frames["decode_cpu_s"], frames["is_keyframe"], bundle.source.label)


def _rung_parts(bundle: Bundle) -> Iterator[pd.DataFrame]:
    rungs = bundle.rungs.merge(frame_segments(bundle), on=["run", "stream", "frame"])
    labels = rungs["rung"].map({rung.name: rung.label for rung in bundle.ladder.rungs})
    if labels.isna().any():
        stray = rungs.loc[labels.isna(), "rung"].iloc[0]
        raise CalibrationError(f"{bundle.folder}: rung {stray!r} is not in the bundle's ladder; measure again")
    for label, rows in rungs.groupby(labels):
        rung = rungs_by_label(bundle)[str(label)]
        for stage in rung.stages:
            measured = rows.dropna(subset=[f"{stage}_cpu_s"])
            yield _sums(measured, stage, measured[f"{stage}_cpu_s"], str(label))
        if rung.copied:
            continue
        picture_cpu_s = (rows["scale_cpu_s"] + rows["encode_cpu_s"]).dropna()
        measured = rows.loc[picture_cpu_s.index]
        yield _sums(measured, "picture", picture_cpu_s, str(label))
        yield _key_sums(measured, "picture", picture_cpu_s, measured["starts_segment"], str(label))


def rungs_by_label(bundle: Bundle) -> dict[str, Rung]:
    """Return a rung for each label of the ladder; rungs of one label cost alike and are pooled."""
    return {rung.label: rung for rung in bundle.ladder.rungs}


def _publish_part(segments: pd.DataFrame) -> pd.DataFrame:
    return _sums(segments, "publish", segments["closed_s"] - segments["closing_arrival_s"], "")


def _sums(rows: pd.DataFrame, quantity: str, values: pd.Series[float], of: str) -> pd.DataFrame:
    grouped = values.groupby([rows[column] for column in BLOCK])
    return pd.DataFrame(
        {column_name(quantity, "count", of): grouped.size(), column_name(quantity, "sum", of): grouped.sum()}
    ).astype("float64")


def _key_sums(
    rows: pd.DataFrame, quantity: str, values: pd.Series[float], is_keyframe: pd.Series[bool], of: str
) -> pd.DataFrame:
    key = is_keyframe.astype("float64")
    terms = {
        "keys": key,
        "key_sum": key * values,
        "others": 1.0 - key,
        "other_sum": (1.0 - key) * values,
        "other_squares": (1.0 - key) * values**2,
    }
    named = pd.DataFrame({column_name(quantity, statistic, of): term for statistic, term in terms.items()})
    return named.groupby([rows[key_column] for key_column in BLOCK]).sum()


def column_name(quantity: str, statistic: str, of: str) -> str:
    """Return the name of a column of `block_sums`."""
    return f"{quantity} {statistic} {of}".strip()

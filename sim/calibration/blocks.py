"""Sums over segment blocks: all that the fit needs of the raw samples.

A block is everything that one segment of one stream of one run caused, in every stage and on every rung.
Frames of a block share what the machine was doing just then, so a resample takes or leaves a block as a
whole; and as every mean over frames is a ratio of sums over blocks, a resample is nothing but a sum of rows
of one table.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from scenarios.errors import CalibrationError
from sim.calibration.tables import Bundle

BLOCK = ["run", "stream", "segment"]


def block_sums(bundle: Bundle) -> pd.DataFrame:
    """Return sums over the blocks of a bundle: closed segments after the warm-up.

    Returns:
        One row per block, index (run, stream, segment). Columns are texts `quantity statistic position`:
        quantity is decode, scale, encode, mux, picture (scaling and encoding together) or segment (bytes published);
        statistic is `count` or `sum` over all its frames, `keys` or `key_sum` over keyframes,
        `others`, `other_sum` and `other_squares` over the rest; decode has `bytes`, `bytes_squares` and
        `bytes_products` with the CPU too. The position is the rung's in its ladder; absent where it is none's.

    Raises:
        CalibrationError: a stage of a rung was not measured at all.
    """
    segments = bundle.segments.dropna(subset=["closing_arrival_s", "closed_s"])
    warm_up = segments.groupby(BLOCK)["warm_up"].any()
    blocks = warm_up.index[~warm_up]
    positions = rung_positions(bundle)
    parts = [*_decode_parts(bundle), *_rung_parts(bundle, positions), *_segment_parts(segments, positions)]
    sums = pd.concat(parts, axis=1).reindex(blocks).fillna(0.0).sort_index()
    _check_measured(bundle, sums)
    return sums


def rung_positions(bundle: Bundle) -> pd.Series[int]:
    """Return the position in its ladder of every rung, index (run, rung name)."""
    rows = {
        (run, rung.name): position
        for run, ladder in zip(bundle.runs["run"], bundle.runs["ladder"], strict=True)
        for position, rung in enumerate(bundle.meta.ladders[ladder].rungs)
    }
    return pd.Series(rows).rename_axis(["run", "rung"]).rename("position")


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
    size, cpu_s = frames["bytes"].astype("float64"), frames["decode_cpu_s"]
    arrived = pd.DataFrame({"source count": 1.0, "source bytes": size})
    yield arrived.groupby([frames[column] for column in BLOCK]).sum()
    decoded = frames.dropna(subset=["decode_cpu_s"])
    size, cpu_s = size.loc[decoded.index], cpu_s.loc[decoded.index]
    yield _sums(decoded, "decode", cpu_s, "")
    yield _key_sums(decoded, "decode", cpu_s, decoded["is_keyframe"], "")
    terms = {"decode bytes": size, "decode bytes_squares": size**2, "decode bytes_products": size * cpu_s}
    yield pd.DataFrame(terms).groupby([decoded[column] for column in BLOCK]).sum()


def _rung_parts(bundle: Bundle, positions: pd.Series[int]) -> Iterator[pd.DataFrame]:
    rungs = bundle.rungs.merge(frame_segments(bundle), on=["run", "stream", "frame"])
    rungs = rungs.merge(positions.reset_index(), on=["run", "rung"], how="left")
    strays = rungs.loc[rungs["position"].isna(), "rung"]
    if len(strays):
        raise CalibrationError(f"{bundle.folder}: rung {strays.iloc[0]!r} is not in its run's ladder; measure again")
    for position, rows in rungs.groupby(rungs["position"].astype("int64")):
        of = str(position)
        for stage in ("scale", "encode", "mux"):
            measured = rows.dropna(subset=[f"{stage}_cpu_s"])
            yield _sums(measured, stage, measured[f"{stage}_cpu_s"], of)
        muxed = rows.dropna(subset=["mux_cpu_s"])
        yield _key_sums(muxed, "mux", muxed["mux_cpu_s"], muxed["starts_segment"], of)
        picture_cpu_s = (rows["scale_cpu_s"] + rows["encode_cpu_s"]).dropna()
        measured = rows.loc[picture_cpu_s.index]
        yield _sums(measured, "picture", picture_cpu_s, of)
        yield _key_sums(measured, "picture", picture_cpu_s, measured["starts_segment"], of)


def _segment_parts(segments: pd.DataFrame, positions: pd.Series[int]) -> Iterator[pd.DataFrame]:
    placed = segments.merge(positions.reset_index(), on=["run", "rung"])
    for position, rows in placed.groupby("position"):
        yield _sums(rows, "segment", rows["bytes"].astype("float64"), str(position))


def _check_measured(bundle: Bundle, sums: pd.DataFrame) -> None:
    by_run = sums.groupby("run").sum()
    for run in by_run.index:
        ladder = bundle.ladder_of(run)
        wanted = {"decode count": "decode"} if ladder.encoded else {}
        for position, rung in enumerate(ladder.rungs):
            wanted |= {f"{stage} count {position}": f"{stage} {rung.label}" for stage in rung.stages}
        for column, what in wanted.items():
            if column not in by_run or not by_run.loc[run, column]:
                raise CalibrationError(
                    f"{bundle.folder}: {what} was not measured in any segment of run {run}; measure again"
                )


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

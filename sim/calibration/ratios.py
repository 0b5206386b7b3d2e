"""What ratios of block sums tell: costs per frame, their spread, and the latency of publication."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sim.calibration.blocks import column_name, rungs_by_label
from sim.calibration.tables import Bundle

MEANS = {
    "decode": "decode_cpu_s_per_frame",
    "scale": "scale_cpu_s_per_frame",
    "encode": "encode_cpu_s_per_frame",
    "mux": "mux_cpu_s_per_frame",
}
"""Stage → coefficient that is its mean over frames."""


def frame_coefficients(sums: pd.DataFrame, bundle: Bundle) -> pd.DataFrame:
    """Return every coefficient that is a ratio of block sums, one row for each row of sums, columns by key.

    A resample without a keyframe has no keyframe factor: NaN.
    """
    values: dict[str, pd.Series[float]] = {}
    source = bundle.source.label
    values[f"{MEANS['decode']} {source}"] = mean_per_frame(sums, "decode", source)
    values[f"decode_cpu_cv {source}"] = _variation(sums, "decode", source)
    values[f"decode_keyframe_factor {source}"] = _keyframe_factor(sums, "decode", source)
    for label, rung in sorted(rungs_by_label(bundle).items()):
        for stage in rung.stages:
            values[f"{MEANS[stage]} {label}"] = mean_per_frame(sums, stage, label)
        if rung.copied:
            continue
        values[f"encode_cpu_cv {label}"] = _variation(sums, "picture", label)
        values[f"encode_keyframe_factor {label}"] = _keyframe_factor(sums, "picture", label)
    values["segment_publish_s"] = mean_per_frame(sums, "publish", "")
    return pd.DataFrame(values)


def stages_per_stream_s(bundle: Bundle, sums: pd.DataFrame) -> pd.Series[float]:
    """Return core-seconds of all measured stages per stream-second, one for each row of sums."""
    source = bundle.source
    total = mean_per_frame(sums, "decode", source.label) * source.fps
    for rung in bundle.ladder.rungs:
        per_frame = sum(mean_per_frame(sums, stage, rung.label) for stage in rung.stages)
        total = total + per_frame * min(rung.fps, source.fps)
    return total


def stream_spread(sums: pd.DataFrame) -> float:
    """Return the coefficient of variation between the streams of a run in the CPU that one frame takes.

    Pooled over runs of several streams, each relative to its own mean; 0 where no run had several.
    """
    cost = sum(sums[name] for name in sums.columns if name.startswith(("decode sum", "picture sum", "mux sum")))
    frames = next(sums[name] for name in sums.columns if name.startswith("decode count"))
    totals = pd.DataFrame({"cost": cost, "frames": frames}).groupby(["run", "stream"]).sum()
    per_frame = totals["cost"] / totals["frames"]
    relative = per_frame / per_frame.groupby("run").transform("mean")
    degrees = len(relative) - relative.index.get_level_values("run").nunique()
    return float(np.sqrt(((relative - 1.0) ** 2).sum() / degrees)) if degrees else 0.0


def mean_per_frame(sums: pd.DataFrame, quantity: str, label: str) -> pd.Series[float]:
    """Return a stage's mean over frames, one for each row of sums."""
    total: pd.Series[float] = sums[column_name(quantity, "sum", label)]
    return total / sums[column_name(quantity, "count", label)]


def _variation(sums: pd.DataFrame, quantity: str, label: str) -> pd.Series[float]:
    """Return the coefficient of variation over the frames that are no keyframes."""
    frames, total, squares = (
        sums[column_name(quantity, statistic, label)] for statistic in ("others", "other_sum", "other_squares")
    )
    mean = total / frames
    return (squares / frames - mean**2).clip(lower=0.0) ** 0.5 / mean


def _keyframe_factor(sums: pd.DataFrame, quantity: str, label: str) -> pd.Series[float]:
    """Return the mean keyframe ÷ the mean frame; NaN where there was no keyframe."""
    keys, total = (sums[column_name(quantity, statistic, label)] for statistic in ("keys", "key_sum"))
    return total / keys.where(keys > 0) / mean_per_frame(sums, quantity, label)

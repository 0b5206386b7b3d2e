"""Known coefficients are found again inside their intervals; what supports no profile is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from synthetic import ENCODER, LADDER, MACHINE, SOURCE, Truth, store, write_bundle

from scenarios.bundle import META_FILE
from scenarios.errors import CalibrationError
from scenarios.profile import load_profile
from sim.calibration.fit import fit, write_profile
from sim.calibration.tables import read_bundle

TOP, LOW = (rung.label for rung in LADDER.rungs)


def known(truth: Truth) -> dict[str, float]:
    """Return the coefficients a fit should find, by key."""
    shares = {
        rung.label: truth.scale_s[rung.name] / (truth.scale_s[rung.name] + truth.encode_s[rung.name])
        for rung in LADDER.rungs
    }
    assert all(0 < share < 1 for share in shares.values())
    return {
        "ingest_cpu_s_per_stream_s": truth.ingest_s,
        f"decode_cpu_s_per_frame {SOURCE.label}": truth.decode_s,
        f"scale_cpu_s_per_frame {TOP}": truth.scale_s["720p30"],
        f"scale_cpu_s_per_frame {LOW}": truth.scale_s["480p30"],
        f"encode_cpu_s_per_frame {TOP}": truth.encode_s["720p30"],
        f"encode_cpu_s_per_frame {LOW}": truth.encode_s["480p30"],
        f"mux_cpu_s_per_frame {TOP}": truth.mux_s,
        f"mux_cpu_s_per_frame {LOW}": truth.mux_s,
        "other_cpu_s_per_stream_s": truth.other_s,
        "cpu_growth_at_capacity": truth.growth,
        "rss_bytes_per_stream": truth.rss_stream,
        "startup_s": truth.startup_s,
        "segment_publish_s": truth.publish_s,
        f"decode_keyframe_factor {SOURCE.label}": truth.decode_key,
        f"encode_keyframe_factor {TOP}": truth.encode_key,
        f"encode_keyframe_factor {LOW}": truth.encode_key,
    }


def outside(profile, truth: dict[str, float]) -> list[str]:
    """Return the keys whose true value lies outside its interval."""
    found = {coefficient.key: coefficient for coefficient in profile.coefficients}
    return [key for key, value in truth.items() if not found[key].low <= value <= found[key].high]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "bundle", truth=Truth(), segments=20)


@pytest.fixture(scope="module")
def profile(bundle):
    return fit([bundle], name="synthetic")


def test_known_coefficients_lie_inside_their_intervals(profile):
    assert outside(profile, known(Truth())) == []


def test_known_coefficients_are_close_to_their_middles(profile):
    found = profile.middle()
    for key, value in known(Truth()).items():
        tolerance = 0.15 if "keyframe" in key else 0.04  # there are 20 keyframes of cv 0.3: 7 % standard error
        assert found[key] == pytest.approx(value, rel=tolerance), key


def test_a_mistake_of_a_quarter_is_caught(profile):
    for key, value in known(Truth()).items():
        factor = 1.4 if "ingest" in key or "other" in key else 2.0 if "growth" in key else 1.25
        assert outside(profile, {key: value * factor}) == [key], key


def test_coefficients_of_variation_are_those_of_frames_without_keyframes(profile):
    truth = Truth()
    assert profile.coefficient("decode_cpu_cv", SOURCE.label).middle == pytest.approx(truth.decode_cv, rel=0.1)
    for label in (TOP, LOW):
        assert profile.coefficient("encode_cpu_cv", label).middle == pytest.approx(truth.encode_cv, rel=0.1)


def test_every_interval_has_a_width_and_every_draw_is_finite(profile):
    assert all(coefficient.low < coefficient.high for coefficient in profile.coefficients)
    rows = np.array(profile.draws.rows)
    assert rows.shape == (200, len(profile.coefficients))
    assert np.isfinite(rows).all()
    assert (rows >= 0).all()


def test_the_knee_lies_between_the_load_that_holds_and_the_one_that_does_not(profile):
    truth = Truth()
    share = truth.cpu_per_stream_s * (1 + truth.growth) * truth.capacity / MACHINE.cores
    usable = profile.coefficient("usable_core_fraction")
    assert usable.middle == pytest.approx(share, rel=0.02)
    assert usable.low < share
    assert share < usable.high <= 1.0
    assert "N = 4 holds, N = 6 does not" in usable.provenance.source
    assert profile.measured.capacity_streams == 4
    assert profile.measured.concurrent_streams == (1, 2, 4, 6)


def test_cost_and_cores_in_use_move_together_in_the_draws(profile):
    rows = [profile.row(i) for i in range(200)]
    per_stream = [(row["usable_core_fraction"] / (1 + row["cpu_growth_at_capacity"]), total(row)) for row in rows]
    streams = np.array([2 * usable / cost for usable, cost in per_stream])
    apart = np.array(per_stream)
    rng = np.random.default_rng(1)
    shuffled = 2 * rng.permutation(apart[:, 0]) / apart[:, 1]
    assert streams.std() < 0.8 * shuffled.std()


def total(row: dict[str, float]) -> float:
    frames = sum(value for key, value in row.items() if "cpu_s_per_frame" in key) * 30
    return frames + row["ingest_cpu_s_per_stream_s"] + row["other_cpu_s_per_stream_s"]


def test_stage_costs_of_one_draw_are_correlated(profile):
    rows = np.array(profile.draws.rows)
    columns = list(profile.draws.columns)
    decode = rows[:, columns.index(f"decode_cpu_s_per_frame {SOURCE.label}")]
    encode = rows[:, columns.index(f"encode_cpu_s_per_frame {TOP}")]
    assert np.corrcoef(decode, encode)[0, 1] > 0.5


def test_the_same_bundle_gives_the_same_profile(bundle, profile):
    assert fit([bundle], name="synthetic") == profile


def test_a_profile_is_read_back_as_it_was_written(profile, tmp_path):
    path = tmp_path / "synthetic.yaml"
    path.write_text("an older file", encoding="utf-8")
    write_profile(profile, path)
    assert load_profile(str(path)) == profile
    assert list(tmp_path.iterdir()) == [path]
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Calibration profile")
    assert "headroom fit synthetic-1 --name synthetic" in text
    lines = [line for line in text.splitlines() if line.startswith("  - {name: decode_cpu_s_per_frame")]
    assert len(lines) == 1


def test_void_runs_do_not_move_a_profile(tmp_path, profile):
    rows = write_bundle(tmp_path / "void", truth=Truth(), loads=(1, 2, 4, 6), segments=20)
    bundle = read_bundle(rows)
    tables = {name: getattr(bundle, name).to_dict("records") for name in ("runs", "streams", "frames")}
    tables |= {name: getattr(bundle, name).to_dict("records") for name in ("rungs", "segments")}
    spoiled = [
        dict(row, run=9, server_cpu_s=1e6, rss_bytes=1e12, verdict="void", void_reason="late")
        for row in tables["runs"]
        if row["concurrent_streams"] == 1
    ]
    tables["runs"] = [dict(row, void_reason=None) for row in tables["runs"]] + spoiled
    assert fit([store(tmp_path / "spoiled", tables)], name="synthetic") == profile


def test_a_contended_bundle_has_wider_intervals(tmp_path, profile):
    contended = fit([write_bundle(tmp_path / "b", segments=20, contended=True)], name="synthetic")
    for calm, disturbed in zip(profile.coefficients, contended.coefficients, strict=True):
        assert disturbed.middle == calm.middle
        assert disturbed.high - disturbed.low > calm.high - calm.low or disturbed.high == 1.0, calm.key
        assert "other load disturbed" in disturbed.provenance.source
    assert contended.measured.contended


def test_repeats_and_several_bundles_join(tmp_path):
    folders = [write_bundle(tmp_path / f"b{i}", repeats=2, segments=5, seed=i, identity=f"part-{i}") for i in (1, 2)]
    joined = fit(folders, name="joined")
    assert joined.measured.bundles == ("part-1", "part-2")
    assert joined.measured.segments == 2 * 2 * (1 + 2 + 4) * 2 * 5
    assert outside(joined, {"segment_publish_s": Truth().publish_s}) == []


def test_where_only_one_stream_holds_growth_is_none_but_not_certain(tmp_path):
    truth = dataclasses.replace(Truth(), capacity=1)
    profile = fit([write_bundle(tmp_path / "b", truth=truth, loads=(1, 2))], name="small")
    growth = profile.coefficient("cpu_growth_at_capacity")
    assert growth.middle == 0.0 < growth.high
    assert profile.measured.capacity_streams == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loads": (1,)}, r"only one load was measured \(N = 1\).*measure again"),
        ({"loads": (2, 4)}, r"no run of one stream, the smallest load is N = 2.*measure that too"),
        ({"truth": Truth(capacity=0), "loads": (1,)}, r"no load holds.*smaller ladder or a faster preset"),
        ({"voids": (0, 1, 2, 3)}, r"every run is void \(the generator was late\); remove the cause"),
        ({"voids": (1, 2, 3)}, r"only one load was measured"),
        ({"segments": 2}, r"2 segments of one stream after the warm-up.*at least 3.*measure longer"),
    ],
)
def test_what_is_too_thin_is_refused(tmp_path, arguments, message):
    with pytest.raises(CalibrationError, match=message):
        fit([write_bundle(tmp_path / "b", **arguments)], name="thin")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"machine": MACHINE.model_copy(update={"cores": 4})}, "differ in machine"),
        ({"encoder": ENCODER.model_copy(update={"preset": "veryfast"})}, "differ in encoder"),
    ],
)
def test_bundles_that_do_not_belong_together_are_refused(tmp_path, changed, message):
    one = write_bundle(tmp_path / "one", segments=3, identity="one")
    other = write_bundle(tmp_path / "other", segments=3, identity="other", **changed)
    with pytest.raises(CalibrationError, match=message):
        fit([one, other], name="mixed")


def test_no_bundle_the_same_twice_and_a_single_draw_are_refused(bundle):
    with pytest.raises(CalibrationError, match="no bundle to fit"):
        fit([], name="none")
    with pytest.raises(CalibrationError, match="named twice"):
        fit([bundle, bundle], name="twice")
    with pytest.raises(CalibrationError, match="at least 2 draws"):
        fit([bundle], name="few", draws=1)


@pytest.fixture
def copied(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "copy")


def test_an_empty_measurement_is_refused(tmp_path):
    empty = {name: [] for name in ("runs", "streams", "frames", "rungs", "segments")}
    with pytest.raises(CalibrationError, match="holds no run; measure again"):
        fit([store(tmp_path / "empty", empty)], name="empty")


def test_a_damaged_bundle_is_refused(copied):
    path = copied / "frames.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CalibrationError, match=r"frames\.parquet: damaged"):
        fit([copied], name="damaged")


def test_a_missing_table_and_another_version_are_refused(copied):
    meta = json.loads((copied / META_FILE).read_text())
    (copied / META_FILE).write_text(json.dumps(meta | {"headroom_bundle": 2}))
    with pytest.raises(CalibrationError, match="bundle schema 2, this headroom reads 1"):
        fit([copied], name="foreign")
    (copied / META_FILE).write_text(json.dumps(meta))
    (copied / "rungs.parquet").unlink()
    with pytest.raises(CalibrationError, match=r"rungs\.parquet: missing"):
        fit([copied], name="incomplete")


def test_a_stage_that_was_not_measured_is_refused(bundle, tmp_path):
    tables = read_bundle(bundle)
    rows = {
        name: getattr(tables, name).to_dict("records") for name in ("runs", "streams", "frames", "rungs", "segments")
    }
    rows["runs"] = [dict(row, void_reason=None) for row in rows["runs"]]
    rows["rungs"] = [dict(row, encode_cpu_s=None) for row in rows["rungs"]]
    with pytest.raises(CalibrationError, match=r"encode .* was not measured in any segment; measure again"):
        fit([store(tmp_path / "unmeasured", rows)], name="unmeasured")

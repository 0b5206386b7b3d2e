"""A ladder with a copied rung, measured for real: bundle, profile, replay, and a platform planned with them."""

from __future__ import annotations

import pytest
from small_measurement import choice, small_plan

import sim
from pipeline.measure.measurement import measure
from pipeline.measure.plan import Case
from scenarios import load_scenario
from scenarios.errors import CalibrationError, EncoderUnavailable
from scenarios.ladder import Ladder, Rung, Source
from sim.calibration import n_max_search
from sim.calibration.cores import Scheduling
from sim.calibration.tables import read_bundle
from sim.stream_cost import frame_costs, stream_cpu_s

SOURCE = Source(width=320, height=180, fps=30.0, bitrate_bps=400e3)
COPIED = Rung(name="180p30", width=320, height=180, fps=30.0, bitrate_bps=400e3, copied=True)
ENCODED = Rung(name="90p15", width=160, height=90, fps=15.0, bitrate_bps=100e3)
LADDER = Ladder(segment_s=1.0, rungs=(COPIED, ENCODED))
PLAN = small_plan(case=Case("ladder", LADDER, SOURCE, "ultrafast"), segments=7, warm_up_segments=1)
"""The clip has a keyframe every 2 s, so there are half as many segments, each of twice the length."""
PLATFORM = """
extends: baseline
set:
  workload.source: {width: 320, height: 180, fps: 30, bitrate_bps: 400 kbit/s}
  workload.audience.rung_shares: {180p30: 0.5, 90p15: 0.5}
  ladder.segment_s: 1 s
  ladder.rungs:
    - {name: 180p30, width: 320, height: 180, fps: 30, bitrate_bps: 400 kbit/s, copied: COPIED}
    - {name: 90p15, width: 160, height: 90, fps: 15, bitrate_bps: 100 kbit/s}
  horizon.horizon_s: 0.5 h
  replications: 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, clip_cache):
    out = tmp_path_factory.mktemp("out") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(clip_cache))
        return measure(out, plan=PLAN, choice=choice()).folder


@pytest.fixture(scope="module")
def bundle(folder):
    return read_bundle(folder)


@pytest.fixture(scope="module")
def profile(folder, bundle):
    if (bundle.runs["verdict"] != "holds").any():
        pytest.fail(f"the machine is too busy for two tiny streams: {bundle.runs['void_reason'].tolist()}")
    return sim.fit([folder], name="tiny", draws=50, scheduling=Scheduling(0.5, 0.004, 0.0002), node_cores=())


def platform(tmp_path, copied):
    file = tmp_path / "platform.yaml"
    file.write_text(PLATFORM.replace("COPIED", str(copied).lower()), encoding="utf-8")
    return load_scenario(file)


def test_a_copied_rung_has_rows_of_muxing_and_none_of_encoding(bundle):
    by_rung = dict(list(bundle.rungs.groupby("rung")))
    copied, encoded = by_rung["180p30"], by_rung["90p15"]
    assert copied[["scale_cpu_s", "encode_cpu_s", "encoded_s"]].isna().all().all()
    assert (copied[["mux_cpu_s", "muxed_s"]] > 0).all().all()
    assert (encoded[["encode_cpu_s", "mux_cpu_s", "encoded_s"]] > 0).all().all()
    assert len(copied) == len(bundle.frames)
    frames = ["run", "stream", "frame"]
    opening = [set(map(tuple, of.loc[of["starts_segment"], frames].to_numpy())) for of in (copied, encoded)]
    assert opening[0] == opening[1]
    assert {frame % 60 for _, _, frame in opening[0]} == {0}
    closed = bundle.segments.dropna(subset=["closing_arrival_s"])
    assert closed["duration_s"].to_numpy() == pytest.approx(2.0, abs=0.002)
    assert not bundle.runs["dropped_frames"].any()
    assert list(bundle.meta.encoders["ultrafast"].options).count("maxrate") == 1


def test_the_profile_prices_muxing(profile):
    assert 0 < frame_costs(profile.middle(), SOURCE, LADDER).mux_s[COPIED.name] < 0.01


def test_the_replay_follows_the_copied_rung_segment_by_segment(folder, profile, monkeypatch):
    monkeypatch.setattr(n_max_search, "predicted_n_max", lambda holds, naive: naive)  # dozens of streams so tiny
    result = sim.replay(folder, profile)
    cpu = result.metrics[(result.metrics["metric"] == "cpu") & (result.metrics["load"] == 1)].iloc[0]
    assert abs(cpu["error"]) < 0.25
    copied = result.segments[(result.segments["rung"] == "180p30") & result.segments["measured_s"].notna()]
    followed = copied.dropna(subset=["predicted_s"])
    assert len(followed) >= 3
    assert followed["predicted_s"].between(0, 0.1).all()
    latency = result.metrics[(result.metrics["metric"] == "frame_p95") & (result.metrics["load"] == 1)]
    assert len(latency) == 1
    assert latency["predicted"].notna().all()


def test_a_platform_is_planned_with_the_copied_rung_and_refused_with_the_encoded_one(profile, tmp_path):
    asked = platform(tmp_path, copied=True)
    result = sim.run(asked, profile, seed=1)
    assert result.summary.set_index("metric")["mean"]["nodes_peak"] > 0
    values = profile.middle()
    alone = LADDER.model_copy(update={"rungs": (COPIED,)})
    whole, copied_only = (stream_cpu_s(values, SOURCE, of) for of in (LADDER, alone))
    costs, name = frame_costs(values, SOURCE, LADDER), ENCODED.name
    encoding = costs.scale_s[name] + costs.encode_s[name] + costs.mux_s[name] + 2 * costs.other_s
    assert whole - copied_only == pytest.approx(encoding * 15 + (costs.decode_s + costs.other_s) * 30)
    with pytest.raises(CalibrationError, match=r"rung 180p30 of 320x180@30, measured were .* pixels; measure such"):
        sim.run(platform(tmp_path, copied=False), profile, seed=1)


def test_a_ladder_without_an_encoder_is_not_measured(tmp_path):
    alone = LADDER.model_copy(update={"rungs": (COPIED,)})
    with pytest.raises(EncoderUnavailable, match="only rung is copied: there is no encoder to measure"):
        measure(tmp_path / "bundle", plan=small_plan(case=Case("ladder", alone, SOURCE, "ultrafast")), choice=choice())

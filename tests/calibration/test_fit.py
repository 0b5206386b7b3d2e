"""Known laws are found again inside their intervals; what supports no profile is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from synthetic import (
    CHIEF,
    ENCODER,
    MACHINE,
    SEVERAL,
    Case,
    Truth,
    source,
    store,
    stream_cpu_s,
    utilisation,
    write_bundle,
)

from scenarios.bundle import META_FILE, TABLES
from scenarios.errors import CalibrationError
from scenarios.profile import load_profile
from sim import stream_cost
from sim.calibration.cores import Scheduling
from sim.calibration.fit import fit as fit_profile
from sim.calibration.fit import write_profile
from sim.calibration.tables import read_bundle

KNOWN = Scheduling(waker_core_share=0.3, idle_pull_delay_s=0.008, wake_up_s=0.0004)
"""Given here: no thread ever waited for a core in these bundles."""


def fit(folders, **options):
    """Return the profile of bundles whose scheduler is known, without other node sizes."""
    return fit_profile(folders, scheduling=KNOWN, node_cores=(), **options)


HELD_OUT = Case("held out", source(480, 1.7e6), CHIEF.ladder.model_copy(update={"rungs": CHIEF.ladder.rungs[1:]}))
SCREEN = Case("screened", content="screen", loads=(1, 2))
VERYFAST = Case("dearer", preset="veryfast", loads=(1, 2))
ALIGNED = Case(start="aligned", loads=(3,))
EVERY = (*SEVERAL, SCREEN, VERYFAST, ALIGNED)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "bundle", cases=EVERY, idle=True, segments=8)


@pytest.fixture(scope="module")
def profile(bundle):
    return fit([bundle], name="synthetic")


def outside(profile, truth: dict[str, float]) -> list[str]:
    """Return the keys whose true value lies outside its interval."""
    found = {coefficient.key: coefficient for coefficient in profile.coefficients}
    return [key for key, value in truth.items() if not found[key].low <= value <= found[key].high]


def test_known_laws_lie_inside_their_intervals(profile):
    of_noise = {key: value for key, value in Truth().laws.items() if key != "decode_cpu_cv"}
    assert outside(profile, of_noise) == []
    # that of decoding holds what the frames' bytes differ by, too
    assert 0.2 < profile.coefficient("decode_cpu_cv").middle < 0.25


def test_laws_that_the_data_tell_apart_are_close_to_their_middles(profile):
    found, truth = profile.middle(), Truth()
    for key in (
        "decode_cpu_s_per_pixel",
        "decode_cpu_s_per_byte",
        "encode_cpu_s_per_pixel",
        "scale_cpu_s_per_frame",
        "ingest_cpu_s_per_frame",
        "other_cpu_s_per_job",
        "rss_bytes_per_pixel",
        "rss_bytes_per_stream",
        "startup_overhead_s",
        "encode_cpu_cv",
        "encode_keyframe_factor",
    ):
        assert found[key] == pytest.approx(truth.laws[key], rel=0.1), key


@pytest.mark.parametrize(
    ("key", "factor"),
    [
        ("decode_cpu_s_per_pixel", 1.4),
        ("decode_cpu_s_per_byte", 1.25),
        ("scale_cpu_s_per_frame", 1.25),
        ("encode_cpu_s_per_frame", 2.0),
        ("encode_cpu_s_per_pixel", 1.25),
        ("ingest_cpu_s_per_frame", 1.6),
        ("other_cpu_s_per_job", 1.3),
        ("rss_bytes_per_pixel", 1.25),
        ("startup_overhead_s", 1.25),
    ],
)
def test_a_wrong_law_is_caught(profile, key, factor):
    assert outside(profile, {key: Truth().laws[key] * factor}) == [key]


def test_swapped_sizes_are_caught(bundle, profile, monkeypatch):
    """A fit that took the source's pixels for the rung's would predict encoding from the wrong size."""
    from sim.calibration import laws

    def swapped(sample, cases, stage):
        for row in real(sample, cases, stage):
            if stage == "encode":
                row["pixels"] = cases[sample.facts["case"].iloc[row["run"]]].source.pixels
            yield row

    real = laws._rows
    monkeypatch.setattr(laws, "_rows", swapped)
    wrong = fit([bundle], name="swapped", draws=50)
    key = "encode_cpu_s_per_pixel"
    assert outside(wrong, {key: Truth().laws[key]}) == [key]
    assert abs(predicted_cpu(wrong, HELD_OUT) / stream_cpu_s(Truth(), HELD_OUT) - 1) > 0.03
    assert "rms" in wrong.coefficient(key).provenance.source


def predicted_cpu(profile, case) -> float:
    return stream_cost.stream_cpu_s(profile.middle(), case.source, case.ladder)


def test_a_ladder_that_was_not_measured_is_predicted(profile):
    truth = stream_cpu_s(Truth(), HELD_OUT)
    assert predicted_cpu(profile, HELD_OUT) == pytest.approx(truth, rel=0.03)
    rows = [stream_cost.stream_cpu_s(profile.row(i), HELD_OUT.source, HELD_OUT.ladder) for i in range(200)]
    assert np.quantile(rows, 0.025) < truth < np.quantile(rows, 0.975)


def test_the_error_on_ladders_left_out_is_told_and_widens(profile):
    told = profile.coefficient("encode_cpu_s_per_pixel").provenance.source
    assert "CPU per stream-second of a ladder left out: alone" in told
    assert "rms" in told
    assert "ladder:" not in told.split("left out")[1]  # the largest one is beyond the range of the others


def test_content_costs_its_factor(profile):
    for stage in ("decode", "encode"):
        assert profile.coefficient(f"{stage}_content_factor", "camera").middle == 1.0
        factor = profile.coefficient(f"{stage}_content_factor", "screen")
        assert factor.low <= 0.6 <= factor.high
        assert factor.middle == pytest.approx(0.6, rel=0.05)
        assert "against camera" in factor.provenance.source
    for spread, expected in (("encode_keyframe", 1.6), ("encode_cpu_cv", 1.0), ("decode_cpu_cv", 1.0)):
        assert profile.coefficient(f"{spread}_content_factor", "camera").middle == 1.0
        assert profile.coefficient(f"{spread}_content_factor", "screen").middle == pytest.approx(expected, rel=0.15)
    assert profile.measured.contents == ("camera", "screen")


def test_what_was_measured_while_the_machine_was_slow_is_brought_to_its_usual_speed(tmp_path):
    """The last two ladders were run on a machine a third slower; only the fixed job can tell that from their size."""
    errors = []
    for told in (False, True):
        slow = {"slowness": lambda run: 1.3 if run >= 9 else 1.0, "tells_speed": told}
        folder = write_bundle(tmp_path / f"told-{told}", cases=SEVERAL, repeats=1, **slow)
        values = fit([folder], name="slow").middle()
        cost = values["encode_cpu_s_per_frame"] + values["encode_cpu_s_per_pixel"] * 426 * 240
        laws = Truth().laws
        errors.append(cost / (laws["encode_cpu_s_per_frame"] + laws["encode_cpu_s_per_pixel"] * 426 * 240) - 1)
    assert errors[0] > 0.1
    assert abs(errors[1]) < 0.04


def test_another_preset_of_a_bundle_differs_in_encoding_alone(bundle, profile):
    dear = fit([bundle], name="dear", preset="veryfast")
    usual, found = profile.middle(), dear.middle()
    assert dear.encoder.preset == "veryfast"
    per_frame = [
        sum(values[f"encode_cpu_s_per_{size}"] * n for size, n in (("frame", 1), ("pixel", 921600)))
        for values in (usual, found)
    ]
    assert per_frame[1] == pytest.approx(2 * per_frame[0], rel=0.05)
    for key in ("decode_cpu_s_per_pixel", "scale_cpu_s_per_frame", "mux_cpu_s_per_frame", "cpu_growth_with_load"):
        assert found[key] == usual[key]
    with pytest.raises(CalibrationError, match="no run that holds with preset 'slow'; measured: ultrafast, veryfast"):
        fit([bundle], name="slow", preset="slow")


def test_draws_are_finite_and_every_interval_has_a_width(profile):
    certain = {"mux_keyframe_factor", *vars(KNOWN)}
    for coefficient in profile.coefficients:
        of_reference = coefficient.key.endswith("_content_factor camera")
        assert coefficient.low < coefficient.high or of_reference or coefficient.key in certain, coefficient.key
    rows = np.array(profile.draws.rows)
    assert rows.shape == (200, len(profile.coefficients))
    assert np.isfinite(rows).all()
    assert (rows >= 0).all()


def test_the_knee_is_pooled_over_ladders(profile):
    usable = profile.coefficient("usable_core_fraction")
    assert usable.low < Truth().knee < usable.high <= 1.0
    assert "ladder: N = 4 holds, N = 6 does not" in usable.provenance.source
    assert "small: N = 6 holds, N = 16 does not" in usable.provenance.source
    assert "alone: N = 4 holds, nothing larger was run" in usable.provenance.source
    chief = profile.measured.chief
    assert (chief.name, chief.capacity_streams, chief.overloaded_streams) == ("ladder", 4, 6)
    assert chief.concurrent_streams == (1, 2, 4, 6)
    assert profile.measured.ladders[1].capacity_streams is None


def test_growth_follows_the_cores_in_use(profile):
    truth, found = Truth(), profile.coefficient("cpu_growth_with_load")
    assert found.low < truth.laws["cpu_growth_with_load"] < found.high
    values = profile.middle()
    for streams in (1, 4):
        load = utilisation(truth, CHIEF, streams)
        own = stream_cost.utilisation(values, streams * predicted_cpu(profile, CHIEF), cores=MACHINE.cores)
        assert own == pytest.approx(load, abs=0.05)
    assert stream_cost.utilisation(values, 100.0, cores=2) == 1.0
    assert stream_cost.load_growth(values, 2.0) == 1.0 + values["cpu_growth_with_load"]


def test_cost_and_cores_in_use_move_together_in_the_draws(tmp_path):
    """A slow day makes a stream dearer and more of the cores busy; the number that fits hardly moves."""
    alone = fit([write_bundle(tmp_path / "b", loads=(1, 4, 5))], name="alone")
    rows = [alone.row(i) for i in range(200)]
    usable = np.array([row["usable_core_fraction"] for row in rows])
    cost = np.array(
        [stream_cost.stream_cpu_s(row, CHIEF.source, CHIEF.ladder) * stream_cost.load_growth(row, 0.9) for row in rows]
    )
    shuffled = np.random.default_rng(1).permutation(usable)
    assert (usable / cost).std() < (shuffled / cost).std()
    decode = np.array([row["decode_cpu_s_per_pixel"] for row in rows])
    encode = np.array([row["encode_cpu_s_per_pixel"] for row in rows])
    assert np.corrcoef(encode, decode)[0, 1] > 0.5


def test_one_size_alone_gives_laws_proportional_to_it(tmp_path):
    one = fit([write_bundle(tmp_path / "b")], name="one")
    middle = one.middle()
    assert middle["decode_cpu_s_per_frame"] == 0.0 < middle["decode_cpu_s_per_pixel"]
    assert middle["scale_cpu_s_per_source_pixel"] == middle["scale_cpu_s_per_rung_pixel"] > 0
    assert "one size of source was measured" in one.coefficient("decode_cpu_s_per_pixel").provenance.source
    assert predicted_cpu(one, CHIEF) == pytest.approx(stream_cpu_s(Truth(), CHIEF), rel=0.03)
    assert "no ladder could be left out: ±5.0%" in one.coefficient("encode_cpu_s_per_pixel").provenance.source


def test_the_same_bundle_gives_the_same_profile_byte_for_byte(bundle, profile, tmp_path):
    for name, one in (("a", profile), ("b", fit([bundle], name="synthetic"))):
        write_profile(one, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_profile_is_read_back_as_it_was_written(profile, tmp_path):
    path = tmp_path / "synthetic.yaml"
    path.write_text("an older file", encoding="utf-8")
    write_profile(profile, path)
    assert load_profile(str(path)) == profile
    assert list(tmp_path.iterdir()) == [path]
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Calibration profile")
    assert "headroom fit synthetic-1 --name synthetic" in text
    assert len([line for line in text.splitlines() if line.startswith("  - {name: decode_cpu_s_per_pixel")]) == 1


def rows_of(folder) -> dict[str, list[dict[str, object]]]:
    read = read_bundle(folder)
    rows = {name: getattr(read, name).to_dict("records") for name in TABLES}
    rows["runs"] = [dict(row, void_reason=None, demux_cpu_s=None, audio_cpu_s=None) for row in rows["runs"]]
    return rows


def test_void_runs_do_not_move_a_profile(tmp_path):
    usual = write_bundle(tmp_path / "usual")
    rows = rows_of(usual)
    spoiled = [
        dict(row, run=9, server_cpu_s=1e6, rss_bytes=1e12, verdict="void", void_reason="late")
        for row in rows["runs"]
        if row["concurrent_streams"] == 1
    ]
    rows["runs"] = rows["runs"] + spoiled
    assert fit([store(tmp_path / "spoiled", rows)], name="same") == fit([usual], name="same")


def test_a_contended_bundle_has_wider_intervals(tmp_path):
    calm, disturbed = (
        fit([write_bundle(tmp_path / str(contended), contended=contended)], name="b") for contended in (False, True)
    )
    for one, other in zip(calm.coefficients, disturbed.coefficients, strict=True):
        assert other.middle == one.middle
        if one.name in vars(KNOWN):
            continue
        wider = other.high - other.low > one.high - one.low
        assert wider or one.high in (0.0, 1.0) or other.high == 1.0, one.key
        assert "other load disturbed" in other.provenance.source
    assert disturbed.measured.contended


def test_several_bundles_join_and_names_that_mean_two_things_are_told_apart(tmp_path):
    small = Case("ladder", source(360, 0.9e6), SEVERAL[2].ladder, loads=(1, 6, 16))
    folders = [
        write_bundle(tmp_path / "one", segments=5, identity="part-1"),
        write_bundle(tmp_path / "two", cases=(small,), segments=5, identity="part-2"),
        write_bundle(tmp_path / "three", segments=5, seed=3, identity="part-3"),
    ]
    profile = fit(folders, name="joined")
    assert profile.measured.bundles == ("part-1", "part-2", "part-3")
    assert [one.name for one in profile.measured.ladders] == ["ladder", "ladder part-2"]
    assert profile.measured.segments == 2 * 5 * (2 * (1 + 2 + 4) + 1 + 6)
    assert outside(profile, {"encode_cpu_s_per_pixel": Truth().laws["encode_cpu_s_per_pixel"]}) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loads": (1,)}, r"only one load was measured \(N = 1\).*measure again"),
        ({"loads": (2, 4)}, r"no run of one stream, the smallest load is N = 2.*measure that too"),
        ({"truth": Truth(knee=0.0), "loads": (1,)}, r"no load holds.*smaller ladder or a faster preset"),
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
        ({"encoder": ENCODER.model_copy(update={"backend": "nvenc"})}, "differ in backend"),
        ({"encoder": ENCODER.model_copy(update={"libraries": {"av": "19"}})}, "differ in library versions"),
        ({"encoder": ENCODER.model_copy(update={"options": {}})}, "differ in the options of preset ultrafast"),
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
    with pytest.raises(CalibrationError, match="holds no run; measure again"):
        fit([store(tmp_path / "empty", {})], name="empty")


def test_a_damaged_bundle_is_refused(copied):
    path = copied / "frames.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CalibrationError, match=r"frames\.parquet: damaged"):
        fit([copied], name="damaged")


def test_a_missing_table_and_another_version_are_refused(copied):
    meta = json.loads((copied / META_FILE).read_text())
    (copied / META_FILE).write_text(json.dumps(meta | {"headroom_bundle": 1}))
    with pytest.raises(CalibrationError, match="bundle schema 1, this headroom reads 3"):
        fit([copied], name="foreign")
    (copied / META_FILE).write_text(json.dumps(meta))
    (copied / "rungs.parquet").unlink()
    with pytest.raises(CalibrationError, match=r"rungs\.parquet: missing"):
        fit([copied], name="incomplete")


def test_a_stage_that_was_not_measured_is_refused(tmp_path):
    rows = rows_of(write_bundle(tmp_path / "b", segments=3))
    rows["rungs"] = [dict(row, encode_cpu_s=None) for row in rows["rungs"]]
    with pytest.raises(CalibrationError, match=r"encode .* was not measured in any segment of run 0; measure again"):
        fit([store(tmp_path / "unmeasured", rows)], name="unmeasured")

"""Engines of accelerators: the published densities come out, and every factor of the rule is in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from platforms import scenario
from profiles import LADDER, profile

import scenarios as language
from scenarios import CalibrationError, Ladder, Rung, Source, load_catalogue
from scenarios.coefficient import Coefficient, Provenance
from sim.accelerated import device
from sim.capacity import node_plan, transcode_plan
from sim.carried import carried_values, drawn
from sim.engines import Range, decode_coefficient, encode_coefficient, encode_rate, preset_speed, soc_share
from sim.stream_cost import frame_costs, host_cpu_s, load_growth, stream_cpu_s

KNOWN = load_catalogue()
GUIDE = language.load_scenario(Path(language.__file__).parent / "library" / "guide_ladder.yaml")
SOURCE = GUIDE.workload.source


def on(instance, ladder=GUIDE.ladder, source=SOURCE, **transcode):
    """Return a scenario of the ladder whose transcode nodes are of the type."""
    changes = {"instance": instance, "nic_bps": None, "node_price_usd_per_hour": None} | transcode
    platform = GUIDE.platform.model_copy(update={"transcode": GUIDE.platform.transcode.model_copy(update=changes)})
    workload = GUIDE.workload.model_copy(update={"source": source})
    return GUIDE.model_copy(update={"platform": platform, "ladder": ladder, "workload": workload})


def one_device(case, position=0.5, known=KNOWN):
    return device(case, known, carried_values(case, known, lambda _: position))


def plan(case, position=0.5, known=KNOWN):
    return node_plan(
        case, profile(), known, profile().middle() | carried_values(case, known, lambda _: position), 2.4e4
    )


def only(name="1080p60", width=1920, height=1080, fps=60.0, codec="h264"):
    return Ladder(rungs=(Rung(name=name, width=width, height=height, fps=fps, bitrate_bps=6e6, codec=codec),))


@pytest.mark.parametrize(
    ("instance", "low", "middle", "high"), [("g4dn.xlarge", 1.3, 2.9, 6.5), ("g6.xlarge", None, 6.9, None)]
)
def test_the_guides_ladder_on_a_t4_and_an_l4(instance, low, middle, high):
    """facts.md 1.4 and design 3.3, one decimal: 92.6 fps of 1080p against 600 to 271 fps, × 840 to 1950 ÷ 1950 MHz."""
    streams = [one_device(on(instance), position).streams() for position in (0.0, 0.5, 1.0)]
    assert streams[1] == pytest.approx(middle, abs=0.05)
    if low:
        assert (streams[0], streams[2]) == (pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05))


@pytest.mark.parametrize(("clock", "streams"), [(0.0, 1.9), (1.0, 4.4)])
def test_a_t4_of_which_only_the_clock_is_unknown(clock, streams):
    values = carried_values(on("g4dn.xlarge"), KNOWN, lambda name: clock if "clock" in name else 0.5)
    assert device(on("g4dn.xlarge"), KNOWN, values).streams() == pytest.approx(streams, abs=0.05)


def test_av1_on_an_l4_meets_the_vendors_claim_within_a_tenth():
    """NVIDIA claims 130 AV1 720p30 a card, low latency; 1090 fps × 1770 ÷ 2415 × 2 engines make 120."""
    case = on("g6.xlarge", only("720p30", 1280, 720, 30.0, "av1"), nvenc_preset="p1")
    found = one_device(case)
    streams = found.capacity["encode_engine"] / found.demand["encode_engine"]
    assert streams == pytest.approx(120, abs=0.5)
    assert pytest.approx(streams, rel=0.1) == 130


@pytest.mark.parametrize(("instance", "streams"), [("vt1.3xlarge", 8), ("vt1.6xlarge", 16), ("vt1.24xlarge", 64)])
def test_vt1_holds_the_published_1080p60_streams(instance, streams):
    case = on(instance, only(), planning_utilisation=1.0)
    assert plan(case).broadcasts == streams


def test_each_engine_counts():
    """An L4 with one engine less, or an L40S taken for an L4, is another number."""
    a, b = one_device(on("g6.xlarge")), one_device(on("g6e.xlarge"))
    assert (a.capacity["encode_engine"], a.capacity["decode_engine"]) == (2, 4)
    assert b.streams() / a.streams() == pytest.approx(3 / 2 * 1965 / 1770)


def test_an_unpublished_preset_lies_between_its_neighbours_and_none_is_surer_than_15_percent():
    table, l4 = KNOWN.engines["ada"], KNOWN.accelerators["l4"]
    p4 = preset_speed(table, "h264", "p4")
    assert (p4.low, p4.high) == (291, 652)
    assert p4.middle == pytest.approx((291 * 652) ** 0.5)
    speed, clock = encode_rate(l4, table, "h264", "p3")
    assert (speed * clock).low == (speed * clock).high
    for one in (encode_coefficient(l4, table, "h264", "p3"), decode_coefficient(l4, table, "h264")):
        assert (one.middle / one.high, one.middle / one.low) == (pytest.approx(0.85), pytest.approx(1.15))
        assert one.provenance.kind == "scaled"
    wide = encode_coefficient(l4, table, "h264", "p4")
    assert wide.middle / wide.low == pytest.approx(652 / p4.middle)  # already wider: not widened again


def test_a_range_is_read_from_end_to_end():
    one = Range(1.0, 2.0, 8.0)
    assert [one.at(position) for position in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx([1, 2**0.5, 2, 4, 8])


@pytest.mark.parametrize("preset", ["p1", "p2", "p3", "p4", "p5", "p6", "p7"])
@pytest.mark.parametrize("instance", ["g4dn.xlarge", "g5.xlarge", "g6.xlarge", "g6e.xlarge"])
def test_the_ends_of_the_draws_are_the_ends_of_the_interval(instance, preset):
    case = on(instance, nvenc_preset=preset)
    gpu = KNOWN.accelerators[KNOWN.instances[instance].accelerator.model]
    table = KNOWN.engines[gpu.table]
    worst, middle, best = (carried_values(case, KNOWN, lambda _, p=p: p) for p in (0.0, 0.5, 1.0))
    for one in (encode_coefficient(gpu, table, "h264", preset), decode_coefficient(gpu, table, "h264")):
        assert [best[one.key], middle[one.key], worst[one.key]] == pytest.approx([one.low, one.middle, one.high])
        assert one.low <= one.middle / 1.149
        assert one.high >= one.middle / 0.851


def test_draws_lie_in_the_interval_and_are_shared_by_what_is_shared():
    draws = [carried_values(on("g4dn.xlarge"), KNOWN, drawn(1, number)) for number in range(200)]
    interval = encode_coefficient(KNOWN.accelerators["t4"], KNOWN.engines["turing"], "h264", "p4")
    drawn_values = [values[interval.key] for values in draws]
    assert interval.low <= min(drawn_values) < 0.7 * interval.middle
    assert 1.4 * interval.middle < max(drawn_values) <= interval.high
    same_gpu = carried_values(on("g4dn.12xlarge"), KNOWN, drawn(1, 7))
    assert same_gpu == draws[7]
    preset = {name: [] for name in ("g6.xlarge", "g6e.xlarge")}
    for instance, seen in preset.items():
        seen += [carried_values(on(instance), KNOWN, drawn(1, number))[interval.key] for number in range(5)]
    ratios = [a / b for a, b in zip(*preset.values(), strict=True)]
    assert ratios == pytest.approx([1965 / 1770] * 5)  # one table, one preset: only the clocks differ


def test_a_node_of_several_devices_holds_whole_broadcasts_on_each():
    assert plan(on("g4dn.xlarge")).broadcasts == 2  # 2.9 × 0.8
    assert plan(on("g4dn.12xlarge")).broadcasts == 8  # 4 × 2, not 4 × 2.29
    assert plan(on("g4dn.metal")).broadcasts == 16
    assert plan(on("g4dn.12xlarge", planning_utilisation=0.3)).broadcasts == 0  # 0.86 on each, and none on four


def test_every_encoded_rung_decodes_the_source():
    found = one_device(on("g6e.xlarge", nvenc_preset="p3"))
    assert found.capacity["decode_engine"] / found.demand["decode_engine"] == pytest.approx(13.7, abs=0.05)
    assert plan(on("g6e.xlarge", nvenc_preset="p3")).binding == "decode_engine"
    first = GUIDE.ladder.rungs[0].model_copy(update={"copied": True, "bitrate_bps": SOURCE.bitrate_bps})
    copied = one_device(on("g6e.xlarge", Ladder(rungs=(first, *GUIDE.ladder.rungs[1:]))))
    assert copied.demand["decode_engine"] / found.demand["decode_engine"] == pytest.approx(2 / 3)


def test_nothing_is_encoded_of_a_ladder_that_is_only_copied():
    copied = LADDER.rungs[0].model_copy(update={"copied": True, "bitrate_bps": SOURCE.bitrate_bps})
    assert one_device(on("g4dn.xlarge", Ladder(rungs=(copied,)))) is None


def test_the_cpu_of_the_same_node_is_another_plan_only_when_asked():
    on_gpu = scenario(**{"platform.transcode.instance": "g4dn.xlarge"})
    on_cpu = scenario(**{"platform.transcode.instance": "g4dn.xlarge", "platform.transcode.encode_on": "cpu"})
    assert (plan(on_gpu).binding, plan(on_cpu).binding) == ("encode_engine", "cpu")
    assert "encode_engine" not in plan(on_cpu).resources


def test_what_is_left_to_the_host():
    values = profile().middle()
    costs = frame_costs(values, SOURCE, LADDER)
    muxing = sum(30 * (costs.mux_s[rung.name] + 2 * costs.other_s) for rung in LADDER.rungs)
    left = host_cpu_s(values, SOURCE, LADDER)
    assert left == pytest.approx(SOURCE.fps * (costs.receive_s + costs.audio_s + costs.other_s) + muxing)
    assert left < 0.2 * stream_cpu_s(values, SOURCE, LADDER)
    dearer = {
        key: 2 * value if key.startswith(("decode", "scale", "encode")) else value for key, value in values.items()
    }
    assert host_cpu_s(dearer, SOURCE, LADDER) == pytest.approx(left)  # what the accelerator does costs the host nothing
    guide = on("g4dn.xlarge")
    growth = load_growth(values, guide.platform.transcode.planning_utilisation * 0.9)
    expected = host_cpu_s(values, guide.workload.source, guide.ladder) * growth
    assert plan(guide).demand[0] == pytest.approx(expected)


def capped(sessions):
    cap = Coefficient(
        name="encode_sessions",
        unit="1",
        middle=sessions,
        low=sessions,
        high=sessions,
        provenance=Provenance(kind="assumed", source="invented for a test", date="2026-11-22"),
    )
    t4 = KNOWN.accelerators["t4"]
    with_cap = t4.model_copy(update={"coefficients": (*t4.coefficients, cap)})
    return type(KNOWN)(**(vars(KNOWN) | {"accelerators": KNOWN.accelerators | {"t4": with_cap}}))


def test_a_cap_on_sessions_binds_and_too_small_a_cap_is_named():
    case, known = on("g4dn.xlarge"), capped(5)
    assert plan(case, known=known).broadcasts == 1  # three sessions a broadcast, and no share kept spare
    assert plan(case, known=known).binding == "encode_session"
    values = profile().middle() | carried_values(case, capped(2), lambda _: 0.5)
    with pytest.raises(CalibrationError, match=r"g4dn\.xlarge: one broadcast .* encoding sessions would be at 150%"):
        transcode_plan(case, profile(), capped(2), values, 2.4e4)


def test_densities_are_carried_by_pixel_rate_between_the_published_pictures_only():
    u30 = KNOWN.accelerators["alveo-u30"]

    def share(width, height, fps):
        return soc_share(u30, Source(width=width, height=height, fps=fps, bitrate_bps=1e6)).middle

    assert share(1920, 1080, 60.0) == 0.25
    assert 0.125 < share(1920, 1080, 45.0) < 0.25
    assert share(640, 360, 30.0) == share(960, 540, 30.0)  # as much as the smallest
    with pytest.raises(CalibrationError, match="nothing is published of a picture as large as 3840x2160@120"):
        share(3840, 2160, 120.0)
    with pytest.raises(CalibrationError, match="an AMD Xilinx Alveo U30 do not encode av1; they encode h264, hevc"):
        one_device(on("vt1.3xlarge", only(codec="av1")))


def test_what_the_catalogue_lacks_of_an_accelerator_is_named():
    with pytest.raises(CalibrationError, match="an NVIDIA A100 has no encoding engine"):
        one_device(on("p4d.24xlarge"))
    bare = KNOWN.instances["g4dn.xlarge"].model_copy(deep=True)
    t4 = bare.accelerator.model_copy(update={"memory_bytes": None})
    known = type(KNOWN)(
        **(vars(KNOWN) | {"instances": {**KNOWN.instances, "g4dn.xlarge": bare.model_copy(update={"accelerator": t4})}})
    )
    with pytest.raises(CalibrationError, match=r"g4dn\.xlarge: the catalogue lacks the memory of its NVIDIA T4"):
        one_device(on("g4dn.xlarge"), known=known)

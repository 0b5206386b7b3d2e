"""The catalogue: the rows a reviewer names, as published, and a readable refusal where nothing was published."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scenarios import ScenarioError, load_catalogue, load_scenario
from scenarios.accelerator import DensityAsic, NoEncoder, NvencGpu

KNOWN = load_catalogue()


@pytest.mark.parametrize(
    "name",
    [
        *("c5n.4xlarge", "g4dn.xlarge", "c5.2xlarge", "c5.4xlarge", "n2-highmem-16"),  # the guide
        *("c6i.4xlarge", "c6in.4xlarge", "c7g.4xlarge", "c7gn.4xlarge", "c7i.4xlarge", "c7a.4xlarge", "c8g.4xlarge"),
        *("c8i.4xlarge", "m6i.4xlarge", "r6i.4xlarge", "g5.xlarge", "g6.xlarge", "g6e.xlarge", "g2-standard-4"),
        *(f"g4dn.{size}" for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "metal")),
        *(f"vt1.{size}" for size in ("3xlarge", "6xlarge", "24xlarge")),
    ],
)
def test_a_type_that_a_reviewer_names_is_there_with_its_price(name):
    assert KNOWN.instances[name].price_usd_per_hour > 0
    assert KNOWN.instances[name].citations["price"].date.year >= 2025


def test_every_name_in_the_catalogue_leads_somewhere():
    for one in KNOWN.instances.values():
        assert one.coremark is None or one.cpu in KNOWN.cpu_agreement, one.name
    for found in KNOWN.accelerators.values():
        assert not isinstance(found, NvencGpu) or found.table in KNOWN.engines, found.model
    models = {one.accelerator.model for one in KNOWN.instances.values() if one.accelerator}
    assert {"t4", "a10g", "l4", "l40s", "alveo-u30", "a100", "h100"} <= models & KNOWN.accelerators.keys()


def test_a_vcpu_is_a_hyperthread_or_a_core():
    kinds = {one.name.partition(".")[0]: one.vcpu_kind for one in KNOWN.instances.values()}
    assert {kinds[family] for family in ("c5", "c6i", "c7i", "g4dn")} == {"hyperthread"}
    assert {kinds[family] for family in ("c7g", "c7a", "c8g")} == {"core"}


def test_ffmpeg_and_coremark_agree_on_cpu_families_as_the_rule_says():
    """One ffmpeg process on the 4xlarge of each family (vantage, December 2025)."""
    fps = {"c5": 87, "c5n": 92, "c6i": 101, "c7i": 131, "c7g": 133, "c8g": 159, "c7a": 189, "c8i": 143}
    per_coremark = {family: rate / KNOWN.instances[f"{family}.4xlarge"].coremark for family, rate in fps.items()}
    mean = math.exp(sum(math.log(one) for one in per_coremark.values()) / len(per_coremark))
    for family, one in per_coremark.items():
        agreement = KNOWN.cpu_agreement[family]
        assert (agreement.low, agreement.middle, agreement.high) == (0.85, 1.0, 1.15)
        assert agreement.low < one / mean < agreement.high, family


def test_a_figure_that_was_not_found_is_null():
    assert KNOWN.instances["c7gn.4xlarge"].coremark is None
    assert KNOWN.instances["g2-standard-4"].nic_bps is None
    assert KNOWN.instances["p3.2xlarge"].vcpus is None
    assert KNOWN.instances["vt1.3xlarge"].accelerator.memory_bytes is None


def test_published_engine_speeds():
    """SDK 13.0 application notes, CBR low latency, one engine, 1920x1080."""
    encode = {name: table.encode.frames_per_s for name, table in KNOWN.engines.items()}
    assert encode["turing"]["h264"] == {"p1": 855, "p3": 600, "p5": 271, "p7": 229}
    assert encode["ampere"]["hevc"] == {"p1": 943, "p3": 467, "p5": 307, "p7": 308}
    assert encode["ada"]["av1"] == {"p1": 1090, "p3": 774, "p5": 512, "p7": 356}
    assert "av1" not in encode["turing"] | encode["ampere"]
    decode = {
        name: (table.decode.reference_clock_hz, table.decode.frames_per_s) for name, table in KNOWN.engines.items()
    }
    assert decode["turing"] == (1860e6, {"h264": 771, "hevc": 1316})
    assert decode["ada"] == (2160e6, {"h264": 903, "hevc": 1641, "av1": 1018})


def test_recalled_engine_counts_say_that_they_are_assumed():
    counts = {}
    for model in ("t4", "a10g", "l4", "l40s"):
        for name in ("encode_engines", "decode_engines"):
            one = KNOWN.accelerators[model].coefficient(name)
            counts[model, name] = one.middle
            assert one.provenance.kind == ("datasheet" if (model, name) in SOURCED else "assumed")
    assert list(counts.values()) == [1, 2, 1, 2, 2, 4, 3, 3]


SOURCED = {("t4", "encode_engines"), ("a10g", "encode_engines")}


def test_gpus_of_the_data_centre_have_no_encoder_and_the_asic_has_densities():
    assert all(isinstance(KNOWN.accelerators[model], NoEncoder) for model in ("a100", "h100", "h200"))
    u30 = KNOWN.accelerators["alveo-u30"]
    assert isinstance(u30, DensityAsic)
    assert 1 / u30.coefficient("soc_s_per_stream_s", "1920x1080@60").middle == 4


def written(folder: Path, **changes: str) -> Path:
    path = folder / "what_if.yaml"
    lines = "".join(f"  {key}: {value}\n" for key, value in changes.items())
    path.write_text(f"extends: baseline\nquestion: What if?\nset:\n{lines}")
    return path


AV1 = "[{name: a, width: 1280, height: 720, fps: 30, bitrate_bps: 2500000, codec: av1}]"
AV1_LADDER = {"ladder.rungs": AV1, "workload.audience.rung_shares": "{a: 1.0}"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"platform.transcode.instance": "g4dn.xlarg"}, "no instance type 'g4dn.xlarg' .*did you mean 'g4dn.xlarge'"),
        (
            {"platform.transcode.instance": "g7e.2xlarge"},
            "nothing is known of its accelerator rtx-pro-6000-blackwell .*write encode_on: cpu",
        ),
        (
            {"platform.transcode.instance": "p4d.24xlarge"},
            "an NVIDIA A100 has no encoding engine .*write encode_on: cpu",
        ),
        ({"platform.transcode.instance": "p5.48xlarge"}, "an NVIDIA H100 has no encoding engine"),
        (
            {"platform.transcode.instance": "c6i.4xlarge", "platform.transcode.encode_on": "accelerator"},
            "encode_on: c6i.4xlarge has no accelerator; write encode_on: cpu",
        ),
        (
            {"platform.transcode.instance": "g4dn.xlarge"} | AV1_LADDER,
            "rung a: the engines of an NVIDIA T4 do not encode av1; they encode h264, hevc",
        ),
        (
            {"platform.transcode.instance": "g4dn.xlarge", "workload.source.codec": "av1"},
            "the engines of an NVIDIA T4 do not decode av1; they decode h264, hevc",
        ),
        ({"platform.transcode.nvenc_preset": "p8"}, "nvenc_preset"),
    ],
)
def test_what_cannot_encode_is_refused_with_its_place_and_a_remedy(tmp_path, changes, message):
    with pytest.raises(ScenarioError, match=rf"what_if.yaml:\d+:\d+: .*{message}"):
        load_scenario(written(tmp_path, **changes))


def test_the_same_type_encodes_on_its_cpu_when_asked(tmp_path):
    asked = {"platform.transcode.instance": "p4d.24xlarge", "platform.transcode.encode_on": "cpu"}
    assert load_scenario(written(tmp_path, **asked)).platform.transcode.encode_on == "cpu"
    with_av1 = {"platform.transcode.instance": "g6.xlarge"} | AV1_LADDER
    assert load_scenario(written(tmp_path, **with_av1)).ladder.rungs[0].codec == "av1"

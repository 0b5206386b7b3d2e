"""Every shipped data file loads, and every figure of the catalogue has its source."""

from __future__ import annotations

from pathlib import Path

import pytest

import scenarios
from scenarios.catalogue import load_catalogue
from scenarios.errors import CalibrationError, ScenarioError
from scenarios.profile import load_profile
from sim.accelerated import encoding_accelerator
from sim.coverage import require_coverage
from sim.fleet_plan import kinds_of_nodes

NOT_COVERED = {"guide_ladder"}
"""Files for `serve` and `measure`, whose ladder the shipped profile was not measured for."""
LIBRARY = sorted((Path(scenarios.__file__).parent / "library").glob("*.yaml"))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_library_scenarios_load_with_their_profile(path):
    scenario = scenarios.load_scenario(path)
    assert load_profile(scenario.profile).name == scenario.profile


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_run_refuses_a_ladder_beyond_what_the_profile_was_measured_for(path):
    scenario = scenarios.load_scenario(path)
    profile = load_profile(scenario.profile)
    if path.stem not in NOT_COVERED:
        for kind in kinds_of_nodes(scenario):
            if encoding_accelerator(kind, load_catalogue()) is None:  # a GPU's limits are those of its engines
                require_coverage(profile, kind.workload.source, kind.ladder)
    else:
        with pytest.raises(CalibrationError, match=r"measured were .*; measure such a stream .*--extrapolate"):
            require_coverage(profile, scenario.workload.source, scenario.ladder)


def test_the_guides_ladder_and_the_source_rung_are_what_they_say():
    guide = scenarios.load_scenario(LIBRARY[0].with_name("guide_ladder.yaml"))
    assert guide.workload.source.label == "1920x1080@60"
    rungs = [(rung.name, rung.label, rung.bitrate_bps) for rung in guide.ladder.rungs]
    assert rungs == [
        ("1080p60", "1920x1080@60", 6000e3),
        ("720p60", "1280x720@60", 4500e3),
        ("480p30", "852x480@30", 1500e3),
    ]
    copied = scenarios.load_scenario(LIBRARY[0].with_name("source_rung.yaml"))
    first, second = copied.ladder.rungs
    assert (first.label, first.stages) == ("copied 1280x720@30", ("mux",))
    assert first.bitrate_bps == copied.workload.source.bitrate_bps
    assert (second.label, second.stages) == ("854x480@30", ("scale", "encode", "mux"))


def test_the_baseline_is_the_platform_it_says():
    baseline = scenarios.load_scenario(LIBRARY[0].with_name("baseline.yaml"))
    assert baseline.workload.broadcasts.peak_concurrent == 1000
    assert baseline.workload.audience.peak_viewers == 50_000
    assert [rung.name for rung in baseline.ladder.rungs] == ["720p30", "480p30"]
    assert baseline.platform.transcode.instance == "this-machine"


def test_published_facts_of_the_first_instances():
    """Karpenter's price and instance tables of July and August 2026."""
    known = load_catalogue().instances
    facts = {
        "c5n.4xlarge": (16, 42, 15e9, 0.864),
        "c6i.4xlarge": (16, 32, 6.25e9, 0.68),
        "g4dn.xlarge": (4, 16, 5e9, 0.526),
    }
    for name, (vcpus, gib, nic_bps, usd) in facts.items():
        one = known[name]
        assert (one.vcpus, one.memory_bytes, one.nic_bps, one.price_usd_per_hour) == (
            vcpus,
            gib * 2**30,
            nic_bps,
            usd,
        )
        assert {"specification", "price", "coremark"} <= one.citations.keys()
    assert known["this-machine"].is_this_machine


def test_a_profile_that_does_not_exist_gets_a_hint():
    with pytest.raises(ScenarioError, match="did you mean 'xeon-2c-x264-ultrafast'"):
        load_profile("xeon-2c-x264-ultrafst")

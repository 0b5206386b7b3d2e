"""Capacity and latency at other core counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from platforms import scenario
from profiles import profile
from synthetic_held_out import Series, true_profile, write_runs

from benchmarks.fidelity import BUNDLES, committed
from scenarios.catalogue import load_catalogue
from scenarios.profile import NodeSize, load_profile
from sim.calibration.evidence import gather
from sim.calibration.node_sizes import node_sizes, pattern_of
from sim.calibration.outcome import predicted
from sim.calibration.profile_file import write_profile
from sim.capacity import node_plan, usable_core_fraction

SHIPPED = "xeon-2c-x264-ultrafast"


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizes") / "bundle"
    write_runs(folder, [Series("chief", {1: 1, 2: 1})], identity="runs", held_out=False)
    return pattern_of(gather([folder]))


@pytest.fixture(scope="module")
def sizes(pattern):
    return node_sizes(pattern, true_profile().middle(), cores=(1, 2, 4))


def test_more_cores_hold_more_streams_with_no_longer_latency(sizes):
    assert [size.cores for size in sizes] == [1, 2, 4]
    streams = [size.capacity_streams for size in sizes]
    assert streams == sorted(set(streams))
    assert all(size.segment_publish_half_s < size.segment_publish_full_s for size in sizes)
    assert sizes[2].segment_publish_full_s < sizes[1].segment_publish_full_s


def test_beyond_capacity_lag_grows_by_what_the_cores_cannot_do(sizes, pattern):
    values = true_profile().middle()
    for size in sizes:
        asked = math.ceil(1.5 * size.capacity_streams) * predicted(pattern, values=values, seed=1).cpu_s_per_stream_s
        fluid = 1.0 - size.cores / asked
        assert size.overloaded_lag_s_per_s == pytest.approx(fluid, abs=0.12)


def test_dearer_frames_never_let_a_node_hold_more(pattern, sizes):
    dear = {key: 1.3 * value if "_cpu_s_per_" in key else value for key, value in true_profile().middle().items()}
    for usual, loaded in zip(sizes, node_sizes(pattern, dear, cores=(1, 2, 4)), strict=True):
        assert loaded.capacity_streams <= usual.capacity_streams


def test_the_load_generator_runs_on_no_production_node(pattern):
    assert not pattern.has_generator
    assert len(pattern.streams) == 1


def test_a_profile_carries_its_sizes_and_refuses_them_out_of_order(sizes, tmp_path):
    written = profile().model_copy(update={"nodes": sizes})
    write_profile(written, tmp_path / "p.yaml")
    assert load_profile(str(tmp_path / "p.yaml")).nodes == sizes
    with pytest.raises(ValueError, match="rise in cores"):
        type(written).model_validate(written.model_dump() | {"nodes": tuple(reversed(sizes))})


def test_the_usable_share_of_another_node_is_the_measured_one_times_the_models_ratio():
    shares = {1: 0.6, 2: 0.8, 8: 0.9}
    nodes = tuple(
        NodeSize(
            cores=cores,
            capacity_streams=cores,
            usable_core_fraction=share,
            segment_publish_half_s=0.02,
            segment_publish_full_s=0.03,
            overloaded_lag_s_per_s=0.3,
        )
        for cores, share in shares.items()
    )
    two = profile().model_copy(update={"nodes": nodes})  # measured on two cores
    values = {"usable_core_fraction": 0.7}
    assert usable_core_fraction(two, values, 2) == pytest.approx(0.7)
    assert usable_core_fraction(two, values, 8) == pytest.approx(0.7 * 0.9 / 0.8)
    assert usable_core_fraction(two, values, 4) == pytest.approx(0.7 * 0.85 / 0.8)  # half-way by logarithm
    assert usable_core_fraction(two, values, 64) == usable_core_fraction(two, values, 8)
    assert usable_core_fraction(two, {"usable_core_fraction": 0.99}, 8) == 1.0
    assert usable_core_fraction(profile(), values, 64) == 0.7


@pytest.mark.parametrize("cores", [(2,), pytest.param((2, 4, 8, 16), marks=pytest.mark.long)])
def test_the_shipped_sizes_are_what_the_node_model_gives(cores):
    """Derived figures are tested equal: the same bundles and the profile's own coefficients give them again."""
    shipped = load_profile(SHIPPED)
    fitted, _ = committed(shipped, BUNDLES)
    found = node_sizes(pattern_of(gather(fitted)), shipped.middle(), cores=cores)
    assert found == tuple(size for size in shipped.nodes if size.cores in cores)


def test_run_tells_publication_on_a_full_node_where_the_profile_has_sizes(sizes):
    node = scenario()  # planned to 0.8 of a node of this machine's two cores
    with_sizes = profile().model_copy(update={"nodes": sizes})
    plan = node_plan(node, with_sizes, load_catalogue(), with_sizes.middle(), 20_000.0)
    share = node.platform.transcode.planning_utilisation
    two = sizes[1]
    assert two.segment_publish_half_s <= plan.segment_publish_s <= two.segment_publish_full_s
    expected = np.interp(share, (0.5, 0.8), (two.segment_publish_half_s, two.segment_publish_full_s))
    assert plan.segment_publish_s == pytest.approx(expected)
    assert math.isnan(node_plan(node, profile(), load_catalogue(), profile().middle(), 20_000.0).segment_publish_s)

import numpy as np
import pytest
from platforms import scenario
from profiles import LADDER, SOURCE, profile

from scenarios.catalogue import load_catalogue
from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder
from sim.capacity import (
    cpu_speed,
    ingest_plan,
    load_growth,
    rated,
    require_coverage,
    stream_cpu_s,
    transcode_plan,
)
from sim.node_plan import RESOURCES

VALUES = profile().middle()
AGREEMENT = {f"cpu_speed_agreement {family}": 1.0 for family in load_catalogue().cpu_agreement}


def plan(anchor=20_000.0, values=VALUES, **changes):
    return transcode_plan(scenario(**changes), profile(), load_catalogue(), values | AGREEMENT, anchor)


def test_cpu_per_stream_is_the_sum_of_its_stages():
    per_frame = 0.003 + 0.0001 + 0.001 + 0.0045 + 0.0022 + 0.00005 * 2
    assert stream_cpu_s(VALUES, SOURCE, LADDER) == pytest.approx(0.018 + 30 * per_frame)


def test_a_copied_rung_costs_its_muxing_and_alone_not_even_decoding():
    copied = LADDER.rungs[0].model_copy(update={"copied": True, "bitrate_bps": SOURCE.bitrate_bps})
    values = VALUES | {"mux_cpu_s_per_frame copied 1280x720@30": 0.00006}
    below = Ladder(rungs=(copied, LADDER.rungs[1]))
    per_frame = 0.003 + 0.001 + 0.0022 + 0.00005 + 0.00006
    assert stream_cpu_s(values, SOURCE, below) == pytest.approx(0.018 + 30 * per_frame)
    assert stream_cpu_s(values, SOURCE, Ladder(rungs=(copied,))) == pytest.approx(0.018 + 30 * 0.00006)
    assert below.egress_bps == 3.5e6 + 1.2e6


@pytest.mark.parametrize(("streams", "factor"), [(0, 1.0), (1, 1.0), (2.5, 1.025), (4, 1.05), (9, 1.05)])
def test_cost_grows_linearly_from_one_stream_to_the_capacity(streams, factor):
    assert load_growth(VALUES, streams=streams, capacity_streams=4) == pytest.approx(factor)


def test_the_first_resource_to_saturate_binds():
    by_cpu = plan()
    assert by_cpu.binding == "cpu"
    assert by_cpu.broadcasts == int(2 * 0.95 * 0.8 / by_cpu.demand[0])
    by_network = plan(**{"platform.transcode.nic_bps": 10e6})
    assert by_network.binding == "nic_out"  # 3.7 Mbit/s of rungs against 3.5 Mbit/s of source
    assert by_network.broadcasts == 2
    assert by_network.utilisation()["nic_out"] == pytest.approx(2 * 3.7 / 8)


def test_a_costlier_profile_holds_fewer_broadcasts():
    assert plan(values=profile(cost=1.5).middle()).broadcasts < plan().broadcasts


def test_another_cpu_type_is_reached_by_coremark_and_one_anchor():
    c6i, c5n = (load_catalogue().instances[name] for name in ("c6i.4xlarge", "c5n.4xlarge"))
    assert cpu_speed(c6i, 276_865 / 16) == pytest.approx(1.0)
    ratio = cpu_speed(c6i, 20_000.0) / cpu_speed(c5n, 20_000.0)
    assert ratio == pytest.approx(276_865 / 253_425)
    assert cpu_speed(load_catalogue().instances["this-machine"], 1.0) == 1.0
    on_c6i = {"platform.transcode.instance": "c6i.4xlarge"}
    assert plan(anchor=16_000.0, **on_c6i).broadcasts > plan(anchor=32_000.0, **on_c6i).broadcasts


def test_a_node_too_small_for_one_broadcast_is_refused():
    with pytest.raises(
        CalibrationError, match="one broadcast of this ladder does not fit: outbound network would be at"
    ):
        plan(**{"platform.transcode.nic_bps": 3e6})


def test_ingest_is_bound_by_its_network_or_by_its_cpu():
    values = VALUES | AGREEMENT
    one = ingest_plan(scenario(), load_catalogue(), values | {"ingest_cpu_s_per_stream_s": 0.001}, 20_000.0)
    assert one.binding == "nic_in"
    assert one.broadcasts == int(15e9 * 0.7 / 3.5e6)
    assert ingest_plan(scenario(), load_catalogue(), values, 20_000.0).binding == "cpu"
    assert one.capacity.shape == one.demand.shape == np.shape(RESOURCES)


def test_a_figure_that_the_catalogue_lacks_is_named_and_not_made_up():
    whole = load_catalogue().instances["c6i.4xlarge"]
    assert rated(whole) == (16, 32 * 2**30, 6.25e9, 0.68)
    lacking = whole.model_copy(update={"price_usd_per_hour": None, "vcpus": None})
    with pytest.raises(CalibrationError, match=r"c6i\.4xlarge: the catalogue lacks its vcpus, price_usd_per_hour"):
        rated(lacking)


def test_a_rung_that_was_not_measured_is_named():
    narrow = {"ladder.rungs.1.width": 640, "ladder.rungs.1.height": 360}
    with pytest.raises(CalibrationError, match=r"no scale_cpu_s_per_frame for 640x360@30; it was measured for"):
        require_coverage(profile(), scenario(**narrow))

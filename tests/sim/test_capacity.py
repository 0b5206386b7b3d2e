import numpy as np
import pytest
from platforms import scenario
from profiles import profile

from scenarios.catalogue import load_catalogue
from scenarios.errors import CalibrationError
from sim.capacity import cpu_speed, ingest_plan, rated, transcode_plan
from sim.node_plan import RESOURCES

VALUES = profile().middle()
AGREEMENT = {f"cpu_speed_agreement {family}": 1.0 for family in load_catalogue().cpu_agreement}


def plan(anchor=20_000.0, values=VALUES, **changes):
    return transcode_plan(scenario(**changes), profile(), load_catalogue(), values | AGREEMENT, anchor)


def test_the_first_resource_to_saturate_binds():
    by_cpu = plan()
    assert by_cpu.binding == "cpu"
    assert by_cpu.broadcasts == int((2 * 0.9 * 0.8 - 0.01) / by_cpu.demand[0])
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
    one = ingest_plan(scenario(), load_catalogue(), values | {"ingest_cpu_s_per_frame": 1e-5}, 20_000.0)
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

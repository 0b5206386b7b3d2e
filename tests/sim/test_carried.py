"""What was measured on no such node is told as a range, with its grounds; what was measured stays a number."""

from __future__ import annotations

import pandas as pd
import pytest
from platforms import scenario
from profiles import profile

from scenarios import CalibrationError, load_catalogue
from sim.answer import answer, binding_text
from sim.assembly import draw_world
from sim.carried import PlanRange, carried_coefficients, carried_values, drawn, plan_range
from sim.html_report import page
from sim.ranges import ranges
from sim.replication import run
from sim.results import read_result

KNOWN = load_catalogue()
RANGED = ("broadcasts_per_node", "nodes_peak", "transcode_usd_per_month", "usd_per_stream_hour")


def on(instance, **changes):
    listed = {"platform.transcode.nic_bps": None, "platform.transcode.node_price_usd_per_hour": None}
    return scenario(**{"platform.transcode.instance": instance, "horizon.horizon_s": 900.0} | listed | changes)


@pytest.fixture(scope="module")
def on_l4():
    return run(on("g6.xlarge"), profile(), seed=3, replications=6)


def test_the_measured_machine_has_no_range():
    here = run(scenario(**{"horizon.horizon_s": 900.0}), profile(), seed=3, replications=2)
    assert here.held is None
    assert here.ranges == {}
    assert list(here.table().columns)[1] == "mean"
    assert carried_coefficients(here.scenario, KNOWN) == ()


def test_every_draw_lies_in_the_range_and_the_range_is_wider_than_the_middle(on_l4):
    held = on_l4.held
    assert held.low < held.middle < held.high
    drawn_nodes = on_l4.values[on_l4.values["metric"] == "broadcasts_per_node"]["value"]
    assert held.low <= drawn_nodes.min() < drawn_nodes.max() <= held.high
    for metric in RANGED:
        low, high = on_l4.ranges[metric]
        seen = on_l4.values[on_l4.values["metric"] == metric]["value"]
        assert low <= seen.min() <= seen.max() <= high
        assert low < high


def test_no_single_number_is_told_of_fleet_streams_and_cost(on_l4):
    table = on_l4.table().set_index("what")
    for what in ("most nodes at the same time", "broadcasts a node holds", "transcode nodes"):
        assert " … " in table.loc[what, "mean, or range"]
        assert table.loc[what, "95 % of days"] == "–"
    size = answer(on_l4)[0]
    assert f"need {on_l4.texts('nodes_peak').value} of g6.xlarge" in size
    assert f"room for {on_l4.held.low} … {on_l4.held.high} broadcasts" in size
    assert on_l4.document()["ranges"]["broadcasts_per_node"] == [on_l4.held.low, on_l4.held.high]
    assert binding_text(on_l4) == "Encoding engines bind"


def test_what_was_carried_over_stands_above_the_result_with_rule_and_width(on_l4):
    grounds = "\n".join(on_l4.rests_on())
    assert "receiving, muxing and the rest that is left to the CPU: carried over to g6.xlarge by CoreMark" in grounds
    assert "encoding on 1 × NVIDIA L4, NVENC preset p4, low latency" in grounds
    assert "encode_engine_s_per_pixel h264 p4: 1.51e-09 engine-s/pixel (-33% … +50%); scaled" in grounds
    assert "encode_engines: 2; assumed" in grounds
    assert f"a node holds {on_l4.held.low} to {on_l4.held.high} broadcasts" in grounds


def test_the_report_shows_ranges_and_what_they_rest_on(on_l4):
    text = page(on_l4)
    assert "Mean, or range" in text
    assert on_l4.texts("nodes_peak").value in text
    assert "recalled from NVIDIA" in text
    assert "clock of a GPU&#39;s video engines under load" in text


def test_a_result_of_ranges_reads_back_equal(on_l4, tmp_path):
    again = read_result(on_l4.write(tmp_path / "result"))
    assert again.document() == on_l4.document()


def test_a_cpu_type_is_a_range_too_since_its_anchor_is_assumed():
    result = run(on("c6i.4xlarge"), profile(), seed=3, replications=2)
    assert result.held.binds == ("cpu",)
    assert result.held.high > 2 * result.held.low  # 16,000 to 32,000, and ±15 %
    assert "cpu_speed_agreement c6i: 1 (-15% … +15%); scaled" in "\n".join(result.rests_on())


def test_a_family_has_one_agreement_and_the_anchor_is_shared_by_all():
    by_type = {}
    for instance in ("c6i.4xlarge", "r6i.4xlarge", "c7g.4xlarge"):
        case = on(instance)
        worlds = [draw_world(case, profile(), KNOWN, seed=1, replication=number) for number in range(40)]
        by_type[instance] = [
            (world.anchor_coremark_per_vcpu, world.values[f"cpu_speed_agreement {KNOWN.instances[instance].cpu}"])
            for world in worlds
        ]
    assert by_type["c6i.4xlarge"] == by_type["r6i.4xlarge"]
    assert [a for a, _ in by_type["c6i.4xlarge"]] == [a for a, _ in by_type["c7g.4xlarge"]]
    one, other = ([factor for _, factor in by_type[name]] for name in ("c6i.4xlarge", "c7g.4xlarge"))
    assert one != other
    assert all(0.85 <= factor <= 1.15 for factor in one + other)
    assert min(one) < 0.93
    assert max(one) > 1.07


def test_a_new_source_of_ignorance_moves_no_other_draw():
    on_cpu = draw_world(
        on("g6.xlarge", **{"platform.transcode.encode_on": "cpu"}), profile(), KNOWN, seed=1, replication=2
    )
    on_gpu = draw_world(on("g6.xlarge"), profile(), KNOWN, seed=1, replication=2)
    assert on_cpu.values.items() < on_gpu.values.items()


def test_a_type_that_may_hold_nothing_is_refused_before_any_draw():
    case = on(
        "g4dn.xlarge", **{"platform.transcode.nvenc_preset": "p7", "platform.transcode.planning_utilisation": 0.12}
    )
    held = plan_range(case, profile(), KNOWN)
    assert held.low == 0 < held.high
    with pytest.raises(
        CalibrationError, match=r"g4dn\.xlarge: it holds 0 to \d+ broadcasts .*choose a larger instance"
    ):
        run(case, profile(), replications=2)


def test_a_type_without_figures_says_what_to_do():
    for instance in ("g2-standard-4", "c7gn.4xlarge", "n2-highmem-16"):
        with pytest.raises(CalibrationError, match=f"{instance}: the catalogue has no CoreMark .*add the figures"):
            run(on(instance), profile(), replications=2)
    agreed = carried_values(on("c6i.4xlarge"), KNOWN, drawn(1, 1))
    assert agreed.keys() == {"cpu_speed_agreement c6i", "cpu_speed_agreement c5n"}  # transcode and ingest


@pytest.mark.parametrize(("min_nodes", "least"), [(0, 4.0), (6, 6.0), (9, 8.0)])
def test_a_peak_is_no_lower_than_what_is_held_whatever_is_wanted(min_nodes, least):
    """Of nine at least there were never more than eight on one day: so many could not be had."""
    rows = [(day, "broadcasts_per_node", 5.0) for day in (0, 1)] + [(0, "nodes_peak", 10.0), (1, "nodes_peak", 8.0)]
    values = pd.DataFrame(rows, columns=["replication", "metric", "value"])
    found = ranges(values, PlanRange(2, 4, 10, "cpu", ("cpu",)), min_nodes=min_nodes)
    assert found["nodes_peak"] == (least, 25.0)


def test_a_fleet_costs_no_less_than_the_nodes_that_are_always_held():
    rows = [("broadcasts_per_node", 5.0), ("transcode_usd_per_month", 100.0), ("usd_per_stream_hour", 0.2)]
    values = pd.DataFrame([(0, *row) for row in rows], columns=["replication", "metric", "value"])
    found = ranges(values, PlanRange(2, 4, 10, "cpu", ("cpu",)), least_usd_per_month=80.0)
    assert found["transcode_usd_per_month"] == (80.0, 250.0)  # in proportion it would be 50
    assert found["usd_per_stream_hour"] == (pytest.approx(0.16), 0.5)


def test_fleets_are_in_proportion_to_nodes():
    rows = [(0, "broadcasts_per_node", 4.0), (0, "nodes_peak", 10.0), (1, "broadcasts_per_node", 5.0)]
    rows += [(1, "nodes_peak", 8.0), (0, "usd_per_stream_hour", 0.2), (1, "usd_per_stream_hour", 0.16)]
    values = pd.DataFrame(rows, columns=["replication", "metric", "value"])
    found = ranges(values, PlanRange(2, 4, 10, "encode_engine", ("encode_engine",)))
    assert found == {
        "broadcasts_per_node": (2.0, 10.0),
        "nodes_peak": (4.0, 20.0),
        "usd_per_stream_hour": (pytest.approx(0.08), pytest.approx(0.4)),
    }

import pytest
import simpy
from scripted_fleet import ScriptedFleet, scaled

from scenarios.autoscaler import FixedFleet, QueueAutoscaler
from sim.components.autoscaler import AUTOSCALERS, Autoscaling, Bounds
from sim.components.autoscaler.queue import desired_nodes


def follow(demand, nodes, until_s=600.0, waiting=0, **changes):
    spec = QueueAutoscaler(kind="queue", target_utilisation=1.0, **changes)
    return scaled(spec, demand, nodes, until_s=until_s, waiting=waiting)


@pytest.mark.parametrize(
    ("in_queue", "target", "nodes"), [(0, 1.0, 0), (8, 1.0, 2), (9, 1.0, 3), (36, 0.9, 10), (37, 0.9, 11)]
)
def test_desired_nodes_is_an_exact_ceiling(in_queue, target, nodes):
    assert desired_nodes(in_queue, broadcasts_per_node=4, target_utilisation=target) == nodes


def test_scales_out_at_the_next_sync():
    assert follow(lambda at: 40, nodes=5).actions == [(15.0, 5)]


def test_tolerance_holds_small_differences_unless_somebody_waits():
    assert follow(lambda at: 42, nodes=10).actions == []
    assert follow(lambda at: 42, nodes=10, waiting=2, until_s=20.0).actions == [(15.0, 1)]


def test_scales_in_only_after_the_whole_window_has_asked_for_less():
    fleet = follow(lambda at: 40 if at < 100 else 8, nodes=10, scale_in_window_s=300.0)
    assert fleet.actions == [(405.0, -8)]  # the last sync that wanted 10 was at 90 s, and 90 < 405 - 300


def test_stays_within_its_bounds():
    assert follow(lambda at: 10_000, nodes=5).nodes == 50
    assert follow(lambda at: 0, nodes=5, scale_in_window_s=0.0).nodes == 1


def test_a_fixed_fleet_is_left_alone():
    fleet = scaled(FixedFleet(kind="fixed"), lambda at: 400, nodes=3)
    assert fleet.actions == []
    assert start_with(FixedFleet(kind="fixed"), live=400) == 1


def start_with(spec, live, bounds=None, start_hour=0.0):
    env = simpy.Environment()
    fleet = ScriptedFleet(env, lambda at: live, 0)
    autoscaling = Autoscaling(env, spec, fleet, bounds=bounds or Bounds(1, 50, 4), start_hour=start_hour)
    return autoscaling.initial_nodes(live)


def test_every_kind_of_the_language_has_one_in_the_table():
    from typing import get_args

    from scenarios.platform import Transcode

    members = get_args(Transcode.model_fields["autoscaler"].annotation)
    kinds = {kind for member in members for kind in get_args(member.model_fields["kind"].annotation)}
    assert kinds == AUTOSCALERS.keys()


def test_a_queue_follower_starts_with_what_it_would_hold():
    spec = QueueAutoscaler(kind="queue")
    assert start_with(spec, live=36) == 10  # 36 ÷ (4 × 0.9)
    assert start_with(spec, live=0) == 1
    assert start_with(spec, live=10_000) == 50

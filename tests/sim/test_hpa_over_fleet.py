"""The HPA over the fleet: what its metrics show and when, and what the guide's manifest does to live broadcasts."""

from __future__ import annotations

import json

import pytest
from booted_fleet import PLACES, BootedFleet
from pydantic import ValidationError
from scripted_fleet import scaled
from test_autoscaler import start_with

from scenarios.hpa_autoscaler import HpaAutoscaler
from sim.components.autoscaler.hpa_metrics import FleetMetrics
from sim.components.autoscaler.proposals import PodSamples

QUEUE = {
    "type": "External",
    "external": {"metric": {"name": "sqs_queue_depth"}, "target": {"type": "AverageValue", "averageValue": "5"}},
}
PER_POD = {
    "type": "Pods",
    "pods": {"metric": {"name": "broadcasts_per_pod"}, "target": {"type": "AverageValue", "averageValue": "4"}},
}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}


def hpa(*metrics, source="waiting", least=1, most=50, **changes) -> HpaAutoscaler:
    spec = {"minReplicas": least, "maxReplicas": most, "metrics": metrics} | changes.pop("spec", {})
    table = {"sqs_queue_depth": source} if QUEUE in metrics else {}
    return HpaAutoscaler.model_validate_json(
        json.dumps({"kind": "hpa", "spec": spec, "metrics": table, "scrape_delay_s": 0.0} | changes)
    )


def guide(**changes) -> HpaAutoscaler:
    return hpa(QUEUE, least=50, most=5000, scrape_delay_s=30.0, **changes)


def test_the_guides_hpa_scales_in_to_its_minimum_under_live_broadcasts():
    """When the queue drains the recommendation is minReplicas, however many broadcasts are live on the fleet.

    250 are live on 50 full nodes, and 1,250 more go live at 60 s. The queue asks for ⌈1250 ÷ 5⌉ = 250 nodes; these
    take 1,000 of those who wait, and at 250 waiting the metric is back at 50 replicas.
    """
    world = BootedFleet(guide(), [1e6] * 1500)
    world.start(live=250)
    world.run(60.0)
    assert world.fleet.nodes == 50
    world.go_live(range(250, 1500))
    world.run(300.0)
    assert world.fleet.nodes == 250
    assert (world.fleet.in_service, world.admission.waiting) == (1250, 250)
    world.run(1200.0)
    # 200 nodes were told to go. Nobody ended, and those who wait get no place from a fleet that shrinks.
    assert world.fleet.nodes == 50
    assert world.draining == 200
    assert world.fleet.in_service == 1250
    assert world.fleet.in_service_on_ready == 50 * PLACES
    assert world.admission.waiting == 250


def test_a_metric_that_counts_who_is_in_service_keeps_the_fleet():
    """The same evening with the metric of those waiting and in service."""
    world = BootedFleet(hpa(QUEUE, source="waiting_and_in_service", least=50, most=5000), [1e6] * 1500)
    world.start(live=250)
    world.run(60.0)
    world.go_live(range(250, 1500))
    world.run(1200.0)
    assert world.fleet.nodes == 300
    assert (world.fleet.in_service, world.admission.waiting, world.draining) == (1500, 0, 0)


@pytest.mark.parametrize(
    ("metric", "source", "nodes"),
    [
        (QUEUE, "waiting", 1),  # an empty queue tells nothing of those who are live: minReplicas
        (QUEUE, "in_service", 8),  # 40 ÷ 5
        (PER_POD, None, 10),  # 40 ÷ 4
        (CPU, None, 13),  # 40 ÷ (4 × 0.8) = 12.5
    ],
)
def test_the_fleet_starts_where_its_metrics_are_on_target(metric, source, nodes):
    assert start_with(hpa(metric, source=source), live=40) == nodes
    assert start_with(hpa(metric, source=source, initial_nodes=20), live=40) == 20


@pytest.mark.parametrize("metric", [QUEUE, PER_POD, CPU])
def test_at_its_own_start_nothing_happens(metric):
    spec = hpa(metric, source="in_service", scrape_delay_s=60.0)
    assert scaled(spec, lambda at: 40, nodes=start_with(spec, live=40)).actions == []


@pytest.mark.parametrize(("delay_s", "acts_s"), [(0.0, 60.0), (15.0, 75.0), (20.0, 90.0), (300.0, 360.0)])
def test_a_metric_is_as_old_as_the_scrape_delay(delay_s, acts_s):
    """The load doubles between the syncs of 45 and 60 s; a delay between two syncs is rounded up."""
    spec = hpa(QUEUE, source="in_service", scrape_delay_s=delay_s)
    fleet = scaled(spec, lambda at: 40 if at < 50 else 80, nodes=8)
    assert fleet.actions == [(acts_s, 8)]


def test_nothing_is_done_while_a_metric_is_not_to_be_had():
    outage = {"from_s": 50.0, "to_s": 130.0}
    fleet = scaled(hpa(QUEUE, source="in_service", outages=[outage]), lambda at: 40 if at < 50 else 80, nodes=8)
    assert fleet.actions == [(135.0, 8)]


def test_one_metric_that_is_lost_allows_growth_by_the_others_and_no_shrinking():
    lost = [{"from_s": 0.0, "to_s": 1e6, "metric": "sqs_queue_depth"}]
    both = {
        "source": "in_service",
        "outages": lost,
        "spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}},
    }
    assert scaled(hpa(QUEUE, PER_POD, **both), lambda at: 80, nodes=8).actions == [(15.0, 8), (30.0, 4)]
    assert scaled(hpa(QUEUE, PER_POD, **both), lambda at: 8, nodes=8).actions == []
    assert scaled(hpa(PER_POD, spec=both["spec"]), lambda at: 8, nodes=8).actions == [(15.0, -6)]


class Moment:
    def __init__(self, ready, on_ready, waiting=0):
        self.ready = self.nodes = ready
        self.in_service = self.in_service_on_ready = on_ready
        self.waiting = waiting

    def order(self, nodes):
        raise NotImplementedError

    drain = order


def test_new_pods_are_pending_then_missing_then_unready_and_then_believed():
    """Metrics are 30 s old, a sample of CPU needs a window of 15 s; 10 pods with 3 of 4 places taken, then 6 empty."""
    metrics = FleetMetrics(hpa(CPU, PER_POD, scrape_delay_s=30.0), places_per_node=4)
    before, after = Moment(10, 30), Moment(16, 30)

    def seen(fleet, at_s, replicas=16):
        return metrics.see(fleet, replicas=replicas, at_s=at_s).by_pod

    assert seen(before, 0.0, 10)["cpu"] == PodSamples(7500, 10)
    assert seen(before, 15.0)["cpu"] == PodSamples(7500, 10, unready=6)  # 6 are pending
    assert seen(after, 30.0)["cpu"] == PodSamples(7500, 10, missing=6)  # they run, and no sample knows them
    assert seen(after, 45.0)["cpu"] == PodSamples(7500, 10, missing=6)
    at_60 = seen(after, 60.0)  # the sample of 30 s knows them, of no whole window yet
    assert at_60["cpu"] == PodSamples(1000 * 30 * 10 // (4 * 16), 10, unready=6)
    assert at_60["broadcasts_per_pod"] == PodSamples(30_000, 16)
    assert seen(after, 75.0)["cpu"] == PodSamples(7500, 16)


def test_broadcasts_on_nodes_that_drain_are_no_load_of_the_pods_that_run():
    fleet = Moment(10, 30)
    fleet.in_service = 90
    metrics = FleetMetrics(hpa(PER_POD), places_per_node=4)
    assert metrics.see(fleet, replicas=10, at_s=0.0).by_pod["broadcasts_per_pod"] == PodSamples(30_000, 10)


def test_a_fleet_that_was_lost_is_ordered_again():
    """Replicas are the controller's own number: pods whose nodes are gone are pending, and no reason to stop."""
    world = BootedFleet(hpa(QUEUE, source="in_service", least=4), [1e6] * 10)
    world.start(live=0)
    world.run(20.0)
    world.fleet.drain(4)
    assert world.fleet.nodes == 0
    world.run(31.0)
    assert world.fleet.nodes == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": None}, "either spec or manifest"),
        ({"metrics": {}}, "'sqs_queue_depth' has no source here; add {sqs_queue_depth: waiting}"),
        ({"metrics": {"sqs_queue_depth": "broadcasts_per_pod"}}, "has no source here"),
        ({"metrics": {"sqs_queue_depth": "waiting", "sqs": "waiting"}}, "'sqs' is no External or Pods metric"),
        ({"initial_nodes": 51}, "not between minReplicas 1 and maxReplicas 50"),
        ({"outages": [{"from_s": 5.0, "to_s": 5.0}]}, "is not after from_s"),
        ({"outages": [{"from_s": 5.0, "to_s": 6.0, "metric": "sqs"}]}, "no metric of the manifest"),
        ({"provisioner": {"kind": "karpenter", "batch_max_s": 0.5}}, "is below batch_idle_s"),
    ],
)
def test_what_could_not_run_is_refused(changes, message):
    data = {"kind": "hpa", "spec": {"maxReplicas": 50, "metrics": [QUEUE]}, "metrics": {"sqs_queue_depth": "waiting"}}
    with pytest.raises(ValidationError, match=message):
        HpaAutoscaler.model_validate_json(json.dumps(data | changes))


def test_resources_other_than_the_utilisation_of_cpu_are_refused():
    memory = {"type": "Resource", "resource": {"name": "memory", "target": CPU["resource"]["target"]}}
    cores = {"type": "AverageValue", "averageValue": "500m"}
    for metric in (memory, {"type": "Resource", "resource": {"name": "cpu", "target": cores}}):
        with pytest.raises(ValidationError, match="utilisation of cpu alone"):
            hpa(metric)

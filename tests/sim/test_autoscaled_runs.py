"""Whole runs under every kind of autoscaler: the books balance, and a result reads back as it was written."""

from __future__ import annotations

import json

import pytest
from platforms import scenario
from profiles import profile

from scenarios.catalogue import load_catalogue
from scenarios.scenario import Scenario
from sim.assembly import simulate

QUEUE = {
    "type": "External",
    "external": {"metric": {"name": "sqs_queue_depth"}, "target": {"type": "AverageValue", "averageValue": "2"}},
}
HPA = {
    "kind": "hpa",
    "spec": {"minReplicas": 3, "maxReplicas": 30, "metrics": (QUEUE,)},
    "metrics": {"sqs_queue_depth": "waiting_and_in_service"},
}
KINDS = [
    {"kind": "fixed"},
    {"kind": "schedule", "steps": ({"hour": 18.0, "nodes": 20}, {"hour": 20.0, "nodes": 40}), "ahead_s": 600.0},
    {"kind": "predictive"},
    {"kind": "utilisation"},
    HPA,
    HPA | {"provisioner": {"kind": "cluster_autoscaler"}},
    HPA | {"provisioner": {"kind": "karpenter"}, "metrics": {"sqs_queue_depth": "waiting"}},
]


@pytest.mark.parametrize("autoscaler", KINDS, ids=lambda kind: f"{kind['kind']} {kind.get('provisioner', '')}")
def test_a_run_balances_under_every_kind(autoscaler):
    case = scenario(**{"platform.transcode.autoscaler": autoscaler})
    first = simulate(case, profile(), load_catalogue(), seed=1, replication=0)
    again = simulate(case, profile(), load_catalogue(), seed=1, replication=0)
    assert first.ticks.equals(again.ticks)
    assert len(first.nodes) >= 1


def test_a_scenario_with_a_manifest_reads_back_from_a_result():
    case = scenario(**{"platform.transcode.autoscaler": HPA})
    assert Scenario.model_validate_json(json.dumps(case.model_dump(mode="json"))) == case

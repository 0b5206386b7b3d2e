"""The HPA on vectors worked out by hand from the controller's rules, each with the arithmetic beside it."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from scenarios.hpa import HorizontalPodAutoscalerSpec, milli
from sim.components.autoscaler.hpa import HorizontalPodAutoscaler
from sim.components.autoscaler.proposals import MetricMissingError, PodSamples, Seen, Tolerances, proposal

GUIDE = {
    "minReplicas": 50,
    "maxReplicas": 5000,
    "metrics": [
        {
            "type": "External",
            "external": {
                "metric": {"name": "sqs_queue_depth"},
                "target": {"type": "AverageValue", "averageValue": "5"},
            },
        }
    ],
}
"""The autoscaler of the guide."""
TENTH = Tolerances(0.1, 0.1)


def spec(**changes) -> HorizontalPodAutoscalerSpec:
    return HorizontalPodAutoscalerSpec.model_validate_json(json.dumps(GUIDE | changes))


def cpu(target: int = 50):
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}
    metric["resource"]["target"]["averageUtilization"] = target
    return spec(metrics=[metric]).metrics[0]


def per_pod(target: str = "10"):
    metric = {
        "type": "Pods",
        "pods": {"metric": {"name": "streams"}, "target": {"type": "AverageValue", "averageValue": target}},
    }
    return spec(metrics=[metric]).metrics[0]


def queue(depth: float) -> Seen:
    return Seen(0, external={"sqs_queue_depth": round(depth * 1000)})


@pytest.mark.parametrize(
    ("text", "thousandths"),
    [("5", 5000), (5, 5000), ("500m", 500), ("10k", 10_000_000), ("1Ki", 1_024_000), ("0.5m", 1), (2.5, 2500)],
)
def test_quantities_are_thousandths_rounded_up(text, thousandths):
    assert milli(text) == thousandths


@pytest.mark.parametrize(
    ("depth", "current", "replicas"),
    [
        (250, 50, 50),
        (251, 50, 50),  # 251 ÷ (5 × 50) = 1.004 lies within a tenth
        (275, 50, 50),  # 1.1 still does
        (276, 50, 56),  # ⌈276 ÷ 5⌉
        (24_996, 5000, 5000),
        (12_500, 50, 2500),
        (0, 2500, 0),
        (225, 50, 50),  # 0.9 still does
        (224, 50, 45),
    ],
)
def test_the_guides_queue_depth_proposes(depth, current, replicas):
    assert proposal(spec().metrics[0], queue(depth), current, TENTH) == replicas


def test_an_external_value_counts_the_pods_that_are_ready():
    metric = {
        "type": "External",
        "external": {"metric": {"name": "sqs_queue_depth"}, "target": {"type": "Value", "value": "100"}},
    }
    one = spec(metrics=[metric]).metrics[0]
    seen = Seen(8, external={"sqs_queue_depth": 150_000})
    assert proposal(one, seen, 10, TENTH) == 12  # ⌈1.5 × 8⌉
    assert proposal(one, seen, 0, TENTH) == 2  # ⌈1.5⌉


def of_cpu(total: int, counted: int, missing: int = 0, unready: int = 0, *, requests: bool = True) -> Seen:
    """What is seen when every pod requests a whole core."""
    samples = {"cpu": PodSamples(total, counted, missing, unready)}
    return Seen(counted, by_pod=samples, requests={"cpu": 1000} if requests else {})


def of_streams(total: int, counted: int, missing: int = 0, unready: int = 0) -> Seen:
    return Seen(counted, by_pod={"streams": PodSamples(total, counted, missing, unready)})


def test_utilisation_is_whole_percent_before_it_is_a_ratio():
    assert proposal(cpu(), of_cpu(559 + 560, 2), 2, TENTH) == 2  # 55 % ÷ 50 % = 1.1 holds, 55.95 % did not
    assert proposal(cpu(), of_cpu(560 + 560, 2), 2, TENTH) == 3  # 56 ÷ 50 = 1.12, ⌈2.24⌉
    with pytest.raises(MetricMissingError, match="request no cpu"):
        proposal(cpu(), of_cpu(1119, 2, requests=False), 2, TENTH)
    with pytest.raises(MetricMissingError, match="no pod that is ready"):
        proposal(cpu(), of_cpu(0, 0, unready=3), 3, TENTH)


def test_pods_without_a_sample_pull_towards_no_change():
    # 20 % of 50 %; the two others as if at 100 %: 60 % is above the target, so nothing happens
    assert proposal(cpu(), of_cpu(2 * 200, 2, missing=2), 4, TENTH) == 4
    # 90 %; the fourth as if at 0: 67 % ÷ 50 % = 1.34, ⌈5.36⌉
    assert proposal(cpu(), of_cpu(3 * 900, 3, missing=1), 4, TENTH) == 6
    # 2 of 10; the two others as if at 10: 6 of 10, ⌈0.6 × 4⌉
    assert proposal(per_pod(), of_streams(2 * 2000, 2, missing=2), 4, TENTH) == 3


def test_a_target_above_100_percent_fills_what_is_missing_at_the_target():
    # 30 % of 150 %; the other as if at 150 %: 90 ÷ 150 = 0.6, ⌈1.2⌉; at 100 % it were 65 ÷ 150, ⌈0.87⌉ = 1
    assert proposal(cpu(150), of_cpu(300, 1, missing=1), 2, TENTH) == 2


def test_exactly_on_target_what_is_missing_changes_nothing():
    # With the two others at 0 the ratio would be a half, and two of four pods would go.
    assert proposal(cpu(), of_cpu(2 * 500, 2, missing=2), 4, TENTH) == 4
    assert proposal(per_pod(), of_streams(2 * 10_000, 2, missing=2), 4, TENTH) == 4


def test_pods_that_start_dampen_growth_and_are_left_out_of_shrinking():
    # 100 % of the ready ones is twice the target, with the two others at 0 it is 50 %: within the tolerance
    assert proposal(cpu(), of_cpu(2 * 1000, 2, unready=2), 4, TENTH) == 4
    assert proposal(cpu(), of_cpu(2 * 100, 2, unready=2), 4, TENTH) == 1  # 10 ÷ 50 = 0.2 of the two that count
    # 2.0; with the pending one at 0: 13,333 ÷ 10,000, ⌈1.3333 × 3⌉
    assert proposal(per_pod(), of_streams(2 * 20_000, 2, unready=1), 3, TENTH) == 4


def test_the_number_of_samples_never_turns_the_direction():
    # 1.2 of the 4 that have samples is ⌈4.8⌉ = 5 of 10 replicas: growth that would shrink is none (6 are pending,
    # and with them the ratio were below 1)
    assert proposal(per_pod(), of_streams(4 * 12_000, 4, unready=6), 10, TENTH) == 10
    # 3 with three missing at 0: 1.5 of 6 is ⌈9⌉, fewer than 12 replicas
    assert proposal(per_pod(), of_streams(3 * 30_000, 3, missing=3), 12, TENTH) == 12


def grown(autoscaler: HorizontalPodAutoscaler, depth: float, replicas: int, syncs: int, *, from_s: float = 0.0):
    """Return the replicas after each of so many syncs at which the queue is so deep."""
    found = []
    for number in range(syncs):
        at_s = from_s + 15.0 * number
        wanted = autoscaler.sync(queue(depth), current=replicas, at_s=at_s)
        autoscaler.scaled(replicas, wanted, at_s=at_s)
        found.append(wanted)
        replicas = wanted
    return found


@pytest.mark.parametrize("behavior", [{}, {"behavior": {}}])
def test_from_50_to_5000_takes_seven_syncs(behavior):
    autoscaler = HorizontalPodAutoscaler(spec(**behavior))
    assert grown(autoscaler, 25_000, 50, 7) == [100, 200, 400, 800, 1600, 3200, 5000]


def test_a_queue_that_drains_is_believed_after_the_window():
    autoscaler = HorizontalPodAutoscaler(spec(behavior={}))
    assert grown(autoscaler, 12_500, 2500, 1) == [2500]
    found = grown(autoscaler, 0, 2500, 21, from_s=15.0)
    # the last recommendation of 2500 was at 0 s; 300 s later it is no longer after the cutoff
    assert found == [2500] * 19 + [50, 50]


def test_without_behavior_the_window_is_closed():
    autoscaler = HorizontalPodAutoscaler(spec())
    assert grown(autoscaler, 12_500, 2500, 1) == [2500]
    # as above, but a recommendation that is exactly 300 s old still counts here
    assert grown(autoscaler, 0, 2500, 21, from_s=15.0) == [2500] * 20 + [50]


@pytest.mark.parametrize(("behavior", "held"), [({}, 20), ({"behavior": {}}, 19)])
def test_a_new_controller_first_holds_what_it_finds(behavior, held):
    autoscaler = HorizontalPodAutoscaler(spec(**behavior))
    # Nothing ever asked for 2500; the controller notes it as the first recommendation, at 0 s.
    assert grown(autoscaler, 0, 2500, 22) == [2500] * (held + 1) + [50] * (21 - held)


def test_each_direction_has_its_own_tolerance():
    wide = {"scaleUp": {"tolerance": "50m"}, "scaleDown": {"tolerance": 0.3, "stabilizationWindowSeconds": 0}}
    autoscaler = HorizontalPodAutoscaler(spec(behavior=wide, minReplicas=1))
    assert autoscaler.recommend(queue(263), 50) == 53  # 1.052 is above 1.05: ⌈52.6⌉
    assert autoscaler.recommend(queue(262), 50) == 50  # 1.048 is not
    assert autoscaler.recommend(queue(175), 50) == 50  # 0.7 is not below 0.7
    assert autoscaler.recommend(queue(174), 50) == 35  # ⌈34.8⌉


def test_an_outdated_change_counts_for_the_longer_period_of_the_other_direction():
    """Growth is forgotten after 15 s by its own policy; shrinking looks 600 s back over what came and went."""
    behavior = {
        "scaleUp": {"policies": [{"type": "Pods", "value": 10, "periodSeconds": 15}]},
        "scaleDown": {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Pods", "value": 5, "periodSeconds": 600}],
        },
    }
    autoscaler = HorizontalPodAutoscaler(spec(behavior=behavior, minReplicas=1))
    assert grown(autoscaler, 100, 10, 1) == [20]
    assert grown(autoscaler, 150, 20, 1, from_s=15.0) == [30]
    assert grown(autoscaler, 200, 30, 1, from_s=300.0) == [40]
    # The change of 300 s took the place of that of 15 s; that of 0 s stays: 40 − 10 − 10, less 5.
    assert grown(autoscaler, 0, 40, 1, from_s=310.0) == [15]


def test_without_behavior_a_small_fleet_grows_to_four_and_a_larger_one_to_twice_as_many():
    autoscaler = HorizontalPodAutoscaler(spec(minReplicas=1))
    assert grown(autoscaler, 1000, 1, 4) == [4, 8, 16, 32]
    with_rules = HorizontalPodAutoscaler(spec(minReplicas=1, behavior={}))
    assert grown(with_rules, 1000, 1, 4) == [5, 10, 20, 40]  # four more, or twice as many, whichever is more


def test_policies_count_from_the_start_of_their_period():
    behavior = {"scaleUp": {"policies": [{"type": "Pods", "value": 10, "periodSeconds": 60}]}}
    autoscaler = HorizontalPodAutoscaler(spec(behavior=behavior))
    assert grown(autoscaler, 5000, 50, 6) == [60, 60, 60, 60, 70, 70]
    fewest = {
        "scaleDown": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Min",
            "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 10, "periodSeconds": 15},
            ],
        }
    }
    autoscaler = HorizontalPodAutoscaler(spec(behavior=fewest, minReplicas=1))
    assert grown(autoscaler, 0, 100, 2) == [96, 92]  # 4 of 100, then 4 of 96: 10 % would be more
    assert grown(autoscaler, 0, 30, 1, from_s=300.0) == [27]  # 10 % of 30 is less than 4
    never = HorizontalPodAutoscaler(spec(behavior={"scaleDown": {"selectPolicy": "Disabled"}}))
    assert grown(never, 0, 500, 30) == [500] * 30


@pytest.mark.parametrize(
    ("replicas", "up", "down"),
    [
        (1, 2, 1),  # ⌈1.1⌉: growth is rounded up, or one pod never became two; 0.9 is cut to 0, and minReplicas is 1
        (15, 17, 13),  # ⌈16.5⌉; 13.5 is cut
        (100, 111, 90),  # 100 × 1.1 is 110.00000000000001 in floats, there as here
    ],
)
def test_ten_percent_is_rounded_as_the_controller_does(replicas, up, down):
    tenth = {"policies": [{"type": "Percent", "value": 10, "periodSeconds": 15}]}
    behavior = {"scaleUp": tenth, "scaleDown": tenth | {"stabilizationWindowSeconds": 0}}
    autoscaler = HorizontalPodAutoscaler(spec(behavior=behavior, minReplicas=1))
    assert grown(autoscaler, 25_000, replicas, 1) == [up]
    assert grown(autoscaler, 0, replicas, 1, from_s=300.0) == [down]


def test_a_window_upwards_takes_the_smallest_of_late():
    autoscaler = HorizontalPodAutoscaler(spec(behavior={"scaleUp": {"stabilizationWindowSeconds": 60}}))
    assert grown(autoscaler, 250, 50, 1) == [50]
    assert grown(autoscaler, 1000, 50, 4, from_s=15.0) == [50, 50, 50, 100]


def test_the_largest_proposal_counts_and_a_missing_metric_forbids_to_shrink():
    both = spec(metrics=[*GUIDE["metrics"], json.loads(per_pod().model_dump_json(by_alias=True, exclude_none=True))])
    streams = {"streams": PodSamples(100 * 20_000, 100)}
    autoscaler = HorizontalPodAutoscaler(both)
    deep = Seen(100, by_pod=streams, external={"sqs_queue_depth": 750_000})
    assert autoscaler.recommend(deep, 100) == 200  # 150 by the queue, twice as many by the streams
    lacking = Seen(100, external={"sqs_queue_depth": 250_000})
    assert autoscaler.recommend(lacking, 100) is None
    assert autoscaler.recommend(Seen(100, external={"sqs_queue_depth": 750_000}), 100) == 150
    assert autoscaler.recommend(Seen(100), 100) is None


def test_the_limits_hold_whatever_the_metrics_say():
    autoscaler = HorizontalPodAutoscaler(spec())
    assert autoscaler.sync(Seen(0), current=6000, at_s=0.0) == 5000
    assert autoscaler.sync(Seen(0), current=10, at_s=0.0) == 50
    assert autoscaler.sync(queue(100), current=0, at_s=0.0) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minReplicas": 10, "maxReplicas": 5}, "minReplicas 10 is more than maxReplicas 5"),
        ({"metrics": []}, "at least 1"),
        ({"metrics": [{"type": "Pods"}]}, "the part pods and no other"),
    ],
)
def test_a_manifest_that_the_api_would_refuse_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        spec(**changes)


def test_what_a_manifest_leaves_out_is_filled_in_field_by_field():
    behavior = spec(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}}).behavior
    assert behavior.scale_down.stabilization_window_seconds == 60
    assert behavior.scale_down.policies[0].value == 100
    assert [policy.value for policy in behavior.scale_up.policies] == [4, 100]

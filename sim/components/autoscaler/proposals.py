"""What one metric of a HorizontalPodAutoscaler proposes, as the controller computes it.

After kubernetes/kubernetes, pkg/controller/podautoscaler/replica_calculator.go, as it is since tolerances belong to the
manifest (1.33). Metrics are in thousandths and ratios are floats, as there, and the order of operations is theirs: a
controller that is right up to rounding orders another node now and then. Pods are counted, not named: the rules need
only sums over them, and a fleet has tens of thousands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from scenarios.hpa import MetricSpec, Target


class MetricMissingError(Exception):
    """A metric has no value, or no pod has one."""


@dataclass(frozen=True)
class PodSamples:
    """Samples of one metric over the pods that are not being deleted.

    Attributes:
        total: thousandths, over the pods counted.
        counted: pods that run and have a sample that is believed.
        missing: pods that run and have no sample.
        unready: pods that are pending; for CPU also those whose sample is not believed yet, because they are not ready,
            or became so less than one window of the metric ago.
    """

    total: int
    counted: int
    missing: int = 0
    unready: int = 0


@dataclass(frozen=True)
class Seen:
    """What one sync sees; metrics in thousandths.

    Attributes:
        ready: pods that run and are ready.
        by_pod: metric → its samples; one that is lacking is not to be had.
        external: metric → value.
        requests: resource → what every pod requests.
    """

    ready: int
    by_pod: Mapping[str, PodSamples] = field(default_factory=dict)
    external: Mapping[str, int] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tolerances:
    """How far a ratio may lie from 1 without anything happening."""

    down: float
    up: float

    def hold(self, ratio: float) -> bool:
        """Return whether it does."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


def proposal(metric: MetricSpec, seen: Seen, current: int, tolerances: Tolerances) -> int:
    """Return the replicas that one metric proposes.

    Raises:
        MetricMissingError: it has no value.
    """
    if metric.external is not None:
        return _of_external(metric.external.metric.name, metric.external.target, seen, current, tolerances)
    if metric.pods is not None:
        assert metric.pods.target.average_value is not None
        return _of_pods(_samples(seen, metric.pods.metric.name), metric.pods.target.average_value, current, tolerances)
    assert metric.resource is not None
    name, target = metric.resource.name, metric.resource.target
    samples = _samples(seen, name)
    if target.average_value is not None:
        return _of_pods(samples, target.average_value, current, tolerances)
    if name not in seen.requests:
        raise MetricMissingError(f"the pods request no {name}, so that it has no utilisation")
    assert target.average_utilization is not None
    return _of_pods(samples, target.average_utilization, current, tolerances, request=seen.requests[name])


def _samples(seen: Seen, name: str) -> PodSamples:
    if name not in seen.by_pod:
        raise MetricMissingError(f"no pod has the metric {name}")
    return seen.by_pod[name]


def _of_external(name: str, target: Target, seen: Seen, current: int, tolerances: Tolerances) -> int:
    """GetExternalMetricReplicas and GetExternalPerPodMetricReplicas."""
    if name not in seen.external:
        raise MetricMissingError(f"there is no external metric {name}")
    usage = seen.external[name]
    if target.average_value is not None:
        if current and tolerances.hold(usage / (target.average_value * current)):
            return current
        return math.ceil(usage / target.average_value)
    assert target.value is not None
    ratio = usage / target.value
    if current == 0:
        return math.ceil(ratio)
    return current if tolerances.hold(ratio) else math.ceil(ratio * seen.ready)


def _of_pods(
    samples: PodSamples, target: int, current: int, tolerances: Tolerances, *, request: int | None = None
) -> int:
    """CalcPlainMetricReplicas and GetResourceReplicas: pods without a sample pull towards no change.

    Args:
        samples: of the pods.
        target: average value; with `request` a utilisation in percent.
        current: replicas.
        tolerances: of the ratio.
        request: what every pod requests.
    """
    total, counted = samples.total, samples.counted
    if not counted:
        raise MetricMissingError("no pod that is ready has a sample")
    ratio = _usage_ratio(total, counted, target, request)
    grows_with_unready = samples.unready > 0 and ratio > 1.0
    if not grows_with_unready and not samples.missing:
        return current if tolerances.hold(ratio) else math.ceil(ratio * counted)
    if samples.missing and ratio != 1.0:
        counted += samples.missing
        if ratio < 1.0:  # as if they did what is asked of them, and at least all that they request
            total += samples.missing * (target if request is None else request * max(100, target) // 100)
    if grows_with_unready:
        counted += samples.unready
    again = _usage_ratio(total, counted, target, request)
    reversed_ = (ratio < 1.0 < again) or (ratio > 1.0 > again)
    if tolerances.hold(again) or reversed_:
        return current
    replicas = math.ceil(again * counted)
    if (again < 1.0 and replicas > current) or (again > 1.0 and replicas < current):
        return current
    return replicas


def _usage_ratio(total: int, pods: int, target: int, request: int | None) -> float:
    """GetMetricUsageRatio and GetResourceUtilizationRatio: both divide whole numbers first, as Go does."""
    if request is None:
        return (total // pods) / target
    return (total * 100 // (request * pods)) / target

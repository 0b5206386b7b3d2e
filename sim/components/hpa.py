"""The algorithm of the Kubernetes HorizontalPodAutoscaler, exactly, as a function of what it sees at each sync.

After kubernetes/kubernetes, pkg/controller/podautoscaler: `replica_calculator.go` for what one metric proposes, and
`horizontal.go` for how proposals become a number of replicas. Metrics are in thousandths and ratios are floats, as
there. The order of operations is theirs: a controller that is right up to rounding orders another node now and then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from scenarios.hpa import (
    DEFAULT_TOLERANCE,
    HorizontalPodAutoscalerSpec,
    MetricSpec,
    ScalingPolicy,
    ScalingRules,
    Target,
)


class MetricMissingError(Exception):
    """A metric has no value, or no pod has one."""


@dataclass(frozen=True)
class Pods:
    """What the controller knows of the pods at a sync.

    Attributes:
        ready: names of the pods that are running and ready.
        unready: of those that run and are not ready, or whose CPU is not to be believed yet.
        pending: of those that do not run yet.
    """

    ready: frozenset[str]
    unready: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()

    @property
    def known(self) -> frozenset[str]:
        """All of them."""
        return self.ready | self.unready | self.pending


@dataclass(frozen=True)
class Seen:
    """What one sync sees; metrics in thousandths.

    Attributes:
        pods: as above.
        by_pod: metric → pod → value; a pod that is lacking has no sample.
        external: metric → value.
        requests: resource → what every pod requests.
    """

    pods: Pods
    by_pod: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
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
        values = _samples(seen, metric.pods.metric.name)
        assert metric.pods.target.average_value is not None
        return _of_pods(values, metric.pods.target.average_value, seen.pods, current, tolerances)
    assert metric.resource is not None
    name, target = metric.resource.name, metric.resource.target
    values = _samples(seen, name)
    if target.average_value is not None:
        return _of_pods(values, target.average_value, seen.pods, current, tolerances, is_cpu=name == "cpu")
    if name not in seen.requests:
        raise MetricMissingError(f"the pods request no {name}, so that it has no utilisation")
    assert target.average_utilization is not None
    return _of_pods(
        values,
        target.average_utilization,
        seen.pods,
        current,
        tolerances,
        is_cpu=name == "cpu",
        request=seen.requests[name],
    )


def _samples(seen: Seen, name: str) -> Mapping[str, int]:
    values = {pod: value for pod, value in seen.by_pod.get(name, {}).items() if pod in seen.pods.known}
    if not values:
        raise MetricMissingError(f"no pod has the metric {name}")
    return values


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
    return current if tolerances.hold(ratio) else math.ceil(ratio * len(seen.pods.ready))


def _of_pods(
    values: Mapping[str, int],
    target: int,
    pods: Pods,
    current: int,
    tolerances: Tolerances,
    *,
    is_cpu: bool = False,
    request: int | None = None,
) -> int:
    """CalcPlainMetricReplicas and GetResourceReplicas: pods without a sample pull towards no change.

    Args:
        values: by pod, with samples.
        target: average value; with `request` a utilisation in percent.
        pods: all there are.
        current: replicas.
        tolerances: of the ratio.
        is_cpu: whether pods that run and are not ready are left out as the pending ones are: what they burn while they
            start means nothing.
        request: what every pod requests.
    """
    unready = pods.pending | pods.unready if is_cpu else pods.pending
    missing = pods.known - unready - values.keys()
    counted = {pod: value for pod, value in values.items() if pod not in unready}
    if not counted:
        raise MetricMissingError("no pod that is ready has a sample")
    ratio = _usage_ratio(counted, target, request)
    scales_up_with_unready = bool(unready) and ratio > 1.0
    if not scales_up_with_unready and not missing:
        return current if tolerances.hold(ratio) else math.ceil(ratio * len(counted))
    if missing:
        filled = 0
        if ratio < 1.0:
            # As if they did what is asked of them: at least all that they request.
            filled = target if request is None else request * max(100, target) // 100
        counted |= dict.fromkeys(missing, filled)
    if scales_up_with_unready:
        counted |= dict.fromkeys(unready, 0)
    again = _usage_ratio(counted, target, request)
    reversed_ = (ratio < 1.0 < again) or (ratio > 1.0 > again)
    if tolerances.hold(again) or reversed_:
        return current
    replicas = math.ceil(again * len(counted))
    if (again < 1.0 and replicas > current) or (again > 1.0 and replicas < current):
        return current
    return replicas


def _usage_ratio(values: Mapping[str, int], target: int, request: int | None) -> float:
    """GetMetricUsageRatio and GetResourceUtilizationRatio: both divide whole numbers first, as Go does."""
    total = sum(values.values())
    if request is None:
        return (total // len(values)) / target
    return (total * 100 // (request * len(values))) / target


@dataclass(frozen=True)
class Change:
    """That replicas were added or taken away."""

    at_s: float
    replicas: int


LEGACY_SCALE_UP_FACTOR, LEGACY_SCALE_UP_LEAST = 2, 4
LEGACY_DOWN_WINDOW_S = 300
"""`--horizontal-pod-autoscaler-downscale-stabilization`, where the manifest has no behavior."""


class HorizontalPodAutoscaler:
    """The controller's memory of one autoscaler: recommendations and changes.

    Args:
        spec: of the manifest.
        tolerance: of the controller, where a direction has none of its own.
    """

    def __init__(self, spec: HorizontalPodAutoscalerSpec, *, tolerance: float = DEFAULT_TOLERANCE) -> None:
        self.spec = spec
        self._tolerances = Tolerances(tolerance, tolerance)
        if spec.behavior is not None:
            down, up = (rules.tolerance for rules in (spec.behavior.scale_down, spec.behavior.scale_up))
            self._tolerances = Tolerances(tolerance if down is None else down, tolerance if up is None else up)
        self._recommended: list[tuple[float, int]] = []
        self._added: list[Change] = []
        self._taken: list[Change] = []

    def sync(self, seen: Seen, *, current: int, at_s: float) -> int:
        """Return the replicas wanted now; `current` where nothing is to happen.

        Whoever acts on it tells so by `scaled`.
        """
        least, most = self.spec.min_replicas, self.spec.max_replicas
        if current == 0:
            return 0  # switched off by whoever set it to none
        if current > most:
            return most
        if current < least:
            return least
        wanted = self.recommend(seen, current)
        return current if wanted is None else self._normalised(wanted, current, at_s)

    def scaled(self, before: int, after: int, *, at_s: float) -> None:
        """Note that the number of replicas was changed."""
        if self.spec.behavior is None or before == after:
            return
        rules = self.spec.behavior.scale_up if after > before else self.spec.behavior.scale_down
        events = self._added if after > before else self._taken
        longest_s = max(policy.period_seconds for policy in rules.policies)
        events[:] = [event for event in events if event.at_s >= at_s - longest_s]
        events.append(Change(at_s, abs(after - before)))

    def recommend(self, seen: Seen, current: int) -> int | None:
        """Return the largest proposal of all metrics; None where none is to be had.

        A metric that is missing forbids to scale in on what the others say.
        """
        proposals, missing = [], 0
        for metric in self.spec.metrics:
            try:
                proposals.append(proposal(metric, seen, current, self._tolerances))
            except MetricMissingError:
                missing += 1
        if not proposals or (missing and max(proposals) < current):
            return None
        return max(proposals)

    def _normalised(self, wanted: int, current: int, at_s: float) -> int:
        """NormalizeDesiredReplicas and normalizeDesiredReplicasWithBehaviors."""
        behavior = self.spec.behavior
        if behavior is None:
            recent = [n for moment, n in self._recommended if moment > at_s - LEGACY_DOWN_WINDOW_S]
            self._record(wanted, at_s, LEGACY_DOWN_WINDOW_S)
            stable = max([wanted, *recent])
            most = min(self.spec.max_replicas, max(LEGACY_SCALE_UP_FACTOR * current, LEGACY_SCALE_UP_LEAST))
            return min(max(stable, self.spec.min_replicas), most)
        up, down = behavior.scale_up, behavior.scale_down
        at_most = self._extreme(min, wanted, at_s, up.stabilization_window_seconds)
        at_least = self._extreme(max, wanted, at_s, down.stabilization_window_seconds)
        self._record(wanted, at_s, max(up.stabilization_window_seconds, down.stabilization_window_seconds))
        stable = min(max(current, at_most), at_least)
        if stable > current:
            limit = max(self._limit(up, current, at_s, direction=1), current)
            return min(stable, self.spec.max_replicas, limit)
        if stable < current:
            limit = min(self._limit(down, current, at_s, direction=-1), current)
            return max(stable, self.spec.min_replicas, limit)
        return current

    def _extreme(self, choose: Callable[[Iterable[int]], int], wanted: int, at_s: float, window_s: int) -> int:
        """Return the smallest or largest of what was recommended within a window and is wanted now."""
        return choose([wanted, *(n for moment, n in self._recommended if moment > at_s - window_s)])

    def _record(self, wanted: int, at_s: float, window_s: int) -> None:
        self._recommended = [(moment, n) for moment, n in self._recommended if moment > at_s - window_s]
        self._recommended.append((at_s, wanted))

    def _limit(self, rules: ScalingRules, current: int, at_s: float, *, direction: int) -> int:
        """CalculateScaleUpLimitWithScalingRules (direction 1) and calculateScaleDownLimitWithBehaviors (-1)."""
        if rules.select_policy == "Disabled":
            return current
        limits = [self._limit_of(policy, current, at_s, direction=direction) for policy in rules.policies]
        furthest = (rules.select_policy == "Max") == (direction > 0)
        return max(limits) if furthest else min(limits)

    def _limit_of(self, policy: ScalingPolicy, current: int, at_s: float, *, direction: int) -> int:
        since_s = at_s - policy.period_seconds
        added = sum(event.replicas for event in self._added if event.at_s > since_s)
        taken = sum(event.replicas for event in self._taken if event.at_s > since_s)
        at_start = current - added + taken
        if policy.type == "Pods":
            return at_start + direction * policy.value
        if direction > 0:
            return math.ceil(at_start * (1 + policy.value / 100))  # rounded up, or one pod never became two
        return int(at_start * (1 - policy.value / 100))

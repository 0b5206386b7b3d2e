"""The algorithm of the Kubernetes HorizontalPodAutoscaler, exactly, as a function of what it sees at each sync.

After kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal.go, as it is since 1.28: how the proposals of the
metrics become a number of replicas, with the controller's memory of recommendations and of changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scenarios.hpa import DEFAULT_TOLERANCE, HorizontalPodAutoscalerSpec, ScalingPolicy, ScalingRules
from sim.components.autoscaler.proposals import MetricMissingError, Seen, Tolerances, proposal


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
        if not self._recommended:  # recordInitialRecommendation: a new controller does not shrink a fleet at once
            self._recommended.append((at_s, current))
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
        # storeScaleEvent: one outdated change makes room for the new one. Others stay, and count for policies of the
        # other direction whose period is longer.
        outdated = [number for number, event in enumerate(events) if event.at_s < at_s - longest_s]
        if outdated:
            del events[outdated[-1]]
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
            # Here, and only here, what is exactly as old as the window still counts.
            recent = [n for moment, n in self._recommended if moment >= at_s - LEGACY_DOWN_WINDOW_S]
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
        self._recommended = [(moment, n) for moment, n in self._recommended if moment >= at_s - window_s]
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

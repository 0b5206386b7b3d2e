"""The metrics of the fleet as an HPA reads them: late, sometimes not at all, and of pods that may be new."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from scenarios.hpa import MetricSpec
from scenarios.hpa_autoscaler import HpaAutoscaler
from sim.components.autoscaler.fleet_seen import ScalableFleet
from sim.components.autoscaler.proposals import PodSamples, Seen

WHOLE_POD = 1000
"""What a pod requests of CPU, in thousandths of itself."""
CPU_INITIALIZATION_S = 300.0
"""`--horizontal-pod-autoscaler-cpu-initialization-period`: after it a sample of a ready pod is always believed."""


@dataclass(frozen=True)
class Scrape:
    """The fleet at a moment."""

    at_s: float
    waiting: int
    in_service: int
    on_ready: int
    ready: int


class FleetMetrics:
    """Remembers the fleet at each sync and answers with what the metrics show then.

    A pod is pending until its node is ready, and then it runs and is ready at once: pulling its image is a part of the
    boot. Before the first sync the fleet was as the first sync finds it.

    Args:
        spec: of the scenario.
        places_per_node: broadcasts that fit on a pod.
    """

    def __init__(self, spec: HpaAutoscaler, places_per_node: int) -> None:
        self._spec, self._places = spec, places_per_node
        self._scrapes: list[Scrape] = []

    def see(self, fleet: ScalableFleet, *, replicas: int, at_s: float) -> Seen:
        """Return what a sync sees."""
        now = Scrape(at_s, fleet.waiting, fleet.in_service, fleet.in_service_on_ready, fleet.ready)
        self._scrapes.append(now)
        then = self._as_of(at_s - self._spec.scrape_delay_s)
        window_s = min(self._spec.metric_window_s, CPU_INITIALIZATION_S)
        settled = self._as_of(at_s - self._spec.scrape_delay_s - window_s)
        del self._scrapes[: self._scrapes.index(settled)]
        pending = max(0, replicas - fleet.ready)
        external: dict[str, int] = {}
        by_pod: dict[str, PodSamples] = {}
        for metric in self._spec.replicas.metrics:
            if metric.external:
                external[metric.external.metric.name] = 1000 * self._broadcasts(metric, then)
            elif metric.pods:
                by_pod[metric.pods.metric.name] = _of_pods(then, now, then, pending)
            else:
                by_pod["cpu"] = _of_pods(then, now, settled, pending, places=self._places)
        lost = {outage.metric for outage in self._spec.outages if outage.from_s <= at_s < outage.to_s}
        if lost:
            external = {name: value for name, value in external.items() if lost.isdisjoint((name, None))}
            by_pod = {name: value for name, value in by_pod.items() if lost.isdisjoint((name, None))}
        return Seen(fleet.ready, by_pod=by_pod, external=external, requests={"cpu": WHOLE_POD})

    def _as_of(self, at_s: float) -> Scrape:
        """Return the newest scrape that is not younger, else the oldest there is."""
        number = bisect_right(self._scrapes, at_s, key=lambda scrape: scrape.at_s)
        return self._scrapes[max(0, number - 1)]

    def _broadcasts(self, metric: MetricSpec, then: Scrape) -> int:
        source = self._spec.source(metric)
        waiting = then.waiting if source != "in_service" else 0
        return waiting + (then.in_service if source != "waiting" else 0)


def _of_pods(then: Scrape, now: Scrape, settled: Scrape, pending: int, *, places: int = 1) -> PodSamples:
    """Return broadcasts ÷ places of each pod, in thousandths, over those whose sample is believed.

    Of the pods that run now, as many have a sample as were ready when the samples were taken, and as many are believed
    as were ready at `settled`; pods that went meanwhile are taken out as average ones.
    """
    sampled = min(then.ready, now.ready)
    believed = min(settled.ready, sampled)
    total = 1000 * then.on_ready * believed // (places * then.ready) if believed else 0
    return PodSamples(total, believed, missing=now.ready - sampled, unready=pending + sampled - believed)

"""A Kubernetes HPA over the transcode fleet: its manifest, what its metrics are here, who provides nodes for its pods.

One replica is one transcode pod, and one pod is one node: it requests the whole accelerator or machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from scenarios.base import FromFileBeside, PositiveCount, PositiveSeconds, Seconds, SpecModel
from scenarios.hpa import (
    DEFAULT_TOLERANCE,
    ApiText,
    HorizontalPodAutoscalerSpec,
    HpaManifest,
    MetricSpec,
    manifest_of,
)

QueueSource = Literal["waiting", "in_service", "waiting_and_in_service"]
"""Broadcasts, over the whole fleet: what an External metric can be here."""
PodSource = Literal["broadcasts_per_pod"]
"""Broadcasts that a pod holds: what a Pods metric can be here."""


class Outage(SpecModel):
    """A time in which metrics are not to be had: the pipeline of metrics is down."""

    from_s: Seconds
    to_s: Seconds
    metric: ApiText | None = None
    """By its name in the manifest; null for all of them."""

    @model_validator(mode="after")
    def _ordered(self) -> Outage:
        if self.to_s <= self.from_s:
            raise ValueError(f"to_s ({self.to_s:g}) is not after from_s ({self.from_s:g})")
        return self


class NoProvisioner(SpecModel):
    """A node is ordered with its pod, and goes when it is empty."""

    kind: Literal["none"]


class ClusterAutoscaler(SpecModel):
    """Kubernetes Cluster Autoscaler: looks for pods without a node every scan, and for nodes without a pod.

    Defaults are those of its flags `--scan-interval` and `--scale-down-unneeded-time` (kubernetes/autoscaler,
    cluster-autoscaler/FAQ.md).
    """

    kind: Literal["cluster_autoscaler"]
    scan_s: PositiveSeconds = 10.0
    scale_down_unneeded_s: Seconds = 600.0
    """A node that was without a pod for so long goes."""


class Karpenter(SpecModel):
    """Karpenter: gathers pods without a node in a batch, and removes empty nodes.

    Defaults are those of its settings `BATCH_IDLE_DURATION` and `BATCH_MAX_DURATION` (Karpenter's documentation,
    reference/settings); `consolidateAfter` has no default of its own in a NodePool, 60 s are assumed (0 to 3600).
    """

    kind: Literal["karpenter"]
    batch_idle_s: PositiveSeconds = 1.0
    """The batch closes when no pod came for so long."""
    batch_max_s: PositiveSeconds = 10.0
    """The batch closes after so long in any case."""
    scan_s: PositiveSeconds = 10.0
    """How often it looks for empty nodes."""
    scale_down_unneeded_s: Seconds = 60.0
    """`consolidateAfter`, with `consolidationPolicy: WhenEmpty`."""

    @model_validator(mode="after")
    def _ordered(self) -> Karpenter:
        if self.batch_max_s < self.batch_idle_s:
            raise ValueError(f"batch_max_s ({self.batch_max_s:g}) is below batch_idle_s ({self.batch_idle_s:g})")
        return self


Provisioner = Annotated[NoProvisioner | ClusterAutoscaler | Karpenter, Field(discriminator="kind")]


class HpaAutoscaler(SpecModel):
    """The Kubernetes HorizontalPodAutoscaler, with the delay of its metrics and a provisioner of nodes beneath.

    Its bounds are `minReplicas` and `maxReplicas`; `min_nodes` of the fleet is not read, and `max_nodes` is what can be
    had. CPU utilisation is the share of a pod's places that are taken: 100 % is a full pod.
    """

    kind: Literal["hpa"]
    spec: HorizontalPodAutoscalerSpec | None = None
    """`spec` of a manifest of autoscaling/v2, as it stands in a cluster."""
    manifest: Annotated[HpaManifest | None, FromFileBeside()] = None
    """Instead of `spec`: the file of a whole manifest beside the scenario, such as `hpa.yaml`."""
    metrics: Annotated[dict[ApiText, QueueSource | PodSource], Field(default_factory=dict)]
    """What the manifest's External and Pods metrics are here: `{sqs_queue_depth: waiting}`.

    A Pods metric called `broadcasts_per_pod` needs no entry.
    """
    sync_period_s: Annotated[PositiveSeconds, Field(le=600)] = 15.0
    """`--horizontal-pod-autoscaler-sync-period`."""
    tolerance: Annotated[float, Field(ge=0, le=10)] = DEFAULT_TOLERANCE
    """`--horizontal-pod-autoscaler-tolerance`, where a direction has none of its own."""
    scrape_delay_s: Annotated[Seconds, Field(le=3600)] = 30.0
    """Age of a metric when the controller reads it; assumed (15 to 300: an adapter over Prometheus, or CloudWatch).

    Values are kept at each sync, so that the age is this, rounded up to whole sync periods.
    """
    metric_window_s: Annotated[Seconds, Field(le=300)] = 15.0
    """Window of a pod's CPU sample: until one lies wholly after its readiness, the pod counts as unready.

    The resolution of metrics-server, assumed (15 to 60). The controller asks for it only within
    `--horizontal-pod-autoscaler-cpu-initialization-period` of the pod's start, 300 s.
    """
    outages: Annotated[tuple[Outage, ...], Field(max_length=1000)] = ()
    initial_nodes: PositiveCount | None = None
    """Replicas at the start. Null: those at which its metrics are on target for the broadcasts live then.

    A queue that is empty, as it is when they all have places, tells nothing of them: `minReplicas`.
    """
    provisioner: Provisioner = NoProvisioner(kind="none")

    @field_validator("metrics")
    @classmethod
    def _each_has_a_source(
        cls, metrics: dict[str, QueueSource | PodSource], info: ValidationInfo
    ) -> dict[str, QueueSource | PodSource]:
        spec = info.data.get("spec") or getattr(info.data.get("manifest"), "spec", None)
        if spec is not None:
            for problem in _unknown_metrics(spec, metrics):
                raise ValueError(problem)
        return metrics

    @model_validator(mode="after")
    def _one_spec(self) -> HpaAutoscaler:
        if (self.spec is None) == (self.manifest is None):
            raise ValueError("give either spec or manifest: the spec of an autoscaling/v2 manifest, or its file")
        replicas, given = self.replicas, self.initial_nodes
        if given is not None and not replicas.min_replicas <= given <= replicas.max_replicas:
            bounds = f"minReplicas {replicas.min_replicas} and maxReplicas {replicas.max_replicas}"
            raise ValueError(f"initial_nodes ({given}) is not between {bounds}")
        named = {outage.metric for outage in self.outages} - {None}
        for name in sorted(named - {_name(metric) for metric in replicas.metrics}, key=str):
            raise ValueError(f"an outage names {name!r}, which is no metric of the manifest")
        return self

    @property
    def replicas(self) -> HorizontalPodAutoscalerSpec:
        """The spec, wherever it was given."""
        spec = self.spec if self.manifest is None else self.manifest.spec
        assert spec is not None  # one of the two is required
        return spec

    def as_manifest(self) -> HpaManifest:
        """Return the manifest that this is."""
        return self.manifest or manifest_of(self.replicas)

    def source(self, metric: MetricSpec) -> QueueSource | PodSource | Literal["cpu"]:
        """Return what a metric of the manifest is here."""
        if metric.resource is not None:
            return "cpu"
        return self.metrics.get(_name(metric), "broadcasts_per_pod")


def _name(metric: MetricSpec) -> str:
    named = metric.external or metric.pods
    if named is not None:
        return named.metric.name
    assert metric.resource is not None
    return metric.resource.name


def _unknown_metrics(spec: HorizontalPodAutoscalerSpec, metrics: dict[str, QueueSource | PodSource]) -> Iterator[str]:
    """Yield what is wrong with the table of sources."""
    external = {_name(metric) for metric in spec.metrics if metric.external}
    pods = {_name(metric) for metric in spec.metrics if metric.pods}
    for metric in spec.metrics:
        if metric.resource and (metric.resource.name != "cpu" or metric.resource.target.average_utilization is None):
            yield "of resources the simulator knows the utilisation of cpu alone (averageUtilization)"
    for name in sorted(external):
        if metrics.get(name) not in ("waiting", "in_service", "waiting_and_in_service"):
            yield (
                f"the External metric {name!r} has no source here; add {{{name}: waiting}} "
                "(or in_service, or waiting_and_in_service)"
            )
    for name in sorted(pods):
        if metrics.get(name, name) != "broadcasts_per_pod":
            yield f"the Pods metric {name!r} has no source here; add {{{name}: broadcasts_per_pod}}"
    for name in sorted(metrics.keys() - external - pods):
        known = ", ".join(sorted(external | pods)) or "none"
        yield f"{name!r} is no External or Pods metric of the manifest; it has {known}"

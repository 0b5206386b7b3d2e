"""A Kubernetes HorizontalPodAutoscaler as `autoscaling/v2` writes it, read into frozen models and written back.

Field names are those of the API, so that a manifest that runs in a cluster is a part of a scenario as it stands
(kubernetes/api, autoscaling/v2 types; the defaults are those of the API server and of kube-controller-manager).
Metrics of type Object and ContainerResource are not read: the simulator has neither.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel

from scenarios.base import NOT_EMPTY, PositiveCount, SpecModel

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|)")
_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
DEFAULT_TOLERANCE = 0.1
"""`--horizontal-pod-autoscaler-tolerance`."""


def milli(value: object) -> object:
    """Return a Kubernetes quantity in thousandths, rounded up as the API does; anything else as it is, to be refused.

    The controller computes in thousandths (`resource.Quantity.MilliValue`), so that "5" is 5000 and "0.5m" is 1.
    """
    exact = _exact(value)
    return value if exact is None else int((exact * 1000).to_integral_value(rounding="ROUND_CEILING"))


def approximate(value: object) -> object:
    """Return a quantity as the nearest number, as the controller takes a tolerance; anything else as it is."""
    exact = _exact(value)
    return value if exact is None else float(exact)


def _exact(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is no quantity; write it as 5, '500m' or '10k'")
    return Decimal(match[1]) * _SUFFIXES[match[2]]


def quantity_text(thousandths: int) -> str:
    """Return a quantity as a manifest has it."""
    whole, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(whole)


Quantity = Annotated[int, BeforeValidator(milli), Field(gt=0), PlainSerializer(quantity_text, return_type=str)]
"""In thousandths; written as the manifest has it."""


class _Api(SpecModel):
    """A part of the manifest: names in camelCase, as the API has them."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


class ScalingPolicy(_Api):
    """How far replicas may move within a period."""

    type: Literal["Pods", "Percent"]
    value: PositiveCount
    period_seconds: Annotated[int, Field(ge=1, le=1800)]


class ScalingRules(_Api):
    """One direction of scaling."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)]
    """Look-back over recommendations, of which the most cautious counts."""
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    """Which policy counts: the one that allows the largest change, the smallest, or none at all."""
    policies: Annotated[tuple[ScalingPolicy, ...], NOT_EMPTY, Field(strict=False)]
    tolerance: Annotated[float, BeforeValidator(approximate), Field(ge=0, le=1000)] | None = None
    """Of this direction (Kubernetes 1.33 and later); the controller's own where it is null."""


def scale_up_defaults() -> ScalingRules:
    """Return what holds where a manifest says nothing of scaling up."""
    four = {"type": "Pods", "value": 4, "periodSeconds": 15}
    twice = {"type": "Percent", "value": 100, "periodSeconds": 15}
    return ScalingRules.model_validate({"stabilizationWindowSeconds": 0, "policies": (four, twice)})


def scale_down_defaults() -> ScalingRules:
    """Return what holds where a manifest says nothing of scaling down."""
    all_of_them = {"type": "Percent", "value": 100, "periodSeconds": 15}
    return ScalingRules.model_validate({"stabilizationWindowSeconds": 300, "policies": (all_of_them,)})


class Behavior(_Api):
    """Both directions; what a manifest leaves out is the API server's default, field by field."""

    scale_up: ScalingRules = Field(default_factory=scale_up_defaults)
    scale_down: ScalingRules = Field(default_factory=scale_down_defaults)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        defaults = {"scaleUp": scale_up_defaults(), "scaleDown": scale_down_defaults()}
        given = {name: value for name, value in data.items() if not (name in defaults and value is None)}
        return given | {
            name: rules.model_dump() | {key: value for key, value in given[name].items() if value is not None}
            for name, rules in defaults.items()
            if isinstance(given.get(name), dict)
        }


ApiText = Annotated[str, Field(min_length=1, max_length=253)]


class MetricName(_Api):
    """Which metric is read."""

    name: ApiText
    selector: dict[str, object] | None = None
    """As a manifest has it; the simulator has one series of each name."""


class Target(_Api):
    """What a metric is to be: exactly one of its figures is set, the one that `type` names."""

    type: Literal["Value", "AverageValue", "Utilization"]
    value: Quantity | None = None
    average_value: Quantity | None = None
    average_utilization: PositiveCount | None = None
    """Percent of what the pods request."""

    @model_validator(mode="after")
    def _one_figure(self) -> Target:
        figures = {"Value": self.value, "AverageValue": self.average_value, "Utilization": self.average_utilization}
        given = [name for name, figure in figures.items() if figure is not None]
        if given != [self.type]:
            key = {"Value": "value", "AverageValue": "averageValue", "Utilization": "averageUtilization"}[self.type]
            raise ValueError(f"a target of type {self.type} has {key} and no other figure")
        return self


class ResourceMetric(_Api):
    """CPU or memory of the pods."""

    name: Literal["cpu", "memory"]
    target: Target

    @model_validator(mode="after")
    def _type(self) -> ResourceMetric:
        if self.target.type == "Value":
            raise ValueError("a resource metric has a target of type Utilization or AverageValue")
        return self


class PodsMetric(_Api):
    """A metric that every pod has, averaged over them."""

    metric: MetricName
    target: Target

    @model_validator(mode="after")
    def _type(self) -> PodsMetric:
        if self.target.type != "AverageValue":
            raise ValueError("a pods metric has a target of type AverageValue")
        return self


class ExternalMetric(_Api):
    """A metric of something that is not the pods, such as the depth of a queue."""

    metric: MetricName
    target: Target

    @model_validator(mode="after")
    def _type(self) -> ExternalMetric:
        if self.target.type == "Utilization":
            raise ValueError("an external metric has a target of type Value or AverageValue")
        return self


class MetricSpec(_Api):
    """One metric: the part that `type` names, and no other."""

    type: Literal["Resource", "Pods", "External"]
    resource: ResourceMetric | None = None
    pods: PodsMetric | None = None
    external: ExternalMetric | None = None

    @model_validator(mode="after")
    def _one_part(self) -> MetricSpec:
        parts = {"Resource": self.resource, "Pods": self.pods, "External": self.external}
        given = [name for name, part in parts.items() if part is not None]
        if given != [self.type]:
            raise ValueError(f"a metric of type {self.type} has the part {self.type.lower()} and no other")
        return self


class ScaleTarget(_Api):
    """What is scaled."""

    api_version: ApiText = "apps/v1"
    kind: ApiText
    name: ApiText


def default_metrics() -> tuple[MetricSpec, ...]:
    """Return what the API server fills in where a manifest names no metric: CPU at 80 % of what is requested."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return (MetricSpec.model_validate({"type": "Resource", "resource": cpu}),)


class HorizontalPodAutoscalerSpec(_Api):
    """`spec` of the manifest."""

    scale_target_ref: ScaleTarget | None = None
    """A manifest has it; in a scenario there is one fleet to scale."""
    min_replicas: PositiveCount = 1
    max_replicas: PositiveCount
    metrics: Annotated[tuple[MetricSpec, ...], NOT_EMPTY, Field(default_factory=default_metrics)]
    behavior: Behavior | None = None
    """None: the controller's older rules, which differ in small fleets (at most 4, or twice as many, at one sync)."""

    @model_validator(mode="after")
    def _ordered(self) -> HorizontalPodAutoscalerSpec:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"minReplicas {self.min_replicas} is more than maxReplicas {self.max_replicas}")
        return self


class ObjectMeta(_Api):
    """Who the object is; of what the API server adds, what `kubectl get -o yaml` shows is read over."""

    name: ApiText
    namespace: ApiText | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None


class HpaManifest(_Api):
    """A whole manifest."""

    api_version: Literal["autoscaling/v2"]
    kind: Literal["HorizontalPodAutoscaler"]
    metadata: ObjectMeta
    spec: HorizontalPodAutoscalerSpec
    status: dict[str, object] | None = None
    """Of a manifest that was read from a cluster; read over."""

    @model_validator(mode="after")
    def _has_target(self) -> HpaManifest:
        if self.spec.scale_target_ref is None:
            raise ValueError("spec has no scaleTargetRef; it names what is scaled: {kind: Deployment, name: ...}")
        return self


def manifest_of(spec: HorizontalPodAutoscalerSpec, *, name: str = "transcoder") -> HpaManifest:
    """Return the manifest of a bare spec; without a target of its own it scales the Deployment of that name."""
    target = spec.scale_target_ref or ScaleTarget.model_validate({"kind": "Deployment", "name": name})
    document = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": spec.model_dump() | {"scaleTargetRef": target.model_dump()},
    }
    return HpaManifest.model_validate(document)

"""A Kubernetes HorizontalPodAutoscaler as `autoscaling/v2` writes it, read into frozen models and written back.

Field names are those of the API, so that a manifest that runs in a cluster is a part of a scenario as it stands
(kubernetes/api, autoscaling/v2 types; the defaults are those of the API server and of kube-controller-manager).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel

from scenarios.base import PositiveCount, SpecModel

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
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is no quantity; write it as 5, '500m' or '10k'")
    exact = Decimal(match[1]) * _SUFFIXES[match[2]] * 1000
    return int(exact.to_integral_value(rounding="ROUND_CEILING"))


def quantity_text(thousandths: int) -> str:
    """Return a quantity as a manifest has it."""
    whole, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(whole)


Quantity = Annotated[int, BeforeValidator(milli), Field(gt=0), PlainSerializer(quantity_text, return_type=str)]
"""In thousandths; written as the manifest has it."""


class _Api(SpecModel):
    """A part of the manifest: names in camelCase, as the API has them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


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
    policies: Annotated[tuple[ScalingPolicy, ...], Field(min_length=1, strict=False)]
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """Of this direction; the controller's own where it is null."""


def scale_up_defaults() -> ScalingRules:
    """Return what holds where a manifest says nothing of scaling up."""
    return ScalingRules(
        stabilization_window_seconds=0,
        policies=(
            ScalingPolicy(type="Pods", value=4, period_seconds=15),
            ScalingPolicy(type="Percent", value=100, period_seconds=15),
        ),
    )


def scale_down_defaults() -> ScalingRules:
    """Return what holds where a manifest says nothing of scaling down."""
    return ScalingRules(
        stabilization_window_seconds=300, policies=(ScalingPolicy(type="Percent", value=100, period_seconds=15),)
    )


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
        return data | {
            name: rules.model_dump(by_alias=True) | data[name]
            for name, rules in defaults.items()
            if isinstance(data.get(name), dict)
        }


class MetricName(_Api):
    """Which metric is read."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
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


class HorizontalPodAutoscalerSpec(_Api):
    """`spec` of the manifest, but for what it scales."""

    min_replicas: PositiveCount = 1
    max_replicas: PositiveCount
    metrics: Annotated[tuple[MetricSpec, ...], Field(min_length=1)]
    behavior: Behavior | None = None
    """None: the controller's older rules, which differ in small fleets (at most 4, or twice as many, at one sync)."""

    @model_validator(mode="after")
    def _ordered(self) -> HorizontalPodAutoscalerSpec:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"minReplicas {self.min_replicas} is more than maxReplicas {self.max_replicas}")
        return self

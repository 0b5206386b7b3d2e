"""What a node holds and what a broadcast takes, as vectors of resources; the first to saturate binds.

A profile belongs to a processor. The machine it was measured on is used as measured; another CPU type is reached
by the ratio of published CoreMark per vCPU, anchored on an assumed figure of the measured machine. That anchor is
one draw shared by all types, so it moves the size of a fleet and not the order of types.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scenarios.catalogue import Catalogue, InstanceType
from scenarios.errors import CalibrationError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.sampling import Floats
from sim.stream_cost import frame_costs, load_growth, needed, stream_cpu_s, stream_rss_bytes

RESOURCES = ("cpu", "memory", "nic_in", "nic_out")
"""Order of every vector: core-seconds per second, bytes, bits per second each way."""
RESOURCE_NAMES = {"cpu": "CPU", "memory": "memory", "nic_in": "inbound network", "nic_out": "outbound network"}
"""How a reader calls them."""


class Rated(NamedTuple):
    """What the catalogue says of a type that can be rented."""

    vcpus: float
    memory_bytes: float
    nic_bps: float
    price_usd_per_hour: float


@dataclass(frozen=True)
class NodePlan:
    """A node of one type under one set of coefficients.

    Attributes:
        capacity: what planning may use of each resource, shape (resources,).
        demand: what one broadcast takes of each, shape (resources,).
        price_usd_per_hour: on demand.
    """

    capacity: Floats
    demand: Floats
    price_usd_per_hour: float

    @property
    def broadcasts(self) -> int:
        """Broadcasts that fit on one node."""
        return math.floor(float((self.capacity / self.demand).min()) + 1e-9)

    @property
    def binding(self) -> str:
        """The resource that saturates first."""
        return RESOURCES[int(np.argmin(self.capacity / self.demand))]

    def utilisation(self) -> dict[str, float]:
        """Return, for a full node, the share of each planned capacity that is taken."""
        share = self.broadcasts * self.demand / self.capacity
        return {name: float(value) for name, value in zip(RESOURCES, share, strict=True)}


def cpu_speed(instance: InstanceType, anchor_coremark_per_vcpu: float) -> float:
    """Return the speed of one vCPU of a type ÷ one core of the measured machine.

    Raises:
        CalibrationError: the catalogue has no CoreMark for the type.
    """
    if instance.is_this_machine:
        return 1.0
    if instance.coremark_per_vcpu is None:
        raise CalibrationError(
            f"{instance.name}: the catalogue has no CoreMark for it, so a profile cannot be carried over; "
            "measure on that type, or add the figure with its source under scenarios/instances"
        )
    return instance.coremark_per_vcpu / anchor_coremark_per_vcpu


def transcode_plan(
    scenario: Scenario, profile: Profile, catalogue: Catalogue, values: Mapping[str, float], anchor: float
) -> NodePlan:
    """Return the plan of a transcode node for one draw of the coefficients and of the CoreMark anchor.

    Raises:
        CalibrationError: not even one broadcast fits on the node.
    """
    spec = scenario.platform.transcode
    instance = catalogue.instances[spec.instance]
    source, ladder = scenario.workload.source, scenario.ladder
    cores, memory_bytes = _host(instance, profile)
    speed, usable = cpu_speed(instance, anchor), values["usable_core_fraction"]
    cpu = cores * speed * usable
    growth = load_growth(values, spec.planning_utilisation * usable)
    nic_bps = spec.nic_bps or instance.nic_bps
    price = spec.node_price_usd_per_hour
    price = instance.price_usd_per_hour if price is None else price
    if nic_bps is None or price is None:
        raise CalibrationError(f"{spec.instance}: the catalogue lacks its network or price; set it in the scenario")
    plan = NodePlan(
        np.array([cpu, memory_bytes, nic_bps, nic_bps]) * spec.planning_utilisation
        - np.array([needed(values, "base_cpu_s_per_s"), needed(values, "rss_bytes_of_process"), 0.0, 0.0]),
        np.array(
            [
                stream_cpu_s(values, source, ladder) * growth,
                stream_rss_bytes(values, source, ladder),
                source.bitrate_bps,
                ladder.egress_bps,
            ]
        ),
        price,
    )
    if plan.broadcasts < 1:
        raise CalibrationError(
            f"{spec.instance}: one broadcast of this ladder does not fit: {plan.binding} would be at "
            f"{float((plan.demand / plan.capacity).max()):.0%} of what planning_utilisation allows; "
            "choose a larger instance or a smaller ladder"
        )
    return plan


def ingest_plan(scenario: Scenario, catalogue: Catalogue, values: Mapping[str, float], anchor: float) -> NodePlan:
    """Return the plan of an ingest node, which receives each source and relays it once."""
    spec, source = scenario.platform.ingest, scenario.workload.source
    instance = catalogue.instances[spec.instance]
    node = rated(instance)
    cpu = node.vcpus * cpu_speed(instance, anchor)
    capacity = np.array([cpu, node.memory_bytes, node.nic_bps, node.nic_bps])
    relay_buffer_bytes = 2 * source.bitrate_bps / 8  # one GOP of 2 s held for the relay
    receive_cpu_s = frame_costs(values, source, scenario.ladder).receive_s * source.fps
    demand = np.array([receive_cpu_s, relay_buffer_bytes, source.bitrate_bps, source.bitrate_bps])
    return NodePlan(capacity * spec.planning_utilisation, demand, node.price_usd_per_hour)


def rated(instance: InstanceType) -> Rated:
    """Return the figures of a catalogue type.

    Raises:
        CalibrationError: the catalogue lacks one of them.
    """
    figures = (instance.vcpus, instance.memory_bytes, instance.nic_bps, instance.price_usd_per_hour)
    lacking = [name for name, figure in zip(Rated._fields, figures, strict=True) if figure is None]
    if lacking:
        raise CalibrationError(
            f"{instance.name}: the catalogue lacks its {', '.join(lacking)}; choose another type, or add the figure "
            "with its source under scenarios/instances"
        )
    return Rated(*(float(figure) for figure in figures if figure is not None))


def _host(instance: InstanceType, profile: Profile) -> tuple[float, float]:
    """Return cores and memory in bytes."""
    if instance.is_this_machine:
        return float(profile.machine.cores), profile.machine.memory_bytes
    host = rated(instance)
    return host.vcpus, host.memory_bytes

"""What transcode and ingest nodes hold: the measured profile on the machine's CPU, joined with its accelerator.

A profile belongs to a processor. The machine it was measured on is used as measured; another CPU type is reached
by the ratio of published CoreMark per vCPU, anchored on an assumed figure of the measured machine, and a factor of its
family. That anchor is one draw shared by all types, so it moves the size of a fleet and not the order of types.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from scenarios.catalogue import Catalogue, InstanceType
from scenarios.errors import CalibrationError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.accelerated import device
from sim.node_plan import RESOURCE_NAMES, RESOURCES, NodePlan
from sim.stream_cost import frame_costs, host_cpu_s, load_growth, needed, stream_cpu_s, stream_rss_bytes


class Rated(NamedTuple):
    """What the catalogue says of a type that can be rented."""

    vcpus: float
    memory_bytes: float
    nic_bps: float
    price_usd_per_hour: float


def cpu_speed(instance: InstanceType, anchor_coremark_per_vcpu: float) -> float:
    """Return the speed of one vCPU of a type ÷ one core of the measured machine, by CoreMark alone.

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


def node_speed(instance: InstanceType, anchor_coremark_per_vcpu: float, values: Mapping[str, float]) -> float:
    """Return the speed of one vCPU of a type ÷ one core of the measured machine, in one draw.

    Args:
        instance: the type.
        anchor_coremark_per_vcpu: CoreMark of a core of the measured machine, in this draw.
        values: coefficient key → value; holds `cpu_speed_agreement` of the type's CPU family.
    """
    speed = cpu_speed(instance, anchor_coremark_per_vcpu)
    return speed if instance.is_this_machine else speed * values[f"cpu_speed_agreement {instance.cpu}"]


def usable_core_fraction(profile: Profile, values: Mapping[str, float], cores: float) -> float:
    """Return the share of all cores that is in use when a node of so many is full, at most 1.

    As measured, times what the node model finds at this number of cores ÷ at that of the measured machine
    (`Profile.nodes`): many cores wait for each other less than two do. Between two sizes the share follows the
    logarithm of the cores; beyond the outer ones it stays. As measured where the profile has no sizes.
    """
    usable = needed(values, "usable_core_fraction")
    if not profile.nodes:
        return usable
    sizes = [math.log(node.cores) for node in profile.nodes]
    shares = [node.usable_core_fraction for node in profile.nodes]
    here, there = (float(np.interp(math.log(count), sizes, shares)) for count in (cores, profile.machine.cores))
    return min(usable * here / there, 1.0)


def planned_publish_s(profile: Profile, cores: float, planning_utilisation: float) -> float:
    """Return the mean segment publish latency of a node of the measured speed at its planned load.

    By the node model with the profile's chief ladder (`Profile.nodes`), between its loads and sizes; NaN where the
    profile has no sizes. Below half of the capacity latency hardly falls any more, above 0.8 of it no model holds.
    """
    if not profile.nodes:
        return math.nan
    loads = [
        float(np.interp(planning_utilisation, (0.5, 0.8), (node.segment_publish_half_s, node.segment_publish_full_s)))
        for node in profile.nodes
    ]
    return float(np.interp(math.log(cores), [math.log(node.cores) for node in profile.nodes], loads))


def transcode_plan(
    scenario: Scenario, profile: Profile, catalogue: Catalogue, values: Mapping[str, float], anchor: float
) -> NodePlan:
    """Return the plan of a transcode node for one draw of the coefficients and of the CoreMark anchor.

    Raises:
        CalibrationError: not even one broadcast fits on the node.
    """
    plan = node_plan(scenario, profile, catalogue, values, anchor)
    if plan.broadcasts < 1:
        at = float((plan.demand / plan.capacity).max())
        raise CalibrationError(
            f"{scenario.platform.transcode.instance}: one broadcast of this ladder does not fit: "
            f"{RESOURCE_NAMES[plan.binding]} would be at {at:.0%} of what planning_utilisation allows; "
            "choose a larger instance or a smaller ladder"
        )
    return plan


def of_each_source(scenario: Scenario) -> tuple[Scenario, ...]:
    """Return for each source the scenario that has no other, with the ladder that it can have."""
    workload = scenario.workload
    if not workload.source_mix:
        return (scenario,)
    return tuple(
        scenario.model_copy(
            update={
                "workload": workload.model_copy(update={"source": kind.source, "source_mix": ()}),
                "ladder": scenario.ladder.of(kind.source),
            }
        )
        for kind in workload.source_mix
    )


def mean_plan(scenario: Scenario, plans: Sequence[NodePlan]) -> NodePlan:
    """Return the plan of a node whose broadcasts come in the shares of the scenario's sources.

    Each takes its part of what the node has for its own source: of several GPUs, whole broadcasts on each.
    """
    if len(plans) == 1:
        return plans[0]
    share = np.array([kind.share for kind in scenario.workload.source_mix])
    parts = np.array([plan.demand * (plans[0].capacity / plan.capacity) for plan in plans])
    return replace(plans[0], demand=share @ parts / share.sum())


def node_plan(
    scenario: Scenario, profile: Profile, catalogue: Catalogue, values: Mapping[str, float], anchor: float
) -> NodePlan:
    """Return the plan of a transcode node, of whatever size; on it perhaps not even one broadcast fits.

    With several sources its demand is their mean.

    Raises:
        CalibrationError: the catalogue lacks a figure of the type.
    """
    if scenario.workload.source_mix:
        kinds = of_each_source(scenario)
        return mean_plan(scenario, [node_plan(kind, profile, catalogue, values, anchor) for kind in kinds])
    spec, source, ladder = scenario.platform.transcode, scenario.workload.source, scenario.ladder
    instance = catalogue.instances[spec.instance]
    cores, memory_bytes = _host(instance, profile)
    nic_bps, price = _network_and_price(scenario, instance)
    usable = usable_core_fraction(profile, values, cores)
    growth = load_growth(values, spec.planning_utilisation * usable)
    engines = device(scenario, catalogue, values)
    cpu_s = (stream_cpu_s if engines is None else host_cpu_s)(values, source, ladder)
    cpu = cores * node_speed(instance, anchor, values) * usable
    capacity = {
        name: spec.planning_utilisation * most
        for name, most in zip(RESOURCES, (cpu, memory_bytes, nic_bps, nic_bps), strict=True)
    }
    capacity["cpu"] -= needed(values, "base_cpu_s_per_s")
    capacity["memory"] -= needed(values, "rss_bytes_of_process")
    takes = (cpu_s * growth, stream_rss_bytes(values, source, ladder), source.bitrate_bps, ladder.egress_bps)
    demand = dict(zip(RESOURCES, takes, strict=True))
    if engines is not None:
        capacity |= engines.node_capacity(spec.planning_utilisation)
        demand |= engines.demand
    publish_s = planned_publish_s(profile, cores, spec.planning_utilisation) / node_speed(instance, anchor, values)
    return NodePlan(
        np.array([capacity[name] for name in demand]),
        np.array([*demand.values()]),
        price,
        tuple(demand),
        publish_s if engines is None else math.nan,
    )


def ingest_plan(scenario: Scenario, catalogue: Catalogue, values: Mapping[str, float], anchor: float) -> NodePlan:
    """Return the plan of an ingest node, which receives each source and relays it once."""
    if scenario.workload.source_mix:
        kinds = of_each_source(scenario)
        return mean_plan(scenario, [ingest_plan(kind, catalogue, values, anchor) for kind in kinds])
    spec, source = scenario.platform.ingest, scenario.workload.source
    instance = catalogue.instances[spec.instance]
    node = rated(instance)
    cpu = node.vcpus * node_speed(instance, anchor, values)
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
    return Rated(*_known(instance, dict(zip(Rated._fields, figures, strict=True))))


def _known(instance: InstanceType, figures: Mapping[str, float | None]) -> list[float]:
    lacking = [name for name, figure in figures.items() if figure is None]
    if lacking:
        raise CalibrationError(
            f"{instance.name}: the catalogue lacks its {', '.join(lacking)}; choose another type, or add the figure "
            "with its source under scenarios/instances"
        )
    return [float(figure) for figure in figures.values() if figure is not None]


def _host(instance: InstanceType, profile: Profile) -> tuple[float, float]:
    """Return cores and memory in bytes."""
    if instance.is_this_machine:
        return float(profile.machine.cores), profile.machine.memory_bytes
    cores, memory_bytes = _known(instance, {"vcpus": instance.vcpus, "memory_bytes": instance.memory_bytes})
    return cores, memory_bytes


def _network_and_price(scenario: Scenario, instance: InstanceType) -> tuple[float, float]:
    """Return network in bit/s and dollars per hour: the scenario's own figures before the catalogue's."""
    spec = scenario.platform.transcode
    nic_bps = instance.nic_bps if spec.nic_bps is None else spec.nic_bps
    price = spec.node_price_usd_per_hour
    price = instance.price_usd_per_hour if price is None else price
    if nic_bps is None or price is None:
        raise CalibrationError(f"{spec.instance}: the catalogue lacks its network or price; set it in the scenario")
    return nic_bps, price

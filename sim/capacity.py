"""What transcode and ingest nodes hold: the measured profile on the machine's CPU, joined with its accelerator.

A profile belongs to a processor. The machine it was measured on is used as measured; another CPU type is reached
by the ratio of published CoreMark per vCPU, anchored on an assumed figure of the measured machine, and a factor of its
family. That anchor is one draw shared by all types, so it moves the size of a fleet and not the order of types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from scenarios.catalogue import Catalogue, InstanceType
from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.accelerated import device
from sim.node_plan import RESOURCE_NAMES, RESOURCES, NodePlan


class Rated(NamedTuple):
    """What the catalogue says of a type that can be rented."""

    vcpus: float
    memory_bytes: float
    nic_bps: float
    price_usd_per_hour: float


def load_growth(values: Mapping[str, float], *, streams: float, capacity_streams: int) -> float:
    """Return the factor on every CPU time at a load.

    Linear from 1 at one stream to the measured growth at the capacity, and level above: all cores are busy then.
    """
    load = min(max(streams - 1.0, 0.0) / max(capacity_streams - 1, 1), 1.0)
    return 1.0 + values["cpu_growth_at_capacity"] * load


def stream_cpu_s(values: Mapping[str, float], source: Source, ladder: Ladder) -> float:
    """Return CPU-seconds per stream-second of one broadcast's ladder, alone on the machine.

    A rung of a lower frame rate than the source costs per frame it keeps. A copied rung is muxed and no more, and
    nothing is decoded for it.

    Args:
        values: coefficient key → value, of one draw.
        source: what is decoded.
        ladder: what is offered.
    """
    cost = values["ingest_cpu_s_per_stream_s"] + values["other_cpu_s_per_stream_s"]
    if ladder.encoded:
        cost += values[f"decode_cpu_s_per_frame {source.label}"] * source.fps
    for rung in ladder.rungs:
        cost += sum(values[f"{stage}_cpu_s_per_frame {rung.label}"] for stage in rung.stages) * rung.fps
    return cost


def host_cpu_s(values: Mapping[str, float], ladder: Ladder) -> float:
    """Return CPU-seconds per stream-second that are left when an accelerator decodes, scales and encodes.

    Receiving, muxing and what no stage accounts for, as measured. A rung that was not measured is muxed at the cost
    per frame of the costliest one that was: muxing copies a few kilobytes, whatever the picture. The CPU of the
    accelerator's driver is not in it; nobody has measured that.

    Args:
        values: coefficient key → value, of one draw.
        ladder: what is offered.
    """
    muxing = {key: value for key, value in values.items() if key.startswith("mux_cpu_s_per_frame ")}
    costliest = max(muxing.values())
    cost = values["ingest_cpu_s_per_stream_s"] + values["other_cpu_s_per_stream_s"]
    return cost + sum(muxing.get(f"mux_cpu_s_per_frame {rung.label}", costliest) * rung.fps for rung in ladder.rungs)


def require_coverage(profile: Profile, scenario: Scenario) -> None:
    """Check that the profile was measured for this source, if it is decoded at all, and every rung.

    Raises:
        CalibrationError: it was not; the text names the rung and what was measured.
    """
    if scenario.ladder.encoded:
        profile.coefficient("decode_cpu_s_per_frame", scenario.workload.source.label)
    for rung in scenario.ladder.rungs:
        for stage in rung.stages:
            profile.coefficient(f"{stage}_cpu_s_per_frame", rung.label)
    if any(rung.codec != "h264" for rung in scenario.ladder.rungs) or scenario.workload.source.codec != "h264":
        raise CalibrationError(f"profile {profile.name} was measured with h264; write codec: h264 in the ladder")


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


def node_plan(
    scenario: Scenario, profile: Profile, catalogue: Catalogue, values: Mapping[str, float], anchor: float
) -> NodePlan:
    """Return the plan of a transcode node, of whatever size; on it perhaps not even one broadcast fits.

    Raises:
        CalibrationError: the catalogue lacks a figure of the type.
    """
    spec, source, ladder = scenario.platform.transcode, scenario.workload.source, scenario.ladder
    instance = catalogue.instances[spec.instance]
    cores, memory_bytes = _host(instance, profile)
    nic_bps, price = _network_and_price(scenario, instance)
    capacity_streams = profile.measured.capacity_streams
    growth = load_growth(
        values, streams=spec.planning_utilisation * capacity_streams, capacity_streams=capacity_streams
    )
    engines = device(scenario, catalogue, values)
    cpu_s = stream_cpu_s(values, source, ladder) if engines is None else host_cpu_s(values, ladder)
    cpu = cores * node_speed(instance, anchor, values) * values["usable_core_fraction"]
    capacity = {
        name: spec.planning_utilisation * most
        for name, most in zip(RESOURCES, (cpu, memory_bytes, nic_bps, nic_bps), strict=True)
    }
    takes = (cpu_s * growth, values["rss_bytes_per_stream"], source.bitrate_bps, ladder.egress_bps)
    demand = dict(zip(RESOURCES, takes, strict=True))
    if engines is not None:
        capacity |= engines.node_capacity(spec.planning_utilisation)
        demand |= engines.demand
    return NodePlan(np.array([capacity[name] for name in demand]), np.array([*demand.values()]), price, tuple(demand))


def ingest_plan(scenario: Scenario, catalogue: Catalogue, values: Mapping[str, float], anchor: float) -> NodePlan:
    """Return the plan of an ingest node, which receives each source and relays it once."""
    spec, source = scenario.platform.ingest, scenario.workload.source
    instance = catalogue.instances[spec.instance]
    node = rated(instance)
    cpu = node.vcpus * node_speed(instance, anchor, values)
    capacity = np.array([cpu, node.memory_bytes, node.nic_bps, node.nic_bps])
    relay_buffer_bytes = 2 * source.bitrate_bps / 8  # one GOP of 2 s held for the relay
    demand = np.array([values["ingest_cpu_s_per_stream_s"], relay_buffer_bytes, source.bitrate_bps, source.bitrate_bps])
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

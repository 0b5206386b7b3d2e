"""The part of a node's vector that its accelerators add: engines, sessions and memory.

A broadcast stays on one device (a GPU, or a SoC of an ASIC card), so a node of several holds whole broadcasts on each.
On a GPU every encoded rung decodes the source for itself, as the `nvenc` backend does; scaling is part of decoding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from scenarios.accelerator import DensityAsic, Encoding, NvencGpu
from scenarios.catalogue import Accelerators, Catalogue
from scenarios.coefficient import Coefficient
from scenarios.encoding import accelerator_of
from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from scenarios.scenario import Scenario
from sim.engines import (
    Position,
    decode_coefficient,
    decode_rate,
    draw_s_per_pixel,
    encode_coefficient,
    encode_rate,
    of_coefficient,
    soc_share,
)


class Device(NamedTuple):
    """What one device may be used for, and what one broadcast takes of it, by resource.

    Attributes:
        capacity: engine-seconds per second, sessions, bytes; nothing is kept spare.
        demand: of one broadcast, in the same units.
        devices: how many of it a node has.
    """

    capacity: dict[str, float]
    demand: dict[str, float]
    devices: int

    def streams(self) -> float:
        """Return how many broadcasts one device carries with nothing kept spare, not rounded."""
        return min(self.capacity[name] / self.demand[name] for name in self.capacity)

    def node_capacity(self, planning_utilisation: float) -> dict[str, float]:
        """Return what planning may use of each resource on a node: of several devices, whole broadcasts on each.

        Sessions are counted, not loaded, so no share of them is kept spare.
        """
        planned = {
            name: capacity * (1.0 if name == "encode_session" else planning_utilisation)
            for name, capacity in self.capacity.items()
        }
        if self.devices == 1 or any(planned[name] < self.demand[name] for name in planned):
            return planned  # on several devices, a broadcast that fits on none does not fit on all of them together
        return {
            name: self.devices * math.floor(capacity / self.demand[name] + 1e-9) * self.demand[name]
            for name, capacity in planned.items()
        }


def encoding_accelerator(scenario: Scenario, catalogue: Catalogue) -> Encoding | None:
    """Return the accelerator that encodes on the transcode nodes, or None where their CPUs do.

    Raises:
        CalibrationError: the nodes' accelerator cannot encode this ladder, and the CPU was not asked for.
    """
    return accelerator_of(scenario.platform.transcode, scenario.workload.source, scenario.ladder, catalogue)


def device(scenario: Scenario, catalogue: Catalogue, values: Mapping[str, float]) -> Device | None:
    """Return the device that encodes the scenario's ladder, or None where the CPU does.

    Raises:
        CalibrationError: the accelerator cannot encode this ladder, or the catalogue lacks its memory.
    """
    found = encoding_accelerator(scenario, catalogue)
    carried = catalogue.instances[scenario.platform.transcode.instance].accelerator
    if found is None or carried is None:
        return None
    source, ladder = scenario.workload.source, scenario.ladder
    if isinstance(found, DensityAsic):
        return _soc(source, ladder, carried, values)
    if carried.memory_bytes is None:
        raise CalibrationError(
            f"{scenario.platform.transcode.instance}: the catalogue lacks the memory of its {found.title}; choose "
            "another type, or add the figure with its source under scenarios/instances"
        )
    preset = scenario.platform.transcode.nvenc_preset
    return _gpu(source, ladder, carried.count, carried.memory_bytes, values, preset)


def _gpu(
    source: Source, ladder: Ladder, count: int, memory_bytes: float, values: Mapping[str, float], preset: str
) -> Device:
    rungs = ladder.encoded
    capacity = {
        "encode_engine": values["encode_engines"],
        "decode_engine": values["decode_engines"],
        "gpu_memory": memory_bytes,
    }
    demand = {
        "encode_engine": sum(
            rung.pixel_rate * values[f"encode_engine_s_per_pixel {rung.codec} {preset}"] for rung in rungs
        ),
        "decode_engine": len(rungs) * source.pixel_rate * values[f"decode_engine_s_per_pixel {source.codec}"],
        "gpu_memory": len(rungs) * values["gpu_memory_bytes_per_rung"],
    }
    if "encode_sessions" in values:
        capacity["encode_session"] = values["encode_sessions"]
        demand["encode_session"] = float(len(rungs))
    return Device(capacity, demand, count)


def _soc(source: Source, ladder: Ladder, carried: Accelerators, values: Mapping[str, float]) -> Device:
    demand = {
        "encode_engine": sum(values[f"soc_s_per_stream_s {rung.label}"] for rung in ladder.encoded),
        "decode_engine": values[f"soc_s_per_stream_s {source.label}"],
    }
    return Device(dict.fromkeys(demand, 1.0), demand, carried.count * int(values["socs_per_card"]))


def engine_values(scenario: Scenario, catalogue: Catalogue, position: Position) -> dict[str, float]:
    """Return the coefficients of the scenario's accelerator by key, at positions; nothing where the CPU encodes."""
    found = encoding_accelerator(scenario, catalogue)
    if found is None:
        return {}
    source, ladder = scenario.workload.source, scenario.ladder
    if isinstance(found, DensityAsic):
        luck = 1.0 - position(f"densities of {found.model}")
        shares = {f"soc_s_per_stream_s {p.label}": soc_share(found, p).at(luck) for p in (source, *ladder.encoded)}
        return {"socs_per_card": found.coefficient("socs_per_card").middle, **shares}
    return _gpu_values(found, scenario, catalogue, position)


def _gpu_values(gpu: NvencGpu, scenario: Scenario, catalogue: Catalogue, position: Position) -> dict[str, float]:
    table, preset = catalogue.engines[gpu.table], scenario.platform.transcode.nvenc_preset
    values = {name: gpu.coefficient(name).middle for name in ("encode_engines", "decode_engines")}
    sessions = gpu.find("encode_sessions")
    if sessions is not None:
        values["encode_sessions"] = sessions.middle
    memory = of_coefficient(gpu.coefficient("gpu_memory_bytes_per_rung"))
    values["gpu_memory_bytes_per_rung"] = memory.at(1.0 - position(f"GPU memory on {gpu.model}"))
    for codec in dict.fromkeys(rung.codec for rung in scenario.ladder.encoded):
        setting = f"{codec} {preset}"
        values[f"encode_engine_s_per_pixel {setting}"] = draw_s_per_pixel(
            *encode_rate(gpu, table, codec, preset), model=gpu.model, setting=setting, position=position
        )
    codec = scenario.workload.source.codec
    values[f"decode_engine_s_per_pixel {codec}"] = draw_s_per_pixel(
        *decode_rate(gpu, table, codec), model=gpu.model, setting=f"decoding {codec}", position=position
    )
    return values


def engine_coefficients(scenario: Scenario, catalogue: Catalogue) -> tuple[Coefficient, ...]:
    """Return the coefficients that stand behind `engine_values`, with interval and provenance."""
    found = encoding_accelerator(scenario, catalogue)
    if found is None:
        return ()
    if isinstance(found, DensityAsic):
        return found.coefficients
    table, preset = catalogue.engines[found.table], scenario.platform.transcode.nvenc_preset
    encoded = dict.fromkeys(rung.codec for rung in scenario.ladder.encoded)
    return (
        *(encode_coefficient(found, table, codec, preset) for codec in encoded),
        decode_coefficient(found, table, scenario.workload.source.codec),
        *found.coefficients,
    )

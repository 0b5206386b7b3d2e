"""Writes `docs/streams-per-node.md` and the table of accelerators in `docs/coefficients.md` from the simulator itself.

`python docs/streams_per_node.py`: every shipped type is run, for a short while, with the ladders below. No figure of
either page is typed by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scenarios import CalibrationError, Scenario, load_catalogue, load_profile, load_scenario
from scenarios.accelerator import NoEncoder, NvencGpu
from scenarios.coefficient import Coefficient
from sim import run
from sim.accelerated import device, encoding_accelerator
from sim.carried import carried_coefficients, carried_values
from sim.engines import decode_coefficient, encode_coefficient
from sim.node_plan import RESOURCE_NAMES
from sim.results import RunResult

DOCS = Path(__file__).parent
PAGE = DOCS / "streams-per-node.md"
COEFFICIENTS = DOCS / "coefficients.md"
LADDERS = {"baseline": "720p30 and 480p30", "guide_ladder": "1080p60, 720p60 and 480p30"}
"""Library scenarios whose ladders are shown, and what they offer."""
SHORT = {"horizon_s": 300.0, "tick_s": 60.0}
BLOCK = re.compile(r"(<!-- accelerators -->\n).*?(<!-- end -->\n)", re.DOTALL)
HEAD = """# Streams per node

What a node of each shipped type holds, through `headroom run` with the profile `{profile}`, at its default
`planning_utilisation` of 0.8, `nvenc_preset: p4` and an accelerator wherever a type has one. Low and high are the ends
of every range the answer rests on, all at once: none of these nodes was measured. The page is written by
`python docs/streams_per_node.py`, and a test holds it to it.

**C**: the measured profile, carried over by CoreMark per vCPU from an *assumed* 16,000 to 32,000 of the measured
machine, ± 15 % for each CPU family. **E**: engine table × clock ÷ reference clock × engines (*datasheet*), at least
± 15 %. **D**: published densities (*datasheet*), ± 15 %. Behind an E or a D stands what of it is *assumed*. The anchor
moves all types together: the order of two CPU types is surer than either figure. Pictures are not compared: the
profile is x264 {preset}, and NVENC's p4 gives another picture at the same bitrate.
"""


class Row(NamedTuple):
    """One type with one ladder: its result, or why there is none."""

    instance: str
    result: RunResult | None
    reason: str


def on(scenario: Scenario, instance: str) -> Scenario:
    """Return a short, small form of a scenario whose transcode nodes are of a type."""
    transcode = scenario.platform.transcode.model_copy(
        update={"instance": instance, "nic_bps": None, "node_price_usd_per_hour": None}
    )
    broadcasts = scenario.workload.broadcasts.model_copy(update={"peak_concurrent": 20.0})
    return scenario.model_copy(
        update={
            "platform": scenario.platform.model_copy(update={"transcode": transcode}),
            "workload": scenario.workload.model_copy(update={"broadcasts": broadcasts}),
            "horizon": scenario.horizon.model_copy(update=SHORT),
        }
    )


def row(scenario: Scenario, instance: str) -> Row:
    """Return what a run says of a type."""
    try:
        return Row(instance, run(on(scenario, instance), load_profile(scenario.profile), replications=2), "")
    except CalibrationError as error:
        return Row(instance, None, str(error))


def page() -> str:
    """Return the page."""
    scenarios = {name: load_scenario(DOCS.parent / "scenarios" / "library" / f"{name}.yaml") for name in LADDERS}
    name = scenarios["baseline"].profile
    parts = [HEAD.format(profile=name, preset=load_profile(name).encoder.preset), *_devices(scenarios)]
    for name, what in LADDERS.items():
        types = [type_ for type_ in load_catalogue().instances if type_ != "this-machine"]
        parts += _section(name, what, [row(scenarios[name], type_) for type_ in types])
    return "\n".join(parts)


def _section(name: str, what: str, rows: list[Row]) -> Iterator[str]:
    yield f"## {what}\n\nThe ladder of `{name}.yaml`.\n"
    yield "| type | encodes on | broadcasts: low – middle – high | binds | USD/h | USD/stream-h, full | rests on |"
    yield "|---|---|---|---|---|---|---|"
    yield from (line(one.result) for one in rows if one.result is not None)
    refused: dict[str, list[str]] = {}
    for one in rows:
        if one.result is None:
            refused.setdefault(one.reason.removeprefix(f"{one.instance}: "), []).append(one.instance)
    if refused:
        yield "\nNot answered, and why:\n"
        yield from (f"- {', '.join(types)}: {reason}" for reason, types in refused.items())
    yield ""


def line(result: RunResult) -> str:
    """Return the table row of a result."""
    spec, known = result.scenario.platform.transcode, load_catalogue()
    instance, held = known.instances[spec.instance], result.held
    assert held is not None
    found = encoding_accelerator(result.scenario, known)
    where = f"{instance.accelerator.count} × {found.title}" if found and instance.accelerator else "CPU"
    price = instance.price_usd_per_hour or 0.0
    binds = ", ".join(RESOURCE_NAMES[resource] for resource in held.binds)
    cells = (
        spec.instance,
        where,
        f"{held.low} – **{held.middle}** – {held.high}",
        binds,
        f"{price:g}",
        f"{price / held.high:.3f} – {price / held.low:.3f}",
        _rests_on(result.scenario),
    )
    return "| " + " | ".join(cells) + " |"


def _rests_on(scenario: Scenario) -> str:
    known = load_catalogue()
    found = encoding_accelerator(scenario, known)
    if found is None:
        return "C"
    assumed = [c.name for c in carried_coefficients(scenario, known)[1:] if c.provenance.kind == "assumed"]
    rule = "E" if isinstance(found, NvencGpu) else "D"
    return f"{rule}, C" + (f"; {', '.join(f'`{name}`' for name in assumed)}" if assumed else "")


def _devices(scenarios: dict[str, Scenario]) -> Iterator[str]:
    yield "## One device, nothing kept spare\n"
    yield "The engines, sessions and memory of one GPU, or one SoC of a card, at `nvenc_preset: p4`, not rounded.\n"
    yield "| device | " + " | ".join(f"{what}: low – middle – high" for what in LADDERS.values()) + " |"
    yield "|---|" + "---|" * len(LADDERS)
    known = load_catalogue()
    shown: dict[str, str] = {}
    for instance in known.instances.values():
        found = known.accelerators.get(instance.accelerator.model) if instance.accelerator else None
        if found is None or isinstance(found, NoEncoder) or found.title in shown or instance.coremark is None:
            continue
        shown[found.title] = " | ".join(_device_cell(on(scenario, instance.name)) for scenario in scenarios.values())
    yield from (f"| {title}{'' if 'NVIDIA' in title else ', one SoC'} | {cells} |" for title, cells in shown.items())
    yield ""


def _device_cell(scenario: Scenario) -> str:
    known = load_catalogue()
    found = [device(scenario, known, carried_values(scenario, known, lambda _, p=p: p)) for p in (0.0, 0.5, 1.0)]
    low, middle, high = (one.streams() for one in found if one)
    return f"{low:.1f} – **{middle:.1f}** – {high:.1f}"


def accelerator_table() -> str:
    """Return every coefficient of every accelerator as a table: published and assumed, then derived."""
    known = load_catalogue()
    lines = [
        "| accelerator | coefficient | middle | low … high | unit | kind, date | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in known.accelerators.values():
        if isinstance(found, NoEncoder):
            kind = f"{found.provenance.kind}, {found.provenance.date}"
            lines.append(f"| {found.title} | none: it has no encoder | | | | {kind} | {found.provenance.source} |")
            continue
        derived: list[Coefficient] = []
        if isinstance(found, NvencGpu):
            table = known.engines[found.table]
            derived += [encode_coefficient(found, table, codec, "p4") for codec in table.encode.frames_per_s]
            derived += [decode_coefficient(found, table, codec) for codec in table.decode.frames_per_s]
        lines += [_coefficient_line(found.title, coefficient) for coefficient in (*found.coefficients, *derived)]
    return "\n".join(lines) + "\n"


def _coefficient_line(title: str, c: Coefficient) -> str:
    ends = "" if c.low == c.high else f"{c.low:.4g} … {c.high:.4g}"
    kind = f"{c.provenance.kind}, {c.provenance.date}"
    return f"| {title} | `{c.key}` | {c.middle:.4g} | {ends} | {c.unit} | {kind} | {c.provenance.source} |"


def coefficients_page() -> str:
    """Return `docs/coefficients.md` with the table of accelerators as the catalogue has it."""
    text = COEFFICIENTS.read_text(encoding="utf-8")
    return BLOCK.sub(lambda found: found[1] + accelerator_table() + found[2], text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    COEFFICIENTS.write_text(coefficients_page(), encoding="utf-8")

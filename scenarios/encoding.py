"""Where a transcode node encodes: on its CPU or on its accelerator, and why not there. Nothing falls back unasked."""

from __future__ import annotations

from typing import NamedTuple

from scenarios.accelerator import DensityAsic, Encoding, NoEncoder, NvencGpu
from scenarios.catalogue import Catalogue
from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from scenarios.platform import Transcode

ON_CPU = "write encode_on: cpu under platform.transcode to encode on its CPU, or choose another type"


class Refusal(NamedTuple):
    """Why an accelerator cannot encode: the path under `platform.transcode` or of the ladder, what, and what to do."""

    path: tuple[str | int, ...]
    message: str
    hint: str


def accelerator_of(spec: Transcode, source: Source, ladder: Ladder, catalogue: Catalogue) -> Encoding | None:
    """Return the accelerator that encodes the ladder on a node of the spec, or None where its CPU does.

    Raises:
        CalibrationError: it was asked for, or the type has one and the CPU was not asked for, and it cannot.
    """
    refusal = why_not(spec, source, ladder, catalogue)
    if refusal is not None:
        raise CalibrationError(f"{refusal.message}; {refusal.hint}")
    if not _uses_accelerator(spec, ladder, catalogue):
        return None
    carried = catalogue.instances[spec.instance].accelerator
    found = catalogue.accelerators[carried.model] if carried else None
    return None if isinstance(found, NoEncoder) else found


def why_not(spec: Transcode, source: Source, ladder: Ladder, catalogue: Catalogue) -> Refusal | None:
    """Return why the ladder cannot be encoded where the spec wants it; None if it can, or its CPU does it."""
    carried = catalogue.instances[spec.instance].accelerator
    here = ("platform", "transcode", "encode_on")
    if spec.encode_on == "accelerator" and carried is None:
        return Refusal(here, f"{spec.instance} has no accelerator", "write encode_on: cpu, or choose a type with one")
    if carried is None or not _uses_accelerator(spec, ladder, catalogue):
        return None
    found = catalogue.accelerators.get(carried.model)
    instance = ("platform", "transcode", "instance")
    if found is None:
        known = ", ".join(sorted(catalogue.accelerators))
        return Refusal(
            instance, f"{spec.instance}: nothing is known of its accelerator {carried.model} (known: {known})", ON_CPU
        )
    if isinstance(found, NoEncoder):
        return Refusal(
            instance, f"{spec.instance}: an {found.title} has no encoding engine ({found.provenance.source})", ON_CPU
        )
    return _codec_refusal(found, source, ladder, catalogue)


def _uses_accelerator(spec: Transcode, ladder: Ladder, catalogue: Catalogue) -> bool:
    return (
        bool(ladder.encoded) and spec.encode_on != "cpu" and catalogue.instances[spec.instance].accelerator is not None
    )


def _codec_refusal(found: Encoding, source: Source, ladder: Ladder, catalogue: Catalogue) -> Refusal | None:
    encodes, decodes = codecs(found, catalogue)
    if source.codec not in decodes:
        return Refusal(
            ("workload", "source", "codec"),
            f"the engines of an {found.title} do not decode {source.codec}",
            f"they decode {', '.join(decodes)}",
        )
    for index, rung in enumerate(ladder.rungs):
        if not rung.copied and rung.codec not in encodes:
            return Refusal(
                ("ladder", "rungs", index, "codec"),
                f"rung {rung.name}: the engines of an {found.title} do not encode {rung.codec}",
                f"they encode {', '.join(encodes)}",
            )
    return None


def codecs(found: Encoding, catalogue: Catalogue) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the codecs an accelerator encodes and those it decodes."""
    if isinstance(found, DensityAsic):
        return found.codecs, found.codecs
    assert isinstance(found, NvencGpu)
    table = catalogue.engines[found.table]
    return tuple(table.encode.frames_per_s), tuple(table.decode.frames_per_s)

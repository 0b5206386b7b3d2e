"""The encoder as it resolved: a profile is worth nothing without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata

import av

from pipeline.gpus import driver_version
from pipeline.ladders.nvenc_options import nvenc_options
from pipeline.ladders.probe import probe_sessions, probe_x264
from pipeline.ladders.x264 import x264_options
from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Ladder, Rung
from scenarios.machine import EncoderFacts


def _nvenc(rung: Rung, preset: str) -> dict[str, str]:
    return nvenc_options(rung, preset=preset, declared_fps=rung.fps)


RUNG_OPTIONS: dict[str, Callable[[Rung, str], dict[str, str]]] = {
    "x264": lambda rung, preset: x264_options(rung, preset=preset),
    "nvenc": _nvenc,
    "nvenc-hybrid": _nvenc,
}
"""What each backend that can be measured hands to the encoder of a rung."""


def require_measurable(backend: str, ladder: Ladder) -> None:
    """Raise EncoderUnavailable if the backend cannot tell what each stage of a frame costs, or encodes nothing."""
    if backend not in RUNG_OPTIONS:
        raise EncoderUnavailable(
            f"--encoder {backend} cannot be measured: it encodes in a process of its own, where the CPU time of "
            "decoding, scaling and encoding cannot be told apart; measure with --encoder x264"
        )
    if not ladder.encoded:
        raise EncoderUnavailable(
            "the ladder's only rung is copied: there is no encoder to measure; add an encoded rung, and the profile "
            "will hold for the copied one by itself too"
        )


def encoder_facts(*, backend: str, preset: str, ladders: Mapping[str, Ladder]) -> EncoderFacts:
    """Return backend, preset, options, library versions and limits.

    Options that differ by rung are `RUNG.option`, and where there are several ladders `LADDER/RUNG.option`.
    """
    by_rung = {
        rung.name if len(ladders) == 1 else f"{name}/{rung.name}": RUNG_OPTIONS[backend](rung, preset)
        for name, ladder in ladders.items()
        for rung in ladder.encoded
    }
    first = next(iter(by_rung.values()))
    shared = {
        name: value for name, value in first.items() if all(options.get(name) == value for options in by_rung.values())
    }
    own = {
        f"{rung}.{name}": value
        for rung, options in by_rung.items()
        for name, value in options.items()
        if name not in shared
    }
    libraries = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    libraries["av"] = metadata.version("av")
    libraries |= _x264_version() if backend == "x264" else _driver_version()
    limits = {} if backend == "x264" else _session_limit()
    return EncoderFacts(backend=backend, preset=preset, options=shared | own, libraries=libraries, limits=limits)


def _x264_version() -> dict[str, str]:
    return {"x264": probe_x264().detail}


def _driver_version() -> dict[str, str]:
    version = driver_version()
    return {"driver": version} if version else {}


def _session_limit() -> dict[str, float]:
    """Return how many NVENC sessions this GPU gave at once; empty if it refused none that was tried."""
    found = probe_sessions()
    return {"sessions": float(found.sessions)} if found.reason is not None else {}

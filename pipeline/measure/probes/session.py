"""All probes, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from pipeline.load.clip import SourceClip
from pipeline.measure.probes.authorisation import authorisation_rows
from pipeline.measure.probes.certificate import require_openssl
from pipeline.measure.probes.origin_cost import origin_rows
from pipeline.measure.probes.restart import restart_rows
from pipeline.measure.probes.ticking import Tick
from scenarios.ladder import Ladder

PROBES_S = 45.0
"""Wall-clock time for all of them: 27 s where it was measured, on 2 cores at 2.3 GHz, and two thirds more for slower
ones, which take longer over the same requests."""


def require_probes() -> None:
    """Raise NotReady if a probe cannot run on this machine: before anything is measured."""
    require_openssl()


def run_probes(
    *,
    ladder: Ladder,
    clip: SourceClip,
    backend: str,
    preset: str,
    tick: Tick = lambda: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the bundle's tables `origin`, `authorisations` and `restarts`.

    Args:
        ladder: what the stream that is interrupted is encoded to.
        clip: what it sends.
        backend: name of the ladder backend.
        preset: of its encoder.
        tick: called some times a second.
        say: told each result in a line.

    Raises:
        NotReady: see `require_probes`; or there is no port, or the machine too busy for an answer.
        EncoderUnavailable: the backend cannot encode the ladder.
    """
    require_probes()
    origin = origin_rows(tick=tick)
    say(_origin_line(origin))
    authorisations = authorisation_rows(tick=tick)
    say(_authorisation_line(authorisations))
    restarts = restart_rows(ladder=ladder, clip=clip, backend=backend, preset=preset, tick=tick)
    say(_restart_line(restarts))
    return {"origin": origin, "authorisations": authorisations, "restarts": restarts}


def _origin_line(rows: list[dict[str, Any]]) -> str:
    def cpu(unit: str, rows: list[dict[str, Any]]) -> float:
        return float(median(row["server_cpu_s"] / row[unit] for row in rows))

    largest = max(row["object_bytes"] for row in rows)
    told = []
    for tls in (False, True):
        of = [row for row in rows if row["tls"] is tls]
        request_s = cpu("requests", [row for row in of if row["object"] == "playlist"])
        byte_s = cpu("sent_bytes", [row for row in of if row["object_bytes"] == largest])
        told.append(
            f"{'with' if tls else 'without'} TLS {request_s * 1e6:.0f} µs a playlist, {byte_s * 1e9:.2f} ns a byte"
        )
    return f"origin: {'; '.join(told)}"


def _authorisation_line(rows: list[dict[str, Any]]) -> str:
    asked, silent = (
        median(row["accepted_s"] for row in rows if row["with_callback"] is with_callback)
        for with_callback in (True, False)
    )
    return f"publisher accepted in {asked * 1e3:.1f} ms with a callback, {silent * 1e3:.1f} ms without"


def _restart_line(rows: list[dict[str, Any]]) -> str:
    told = ", ".join(f"{row['outage_s']:.1f} s" for row in rows)
    return f"encoder process killed {len(rows)} times: frames again after {told}"

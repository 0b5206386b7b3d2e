"""An origin that serves segments of given sizes, and nothing besides.

`python -m pipeline.measure.probes.origin_server` reads an `OriginConfig` as JSON and says `{"http_port": …,
"https_port": …}`; then it answers each line with `{"cpu_s": …}`, the CPU of the process so far. Rung `bytes-N` has
segments of N bytes.
"""

from __future__ import annotations

import os
import ssl
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from pipeline.hls.store import LISTED_SEGMENTS, Store
from pipeline.measure.parent import obey, read, say
from pipeline.origin import Origin
from scenarios.ladder import Ladder, Rung

STREAM = "probe"
SEGMENT_S = 2.0


@dataclass(frozen=True)
class OriginConfig:
    """What is served.

    Attributes:
        object_bytes: sizes of segments.
        certificate, key: PEM files.
    """

    object_bytes: tuple[int, ...]
    certificate: str
    key: str


def rung_name(object_bytes: int) -> str:
    """Return the name of the rung whose segments have that size."""
    return f"bytes-{object_bytes}"


def filled_store(object_bytes: tuple[int, ...]) -> Store:
    """Return a store with one stream that has a full playlist of segments of each size."""
    rungs = tuple(
        Rung(name=rung_name(size), width=1280, height=720, fps=30.0, bitrate_bps=8 * size / SEGMENT_S)
        for size in sorted(object_bytes, reverse=True)
    )
    store = Store()
    stream = store.stream(STREAM, Ladder(segment_s=SEGMENT_S, rungs=rungs))
    for size in object_bytes:
        data = os.urandom(size)
        for number in range(LISTED_SEGMENTS):
            stream.rungs[rung_name(size)].append(
                data, duration_s=SEGMENT_S, unix_s=time.time() + number * SEGMENT_S, codecs=("avc1.64001f",)
            )
    return store


async def serve_origin(config: OriginConfig) -> None:
    """Serve over HTTP and over HTTPS until the parent has gone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.certificate, config.key)
    store = filled_store(config.object_bytes)
    plain, encrypted = Origin(store, port=0), Origin(store, port=0, ssl_context=context)
    async with AsyncExitStack() as stack:
        for origin in (plain, encrypted):
            await origin.start()
            stack.push_async_callback(origin.close)
        say({"http_port": plain.port, "https_port": encrypted.port})
        while True:
            await read()
            say({"cpu_s": time.process_time()})


async def _serve(config: dict[str, Any]) -> None:
    await serve_origin(OriginConfig(tuple(config["object_bytes"]), config["certificate"], config["key"]))


if __name__ == "__main__":
    obey(_serve)

"""Cache policies against nginx's own cache, with and without its lock: what it fetches when players ask.

Many segments at once stand for many one after another: each is asked for by a Poisson number of players at random
moments of its length. An origin takes the fill latency to answer, and counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from profiles import LADDER

from scenarios.platform import Cdn as CdnSpec
from sim.components.cdn import Cdn
from sim.sampling import stream

pytestmark = pytest.mark.requires_nginx
SEGMENT_S, FILL_S, VIEWERS, OBJECTS = 3.0, 0.45, 8.0, 50
ALLOWED_S = 0.03
"""What the way through nginx may add to the fill latency."""
LATE_S = 0.2
"""How much later than a fetch takes no answer may come: a machine with other work bunches the requests."""
CONFIGURATION = """
daemon off;
{user}
error_log stderr;
pid nginx.pid;
events {{ worker_connections 4000; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    proxy_cache_path cache keys_zone=objects:1m;
    proxy_cache objects;
    proxy_cache_key $uri;
    server {{
        listen 127.0.0.1:{port};
        location /locked {{ proxy_pass http://127.0.0.1:{origin}; proxy_cache_lock on; }}
        location /open {{ proxy_pass http://127.0.0.1:{origin}; }}
    }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Origin:
    """Answers after the fill latency; an object whose name ends in `old` stays fresh for 1 s the first time."""

    def __init__(self) -> None:
        self.fetches: Counter[str] = Counter()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.fetches[path] += 1
        fresh_s = 1 if path.endswith("old") and self.fetches[path] == 1 else 1000
        await asyncio.sleep(FILL_S)
        head = f"HTTP/1.1 200 OK\r\nCache-Control: max-age={fresh_s}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + b"ok")
        await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def nginx(folder: Path, origin_port: int) -> AsyncIterator[int]:
    """Yield the port of an nginx before the origin."""
    port, user = free_port(), "user root;" if os.geteuid() == 0 else ""
    configuration = CONFIGURATION.format(user=user, port=port, origin=origin_port)
    (folder / "nginx.conf").write_text(configuration, encoding="utf-8")
    command = [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr"]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    await ask(port, "/nothing")
                    break
                await asyncio.sleep(0.02)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def ask(port: int, path: str, at_s: float = 0.0) -> float:
    """Ask after `at_s`; return how much later than then, and later than a fetch takes, the answer was there."""
    due_s = asyncio.get_running_loop().time() + at_s
    await asyncio.sleep(at_s)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    await reader.read()
    writer.close()
    return asyncio.get_running_loop().time() - due_s - FILL_S


async def fetched(folder: Path) -> tuple[dict[str, np.ndarray], float]:
    """Return the fetches of each object while players ask, by group of objects, and the latest lateness."""
    origin, rng = Origin(), stream(21, 0, "players")
    groups = {
        f"{lock} {age}": [f"/{lock}/{number}/{age}" for number in range(OBJECTS)]
        for lock in ("locked", "open")
        for age in ("new", "old")
    }
    server = await asyncio.start_server(origin.answer, "127.0.0.1", 0)
    async with server, nginx(folder, server.sockets[0].getsockname()[1]) as port:
        await asyncio.gather(*(ask(port, path) for name in groups if "old" in name for path in groups[name]))
        await asyncio.sleep(2.0)  # nginx counts whole seconds
        origin.fetches.subtract({path: 1 for name in groups if "old" in name for path in groups[name]})
        asked = {path: rng.random(rng.poisson(VIEWERS)) * SEGMENT_S for paths in groups.values() for path in paths}
        late_s = await asyncio.gather(*(ask(port, path, at_s) for path, moments in asked.items() for at_s in moments))
    counts = {name: np.array([origin.fetches[path] for path in paths]) for name, paths in groups.items()}
    return counts, float(max(late_s))


@pytest.fixture(scope="module")
def of_nginx(tmp_path_factory) -> dict[str, np.ndarray]:
    """Return what nginx fetched of each group; a try in which this machine was late is void, of five."""
    for _ in range(5):
        counts, late_s = asyncio.run(fetched(tmp_path_factory.mktemp("nginx")))
        if late_s < LATE_S:
            break
    return counts


def of_policy(kind: str, fill_s: float = FILL_S) -> float:
    """Return the fetches of a segment by one cluster."""
    spec = CdnSpec(clusters=1, policy={"kind": kind}, fill_latency_s=fill_s)
    ladder = LADDER.model_copy(update={"segment_s": SEGMENT_S})
    return Cdn(spec, ladder, {"720p30": 1.0, "480p30": 0.0}).serve(np.array([VIEWERS]), SEGMENT_S).segment_misses


def half(counts: np.ndarray) -> float:
    """Return 3.3 standard errors of a mean."""
    return 3.3 * float(counts.std()) / np.sqrt(counts.size)


def test_the_lock_collapses_requests_for_what_is_new(of_nginx):
    assert of_nginx["locked new"].max() == 1
    assert of_nginx["locked new"].mean() == pytest.approx(of_policy("collapsed"), abs=0.06)


@pytest.mark.parametrize("group", ["open new", "open old", "locked old"])
def test_without_the_lock_and_of_what_has_expired_every_request_goes_through(of_nginx, group):
    """The lock holds nobody who asks for an object that nginx has had; planted: that it does."""
    counts = of_nginx[group]
    assert of_policy("uncollapsed") - half(counts) < counts.mean()
    assert counts.mean() < of_policy("uncollapsed", FILL_S + ALLOWED_S) + half(counts)
    assert counts.mean() - half(counts) > 1.2 * of_policy("collapsed")

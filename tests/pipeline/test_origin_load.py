"""The origin under many readers: those that hammer, those that stop reading, and more than there is room for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest
from clips import clip
from live_pipeline import FREE_PORTS, ROOT, START, Server, send, until
from recordings import (
    RUNGS,
    assert_whole,
    frames_of,
    listing,
    publish,
    real_segment,
    recorded_store,
    recordings,
    wait_until,
)

from pipeline.hls.store import Store, StreamStore
from pipeline.origin import Origin
from pipeline.recording import Limits, Recorder
from pipeline.rtmp import Publisher, RtmpError

DIFFERENT = 6
"""Pictures that differ; what each segment holds besides says its number."""
NULL_PACKETS = {"180p30": 1000, "90p15": 100}
"""Makes segments of some 200 and 20 kB: more, and less, than is written at once."""


@cache
def numbered_segment(rung: str, number: int) -> bytes:
    """Return real video, filled up with null packets (ISO/IEC 13818-1, 2.4.1) that hold the number."""
    null = b"\x47\x1f\xff\x10" + f"{rung}/{number} ".encode().ljust(184, b"\xff")
    return real_segment(rung, number % DIFFERENT) + null * NULL_PACKETS[rung]


class PacedWriter:
    """Publishes from a thread as quickly as was promised: a playlist is good for two more segments.

    Attributes:
        newest: number of the latest segment.
    """

    def __init__(self, stream: StreamStore) -> None:
        self.newest = 0
        self._stream, self._changed = stream, threading.Condition()
        self._begun: dict[int, int] = {}
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> PacedWriter:
        publish(self._stream, [0], numbered_segment)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._thread.join()

    @contextmanager
    def reading(self, reader: int) -> Iterator[None]:
        """Let a reader get a playlist and all that it lists."""
        with self._changed:
            self._begun[reader] = self.newest
        yield
        with self._changed:
            del self._begun[reader]
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopped or self._may_go_on())
                if self._is_stopped:
                    return
                self.newest += 1
                publish(self._stream, [self.newest], numbered_segment)
            time.sleep(0.001)

    def _may_go_on(self) -> bool:
        return min(self._begun.values(), default=self.newest) >= self.newest - 1


@pytest.mark.parametrize("gets", [10_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_readers_that_hammer_never_meet_a_partial_missing_or_empty_file(tmp_path, gets):
    """P10: playlists and every segment that they list, over HTTP and on disk, while a thread publishes and records."""
    for rung in RUNGS.rungs:
        for number in range(DIFFERENT):
            assert frames_of(numbered_segment(rung.name, number)) == 2 * rung.fps, "what is published decodes"
    recorder = Recorder(tmp_path, limits=Limits(gib=0.1))
    recorder.start(RUNGS)
    store = recorded_store(recorder)
    writer = PacedWriter(store.stream("live", RUNGS))
    done = asyncio.run(_hammer(store, writer, tmp_path, gets))
    assert done >= gets
    assert writer.newest > gets / 1000, "it was published meanwhile"
    store.stream("live", RUNGS).end()
    assert recorder.close(30)
    assert_whole(recordings(tmp_path)[0], numbered_segment)


async def _hammer(store: Store, writer: PacedWriter, root: Path, gets: int) -> int:
    """Let 16 readers make so many requests in all, and one read the recording; return how many were made."""
    done = 0

    async def get(client: aiohttp.ClientSession, path: str) -> bytes:
        nonlocal done
        async with client.get(path) as answer:
            body = await answer.read()
            assert (answer.status, len(body)) == (200, int(answer.headers["Content-Length"])), path
            done += 1
            return body

    async def watch(reader: int, client: aiohttp.ClientSession) -> None:
        rung = RUNGS.rungs[reader % 2].name
        while done < gets:
            with writer.reading(reader):
                assert b"180p30/index.m3u8" in await get(client, "/live/index.m3u8")
                names = _names(await get(client, f"/live/{rung}/index.m3u8"))
                assert names
                for name in names:
                    body = await get(client, f"/live/{rung}/{name}")
                    assert sha256(body).digest() == _published_digest(rung, int(name.removesuffix(".ts"))), name

    async def read_disk() -> None:
        while done < gets:
            for playlist in root.glob("*/*/index.m3u8"):
                for name in listing(playlist).names[-3:]:
                    body = (playlist.parent / name).read_bytes()
                    assert body == numbered_segment(playlist.parent.name, int(name.removesuffix(".ts"))), name
            await asyncio.sleep(0.02)

    origin = Origin(store, port=0)
    await origin.start()
    try:
        with writer:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{origin.port}") as client, asyncio.TaskGroup() as group:
                group.create_task(read_disk())
                for reader in range(16):
                    group.create_task(watch(reader, client))
    finally:
        await origin.close()
    return done


def _names(playlist: bytes) -> list[str]:
    return [line for line in playlist.decode().splitlines() if not line.startswith("#")]


@cache
def _published_digest(rung: str, number: int) -> bytes:
    return sha256(numbered_segment(rung, number)).digest()


# Readers that stop reading

ORIGIN = """
import asyncio, sys
import pipeline.origin
from pipeline.hls.store import Store
from pipeline.http_connections import raise_descriptor_limit
from recordings import RUNGS, publish

async def main(deadline_s):
    raise_descriptor_limit()
    pipeline.origin.SEND_DEADLINE_S = deadline_s
    store = Store()
    publish(store.stream("live", RUNGS), range(3), lambda rung, number: bytes(4_000_000))
    origin = pipeline.origin.Origin(store, port=0)
    await origin.start()
    print(origin.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await origin.close()

asyncio.run(main(float(sys.argv[1])))
"""
MAX_BYTES_EACH = 160 * 1024
"""What a viewer that does not read may cost: 65 KiB of a segment, 16 KiB before it, its request and its connection."""


@contextmanager
def origin_process(deadline_s: float) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run an origin with segments of 4 MB in a process of its own; yield it and its port."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(ROOT)])}
    command = [sys.executable, "-c", ORIGIN, str(deadline_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(20)


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.fail(
            f"1,000 connections need a hard limit of 2048 file descriptors, here it is {hard}: raise ulimit -Hn"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _stalled_viewer(port: int) -> socket.socket:
    """Ask for a segment, read its first bytes, and then no more."""
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.settimeout(20)
    viewer.connect(("127.0.0.1", port))
    viewer.sendall(b"GET /live/180p30/1.ts HTTP/1.1\r\nHost: origin\r\n\r\n")
    assert viewer.recv(12) == b"HTTP/1.1 200"
    return viewer


@pytest.mark.parametrize("viewers", [200, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_viewers_that_stop_reading_cost_little_and_delay_nobody_until_their_deadline_ends_them(
    viewers, many_descriptors
):
    """P17."""
    deadline_s = 3.0 + viewers / 100
    with origin_process(deadline_s) as (process, port), ExitStack() as sockets:
        sockets.enter_context(contextlib.closing(_stalled_viewer(port)))  # what is set up once is not counted
        before_bytes, before_descriptors = _rss_bytes(process.pid), _descriptors(process.pid)
        stalled = [sockets.enter_context(contextlib.closing(_stalled_viewer(port))) for _ in range(viewers)]
        assert _descriptors(process.pid) == before_descriptors + viewers
        waits_s = []
        for path in ("/live/index.m3u8", "/live/90p15/index.m3u8", "/live/90p15/2.ts") * 3:
            started_s = time.monotonic()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                answer.read()
            waits_s.append(time.monotonic() - started_s)
        grown_bytes = _rss_bytes(process.pid) - before_bytes
        assert grown_bytes < viewers * MAX_BYTES_EACH, f"{grown_bytes / viewers:.0f} bytes for each"
        assert sorted(waits_s)[len(waits_s) // 2] < 1.0, waits_s
        wait_until(lambda: _descriptors(process.pid) <= before_descriptors, timeout_s=60)
        for viewer in stalled:
            assert _bytes_left(viewer) < 4_000_000
        assert process.poll() is None
        process.stdin.close()
        assert process.stderr.read() == ""


def _bytes_left(viewer: socket.socket) -> int:
    """Return what is still to be read before the connection's end."""
    received = 0
    with contextlib.suppress(ConnectionResetError):
        while piece := viewer.recv(65536):
            received += len(piece)
    return received


# More than there is room for


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open so many connections that say nothing."""
    readers: list[asyncio.StreamReader] = []
    with ExitStack() as writers:
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.callback(writer.close)
            readers.append(reader)
        yield readers


def test_connections_beyond_the_cap_are_told_so_and_those_within_it_go_on():
    async def run() -> None:
        store = Store()
        publish(store.stream("live", RUNGS), range(1))
        origin = Origin(store, port=0, max_connections=3)
        await origin.start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{origin.port}") as first:
            async with connected(origin.port, 2):
                assert await _status(first, "/live/index.m3u8") == 200
                async with connected(origin.port, 50) as refused:
                    for reader in refused:
                        assert (await reader.read()).startswith(
                            b"HTTP/1.1 503 Service Unavailable\r\nConnection: close"
                        )
                assert await _status(first, "/live/index.m3u8") == 200
            await until(lambda: origin.connections == 1)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{origin.port}") as second:
                assert await _status(second, "/live/index.m3u8") == 200
        await origin.close()

    asyncio.run(asyncio.wait_for(run(), 30))


LIMITED = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); {START}"


@contextmanager
def limited_server() -> Iterator[Server]:
    """Run `serve` with 64 file descriptors; it must end well, having complained once at most."""
    command = [sys.executable, "-c", LIMITED, *FREE_PORTS, "--encoder", "x264"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()
        said = process.communicate(timeout=20)[1].splitlines()
        assert process.returncode == 0
        assert said in ([], ["out of file descriptors: new connections wait; raise `ulimit -n`"])


def _ports(server: Server) -> tuple[int, int]:
    return tuple(int(url.split("/")[2].split(":")[1]) for url in (server.publish_url, server.playlist_url))


def test_a_server_with_64_file_descriptors_refuses_the_new_and_keeps_the_old():
    """P20: a flood of viewers and of idle publishers leaves room for what goes on."""

    async def flood() -> None:
        rtmp_port, http_port = _ports(server)
        publishing = await Publisher.open(port=rtmp_port, key=server.publish_url.rsplit("/", 1)[1])
        await send(publishing, clip(seconds=3.0).frames)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{http_port}") as viewer:
            await _until_status(viewer, "/live/index.m3u8", 200)
            async with connected(http_port, 100) as crowd:
                refused = [await reader.read() for reader in crowd[15:]]
                assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in refused)
                assert await _status(viewer, "/healthz") == 200, "there was room for all that matters"
                async with connected(rtmp_port, 100):
                    await send(publishing, clip(seconds=3.0).frames)
                    assert await _status(viewer, "/live/720p30/0.ts") == 200
        await publishing.close()

    with limited_server() as server:
        asyncio.run(asyncio.wait_for(flood(), 120))


def test_a_server_that_runs_out_of_file_descriptors_says_so_once_and_recovers():
    """Its limit is lowered to what it has open: nothing new can be accepted, and nothing may spin or end."""

    async def exhaust() -> None:
        rtmp_port, http_port = _ports(server)
        pid = server.process.pid
        async with aiohttp.ClientSession(f"http://127.0.0.1:{http_port}") as viewer:
            assert await _status(viewer, "/healthz") == 200
            highest = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, 64))
            async with connected(rtmp_port, 8), connected(http_port, 8):
                await _until_status(viewer, "/healthz", 503)
                async with viewer.get("/healthz") as answer:
                    assert "out of file descriptors" in (await answer.json())["alerts"]["descriptors"]
                spent_s = _cpu_s(pid)
                await asyncio.sleep(1.0)
                assert _cpu_s(pid) - spent_s < 0.5, "it spins"
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))
            await _publish_and_leave(rtmp_port, server.publish_url.rsplit("/", 1)[1])
            await _until_status(viewer, "/healthz", 200)

    with limited_server() as server:
        asyncio.run(asyncio.wait_for(exhaust(), 120))


async def _publish_and_leave(rtmp_port: int, key: str) -> None:
    """Try to publish until the server has noticed that there is room again."""
    async with asyncio.timeout(40):
        while True:
            with contextlib.suppress(ConnectionError, RtmpError):
                late = await Publisher.open(port=rtmp_port, key=key)
                await late.close()
                return
            await asyncio.sleep(0.2)


async def _status(viewer: aiohttp.ClientSession, path: str) -> int:
    async with viewer.get(path) as answer:
        await answer.read()
        return answer.status


async def _until_status(viewer: aiohttp.ClientSession, path: str, status: int) -> None:
    async with asyncio.timeout(40):
        while await _status(viewer, path) != status:
            await asyncio.sleep(0.05)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

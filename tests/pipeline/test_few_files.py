"""A process that may open only 64 files: fault P20, at the ingest."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
import subprocess
import sys
import time

import pytest
from clips import clip
from live_pipeline import FREE_PORTS, ROOT, START, Server, send

from pipeline.rtmp import Publisher, PublishRefused, RtmpError
from pipeline.rtmp.server import MAX_CONNECTIONS, connection_cap

FILES = 64
STRANGERS = 200


@contextlib.contextmanager
def serving_with_few_files():
    command = [sys.executable, "-c", START, *FREE_PORTS, "--encoder", "x264"]
    limited = ["bash", "-c", f"ulimit -n {FILES}; exec {shlex.join(command)}"]
    with subprocess.Popen(limited, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            if process.poll() is None:
                process.kill()


def test_connections_beyond_the_files_are_refused_and_a_broadcast_goes_on():
    frames = clip(seconds=5.0).frames

    async def scene(port: int, key: str) -> None:
        publisher = await Publisher.open(port=port, key=key)
        with contextlib.ExitStack() as strangers:
            for _ in range(STRANGERS):
                peer = strangers.enter_context(socket.socket())
                peer.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    peer.connect(("127.0.0.1", port))
            await send(publisher, frames)
        await publisher.close()
        await admitted_again(port, key)

    with serving_with_few_files() as server:
        host, _, key = server.publish_url.removeprefix("rtmp://").split("/")
        asyncio.run(asyncio.wait_for(scene(int(host.split(":")[1]), key), 60))
        server.wait_for_playlist()
        server.process.terminate()
        _, said = server.process.communicate(timeout=20)
        assert server.process.returncode == 0
        assert len(said) < 20_000, "running out of files is not told for every stranger"


async def admitted_again(port: int, key: str) -> None:
    """Publish once more, as soon as the server has got rid of the strangers."""
    until_s = time.monotonic() + 10
    while True:
        try:
            publisher = await Publisher.open(port=port, key=key, timeout_s=2)
        except (RtmpError, PublishRefused, OSError, TimeoutError):
            assert time.monotonic() < until_s
            await asyncio.sleep(0.1)
        else:
            await publisher.close()
            return


@pytest.mark.parametrize(("soft", "cap"), [(64, 12), (1024, MAX_CONNECTIONS), (-1, MAX_CONNECTIONS), (40, 1)])
def test_the_cap_follows_the_files_that_may_be_opened(monkeypatch, soft, cap):
    monkeypatch.setattr("resource.getrlimit", lambda which: (soft, soft))
    assert connection_cap() == cap

"""The nvenc backend under the live pipeline: a GPU that fails one broadcast does not fail the others (P8)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time

import pytest
from clips import clip, ladder
from gpu_stand_ins import Gpu, stand_in_gpu
from live_pipeline import send, until

from pipeline.ladders import LADDER_BACKENDS
from pipeline.rtmp import Publisher, StreamKeys
from pipeline.rtmp.errors import PublishRefused, RtmpError
from pipeline.serve import LivePipeline

STREAMS = ("first", "second")
RUNGS = ladder((320, 192, 30), (160, 96, 15))
NO_SESSION = ["OpenEncodeSessionEx failed: out of memory (10): (no details)\n", "No capable devices found\n"]
CUDA_LOST = ["cuvidMapVideoFrame() failed", " -> CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure", "\n"]
FAULTS = {"CUDA lost": ("encode", 20, CUDA_LOST), "no session": ("open", 0, NO_SESSION)}


@pytest.fixture
def gpu(monkeypatch) -> Gpu:
    return stand_in_gpu(monkeypatch)


class FailsOnce:
    """Fails one call of one stream's encoders, at their n-th, and never again."""

    def __init__(self, stream: str, call: str, after: int, lines: list[str]) -> None:
        self.stream, self.call, self.left, self.lines = stream, call, after, lines
        self.failed = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, name: str, call: str, before: int) -> list[str] | None:
        ours = threading.current_thread().name.startswith(f"{self.stream}/") and name == "h264_nvenc"
        if not ours or call != self.call or self.failed.is_set():
            return None
        with self.lock:
            self.left -= 1
            if self.left >= 0 or self.failed.is_set():
                return None
            self.failed.set()
        return self.lines


async def publish_until_ended(port: int, key: str, frames) -> str:
    """Publish; return why the server ended it, or nothing if it took everything."""
    publisher = await Publisher.open(port=port, key=key)
    try:
        await send(publisher, frames)
        # What fails is noticed with the frame after.
        for _ in range(20):
            await asyncio.sleep(0.05)
            await send(publisher, frames[-1:])
    except (PublishRefused, RtmpError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await publisher.close()
    return ""


@pytest.mark.parametrize("faults", [1, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize(("call", "after", "lines"), FAULTS.values(), ids=FAULTS)
def test_a_failed_broadcast_is_ended_with_its_reason_and_may_come_back_others_lose_nothing(
    gpu, caplog, call, after, lines, faults
):
    source = clip(seconds=4.0)
    took_s: list[float] = []

    async def fail_and_come_back(pipeline: LivePipeline) -> None:
        gpu.fail = FailsOnce("first", call, after, lines)
        port = pipeline.rtmp.port
        assert "the stream could not be encoded" in await publish_until_ended(port, "first", source.frames)
        failed_s = time.monotonic()
        again = await Publisher.open(port=port, key="first")
        await send(again, source.frames)
        rung = pipeline.store.find("first").rungs["192p30"]
        before = len(took_s)
        await until(lambda: rung.window.kept and rung.window.kept[-1].sequence >= 2 * before)
        took_s.append(time.monotonic() - failed_s)
        await again.close()
        await until(lambda: rung.window.ended)

    async def run() -> None:
        keys = StreamKeys({name: hashlib.sha256(name.encode()).digest() for name in STREAMS})
        async with LivePipeline(ladder=RUNGS, keys=keys, backend=LADDER_BACKENDS["nvenc"]()) as pipeline:
            frames = clip(seconds=4.0 * faults).frames
            other = asyncio.create_task(publish_until_ended(pipeline.rtmp.port, "second", frames))
            for _ in range(faults):
                await fail_and_come_back(pipeline)
            assert await other == ""
            undisturbed = pipeline.store.find("second").rungs["96p15"]
            await until(lambda: undisturbed.window.ended)
            kept = undisturbed.window.kept
            assert not any(segment.discontinuity for segment in kept)
            assert kept[-1].sequence == 2 * faults - 1

    with caplog.at_level(logging.ERROR):
        asyncio.run(asyncio.wait_for(run(), 60 * faults))
    # A group of pictures is 2 s here, sent ten times quicker than life.
    assert max(took_s) < 2 + 3
    records = [record for record in caplog.records if record.name == "pipeline.broadcast"]
    assert len(records) == len(took_s) == faults
    for record in records:
        assert record.message.startswith("first: the stream could not be encoded: ")
        assert "CUDA_ERROR_LAUNCH_FAILED" in record.message or "no further NVENC session" in record.message
        assert record.exc_info is None, "the text says all; a traceback is for bugs"

"""A worker's death as viewers see it: one discontinuity, numbers that go on, segments that all decode."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from clips import clip, ladder
from live_pipeline import KEY_NAME, publisher, send, serving, until, watch

from pipeline.hls.playlist import media_playlist
from pipeline.marks import RecordingMarks
from pipeline.rtmp import Publisher, StreamKeys
from pipeline.serve import LivePipeline
from pipeline.workers.backend import WorkerBackend
from pipeline.workers.restarts import RestartPolicy

TIMEOUT_S = 60.0
RUNGS = ladder((320, 180, 30), (160, 90, 15), segment_s=2.0)
TICKS_OF_A_FRAME = 3000
ROUNDING = 91
"""FLV rounds each time to a millisecond."""


def decoded_frames(data: bytes) -> int:
    """Return how many frames ffmpeg decodes of a segment; any complaint fails."""
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", "-", "-map", "0:v", "-f", "framemd5", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return sum(not line.startswith(b"#") for line in done.stdout.splitlines())


class Segments:
    """Every segment of one rung, collected as they are published."""

    def __init__(self) -> None:
        self.by_sequence: dict[int, object] = {}

    def collect(self, rung) -> None:
        self.by_sequence.update({segment.sequence: segment for segment in rung.window.kept})


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_viewers_get_one_discontinuity_per_death_and_the_hole_is_measured(kills):
    marks = RecordingMarks()
    backend = WorkerBackend("x264", restarts=RestartPolicy(healthy_s=0.5))
    once = clip(seconds=5.0, gop=30, audio=True)
    kept = {rung.name: Segments() for rung in RUNGS.rungs}

    async def run() -> LivePipeline:
        keys, key = StreamKeys.generate(KEY_NAME)
        async with LivePipeline(ladder=RUNGS, keys=keys, backend=backend, marks=marks) as pipeline:
            publishing = await Publisher.open(port=pipeline.rtmp.port, key=key)
            collecting = asyncio.create_task(collect(pipeline))
            for turn in range(2 * kills + 2):
                await send(publishing, later(once, 5000 * turn))
                if turn % 2 == 1 and turn < 2 * kills + 1:
                    await until(lambda: backend.pids, TIMEOUT_S)
                    os.kill(backend.pids[1], signal.SIGKILL)
                elif turn % 2 == 0 and turn > 0:
                    await until(lambda turn=turn: len(marks.restarts) >= turn // 2 or turn > 2 * kills, TIMEOUT_S)
            await publishing.close()
            await until(lambda: pipeline.store.find(KEY_NAME).rungs["90p15"].window.ended, TIMEOUT_S)
            collecting.cancel()
            return pipeline

    async def collect(pipeline: LivePipeline) -> None:
        while True:
            stream = pipeline.store.find(KEY_NAME)
            for name, rung in stream.rungs.items() if stream else ():
                kept[name].collect(rung)
            await asyncio.sleep(0.005)

    pipeline = asyncio.run(asyncio.wait_for(run(), 120 * kills))
    rungs = pipeline.store.find(KEY_NAME).rungs
    breaks = []
    for name, segments in kept.items():
        segments.collect(rungs[name])
        found = segments.by_sequence
        assert sorted(found) == list(range(len(found))), "numbers continue"
        breaks.append([number for number in sorted(found) if found[number].discontinuity])
        assert len(breaks[-1]) == kills
        text = media_playlist(rungs[name].window)
        assert text.count("#EXT-X-DISCONTINUITY\n") + rungs[name].window.discontinuity_sequence == kills
        fps = {rung.name: rung.fps for rung in RUNGS.rungs}[name]
        for segment in found.values():
            assert decoded_frames(segment.data) == pytest.approx(segment.duration_s * fps, abs=1.1)
    assert breaks[0] == breaks[1], "the same segments in every rung"
    assert len(marks.restarts) == kills
    lost_s = 5.0 * (2 * kills + 2) - sum(segment.duration_s for segment in kept["180p30"].by_sequence.values())
    assert sum(mark.gap_segments for mark in marks.restarts) * RUNGS.segment_s == pytest.approx(lost_s, abs=0.2 * kills)


def later(once, offset_ms: int):
    for frame in once.frames:
        if hasattr(frame, "dts_ms"):
            yield dataclasses.replace(frame, pts_ms=frame.pts_ms + offset_ms, dts_ms=frame.dts_ms + offset_ms)
        else:
            yield dataclasses.replace(frame, pts_ms=frame.pts_ms + offset_ms)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


@pytest.mark.requires_ffmpeg
def test_serve_encodes_in_a_worker_and_says_what_its_death_cost():
    with serving() as server, publisher(server.publish_url, 11) as ffmpeg:
        server.wait_for_playlist()
        (worker,) = children(server.process.pid)
        os.kill(worker, signal.SIGKILL)
        seen = watch(server.playlist_url, timeout_s=60)
        assert ffmpeg.wait(10) == 0
        server.process.terminate()
        stopped_s = time.monotonic()
        _, err = server.process.communicate(timeout=10)
        assert time.monotonic() - stopped_s < 5
        assert server.process.returncode == 0
    assert len(seen["video"]) == 2
    holes = []
    for packets in seen["video"]:
        steps = [int(b["pts"]) - int(a["pts"]) for a, b in pairwise(packets)]
        holes.append([step / 90_000 for step in steps if abs(step - TICKS_OF_A_FRAME) > ROUNDING])
    assert [len(found) for found in holes] == [1, 1]
    said = re.search(
        r"^live: worker 1 died \(signal 9, SIGKILL\), restarted in ([\d.]+) s: gap ([\d.]+) s, ([\d.]+) segments$",
        err,
        re.MULTILINE,
    )
    assert said is not None, err
    assert any(abs(float(said[2]) - found[0]) < 0.01 for found in holes)
    assert abs(float(said[3]) - float(said[2]) / 2.0) < 0.01


def test_serve_can_encode_in_its_own_process():
    with serving("--streams-per-worker", "0") as server:
        assert server.said[0] == "encoder x264, as asked"
        server.process.terminate()
        _, err = server.process.communicate(timeout=10)
        assert (err, server.process.returncode) == ("", 0)


@pytest.mark.requires_ffmpeg
def test_a_signal_flushes_the_workers_and_leaves_none_behind(serve_arguments):
    with serving(*serve_arguments) as server, publisher(server.publish_url, 60) as ffmpeg:
        server.wait_for_playlist()
        workers = children(server.process.pid)
        assert len(workers) == 1
        os.kill(workers[0], signal.SIGINT)
        os.kill(workers[0], signal.SIGTERM)
        before = server.fetch("180p30/index.m3u8")
        server.process.send_signal(signal.SIGTERM)
        stopped_s, last = time.monotonic(), before
        while server.process.poll() is None:
            try:
                last = server.fetch("180p30/index.m3u8")
            except OSError:
                break
            time.sleep(0.05)
        assert server.process.wait(5) == 0
        assert time.monotonic() - stopped_s < 5
        assert last.endswith("#EXT-X-ENDLIST\n")
        assert last.count("#EXTINF") > before.count("#EXTINF")
        assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
        ffmpeg.kill()

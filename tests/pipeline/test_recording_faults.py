"""Disks that fill up, fail or vanish, and servers that are killed: the recording says so, loses little, goes on."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from live_pipeline import publisher, serving
from recordings import (
    RUNGS,
    SEGMENT_BYTES,
    assert_whole,
    listing,
    marked_bytes,
    publish,
    recorded_store,
    recordings,
    wait_until,
)

from pipeline.health import Health
from pipeline.origin import Origin
from pipeline.recording import Limits, Recorder
from scenarios.errors import NotReady

ROW_GIB = 2 * SEGMENT_BYTES / 2**30
PAGE = 4096


class SmallDisk:
    """A tmpfs of 2 MiB, filled up with a file of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fill(self, leaving_bytes: int) -> None:
        with (self.root / "filler").open("wb", buffering=0) as file:
            with pytest.raises(OSError, match="No space left"):  # noqa: PT012
                while True:
                    file.write(bytes(PAGE))
            file.truncate(file.tell() - leaving_bytes // PAGE * PAGE)

    def free(self) -> None:
        (self.root / "filler").unlink()


class FailingDisk:
    """Writes that fail with a given error, for as long as asked."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self._error, self._only = root, 0, ""
        self._fsync = os.fsync
        monkeypatch.setattr("os.fsync", self._sync)

    def fail(self, error: int, *, only: str = "") -> None:
        self._error, self._only = error, only

    def fill(self, leaving_bytes: int) -> None:
        self.fail(errno.ENOSPC)

    def free(self) -> None:
        self.fail(0)

    def _sync(self, descriptor: int) -> None:
        if self._error and self._only in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(self._error, os.strerror(self._error))
        self._fsync(descriptor)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk | FailingDisk]:
    """A disk that can be filled: a real one where mounting is allowed, else one whose writes fail alike."""
    root = tmp_path / "disk"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(root)], capture_output=True)
    if mounted.returncode != 0:
        yield FailingDisk(root, monkeypatch)
        return
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


@pytest.mark.parametrize("cycles", [1, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_full_disk_is_told_and_the_recording_resumes_with_the_next_segment(small_disk, cycles):
    """P9: no partial segment is ever listed, live viewers notice nothing, every lost segment is counted."""

    async def run() -> None:
        recorder = Recorder(small_disk.root, limits=Limits(gib=10 * ROW_GIB))
        recorder.start(RUNGS)
        health = Health()
        health.register("recording", check=recorder.alert, facts=recorder.facts)
        store = recorded_store(recorder)
        stream = store.stream("live", RUNGS)
        origin = Origin(store, port=0, health=health)
        await origin.start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{origin.port}") as client:
            publish(stream, range(3))
            await asyncio.to_thread(wait_until, lambda: _listed(small_disk.root)[-1:] == ["2.ts"])
            for cycle in range(cycles):
                await _fill_and_free(client, small_disk, recorder, stream, 3 + 8 * cycle)
        stream.end()
        assert await asyncio.to_thread(recorder.close, 10)
        await origin.close()
        assert recorder.lost_segments == 10 * cycles
        read = assert_whole(recordings(small_disk.root)[0])["90p15"]
        assert read.ended
        assert not list(small_disk.root.rglob("*.tmp"))

    asyncio.run(run())


async def _fill_and_free(client, disk, recorder: Recorder, stream, first: int) -> None:
    """Publish five rows on a full disk, of which the first may be begun, and three after it was freed."""
    lost_before = recorder.lost_segments
    disk.fill(leaving_bytes=3 * PAGE)
    for number in range(first, first + 5):
        publish(stream, [number])
        await asyncio.to_thread(
            wait_until, lambda n=number: recorder.lost_segments == lost_before + 2 * (n - first + 1)
        )
        async with client.get(f"/live/180p30/{number}.ts") as answer:
            assert await answer.read() == marked_bytes("180p30", number), "live HLS goes on"
        async with client.get("/healthz") as answer:
            told = await answer.json()
        assert (answer.status, told["status"], told["recording"]["state"]) == (503, "alert", "disk full")
        assert told["recording"]["lost_segments"] == recorder.lost_segments
        assert told["alerts"]["recording"].startswith("recording: disk full; ")
        assert f"{first}.ts" not in _listed(disk.root)
        assert_whole(recordings(disk.root)[0])
    disk.free()
    for number in range(first + 5, first + 8):
        publish(stream, [number])
        await asyncio.to_thread(wait_until, lambda n=number: _listed(disk.root)[-1] == f"{n}.ts")
    assert f"{first + 5}.ts" in listing(recordings(disk.root)[0] / "90p15" / "index.m3u8").breaks
    await asyncio.to_thread(wait_until, lambda: recorder.alert() is None)
    async with client.get("/healthz") as answer:
        assert (answer.status, (await answer.json())["recording"]["state"]) == (200, "recording")


def _listed(root: Path) -> list[str]:
    playlists = sorted(root.glob("live-*/90p15/index.m3u8"))
    return listing(playlists[-1]).names if playlists else []


@pytest.fixture
def failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FailingDisk:
    return FailingDisk(tmp_path, monkeypatch)


@pytest.fixture
def recorded(failing_disk):
    """A recorder, and a stream that it keeps on a disk that can fail."""
    recorder = Recorder(failing_disk.root)
    recorder.start(RUNGS)
    yield recorder, recorded_store(recorder).stream("live", RUNGS)
    failing_disk.free()
    assert recorder.close(10)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (errno.EACCES, "permission denied"),
        (errno.EIO, "disk error"),
        (errno.EROFS, "read-only disk"),
        (errno.EMFILE, "out of file descriptors"),
        (errno.ENODEV, "No such device"),
    ],
)
def test_any_failed_write_is_named_counted_and_tried_again(failing_disk, recorded, caplog, error, state):
    recorder, stream = recorded
    failing_disk.fail(error)
    for number in range(3):
        publish(stream, [number])
    wait_until(lambda: recorder.lost_segments == 6)
    assert recorder.state == state
    assert len([record for record in caplog.records if state in record.message]) == 1, "once a minute, not every time"
    failing_disk.free()
    publish(stream, range(3, 6))
    wait_until(lambda: _listed(failing_disk.root) == ["3.ts", "4.ts", "5.ts"])
    wait_until(lambda: recorder.state == "recording")
    assert_whole(recordings(failing_disk.root)[0])


def test_segments_whose_playlist_could_not_be_written_are_listed_later_not_lost(failing_disk, recorded):
    recorder, stream = recorded
    publish(stream, range(2))
    wait_until(lambda: _listed(failing_disk.root) == ["0.ts", "1.ts"])
    failing_disk.fail(errno.EIO, only="index.m3u8")
    publish(stream, range(2, 4))
    wait_until(lambda: recorder.state == "disk error")
    assert_whole(recordings(failing_disk.root)[0])
    stream.end()
    failing_disk.free()
    wait_until(lambda: recorder.state == "idle")
    read = assert_whole(recordings(failing_disk.root)[0])["90p15"]
    assert (read.names, read.breaks, read.ended) == ([f"{n}.ts" for n in range(4)], [], True)
    assert recorder.lost_segments == 0


def test_a_recording_that_was_removed_under_the_server_is_followed_by_another(failing_disk, recorded):
    recorder, stream = recorded
    publish(stream, range(2))
    wait_until(lambda: recorder.facts()["size_bytes"] == 4 * SEGMENT_BYTES)
    shutil.rmtree(recordings(failing_disk.root)[0])
    publish(stream, [2])
    wait_until(lambda: recorder.lost_segments >= 1)
    publish(stream, range(3, 6))
    wait_until(lambda: _listed(failing_disk.root)[-2:] == ["4.ts", "5.ts"])
    assert recorder.lost_segments + 2 * len(_listed(failing_disk.root)) == 2 * 4
    assert_whole(recordings(failing_disk.root)[0])


def test_a_recording_that_was_removed_in_part_ends_all_the_same(failing_disk, recorded):
    recorder, stream = recorded
    publish(stream, range(2))
    wait_until(lambda: recorder.facts()["size_bytes"] == 4 * SEGMENT_BYTES)
    shutil.rmtree(recordings(failing_disk.root)[0] / "90p15")
    stream.end()
    wait_until(lambda: recorder.state == "idle")


def test_a_folder_that_vanished_is_not_made_again_but_used_when_it_is_back(failing_disk, recorded):
    """It may be a disk that was unplugged: what is written in its place would fill the one beneath."""
    recorder, stream = recorded
    publish(stream, range(2))
    wait_until(lambda: recorder.facts()["size_bytes"] == 4 * SEGMENT_BYTES)
    shutil.rmtree(failing_disk.root)
    publish(stream, range(2, 5))
    wait_until(lambda: recorder.lost_segments == 6)
    assert recorder.state == "folder removed"
    assert not failing_disk.root.exists()
    failing_disk.root.mkdir()
    publish(stream, range(5, 7))
    wait_until(lambda: _listed(failing_disk.root) == ["5.ts", "6.ts"])


def test_a_folder_that_cannot_be_repaired_is_refused_with_its_reason(failing_disk):
    (failing_disk.root / "live-20270115T080000Z" / "90p15").mkdir(parents=True)
    (failing_disk.root / "live-20270115T080000Z" / "90p15" / "index.m3u8").write_text("#EXTM3U\n", encoding="utf-8")
    failing_disk.fail(errno.ENOSPC)
    with pytest.raises(NotReady, match=r"cannot be repaired \(No space left on device\); free some space"):
        Recorder(failing_disk.root).start(RUNGS)


# Killed servers

CHILD = """
import itertools, sys, time
from pathlib import Path
from recordings import RUNGS, publish, recorded_store
from pipeline.recording import Limits, Recorder
root = Path(sys.argv[1])
recorder = Recorder(root, limits=Limits(gib=20 * 40_000 / 2**30))
recorder.start(RUNGS)
store = recorded_store(recorder)
print("started", flush=True)
for number in itertools.count():
    publish(store.stream("live", RUNGS), [number])
    time.sleep(0.004)
    if number % 30 == 29:
        store.stream("live", RUNGS).end()
"""


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_killed_recorder_leaves_nothing_that_the_next_start_does_not_put_right(tmp_path, kills):
    """P11, as often and as quickly as possible: killed anywhere, between any two steps of writing or removing."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])}
    moments = np.random.default_rng(11)
    for _ in range(kills):
        command = [sys.executable, "-c", CHILD, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"started\n"
            time.sleep(moments.uniform(0.02, 0.6))
            child.send_signal(signal.SIGKILL)
        _assert_nothing_missing(tmp_path)
        with_repair = Recorder(tmp_path)
        with_repair.start(RUNGS)
        assert with_repair.close(10)
        assert not list(tmp_path.rglob("*.tmp"))
        for folder in recordings(tmp_path):
            found = {rung.name: listing(rung / "index.m3u8") for rung in folder.iterdir() if rung.is_dir()}
            assert all(read.ended for read in found.values())
            for name, read in found.items():
                assert sorted(read.names) == sorted(path.name for path in (folder / name).glob("*.ts"))
    assert recordings(tmp_path), "something was recorded"


def _assert_nothing_missing(root: Path) -> None:
    """Whatever a playlist lists is there, whole, before anything was repaired."""
    for playlist in root.glob("live-*Z/*/index.m3u8"):
        rung = playlist.parent
        for name in listing(playlist).names:
            assert (rung / name).read_bytes() == marked_bytes(rung.name, int(name.removesuffix(".ts")))


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_server_killed_while_it_records_leaves_a_playable_recording_after_the_next_start(tmp_path, kills):
    """P11 with real video: what was listed at the kill is still there, ended, and decodes to the last frame."""
    for kill in range(kills):
        with serving("--record", str(tmp_path)) as server, publisher(server.publish_url, 60) as ffmpeg:
            server.wait_for_playlist()
            time.sleep(0.5 + 0.13 * kill)
            listed = {rung: _names_of(recordings(tmp_path)[-1], rung) for rung in ("720p30", "480p30")}
            server.process.send_signal(signal.SIGKILL)
            ffmpeg.kill()
        with serving("--record", str(tmp_path)) as server:
            server.process.terminate()
            assert server.process.wait(10) == 0
        assert len(recordings(tmp_path)) == kill + 1
        for rung, names in listed.items():
            playlist = recordings(tmp_path)[-1] / rung / "index.m3u8"
            read = listing(playlist)
            assert read.ended
            assert read.names[: len(names)] == names
            assert _decoded_frames(playlist) == 60 * len(read.names)
        assert not list(tmp_path.rglob("*.tmp"))


def _names_of(folder: Path, rung: str) -> list[str]:
    return listing(folder / rung / "index.m3u8").names


def _decoded_frames(playlist: Path) -> int:
    command = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-of", "csv=p=0"]
    command += ["-show_entries", "stream=nb_read_frames", str(playlist)]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert answer.stderr == b""
    return int(answer.stdout.split()[-1])


@pytest.mark.requires_ffmpeg
def test_a_signal_ends_the_recording_properly_and_soon(tmp_path):
    """P19: what was being encoded is recorded too, and the server is gone within 5 s."""
    with serving("--record", str(tmp_path)) as server, publisher(server.publish_url, 60) as ffmpeg:
        server.wait_for_playlist()
        server.process.terminate()
        assert server.process.wait(5) == 0
        ffmpeg.kill()
    read = {rung: listing(recordings(tmp_path)[0] / rung / "index.m3u8") for rung in ("720p30", "480p30")}
    assert all(playlist.ended for playlist in read.values())
    assert read["720p30"].names == read["480p30"].names

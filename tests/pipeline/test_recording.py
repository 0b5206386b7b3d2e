"""Recording to disk from a store: what lies there, at any moment and after the end, and what is removed."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from clips import ladder
from recordings import (
    RUNGS,
    SEGMENT_BYTES,
    assert_whole,
    listing,
    marked_bytes,
    publish,
    real_segment,
    recorded_store,
    recordings,
    wait_until,
)

from pipeline.recording import Limits, Recorder
from pipeline.recording.intake import Intake
from scenarios.errors import NotReady

ROW_GIB = 2 * SEGMENT_BYTES / 2**30


@contextmanager
def recording(root: Path, **options):
    recorder = Recorder(root, **options)
    recorder.start(RUNGS)
    try:
        yield recorder, recorded_store(recorder).stream("live", RUNGS)
    finally:
        assert recorder.close(10)


def written(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.ts*") if path.is_file())


def test_every_segment_of_every_rung_is_kept_and_ends_as_vod(tmp_path):
    with recording(tmp_path) as (recorder, stream):
        publish(stream, range(40))
        stream.end()
    (folder,) = recordings(tmp_path)
    assert folder.name == "live-20270115T080000Z", "the stream's name and its start"
    found = assert_whole(folder)
    assert set(found) == {"180p30", "90p15"}
    for read in found.values():
        assert read.names == [f"{number}.ts" for number in range(40)]
        assert read.breaks == []
        assert read.ended
        assert read.value("EXT-X-PLAYLIST-TYPE") == "VOD"
    assert recorder.lost_segments == 0
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.requires_ffmpeg
def test_the_recording_is_playable_at_any_moment(tmp_path):
    """ffprobe reads the multivariant playlist of a recording that goes on, and again after its end."""
    root = tmp_path / "recordings"
    with recording(root) as (_, stream):
        for number in range(4):
            publish(stream, [number], real_segment)
            wait_until(lambda number=number: len(_names(root)) == number + 1)
            (folder,) = recordings(root)
            wait_until((folder / "index.m3u8").exists)
            assert listing(folder / "180p30" / "index.m3u8").value("EXT-X-PLAYLIST-TYPE") == "EVENT"
            copy = _ended_copy(folder, tmp_path / f"at-{number}")
            assert _frames(copy) == {320: 60 * (number + 1), 160: 30 * (number + 1)}
        stream.end()
    assert _frames(folder / "index.m3u8") == {320: 240, 160: 120}


def _names(root: Path) -> list[str]:
    playlists = list(root.glob("live-*/90p15/index.m3u8"))
    return listing(playlists[0]).names if playlists else []


def _ended_copy(folder: Path, copy: Path) -> Path:
    """Copy the playlists as they are now, with an end, so that ffprobe does not wait for more."""
    for rung in RUNGS.rungs:
        (copy / rung.name).mkdir(parents=True)
        text = (folder / rung.name / "index.m3u8").read_text(encoding="utf-8").replace("EVENT", "VOD")
        absolute = [line if line.startswith("#") else str(folder / rung.name / line) for line in text.splitlines()]
        (copy / rung.name / "index.m3u8").write_text("\n".join([*absolute, "#EXT-X-ENDLIST\n"]), encoding="utf-8")
    (copy / "index.m3u8").write_bytes((folder / "index.m3u8").read_bytes())
    return copy / "index.m3u8"


def _frames(playlist: Path) -> dict[int, int]:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=width,nb_read_frames", "-of", "json"]
    answer = subprocess.run([*command, str(playlist)], capture_output=True, check=True, timeout=30)
    assert answer.stderr == b""
    return {stream["width"]: int(stream["nb_read_frames"]) for stream in json.loads(answer.stdout)["streams"]}


def test_a_publisher_that_comes_back_continues_the_recording_after_a_discontinuity(tmp_path):
    """Its rungs may have stopped a segment apart: the recording lists what there is, and goes on in step."""
    with recording(tmp_path) as (recorder, stream):
        publish(stream, range(3))
        stream.rungs["180p30"].append(
            marked_bytes("180p30", 3), duration_s=1.0, unix_s=1_800_000_006.0, codecs=("avc1.42c00d",)
        )
        stream.interrupt()
        publish(stream, range(10, 12), lambda rung, number: marked_bytes(rung, number))
        stream.end()
    (folder,) = recordings(tmp_path)
    high, low = (listing(folder / rung / "index.m3u8") for rung in ("180p30", "90p15"))
    assert (high.names, high.breaks) == ([f"{n}.ts" for n in range(6)], ["4.ts"])
    assert (low.names, low.breaks) == ([f"{n}.ts" for n in range(5)], ["3.ts"])
    assert recorder.lost_segments == 0


def test_a_stream_that_is_published_again_after_its_end_is_another_recording(tmp_path):
    with recording(tmp_path) as (_, stream):
        publish(stream, range(2))
        stream.end()
        publish(stream, range(2, 4))
        stream.end()
    first, second = recordings(tmp_path)
    assert assert_whole(first)["90p15"].names == ["0.ts", "1.ts"]
    again = assert_whole(second)["90p15"]
    assert (again.names, again.breaks) == (["2.ts", "3.ts"], [])


def test_a_slow_disk_makes_nobody_wait_and_its_losses_are_counted(tmp_path, monkeypatch):
    """The queue takes two rows while the disk hangs; the rest of ten is lost, and a discontinuity says so."""
    hanging = threading.Event()
    fsync = os.fsync
    monkeypatch.setattr("os.fsync", lambda descriptor: (hanging.wait(20), fsync(descriptor)))
    with recording(tmp_path, intake=Intake(max_segments=4)) as (recorder, stream):
        publish(stream, [0])
        wait_until(lambda: bool(written(tmp_path)))  # the first write hangs
        started_s = time.monotonic()
        publish(stream, range(1, 10))
        assert time.monotonic() - started_s < 5, "the packager waited for the disk"
        assert recorder.lost_segments >= 14
        assert recorder.state == "disk too slow"
        assert "14 segments lost" in recorder.alert() or "15 segments lost" in recorder.alert()
        assert len(stream.rungs["90p15"].window.kept) == 10, "the live window goes on"
        hanging.set()
        wait_until(lambda: len(_names(tmp_path)) >= 2)
        for number in range(10, 13):
            publish(stream, [number])
            wait_until(lambda number=number: _names(tmp_path)[-1] == f"{number}.ts")
        stream.end()
    (folder,) = recordings(tmp_path)
    read = assert_whole(folder)["90p15"]
    assert read.names[-3:] == ["10.ts", "11.ts", "12.ts"]
    assert read.breaks == ["10.ts"]
    assert recorder.lost_segments == 2 * (13 - len(read.names)), "every segment is either listed or counted"


def test_bytes_that_wait_are_bounded_too(tmp_path, monkeypatch):
    intake = Intake(max_bytes=3 * SEGMENT_BYTES)
    stream = recorded_store(Recorder(tmp_path, intake=intake)).stream("live", RUNGS)
    publish(stream, range(5))
    assert intake.refused == 7


def test_the_oldest_recordings_go_first_when_space_is_short(tmp_path):
    with recording(tmp_path, limits=Limits(gib=7.5 * ROW_GIB)) as (_, stream):
        for start in (0, 3, 6, 9):
            publish(stream, range(start, start + 3))
            stream.end()
    left = recordings(tmp_path)
    assert [assert_whole(folder)["90p15"].names[0] for folder in left] == ["6.ts", "9.ts"]
    assert sum(path.stat().st_size for path in written(tmp_path)) <= 7.5 * ROW_GIB * 2**30


def test_a_recording_that_alone_exceeds_the_limit_loses_its_oldest_segments(tmp_path):
    """The playlist is cut first: at every moment each listed file is there."""
    with recording(tmp_path, limits=Limits(gib=5.5 * ROW_GIB)) as (recorder, stream):
        for number in range(20):
            publish(stream, [number])
            wait_until(lambda number=number: f"{number}.ts" in _names(tmp_path))
            assert_whole(recordings(tmp_path)[0])
        live = listing(recordings(tmp_path)[0] / "90p15" / "index.m3u8")
        assert "PLAYLIST-TYPE" not in live.text, "EVENT would promise that nothing is taken away"
        stream.end()
    read = assert_whole(recordings(tmp_path)[0])["90p15"]
    assert read.names == [f"{number}.ts" for number in range(15, 20)]
    assert read.value("EXT-X-MEDIA-SEQUENCE") == "15"
    assert read.value("EXT-X-PLAYLIST-TYPE") == "VOD"
    assert len(written(tmp_path)) == 2 * 5, "what is not listed is gone"
    assert recorder.lost_segments == 0, "what the limit takes is not lost"


def test_finished_recordings_go_when_they_are_too_old(tmp_path):
    with recording(tmp_path) as (_, stream):
        publish(stream, range(2))
        stream.end()
    (old,) = recordings(tmp_path)
    for playlist in old.rglob("index.m3u8"):
        os.utime(playlist, (time.time() - 7300, time.time() - 7300))
    with recording(tmp_path, limits=Limits(hours=2.1)):
        pass
    assert recordings(tmp_path) == [old]
    with recording(tmp_path, limits=Limits(hours=2.0)):
        wait_until(lambda: recordings(tmp_path) == [])


def test_nothing_that_was_not_made_here_is_touched(tmp_path):
    theirs = [
        tmp_path / "holiday.ts",
        tmp_path / "notes.tmp",
        tmp_path / "old" / "index.m3u8",
        tmp_path / "live-20270115T080000Z.tmp.txt",
    ]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link-20270115T080000Z").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with recording(tmp_path, limits=Limits(hours=0.0, gib=0.0)) as (_, stream):
        publish(stream, range(3))
        stream.end()
    assert all(path.read_text(encoding="utf-8") == "theirs" for path in theirs)
    assert (tmp_path / "link-20270115T080000Z").is_symlink()


def test_a_folder_that_cannot_be_used_is_refused_with_its_reason(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for root in (file, file / "below"):
        with pytest.raises(NotReady, match="is not a folder; choose another --record"):
            Recorder(root).start(RUNGS)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")])
def test_a_folder_that_may_not_be_written_is_refused_with_its_reason(tmp_path, monkeypatch, error):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(NotReady, match=rf"cannot be recorded to \({error.strerror}\)"):
        Recorder(tmp_path).start(RUNGS)


def test_two_recorders_never_share_a_folder(tmp_path):
    with recording(tmp_path), pytest.raises(NotReady, match=f"recorded to by process {os.getpid()}; stop it"):
        Recorder(tmp_path).start(RUNGS)
    with recording(tmp_path):
        pass  # the lock is free again


@pytest.mark.parametrize("name", ["index.m3u8", "index.m3u8.tmp", "INDEX.m3u8"])
def test_a_rung_named_like_the_playlist_is_refused(tmp_path, name):
    rungs = ladder((320, 180, 30))
    strange = rungs.model_copy(update={"rungs": (rungs.rungs[0].model_copy(update={"name": name}),)})
    with pytest.raises(NotReady, match="name it otherwise"):
        Recorder(tmp_path).start(strange)


def test_no_path_is_built_from_a_name_that_could_leave_the_folder(tmp_path):
    recorder = Recorder(tmp_path / "root")
    recorder.start(RUNGS)
    stream = recorded_store(recorder).stream("../out", RUNGS)
    publish(stream, [0])
    wait_until(lambda: recorder.state == "stopped by a bug")
    assert recorder.close(10)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert not list((tmp_path / "root").glob("*/"))

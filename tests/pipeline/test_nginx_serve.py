"""`headroom serve --ingest nginx` from outside: ffmpeg publishes, ffprobe watches, signals end it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from live_pipeline import FREE_PORTS, ROOT, Server, publisher, watch
from nginx_ingest import written
from typer.testing import CliRunner

from pipeline import cli
from pipeline.nginx import process as nginx_process
from pipeline.nginx.process import NginxProcess
from scenarios.errors import NotReady

pytestmark = [pytest.mark.requires_nginx, pytest.mark.requires_ffmpeg]

TICKS_OF_A_FRAME, ROUNDING = 3000, 91
"""A frame at 30 a second in 90 kHz ticks, and what FLV's milliseconds make of it."""


@pytest.fixture
def temporary(monkeypatch) -> Iterator[Path]:
    """A folder for temporary files, of a name short enough for the sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="t-"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    """Run the command as a user does, with its own exit codes."""
    command = [
        sys.executable,
        "headroom.py",
        "serve",
        *FREE_PORTS,
        "--encoder",
        "x264",
        "--ingest",
        "nginx",
        *arguments,
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            server = Server(process)
            server.said.append(process.stderr.readline().rstrip())
            yield server
        finally:
            if process.poll() is None:
                process.kill()


def stat_page(server: Server) -> str:
    with urllib.request.urlopen(server.said[4].split()[1], timeout=5) as answer:
        return answer.read().decode()


def token(server: Server) -> str:
    return server.publish_url.split("token=")[1]


def nginx_folder(temporary: Path) -> Path:
    [folder] = temporary.glob("headroom-nginx-*")
    return folder


def nginx_master(temporary: Path) -> int:
    return int((nginx_folder(temporary) / "nginx.pid").read_text())


def is_running(pid: int) -> bool:
    """Return whether the process exists and is not just waiting to be reaped."""
    line = Path(f"/proc/{pid}/stat")
    return line.exists() and line.read_text().rpartition(")")[2].split()[0] != "Z"


def group_of(pid: int) -> list[int]:
    """Return the processes of nginx's group that are running."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == pid and is_running(int(folder.name)):
                found.append(int(folder.name))
        except ProcessLookupError:
            continue
    return found


def open_files(pid: int) -> list[Path]:
    """Return the regular files, by name, that the processes of nginx's group hold open."""
    links = [link for member in group_of(pid) for link in Path(f"/proc/{member}/fd").iterdir()]
    return [link.readlink() for link in links if link.exists() and stat.S_ISREG(link.stat().st_mode)]


def wait_for(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("seconds", [7, pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_a_stream_through_nginx_is_watched_whole_and_its_token_is_nowhere(seconds, temporary):
    with serving() as server:
        assert server.publish_url.endswith(f"/live/live?token={token(server)}")
        with publisher(server.publish_url, seconds) as ffmpeg:
            server.wait_for_playlist()
            assert "<name>live</name>" in stat_page(server)
            assert token(server) not in stat_page(server)
            seen = watch(server.playlist_url, timeout_s=seconds + 20)
            assert ffmpeg.wait(10) == 0
        assert len(seen["video"]) == len(seen["audio"]) == 2
        for packets in seen["video"]:
            times = [int(packet["pts"]) for packet in packets]
            assert len(times) >= 30 * min(seconds - 3, 12), "what was listed when the viewer came, and all after"
            assert all(abs(b - a - TICKS_OF_A_FRAME) <= ROUNDING for a, b in pairwise(times))
        keyframes = [[int(p["pts"]) for p in packets if p["flags"].startswith("K")] for packets in seen["video"]]
        assert keyframes[0] == keyframes[1]
        playlist = server.fetch("720p30/index.m3u8")
        assert playlist.endswith("#EXT-X-ENDLIST\n")
        listed_s = sum(float(line[8:-1]) for line in playlist.splitlines() if line.startswith("#EXTINF"))
        assert listed_s >= min(seconds, 12) - 0.1, "the first group of pictures is not lost"
        folder = nginx_folder(temporary)
        own_hls = sorted(path.suffix for path in (folder / "hls").iterdir())
        assert own_hls[0] == ".m3u8"
        assert 3 <= own_hls.count(".ts") <= 3 * 6 + 30, "nginx removes its old segments"
        assert token(server).encode() not in written(folder)
        elsewhere = [file for file in open_files(nginx_master(temporary)) if folder not in file.parents]
        assert elsewhere == [], "nginx writes nowhere else"
        server.process.terminate()
        out, err = server.process.communicate(timeout=10)
        assert (out, server.process.returncode) == ("", 0)
        assert token(server) not in err, "the key is said once"


def test_a_signal_ends_the_stream_and_nginx_within_five_seconds(temporary):
    with serving() as server, publisher(server.publish_url, 60) as ffmpeg:
        server.wait_for_playlist()
        folder, master = nginx_folder(temporary), nginx_master(temporary)
        assert len(group_of(master)) >= 2
        server.process.terminate()
        stopped_s = time.monotonic()
        assert server.process.wait(10) == 0
        assert time.monotonic() - stopped_s < 5
        assert group_of(master) == []
        assert not folder.exists()
        ffmpeg.kill()


def test_nginx_killed_under_us_ends_serve_with_its_reason(temporary):
    with serving() as server:
        master = nginx_master(temporary)
        os.kill(master, signal.SIGKILL)
        _, err = server.process.communicate(timeout=20)
        assert server.process.returncode == 1
        assert "nginx was ended by signal 9" in err
        assert "Traceback" not in err
        assert group_of(master) == [], "its workers do not outlive it"
        assert list(temporary.iterdir()) == []


def test_nginx_does_not_outlive_a_serve_that_was_killed(temporary):
    with serving() as server:
        master = nginx_master(temporary)
        server.process.kill()
        server.process.wait(10)
        wait_for(lambda: group_of(master) == [])
    stale = nginx_folder(temporary)
    with serving() as server:
        assert len(list(temporary.glob("headroom-nginx-*"))) == 1, "the folder that was left behind is removed"
        assert not stale.exists()
        server.process.terminate()
        assert server.process.wait(10) == 0
    assert list(temporary.iterdir()) == []


def test_a_killed_publisher_comes_back_and_the_stream_goes_on_after_a_discontinuity(temporary):
    with serving() as server:
        with publisher(server.publish_url, 60) as first:
            server.wait_for_playlist()
            first.kill()
        with publisher(server.publish_url, 4) as second:
            assert second.wait(20) == 0
        wait_for(lambda: "#EXT-X-ENDLIST" in server.fetch("720p30/index.m3u8"))
        for rung in ("720p30", "480p30"):
            lines = server.fetch(f"{rung}/index.m3u8").splitlines()
            assert lines.count("#EXT-X-DISCONTINUITY") == 1
            segments = [int(line.removesuffix(".ts")) for line in lines if line.endswith(".ts")]
            assert segments == list(range(segments[0], segments[0] + len(segments)))
        server.process.terminate()
        assert server.process.wait(10) == 0


def invoke(*arguments: str):
    return CliRunner().invoke(cli.app, ["serve", *FREE_PORTS, "--encoder", "x264", "--ingest", "nginx", *arguments])


def test_a_port_in_use_is_said_by_its_flag_and_in_nginxs_words(temporary):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = invoke("--rtmp-port", str(port)).exception
    assert isinstance(error, NotReady)
    assert f"port {port} on 127.0.0.1 is in use; stop the other process or choose --rtmp-port" in str(error)
    assert "Address already in use" in str(error)
    assert list(temporary.iterdir()) == []


def test_a_host_that_is_no_address_is_not_ready(temporary):
    error = invoke("--host", "no-such-host.invalid").exception
    assert isinstance(error, NotReady)
    assert "no-such-host.invalid" in str(error)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ({"NGINX_RTMP_MODULES": ()}, "nginx has no rtmp module here; apt install nginx libnginx-mod-rtmp"),
        ({"SYSTEM_PATHS": "/nowhere"}, "nginx is not installed; apt install nginx libnginx-mod-rtmp"),
    ],
    ids=["module", "program"],
)
def test_what_is_missing_is_said_with_what_to_install(missing, remedy, temporary, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere" if "SYSTEM_PATHS" in missing else os.environ["PATH"])
    for name, value in missing.items():
        monkeypatch.setattr(nginx_process, name, value)
    with pytest.raises(NotReady, match=remedy):
        NginxProcess()
    assert list(temporary.iterdir()) == []


def test_a_temporary_folder_with_too_long_a_name_is_not_ready(temporary, monkeypatch):
    long = temporary / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(NotReady, match="too long a name for sockets; set TMPDIR"):
        NginxProcess()
    assert list(long.iterdir()) == []

"""The configuration that nginx runs with: golden, accepted by nginx itself, and closed to injection."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from nginx_ingest import MODULE, RUNGS, settings

from pipeline.nginx.configuration import TEMPORARY_FOLDERS, configuration
from pipeline.serve import BUILT_IN_LADDER
from scenarios.ladder import Ladder, Rung

SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
BROKEN_RUNG = RUNGS.rungs[0].model_copy(update={"name": "720p BANDWIDTH=1; push rtmp://elsewhere/live"})
"""What no scenario can hold, as the language refuses such a name."""
GOLDEN = Path(__file__).parents[1] / "golden" / "nginx.conf"


def test_the_configuration_is_the_golden_one():
    text = configuration(settings(ladder=BUILT_IN_LADDER))
    assert text == GOLDEN.read_text(encoding="utf-8")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def checked(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "hls").mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    command = [shutil.which("nginx", path=SYSTEM_PATH), "-t", "-p", f"{folder}/", "-c", "nginx.conf"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)


@pytest.mark.requires_nginx
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"host": "0.0.0.0"},
        {"host": "::1"},
        {"host": "::"},
        {"as_root": True},
        {"hls_fragment_s": 6, "hls_playlist_s": 60},
        {"worker_connections": 64},
        {"ladder": Ladder(segment_s=2.0, rungs=(Rung(name="a.b+c-d_e", width=64, height=64, fps=1, bitrate_bps=1e5),))},
    ],
    ids=str,
)
def test_nginx_accepts_every_setting(changes, tmp_path):
    if ":" in changes.get("host", "") and not has_ipv6():
        changes = {**changes, "host": "127.0.0.1"}  # the address family is the machine's, not the configuration's
    ports = {"rtmp_port": free_port(), "http_port": free_port()}
    done = checked(configuration(settings(**ports | changes)), tmp_path)
    assert (done.returncode, "test is successful" in done.stderr) == (0, True), done.stderr
    temporary = {path.name for path in tmp_path.iterdir() if path.is_dir()} - {"hls"}
    assert temporary == set(TEMPORARY_FOLDERS), "nothing is written outside the private folder"


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"host": "127.0.0.1; deny publish all"}, "does not appear to be an IPv4 or IPv6 address"),
        ({"host": "localhost"}, "does not appear to be an IPv4 or IPv6 address"),
        ({"host": "fe80::1%eth0;"}, "names a network interface"),
        ({"module": Path("/tmp/x;y.so")}, "no absolute path of a module"),
        ({"module": Path("ngx_rtmp_module.so")}, "no absolute path of a module"),
        ({"rtmp_port": 0}, "no TCP port"),
        ({"http_port": 65536}, "no TCP port"),
        ({"hls_fragment_s": 0}, "a fragment lasts"),
        ({"hls_fragment_s": 11}, "a fragment lasts"),
        ({"worker_connections": 8}, "serve no publisher"),
        ({"push_tag": "short"}, "the tag of the push"),
        ({"push_tag": "a-tag-that-breaks;}"}, "the tag of the push"),
        ({"ladder": RUNGS.model_copy(update={"rungs": (BROKEN_RUNG,)})}, "suffix of an HLS variant"),
    ],
)
def test_a_value_that_could_break_out_of_its_directive_is_refused(changes, fault):
    with pytest.raises(ValueError, match=fault):
        settings(**changes)


def test_a_wildcard_address_is_pushed_to_over_loopback():
    assert "push rtmp://127.0.0.1:1935/hls " in configuration(settings(host="0.0.0.0"))
    assert "push rtmp://[::1]:1935/hls " in configuration(settings(host="::"))
    assert "allow publish ::1;" in configuration(settings(host="::"))


def test_the_tag_of_the_push_is_not_in_the_settings_text():
    assert "tag-of-the-push" not in repr(settings())
    assert MODULE.name in repr(settings())

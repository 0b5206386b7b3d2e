"""What a request costs the origin and permission a publisher, against clients and clocks that are not ours."""

from __future__ import annotations

import asyncio
import http.server
import os
import ssl
import subprocess
import threading
import time
from pathlib import Path
from statistics import median

import busy_origin
import pytest

from pipeline.measure.child import Child
from pipeline.measure.probes import authorisation, certificate, origin_cost, session
from pipeline.measure.probes.authorisation import authorisation_rows
from pipeline.measure.probes.certificate import certificate_for_loopback
from pipeline.measure.probes.origin_cost import origin_rows
from pipeline.measure.probes.origin_server import STREAM, filled_store, rung_name
from pipeline.origin import Origin
from pipeline.rtmp import Publisher
from scenarios.bundle import TABLES
from scenarios.errors import NotReady

SMALL, LARGE = 40_000, 900_000
SEGMENTS = {SMALL: 100, LARGE: 100}


def columns(table: str) -> set[str]:
    return set(TABLES[table])


def remembered(monkeypatch, module) -> list[Child]:
    """Return the list that the children of a probe go to."""
    children = []
    made = module.Child
    monkeypatch.setattr(module, "Child", lambda name: children.append(made(name)) or children[-1])
    return children


def kernel_cpu_s(pid: int) -> float:
    """Return user and system time of a process as the kernel counts it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_with_origin(test, *, ssl_context=None) -> None:
    """Run a test in a thread beside an origin on this one."""

    async def scene() -> None:
        origin = Origin(filled_store((SMALL, LARGE)), port=0, ssl_context=ssl_context)
        await origin.start()
        try:
            await asyncio.to_thread(test, origin.port)
        finally:
            await origin.close()

    asyncio.run(asyncio.wait_for(scene(), 30))


def curl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["curl", "-s", "-S", "--max-time", "10", *arguments], capture_output=True)


def test_curl_gets_segments_over_https_from_a_certificate_it_checks(certificate):
    def scene(port: int) -> None:
        url = f"https://127.0.0.1:{port}/{STREAM}/{rung_name(LARGE)}"
        trust = ("--cacert", str(certificate.authority_file))
        playlist = curl(*trust, f"{url}/index.m3u8").stdout.decode()
        assert playlist.startswith("#EXTM3U")
        assert "5.ts" in playlist
        whole = curl(*trust, f"{url}/5.ts").stdout
        assert len(whole) == LARGE
        assert curl(*trust, "-r", "1000-1999", f"{url}/5.ts").stdout == whole[1000:2000]
        assert curl(f"{url}/5.ts").returncode == 60  # nobody else trusts it

    run_with_origin(scene, ssl_context=certificate.server)


def test_plain_http_to_the_port_of_https_is_dropped_and_disturbs_nobody(certificate):
    def scene(port: int) -> None:
        path = f"127.0.0.1:{port}/{STREAM}/{rung_name(SMALL)}/0.ts"
        assert curl(f"http://{path}").returncode != 0
        assert len(curl("--cacert", str(certificate.authority_file), f"https://{path}").stdout) == SMALL

    run_with_origin(scene, ssl_context=certificate.server)


def test_curl_trusts_the_certificate_that_is_made_for_a_measurement(tmp_path):
    files = certificate_for_loopback(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)

    def scene(port: int) -> None:
        url = f"https://127.0.0.1:{port}/{STREAM}/{rung_name(SMALL)}/0.ts"
        assert len(curl("--cacert", str(files.certificate), url).stdout) == SMALL

    run_with_origin(scene, ssl_context=context)


def test_each_byte_costs_more_with_tls_and_the_kernel_counted_the_same_cpu(monkeypatch):
    children = remembered(monkeypatch, origin_cost)
    asked, clock = [], origin_cost._cpu_s

    def both(server):
        ours_s = clock(server)
        asked.append((ours_s, kernel_cpu_s(server.pid)))
        return ours_s

    monkeypatch.setattr(origin_cost, "_cpu_s", both)
    ticks = []
    rows = origin_rows(segments=SEGMENTS, playlist_requests=100, repeats=2, tick=lambda: ticks.append(1))
    assert len(children) == 1
    assert ticks
    assert all(row.keys() == columns("origin") for row in rows)
    assert [row["repeat"] for row in rows] == [0] * 6 + [1] * 6
    assert all(row["sent_bytes"] == row["requests"] * row["object_bytes"] for row in rows)
    assert {row["object_bytes"] for row in rows if row["object"] == "segment"} == {SMALL, LARGE}
    assert {row["requests"] for row in rows} == {100}
    plain, encrypted = (
        sum(row["server_cpu_s"] for row in rows if row["object_bytes"] == LARGE and row["tls"] is tls)
        for tls in (False, True)
    )
    assert 0 < plain < encrypted
    ours_s, kernel_s = (asked[-1][clock] - asked[0][clock] for clock in (0, 1))
    assert ours_s == pytest.approx(kernel_s, rel=0.05, abs=0.03)
    assert sum(row["server_cpu_s"] for row in rows) == pytest.approx(ours_s, rel=0.1)


def test_an_origin_that_wastes_cpu_on_playlists_shows_it_there_only(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(origin_cost, "MODULE", "busy_origin")
    rows = origin_rows(segments={SMALL: 100}, playlist_requests=100, repeats=1)
    cost_s = {(row["object"], row["tls"]): row["server_cpu_s"] / row["requests"] for row in rows}
    for tls in (False, True):
        assert cost_s["playlist", tls] > busy_origin.BURNT_S
        assert cost_s["segment", tls] < busy_origin.BURNT_S / 2


def test_without_openssl_the_reader_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReady, match="apt install openssl"):
        session.require_probes()


def test_an_openssl_that_fails_says_why(monkeypatch, tmp_path):
    old = tmp_path / "openssl"
    old.write_text("#!/bin/sh\necho 'unknown option -addext' >&2\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(NotReady, match=r"no certificate \(unknown option -addext\); OpenSSL 1.1.1"):
        certificate.certificate_for_loopback(tmp_path)


def test_asking_shows_in_the_time_until_a_publisher_is_accepted():
    rows = authorisation_rows(calls=8)
    assert all(row.keys() == columns("authorisations") for row in rows)
    assert [row["call"] for row in rows] == [call for call in range(8) for _ in range(2)]
    asked = [row for row in rows if row["with_callback"]]
    silent = [row for row in rows if not row["with_callback"]]
    assert len(asked) == len(silent) == 8
    assert all(0 < row["callback_s"] < row["accepted_s"] for row in asked)
    assert {row["callback_s"] for row in silent} == {None}
    assert median(row["accepted_s"] for row in silent) < median(row["accepted_s"] for row in asked)


def test_an_endpoint_that_thinks_for_50_ms_shows_as_50_ms():
    rows = authorisation_rows(calls=4, think_s=0.05)
    for row in rows:
        if row["with_callback"]:
            assert 0.05 <= row["callback_s"] < row["accepted_s"]
    assert median(row["accepted_s"] for row in rows if not row["with_callback"]) < 0.05


def test_a_publisher_that_is_refused_stops_the_probe():
    with pytest.raises(NotReady, match=r"was not accepted \(.*2 s\)"):
        authorisation_rows(calls=1, think_s=3.0)


def test_an_endpoint_that_is_not_ours_is_timed_as_it_times_itself():
    took_s = []

    class Admitting(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            began_s = time.monotonic()
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(0.08)
            self.send_response(200)
            self.end_headers()
            took_s.append(time.monotonic() - began_s)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Admitting) as endpoint, Child(authorisation.SERVER) as server:
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        server.tell({"on_publish": f"http://127.0.0.1:{endpoint.server_port}/"})
        place = server.hear(30.0)

        async def publish() -> None:
            publisher = await Publisher.open(port=place["asking_port"], key=place["key"])
            await publisher.close()

        asyncio.run(publish())
        server.tell({"stop": True})
        (callback_s,) = server.hear(30.0)["callback_s"]
        endpoint.shutdown()
    assert took_s[0] <= callback_s + 0.005
    assert callback_s < took_s[0] + 0.2

"""P18: requests that nobody's player sends, and some that players do send: ranges, HEAD, preflights, garbage."""

from __future__ import annotations

import asyncio
import json
import logging
import re

import pytest
from recordings import RUNGS, SEGMENT_BYTES, marked_bytes, publish

from pipeline.health import Health
from pipeline.hls.store import Store
from pipeline.origin import Origin

SEGMENT = "/live/180p30/0.ts"
READ_AHEAD_BYTES = 8190
"""The longest line that is read before it is refused."""
WHOLE = marked_bytes("180p30", 0)


class Answer:
    """What came back on a socket, up to its end or to the end of the declared body."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.[01] (\d{3}) .*", status)
        assert found, f"no HTTP answer: {raw[:80]!r}"
        self.status = int(found[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def exchange(*requests: bytes, health: Health | None = None) -> list[Answer]:
    """Send each request on a connection of its own; the origin must then still be there for a good one."""

    async def run() -> list[Answer]:
        store = Store()
        publish(store.stream("live", RUNGS), range(2))
        origin = Origin(store, port=0, health=health)
        await origin.start()
        try:
            answers = [await _exchange(origin.port, request) for request in requests]
            assert (await _exchange(origin.port, get(SEGMENT))).body == WHOLE
        finally:
            await origin.close()
        return answers

    return asyncio.run(asyncio.wait_for(run(), 60))


async def _exchange(port: int, request: bytes) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return Answer(await reader.read())
    except ConnectionResetError:  # it answered, and hung up before it had read all: the answer may be lost
        assert len(request) > READ_AHEAD_BYTES
        return Answer(b"HTTP/1.1 400 Hung up\r\n\r\n")
    finally:
        writer.close()


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: origin", "Connection: close", *headers]
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1")


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, SEGMENT_BYTES),
        ("bytes=-7", SEGMENT_BYTES - 7, SEGMENT_BYTES),
        ("bytes=0-99999999", 0, SEGMENT_BYTES),
        ("bytes=19999-19999", 19999, 20000),
        ("bytes=-99999999", 0, SEGMENT_BYTES),
    ],
)
def test_a_range_is_answered_with_that_part(asked, first, end):
    (answer,) = exchange(get(SEGMENT, f"Range: {asked}"))
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{SEGMENT_BYTES}"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.body == WHOLE[first:end]


@pytest.mark.parametrize("asked", ["bytes=20000-", "bytes=99999999-", "bytes=-0"])
def test_a_range_of_which_nothing_exists_is_416_and_says_the_size(asked):
    (answer,) = exchange(get(SEGMENT, f"Range: {asked}"))
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{SEGMENT_BYTES}"


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-1", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes", "bytes=--1", "bytes=1-2-3", "=0-1"],
)
def test_a_range_that_cannot_be_understood_is_ignored(asked):
    """RFC 9110, 14.2: a server may ignore an invalid Range, several ranges, and must ignore unknown units."""
    (answer,) = exchange(get(SEGMENT, f"Range: {asked}"))
    assert (answer.status, answer.body) == (200, WHOLE)
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_conditional_range_is_ignored_as_nothing_can_match_it():
    (answer,) = exchange(get(SEGMENT, "Range: bytes=0-9", 'If-Range: "x"'))
    assert (answer.status, answer.body) == (200, WHOLE)


def test_head_tells_what_get_would_and_sends_nothing():
    paths = [SEGMENT, "/live/index.m3u8", "/live/180p30/index.m3u8", "/healthz", "/nope/index.m3u8"]
    answers = exchange(*(get(path, method=method) for path in paths for method in ("HEAD", "GET")))
    for head, whole in zip(answers[::2], answers[1::2], strict=True):
        assert (head.status, head.headers["content-length"]) == (whole.status, whole.headers["content-length"])
        assert head.body == b""
        assert whole.body


@pytest.mark.parametrize("path", [SEGMENT, "/live/index.m3u8", "/nope", "/"])
def test_a_preflight_allows_pages_of_other_origins_to_play(path):
    wants = ("Origin: https://player.example", "Access-Control-Request-Method: GET")
    (answer,) = exchange(get(path, *wants, "Access-Control-Request-Headers: range", method="OPTIONS"))
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "Range"


def test_pages_of_other_origins_may_read_what_players_need():
    for answer in exchange(get(SEGMENT, "Origin: https://player.example"), get("/nope/index.m3u8")):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "Content-Length, Content-Range, Date"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", [SEGMENT, "/live/index.m3u8", "/healthz"])
def test_other_methods_are_405(method, path):
    (answer,) = exchange(get(path, method=method))
    assert answer.status == 405
    assert answer.headers["allow"] == "GET,HEAD"


HOSTILE = {
    "a NUL in the path": get("/live/180p30/0.ts%00"),
    "a NUL stream": get("/%00/index.m3u8"),
    "a raw NUL": b"GET /live/\0/index.m3u8 HTTP/1.1\r\nHost: origin\r\n\r\n",
    "an empty part": get("/live//index.m3u8"),
    "two leading slashes": get("//live/index.m3u8"),
    "only slashes": get("/" * 1000),
    "up and out": get("/../../../../etc/passwd"),
    "up within": get("/live/180p30/../../../etc/passwd"),
    "up, encoded": get("/live/%2e%2e/%2e%2e/etc/passwd"),
    "up, encoded slash": get("/live/..%2f..%2fetc%2fpasswd"),
    "up, twice encoded": get("/live/%252e%252e/index.m3u8"),
    "backslashes": get("/live\\..\\..\\index.m3u8"),
    "half an escape": get("/live/%/index.m3u8"),
    "a wrong escape": get("/live/%zz/0.ts"),
    "UTF-8 that is none": get("/%ff%fe/index.m3u8"),
    "a sequence beyond all": get(f"/live/180p30/{'9' * 5000}.ts"),
    "a sequence in other digits": get("/live/180p30/%D9%A3.ts"),
    "a negative sequence": get("/live/180p30/-1.ts"),
    "a URL of 100 kB": get("/" + "a" * 100_000),
    "a query of 100 kB": get("/live/nope.m3u8?" + "a" * 100_000),
    "a huge header": get(SEGMENT, "X-Huge: " + "a" * 100_000),
    "a megabyte of header": get(SEGMENT, "X-Huge: " + "a" * 1_000_000),
    "ten thousand headers": get(SEGMENT, *(f"X-{number}: a" for number in range(10_000))),
    "a header without a name": get(SEGMENT, ": value"),
    "a header with a NUL": get(SEGMENT, "X-Nul: a\0b"),
    "a folded header": get(SEGMENT, "X-Folded: a\r\n b: c\r\nTransfer-Encoding : chunked"),
    "two lengths": get(SEGMENT, "Content-Length: 1", "Content-Length: 2"),
    "length and chunks": get(SEGMENT, "Content-Length: 1", "Transfer-Encoding: chunked"),
    "a negative length": get(SEGMENT, "Content-Length: -1"),
    "a method nobody knows": get(SEGMENT, method="BREW"),
    "a method with a space": get(SEGMENT, method="GE T"),
    "a lower-case method": get(SEGMENT, method="get"),
    "CONNECT": get("elsewhere:443", method="CONNECT"),
    "an absolute URL elsewhere": get("http://elsewhere/etc/passwd"),
    "TRACE": get(SEGMENT, method="TRACE"),
    "HTTP 9": get(SEGMENT, version="9.9"),
    "garbage": bytes(range(256)) * 20 + b"\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100a5010000a10303") + bytes(160) + b"\r\n\r\n",
    "RTMP": b"\x03" + bytes(1536) + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", HOSTILE.values(), ids=HOSTILE)
def test_what_is_malformed_or_hostile_is_4xx_and_nothing_else_happens(request_bytes, caplog):
    caplog.set_level(logging.INFO)
    (answer,) = exchange(request_bytes)
    assert 400 <= answer.status < 500
    assert b"root:" not in answer.body
    assert len(answer.body) < 1000, "what was sent is not sent back"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_old_clients_are_served_too(version):
    (answer,) = exchange(get(SEGMENT, version=version))
    assert (answer.status, answer.body) == (200, WHOLE)


def test_an_upgrade_that_is_not_spoken_here_is_ignored():
    (answer,) = exchange(get(SEGMENT, "Upgrade: websocket", "Sec-WebSocket-Version: 13"))
    assert (answer.status, answer.body) == (200, WHOLE)


def test_the_answer_on_health_names_every_alert_and_is_then_503():
    health = Health()
    troubles = iter(["the disk is full", None])
    health.register("disk", check=lambda: next(troubles), facts=lambda: {"free_bytes": 0})
    health.register("clock", check=lambda: None)
    bad, good = exchange(get("/healthz"), get("/healthz"), health=health)
    assert (bad.status, good.status) == (503, 200)
    told = {"disk": {"free_bytes": 0}, "playable_streams": 1, "viewer_connections": 1}
    assert json.loads(bad.body) == {"status": "alert", "alerts": {"disk": "the disk is full"}, **told}
    assert json.loads(good.body) == {"status": "ok", "alerts": {}, **told}


def test_two_parts_of_one_name_are_a_bug():
    health = Health()
    health.register("disk")
    with pytest.raises(ValueError, match="'disk' is registered already"):
        health.register("disk")

"""The player page's files over HTTP: what is served, how it is fenced in, and that hls.js is what its makers ship."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from pipeline import player
from pipeline.hls.store import Store
from pipeline.origin import Origin
from pipeline.player.pages import HLS_JS_SHA256, HLS_JS_VERSION
from pipeline.serve import page_url

FOLDER = Path(player.__file__).parent
HOSTILE_NAMES = (
    "<script>alert(1)<%2Fscript>",
    "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
    "..%2F..%2Fetc%2Fpasswd",
    "%2e%2e%2findex.html",
    "-i",
    "a%00b",
    "x" * 65,
    "javascript:alert(1)",
    "watch.html",
    "pages.py",
    "hls.js-LICENSE",
)


def with_origin(test: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    """Run the test against an origin without any stream."""

    async def run() -> None:
        origin = Origin(Store(), port=0)
        await origin.start()
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{origin.port}") as client:
                await test(client)
        finally:
            await origin.close()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_hls_js_is_the_file_of_the_npm_package_unchanged():
    data = (FOLDER / "hls.min.js").read_bytes()
    assert hashlib.sha256(data).hexdigest() == HLS_JS_SHA256
    assert f'"{HLS_JS_VERSION}"'.encode() in data
    assert "Apache License, Version 2.0" in (FOLDER / "hls.js-LICENSE").read_text(encoding="utf-8")
    [integrity] = re.findall(r'integrity="sha256-(\S+)"', (FOLDER / "watch.html").read_text(encoding="utf-8"))
    assert base64.b64decode(integrity).hex() == HLS_JS_SHA256, "the browser would refuse it"


def test_pages_are_served_fenced_in_and_known_again_by_their_tag():
    async def test(client):
        for path, kind in (
            ("/", "text/html"),
            ("/live/", "text/html"),
            ("/hls.min.js", "text/javascript"),
            ("/watch.js", "text/javascript"),
            ("/player.css", "text/css"),
            ("/icon.svg", "image/svg+xml"),
        ):
            async with client.get(path) as answer:
                assert (answer.status, answer.content_type, answer.charset) == (200, kind, "utf-8")
                policy = answer.headers["Content-Security-Policy"]
                tag = answer.headers["ETag"]
                assert answer.headers["Cache-Control"] == "no-cache", "asked for again, by its tag"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert policy.startswith("default-src 'none'; script-src 'self'; ")
            assert "unsafe" not in policy
            assert "http" not in policy
            async with client.get(path, headers={"If-None-Match": tag}) as answer:
                assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", tag)
            async with client.get(path, headers={"If-None-Match": '"another"'}) as answer:
                assert answer.status == 200

    with_origin(test)


def test_the_pages_name_nothing_outside_their_origin_and_hold_no_inline_script():
    async def test(client):
        for page in ("/", "/live/"):
            async with client.get(page) as answer:
                text = await answer.text()
                address = answer.url
            assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|https?://", text) == []
            loaded = re.findall(r'\s(?:src|href)="([^"]+)"', text)
            assert len(loaded) >= 3
            for name in loaded:
                async with client.get(address.join(URL(name))) as answer:
                    assert answer.status == 200, name

    with_origin(test)


def test_neither_page_tells_whether_a_stream_exists():
    async def test(client):
        for page in ("/", "/live/", "/no-such-stream/"):
            async with client.get(page) as answer:
                assert answer.status == 200
                assert "no-such-stream" not in await answer.text()

    with_origin(test)


def test_a_name_without_its_slash_leads_to_the_page():
    async def test(client):
        async with client.get("/live", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (308, "live/")

    with_origin(test)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_what_no_stream_can_be_called_is_404(name):
    async def test(client):
        for path in (f"/{name}", f"/{name}/"):
            async with client.get(client._base_url.join(URL(path, encoded=True)), allow_redirects=False) as answer:
                assert answer.status == 404
                assert answer.content_type == "text/plain"
                assert "script" not in await answer.text()

    with_origin(test)


def test_the_page_url_has_brackets_where_it_must():
    assert page_url("::1", 8080, "live") == "http://[::1]:8080/live/"

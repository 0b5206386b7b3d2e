"""The player page over HTTP: a handful of files in memory, found in a table, never by a path from a request."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from pipeline.rtmp.keys import is_stream_name

HLS_JS_VERSION = "1.7.4"
"""Of `hls.min.js`: `dist/hls.min.js` of the npm package hls.js, Apache-2.0, unchanged. The package's integrity there:
`sha512-3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg==`.
"""
HLS_JS_SHA256 = "cfc70cc9e9fc63d071919e087670abc760c8fd1bc889b88588026e4d22193bbe"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "media-src blob:",  # hls.js feeds the video element through a MediaSource
        "worker-src blob:",  # and demultiplexes in a worker that it makes from its own text
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_START_PAGE, _WATCH_PAGE = "index.html", "watch.html"
_ASSETS = {
    "hls.min.js": "text/javascript",
    "player.js": "text/javascript",
    "viewing.js": "text/javascript",
    "watch.js": "text/javascript",
    "start.js": "text/javascript",
    "player.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes = field(repr=False)
    content_type: str
    etag: str

    @classmethod
    def read(cls, name: str, content_type: str) -> _File:
        data = (Path(__file__).parent / name).read_bytes()
        return cls(data, content_type, hashlib.sha256(data).hexdigest()[:32])

    def answer(self, request: web.Request) -> web.Response:
        """Return the file, or 304 to who has it already."""
        known = request.if_none_match or ()
        is_known = any(etag.value in (self.etag, "*") for etag in known)
        response = web.Response(status=304) if is_known else web.Response(body=self.data)
        if not is_known:
            response.content_type = self.content_type
            response.charset = "utf-8"
        response.etag = self.etag
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def player_routes() -> list[web.RouteDef]:
    """Return the routes of the player page, for the origin's application.

    `/` asks for the name of a stream and tells none; `/{stream}/` plays the stream, or waits for it, and is 404 for
    what no stream can be called; `/{stream}` leads there. What the pages load lies beside `/`, where names with a dot
    cannot be streams. Every answer carries `CONTENT_SECURITY_POLICY`.
    """
    assets = [web.get(f"/{name}", _serve(_File.read(name, kind))) for name, kind in _ASSETS.items()]
    return [
        web.get("/", _serve(_File.read(_START_PAGE, "text/html"))),
        *assets,
        web.get("/{stream}", _lead_to_watch_page),
        web.get("/{stream}/", _serve(_File.read(_WATCH_PAGE, "text/html"))),
    ]


def _serve(file: _File) -> _Handler:
    async def handler(request: web.Request) -> web.Response:
        _refuse_no_stream(request)
        return file.answer(request)

    return handler


async def _lead_to_watch_page(request: web.Request) -> web.Response:
    _refuse_no_stream(request)
    raise web.HTTPPermanentRedirect(f"{request.match_info['stream']}/")


def _refuse_no_stream(request: web.Request) -> None:
    if not is_stream_name(request.match_info.get("stream", "_")):
        raise web.HTTPNotFound(text="no stream can have this name\n")

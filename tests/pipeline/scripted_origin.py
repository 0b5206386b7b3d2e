"""An origin that answers from a script: for each path its answers in turn, the last one again and again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Scripted:
    """One answer; `cut` sends only half of the body that was announced."""

    body: bytes = b""
    status: int = 200
    cut: bool = False


@dataclass
class ScriptedOrigin:
    """The origin while it runs: its port, and when which path was asked for, on CLOCK_MONOTONIC."""

    script: Mapping[str, Sequence[Scripted]]
    port: int = 0
    asked: list[tuple[float, str]] = field(default_factory=list)

    def times(self, path: str) -> list[float]:
        return [at_s for at_s, asked in self.asked if asked == path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        answers = self.script.get(request.path, [Scripted(status=404)])
        scripted = answers[min(len(self.times(request.path)), len(answers) - 1)]
        self.asked.append((time.monotonic(), request.path))
        if not scripted.cut:
            return web.Response(body=scripted.body, status=scripted.status)
        response = web.StreamResponse(headers={"Content-Length": str(len(scripted.body))})
        await response.prepare(request)
        await response.write(scripted.body[: len(scripted.body) // 2])
        request.transport.close()
        return response


@asynccontextmanager
async def scripted_origin(script: Mapping[str, Sequence[Scripted]]) -> AsyncIterator[ScriptedOrigin]:
    origin = ScriptedOrigin(script)
    app = web.Application()
    app.router.add_get("/{path:.*}", origin.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin.port = runner.addresses[0][1]
    try:
        yield origin
    finally:
        await runner.cleanup()


def multivariant(**rungs: int) -> Scripted:
    """Return a multivariant playlist of `name=bandwidth`."""
    lines = ["#EXTM3U"]
    for name, bandwidth in rungs.items():
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}", f"{name}/index.m3u8"]
    return Scripted("\n".join(lines).encode())


def media(first: int, count: int, *, duration_s: float = 1.0, ended: bool = False, init: str = "") -> Scripted:
    """Return a media playlist with `count` segments from number `first` on."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    lines += [f'#EXT-X-MAP:URI="{init}"'] * bool(init)
    for number in range(first, first + count):
        lines += [f"#EXTINF:{duration_s:.3f},", f"{number}.ts"]
    return Scripted("\n".join([*lines, *["#EXT-X-ENDLIST"] * ended]).encode())

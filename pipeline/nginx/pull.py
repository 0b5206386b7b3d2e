"""One admitted publisher's media on its way from nginx to its broadcast, and how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.nginx.configuration import RTMP_SOCKET
from pipeline.rtmp.connection import Publication
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.events import VideoMessage
from pipeline.rtmp.frames import FrameAssembler
from pipeline.rtmp.player import Media, Player
from pipeline.rtmp.server import PublishingClient

IDLE_S = 12.0
"""Without media for so long a stream is over; nginx, which drops an idle publisher sooner, should have said so."""
SETTLE_S = 2.0
"""How far the end of the media and nginx's word that it is the end may lie apart."""


class Pull:
    """Plays one stream from nginx.

    nginx tells a publisher that ended its stream from one that was cut off only by the order of its calls: after a
    clean end `publish_done` comes first, otherwise `disconnect`.

    Attributes:
        client: the publisher.
        is_done: nginx said that the client publishes no longer.
        is_disconnected: nginx said, before that, that the client's connection is gone.
    """

    def __init__(self, client: PublishingClient, publish: Callable[[str], Publication]) -> None:
        self.client = client
        self.is_disconnected = False
        self._publish = publish
        self._done = asyncio.Event()
        self._frames = FrameAssembler()
        self._publication: Publication | None = None
        self._player: Player | None = None

    @property
    def is_done(self) -> bool:
        """Whether `publish_done` was called."""
        return self._done.is_set()

    def publish_done(self) -> None:
        """Take note that the client publishes no longer."""
        self._done.set()

    async def open(self, folder: Path) -> None:
        """Join the stream before it begins, so that nothing of it is missed; errors as `Player.open`."""
        self._player = await Player.open(folder / RTMP_SOCKET, self.client.name)

    async def run(self) -> str:
        """Feed the broadcast to its end; return the reason that its publication was closed with.

        Cancelling it closes the publication with `server closed`.
        """
        reason = "server closed"
        try:
            reason = await self._until_the_end()
        except Exception as error:
            reason = f"failed: {type(error).__name__}"
            raise
        finally:
            if self._publication is not None:
                self._publication.close(reason)
            await self.close()
        return reason

    async def close(self) -> None:
        """Leave the stream."""
        if self._player is not None:
            await self._player.close()

    async def _until_the_end(self) -> str:
        feeding = asyncio.create_task(self._feed())
        done = asyncio.create_task(self._done.wait())
        try:
            await asyncio.wait({feeding, done}, return_when=asyncio.FIRST_COMPLETED)
            failed = feeding.done() and feeding.result() is not None
            if not failed:
                await asyncio.wait({feeding, done}, timeout=SETTLE_S)
            reason = feeding.result() if feeding.done() else None
        finally:
            for task in (feeding, done):
                task.cancel()
            await asyncio.wait({feeding, done})
        is_clean = self.is_done and not self.is_disconnected
        return reason or ("unpublished" if is_clean else "connection lost")

    async def _feed(self) -> str | None:
        """Pass the media on; return what went wrong, or None when the stream ended and nginx will say how."""
        assert self._player is not None
        try:
            async for message in self._player.media(idle_s=IDLE_S):
                try:
                    self._take(message)
                except RtmpError as error:
                    return f"protocol error: {error}"
        except TimeoutError:
            return "idle"
        except (RtmpError, OSError):
            return "connection lost"
        return None

    def _take(self, message: Media) -> None:
        arrival_s = time.monotonic()
        if isinstance(message, VideoMessage):
            video = self._frames.video(message.timestamp_ms, message.payload)
            if video is not None:
                self._opened().video(video, arrival_s)
        else:
            audio = self._frames.audio(message.timestamp_ms, message.payload)
            if audio is not None:
                self._opened().audio(audio, arrival_s)

    def _opened(self) -> Publication:
        if self._publication is None:
            self._publication = self._publish(self.client.name)
            self._frames.time_with(demux=self._publication.demux_clock, audio=self._publication.audio_clock)
        return self._publication

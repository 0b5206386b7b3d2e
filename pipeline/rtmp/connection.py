"""One publisher's connection: a session on a socket, with deadlines, and the broadcast it feeds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Protocol

from pipeline.marks import StageClock
from pipeline.rtmp.errors import PublishRefused, RtmpError
from pipeline.rtmp.events import AudioMessage, Event, PublishRequested, Unpublished, VideoMessage
from pipeline.rtmp.frames import AudioFrame, FrameAssembler, VideoFrame
from pipeline.rtmp.limits import MAX_REPLY_BYTES, Deadlines
from pipeline.rtmp.session import Phase, PublishSession


class Publication(Protocol):
    """What takes one accepted broadcast; its methods are called from the event loop and must not block.

    Attributes:
        demux_clock: runs while a video message is made into a frame.
        audio_clock: the same for audio.
    """

    demux_clock: StageClock
    audio_clock: StageClock

    def video(self, frame: VideoFrame, arrival_s: float) -> None:
        """Take a frame; `arrival_s` is `time.monotonic()` when its last byte was read."""

    def audio(self, frame: AudioFrame, arrival_s: float) -> None:
        """Take an audio frame; `arrival_s` as for video."""

    def close(self, reason: str) -> None:
        """End, exactly once.

        Args:
            reason: `unpublished`, `taken over`, `connection lost`, `idle`, `server closed` or `protocol error: ...`.
        """


class Desk(Protocol):
    """What a connection asks of its server."""

    deadlines: Deadlines
    read_buffer: memoryview
    """One for all connections of an event loop: filled and emptied again within one of its steps."""

    def arrived(self, connection: Connection) -> bool:
        """Return whether there is room for the connection."""

    async def claim(self, connection: Connection, request: PublishRequested) -> Publication:
        """Return where the broadcast goes, its name now taken by this connection; PublishRefused if not."""

    def ended(self, connection: Connection, reason: str) -> None:
        """Free the connection's stream name and note why it ended."""

    def left(self, connection: Connection) -> None:
        """Forget the connection: its socket is closed."""


class Connection(asyncio.BufferedProtocol):
    """Drives a `PublishSession` from a transport.

    Attributes:
        peer: address and port of the other side; address alone in `peer_ip`.
        dropped_media: messages that came before the accepted publish or before their sequence header.
    """

    def __init__(self, desk: Desk) -> None:
        self.peer = self.peer_ip = ""
        self._desk = desk
        self._session = PublishSession()
        self._frames = FrameAssembler()
        self._publication: Publication | None = None
        self._decision: asyncio.Task[None] | None = None
        self._ended_s: float | None = None
        self._has_media = False
        self._opened_s = self._greeted_s = self._accepted_s = self._last_read_s = time.monotonic()

    @property
    def dropped_media(self) -> int:
        """Media messages that were not delivered."""
        return self._session.dropped_media + self._frames.dropped

    @property
    def is_publishing(self) -> bool:
        """Whether its publish was accepted and has not ended."""
        return self._publication is not None and self._ended_s is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock, or turn the peer away when the server is full."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=MAX_REPLY_BYTES)
        address = transport.get_extra_info("peername")
        if address:  # empty when the peer has already gone
            self.peer_ip, self.peer = address[0], f"{address[0]}:{address[1]}"
        if not self._desk.arrived(self):
            self._ended_s = self._opened_s
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the transport reads to: one buffer for all, as a new one for each read costs more."""
        del sizehint
        return self._desk.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass what was read through the session; after the end it is read and discarded."""
        if self._ended_s is not None:
            return
        data = bytes(self._desk.read_buffer[:nbytes])
        now_s = self._last_read_s = time.monotonic()
        in_handshake = self._session.phase is Phase.HANDSHAKE
        try:
            for event in self._session.receive(data, now_s=now_s):
                self._handle(event, now_s)
        except RtmpError as error:
            self._session.fail(str(error))
            self.end(f"protocol error: {error}")
            return
        if in_handshake and self._session.phase is not Phase.HANDSHAKE:
            self._greeted_s = now_s
        self._flush()

    def eof_received(self) -> bool:
        """Let the transport close: a publisher that only half-closes has nothing more to send."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """End a broadcast that was cut, and give the place back."""
        # Any other error than the socket's came from the publication itself, and asyncio has reported it.
        is_lost = error is None or isinstance(error, OSError)
        self.end("connection lost" if is_lost else f"failed: {type(error).__name__}")
        self._desk.left(self)

    def pause_writing(self) -> None:
        """Drop a peer that does not read its answers."""
        self.end("protocol error: the peer does not read its answers")
        self._transport.abort()

    def check_deadlines(self, now_s: float) -> None:
        """End the connection if a deadline has passed, and close the socket once it has lingered."""
        deadlines = self._desk.deadlines
        if self._ended_s is not None:
            if now_s - self._ended_s > deadlines.linger_s:
                self._transport.abort()
            return
        reason = self._overdue(now_s, deadlines)
        if reason is not None:
            self.dismiss(reason)

    def dismiss(self, reason: str) -> None:
        """End as `end` does, and tell the peer why."""
        self._session.fail(reason)
        self.end(reason)

    def end(self, reason: str) -> None:
        """Close the broadcast, send what is left to say and half-close; the first reason stands.

        The socket itself is read for `linger_s` more: closing it over unread media would reset the connection
        and lose our answer.
        """
        if self._ended_s is not None:
            return
        self._ended_s = time.monotonic()
        if self._decision is not None:
            self._decision.cancel()
        self._desk.ended(self, reason)
        if self._publication is not None:
            self._publication.close(reason)
        self._flush()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            with contextlib.suppress(OSError):  # the peer was faster: it has reset the connection
                self._transport.write_eof()

    def abort(self, reason: str) -> None:
        """End and close the socket at once."""
        self.end(reason)
        self._transport.abort()

    def _overdue(self, now_s: float, deadlines: Deadlines) -> str | None:
        phase, since_s = self._session.phase, self._session.unfinished_since_s
        if phase is Phase.HANDSHAKE:
            late = now_s - self._opened_s > deadlines.handshake_s
            return f"protocol error: no handshake within {deadlines.handshake_s:g} s" if late else None
        if phase is not Phase.PUBLISHING:
            late = now_s - self._greeted_s > deadlines.command_s
            return f"protocol error: no publish within {deadlines.command_s:g} s" if late else None
        if now_s - self._last_read_s > deadlines.idle_s:
            return "idle"
        if not self._has_media and now_s - self._accepted_s > deadlines.media_s:
            return f"protocol error: nothing to decode within {deadlines.media_s:g} s; send the sequence header first"
        if since_s is not None and now_s - since_s > deadlines.message_s:
            return f"protocol error: a message took longer than {deadlines.message_s:g} s"
        return None

    def _handle(self, event: Event, arrival_s: float) -> None:
        publication = self._publication
        match event:
            case VideoMessage(timestamp_ms, payload):
                video = self._frames.video(timestamp_ms, payload)
                if video is not None and publication is not None:
                    self._has_media = True
                    publication.video(video, arrival_s)
            case AudioMessage(timestamp_ms, payload):
                audio = self._frames.audio(timestamp_ms, payload)
                if audio is not None and publication is not None:
                    self._has_media = True
                    publication.audio(audio, arrival_s)
            case PublishRequested():
                self._transport.pause_reading()  # nothing is taken in for somebody we may not know
                self._decision = asyncio.get_running_loop().create_task(self._decide(event))
                self._decision.add_done_callback(self._decided)
            case Unpublished():
                self.end("unpublished")

    async def _decide(self, request: PublishRequested) -> None:
        try:
            publication = await self._desk.claim(self, request)
        except PublishRefused as refusal:
            self._session.refuse(str(refusal))
            self._decision = None
            self.end(f"refused: {refusal}")
        else:
            self._publication = publication
            self._frames.time_with(demux=publication.demux_clock, audio=publication.audio_clock)
            self._session.accept()
            self._accepted_s = self._last_read_s = time.monotonic()
            self._flush()
        finally:
            self._transport.resume_reading()

    def _decided(self, decision: asyncio.Task[None]) -> None:
        self._decision = None
        error = None if decision.cancelled() else decision.exception()
        if error is not None:
            self.abort(f"failed: {type(error).__name__}")
            context = {"message": "a publication could not be opened", "exception": error}
            decision.get_loop().call_exception_handler(context)

    def _flush(self) -> None:
        data = self._session.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

"""One publisher's broadcast from RTMP frames to published segments, and what outlives a lost connection."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from pipeline.hls.codec_parameters import AacFormat, UnsupportedMedia
from pipeline.hls.packager import Packager
from pipeline.hls.segmenter import AudioUnit, SegmentTooLarge
from pipeline.hls.store import Store, StreamStore
from pipeline.ladders.backend import LadderBackend, LadderSession, SourcePacket
from pipeline.ladders.copied import SourceRefused
from pipeline.marks import ArrivedMark, Marks, NoMarks
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.frames import AudioFrame, VideoFrame
from pipeline.timeline import Timeline
from scenarios.errors import HeadroomError
from scenarios.ladder import Ladder

log = logging.getLogger(__name__)

CLEAN_ENDS = frozenset({"unpublished", "server closed"})
"""Reasons of `Publication.close` after which nobody is waited for."""
GRACE_S = 10.0
"""How long a stream whose publisher was lost stays open for it to come back."""
MAX_KEYFRAME_WAIT_S = 10.0
"""How long a broadcast may send video before its first keyframe, without which nothing can be decoded."""
LONG_GOP_S = 10.0
"""Keyframes further apart are warned about: after a lost frame the picture is broken for so long."""
MAX_AUDIO_ALONE_S = 5.0
"""How long a broadcast may send audio without any video before it is refused."""


class Broadcast:
    """A `Publication`: places frames on a timeline, feeds the ladder and the packager.

    Attributes:
        finished: set once everything that was taken in is published, or has failed.
        is_clean: whether the publisher ended the stream itself.
        dropped_audio: audio frames that came before the first video frame.
        demux_clock, audio_clock: see `Publication`.
    """

    def __init__(
        self,
        stream: StreamStore,
        *,
        backend: LadderBackend,
        marks: Marks | None = None,
        after: threading.Event | None = None,
        on_finished: Callable[[Broadcast], None] | None = None,
    ) -> None:
        """Wait for frames.

        Args:
            stream: where segments go.
            backend: encodes the stream's ladder.
            marks: told about every frame and segment, if given.
            after: `finished` of an earlier broadcast of the same stream, waited for before publishing.
            on_finished: called once, from any thread, after `finished` is set.
        """
        self.stream = stream
        self.finished = threading.Event()
        self.is_clean = False
        self.dropped_audio = 0
        self._backend, self._after, self._on_finished = backend, after, on_finished
        self._marks: Marks = marks if marks is not None else NoMarks()
        self.demux_clock, self.audio_clock = self._marks.clock("demux"), self._marks.clock("audio")
        self._timeline = Timeline()
        self._frames = 0
        self._keyframes = KeyframeWatch(stream.name)
        self._session: LadderSession | None = None
        self._packager: Packager | None = None
        self._format: tuple[bytes, AacFormat] | None = None
        self._first_audio_s: float | None = None
        self._failure: str | None = None

    def video(self, frame: VideoFrame, arrival_s: float) -> None:
        """See `Publication.video`; RtmpError ends a broadcast that could not be encoded or published."""
        self._raise_failure()
        self.demux_clock.start()
        packet = self._packet(frame, arrival_s)
        self.demux_clock.stop()
        size = len(frame.payload)
        self._marks.arrived(
            ArrivedMark(self.stream.name, packet.index, packet.pts, packet.is_keyframe, size, arrival_s)
        )
        if self._session is None:
            self._session = self._open(frame.avcc)
        self._session.feed(packet)

    def audio(self, frame: AudioFrame, arrival_s: float) -> None:
        """See `Publication.audio`; RtmpError refuses AAC that HLS cannot carry, and audio alone."""
        self._raise_failure()
        self.audio_clock.start()
        pts = self._timeline.audio(frame.pts_ms).pts
        if self._packager is None:
            self._wait_for_video(arrival_s)
            return
        try:
            if self._format is None or self._format[0] != frame.asc:
                self._format = (frame.asc, AacFormat.from_config(frame.asc))
            aac = self._format[1]
            self._packager.audio(AudioUnit(pts, aac.adts(frame.payload), aac))
        except UnsupportedMedia as error:
            raise RtmpError(str(error)) from None
        self.audio_clock.stop()

    def close(self, reason: str) -> None:
        """See `Publication.close`: what has arrived is still encoded and published, in the threads."""
        self.is_clean = reason in CLEAN_ENDS
        if self._session is not None:
            self._session.close()
        else:
            self._finish()

    def _packet(self, frame: VideoFrame, arrival_s: float) -> SourcePacket:
        self._keyframes.see(frame.is_keyframe, arrival_s)
        index, self._frames = self._frames, self._frames + 1
        pts, dts, epoch = self._timeline.video(frame.pts_ms, frame.dts_ms)
        return SourcePacket(
            index=index,
            pts=pts,
            dts=dts,
            is_keyframe=frame.is_keyframe,
            data=frame.payload,
            avcc=frame.avcc,
            arrival_s=arrival_s,
            epoch=epoch,
        )

    def _open(self, avcc: bytes) -> LadderSession:
        self._packager = Packager(
            self.stream,
            failed=lambda error: self._note(error, "the stream could not be packaged"),
            ended=self._packager_ended,
            after=self._after,
            marks=self._marks,
        )
        return self._backend.open(
            avcc,
            self.stream.ladder,
            self._packager.video,
            ended=self._ladder_ended,
            stream=self.stream.name,
            marks=self._marks,
        )

    def _wait_for_video(self, arrival_s: float) -> None:
        self.dropped_audio += 1
        if self._first_audio_s is None:
            self._first_audio_s = arrival_s
        if arrival_s - self._first_audio_s > MAX_AUDIO_ALONE_S:
            raise RtmpError(f"no video within {MAX_AUDIO_ALONE_S:g} s; audio alone is not served")

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise RtmpError(self._failure)

    def _ladder_ended(self, error: BaseException | None) -> None:
        if error is not None:
            self._note(error, "the stream could not be encoded")
        assert self._packager is not None
        self._packager.close()

    def _packager_ended(self) -> None:
        self.stream.interrupt()
        self._finish()

    def _note(self, error: BaseException, failure: str) -> None:
        """Keep the first failure for the publisher; a bug of ours is logged with its traceback."""
        if isinstance(error, SegmentTooLarge | SourceRefused):
            failure = str(error)
            log.warning("%s: %s", self.stream.name, failure)
        else:
            log.error("%s: %s: %s", self.stream.name, failure, error, exc_info=_traceback_of(error))
        self._failure = self._failure or failure

    def _finish(self) -> None:
        self.finished.set()
        if self._on_finished is not None:
            self._on_finished(self)


def _traceback_of(error: BaseException) -> BaseException | None:
    """Return the error if it is a bug; what is meant for the reader says all in its text."""
    return None if isinstance(error, HeadroomError) else error


class KeyframeWatch:
    """Notices a publisher that sends keyframes too rarely, or none at all."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._first_s: float | None = None
        self._last_keyframe_s: float | None = None
        self._has_warned = False

    def see(self, is_keyframe: bool, arrival_s: float) -> None:
        """Take note of a frame.

        Raises:
            RtmpError: no keyframe came within `MAX_KEYFRAME_WAIT_S`.
        """
        if self._first_s is None:
            self._first_s = arrival_s
        if is_keyframe:
            self._last_keyframe_s = arrival_s
        elif self._last_keyframe_s is None:
            if arrival_s - self._first_s > MAX_KEYFRAME_WAIT_S:
                raise RtmpError(f"no keyframe within {MAX_KEYFRAME_WAIT_S:g} s; set a keyframe interval of 2 s")
        elif arrival_s - self._last_keyframe_s > LONG_GOP_S and not self._has_warned:
            self._has_warned = True  # once: what sends one long group of pictures sends many
            log.warning("%s: no keyframe for %g s; set a keyframe interval of 2 s", self._stream, LONG_GOP_S)


class Broadcasts:
    """Opens a broadcast for each accepted publisher, and ends streams whose publisher does not come back.

    Everything but `Broadcast.finished` happens on the event loop that `publish` is called on.
    """

    def __init__(
        self,
        store: Store,
        *,
        ladder: Ladder,
        backend: LadderBackend,
        marks: Marks | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._store, self._ladder, self._backend = store, ladder, backend
        self._marks: Marks = marks if marks is not None else NoMarks()
        self._grace_s = grace_s
        self._latest: dict[str, Broadcast] = {}
        self._graces: dict[str, asyncio.TimerHandle] = {}

    @property
    def live_names(self) -> frozenset[str]:
        """Streams that are being encoded, or whose publisher may come back."""
        return frozenset(self._latest.keys() | self._graces.keys())

    def publish(self, name: str) -> Broadcast:
        """Return a new broadcast of the stream; a former one is continued, after a discontinuity."""
        loop = asyncio.get_running_loop()
        grace = self._graces.pop(name, None)
        if grace is not None:
            grace.cancel()
        former = self._latest.get(name)
        self._marks.published(name, time.monotonic())
        broadcast = self._latest[name] = Broadcast(
            self._store.stream(name, self._ladder),
            backend=self._backend,
            marks=self._marks,
            after=former.finished if former is not None else None,
            on_finished=lambda which: loop.call_soon_threadsafe(self._settle, which),
        )
        return broadcast

    async def close(self, timeout_s: float) -> bool:
        """Wait until all is published, then end every stream; return whether `timeout_s` sufficed.

        The publishers' connections must have been closed before.
        """
        until_s = time.monotonic() + timeout_s
        while self._latest and time.monotonic() < until_s:
            await asyncio.sleep(0.01)
        in_time = not self._latest
        for grace in self._graces.values():
            grace.cancel()
        for name in self.live_names:
            self._end(name)
        return in_time

    def _settle(self, broadcast: Broadcast) -> None:
        name = broadcast.stream.name
        if self._latest.get(name) is not broadcast:
            return  # continued by a newer one
        del self._latest[name]
        if broadcast.is_clean:
            broadcast.stream.end()
        else:
            loop = asyncio.get_running_loop()
            self._graces[name] = loop.call_later(self._grace_s, self._end, name)

    def _end(self, name: str) -> None:
        self._graces.pop(name, None)
        self._latest.pop(name, None)
        stream = self._store.find(name)
        if stream is not None:
            stream.end()

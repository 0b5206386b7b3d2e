"""All rungs of one stream, and the audio beside them, made into published segments by one thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from pipeline.hls.segmenter import AudioUnit, RungSegmenter
from pipeline.hls.store import StreamStore
from pipeline.ladders.backend import RungPacket
from pipeline.marks import Marks, NoMarks

QUEUE_ITEMS = 1024
"""Packets that may wait for the thread; muxing is some 100 times quicker than encoding."""


class Packager:
    """Owns the segmenters of all rungs of one stream, and the thread that feeds them.

    Rungs come from their own threads and audio from the event loop; one thread for all of it needs no locks
    and lets audio, too, close a segment the moment it arrives.

    Attributes:
        refused_audio: audio frames that found the queue full.
    """

    def __init__(
        self,
        store: StreamStore,
        *,
        failed: Callable[[Exception], None],
        ended: Callable[[], None],
        after: threading.Event | None = None,
        marks: Marks | None = None,
    ) -> None:
        """Start the thread.

        Args:
            store: where segments are published.
            failed: called from the thread with the error that stops it; nothing more is published.
            ended: called once from the thread after `close`, when nothing more will be published.
            after: waited for before anything is published: the end of an earlier publisher of this stream.
            marks: told about every frame and segment, if given.
        """
        self._failed, self._ended, self._after = failed, ended, after
        self._queue: queue.Queue[RungPacket | AudioUnit | None] = queue.Queue(QUEUE_ITEMS)
        unix_offset_s = time.time() - time.monotonic()
        self._rungs = {
            name: RungSegmenter(
                rung,
                stream=store.name,
                segment_s=store.ladder.segment_s,
                unix_offset_s=unix_offset_s,
                marks=marks if marks is not None else NoMarks(),
            )
            for name, rung in store.rungs.items()
        }
        self.refused_audio = 0
        threading.Thread(target=self._run, name=f"{store.name}/package", daemon=True).start()

    def video(self, packet: RungPacket) -> None:
        """Queue one frame, from its rung's thread; blocks while the queue is full."""
        self._queue.put(packet)

    def audio(self, unit: AudioUnit) -> None:
        """Queue one audio frame; never blocks, drops and counts it when the queue is full."""
        try:
            self._queue.put_nowait(unit)
        except queue.Full:
            self.refused_audio += 1

    def close(self) -> None:
        """Say that nothing more comes; not to be called from the event loop, as it may block as `video`."""
        self._queue.put(None)

    def _run(self) -> None:
        if self._after is not None:
            self._after.wait()
        try:
            self._package()
        except Exception as error:  # handed on: a thread has no caller to raise to
            for rung in self._rungs.values():
                rung.abandon()
            self._failed(error)
            while self._queue.get() is not None:  # the rungs' threads must not hang on this queue
                pass
        self._ended()

    def _package(self) -> None:
        for item in iter(self._queue.get, None):
            if isinstance(item, RungPacket):
                self._rungs[item.rung].video(item)
            else:
                for rung in self._rungs.values():
                    rung.audio(item)
        for rung in self._rungs.values():
            rung.close()

"""What FFmpeg logs while we call it: the reason of an error stands there, and often nowhere else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FFMPEG_LOGGER = "libav"
"""Python's logger of what FFmpeg logs in threads that capture nothing."""


@contextmanager
def captured_lines() -> Iterator[Callable[[], list[str]]]:
    """Yield a function that returns the lines FFmpeg has logged in this thread since: errors and warnings.

    Warnings too: that a GPU does not encode a codec is only a warning. Captures may overlap, in one thread or many;
    the last one that ends leaves FFmpeg's log as the first one found it.
    """
    import av.logging

    _LEVEL.hold()
    try:
        with av.logging.Capture(local=True) as captured:
            # A line may be logged in pieces, as those of CUDA are.
            yield lambda: "".join(message for _, _, message in captured).splitlines()
    finally:
        _LEVEL.release()


class _Level:
    """FFmpeg's level of logging, which is that of all threads; held up while any of them captures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._before: tuple[int | None, bool, int] = (None, True, logging.WARNING)

    def hold(self) -> None:
        import av.logging

        with self._lock:
            self._holders += 1
            if self._holders > 1:
                return
            logger = logging.getLogger(FFMPEG_LOGGER)
            self._before = av.logging.get_level(), av.logging.get_skip_repeated(), logger.level
            if self._before[0] is None or self._before[0] < av.logging.WARNING:
                # Threads that capture nothing must stay as silent as they were.
                logger.setLevel(logging.CRITICAL + 1 if self._before[0] is None else logging.ERROR)
                av.logging.set_level(av.logging.WARNING)
            # FFmpeg keeps a line to itself that it has just logged: the second to fail would have no reason.
            av.logging.set_skip_repeated(False)

    def release(self) -> None:
        import av.logging

        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                level, skips_repeated, logger_level = self._before
                av.logging.set_level(level)
                av.logging.set_skip_repeated(skips_repeated)
                logging.getLogger(FFMPEG_LOGGER).setLevel(logger_level)


_LEVEL = _Level()

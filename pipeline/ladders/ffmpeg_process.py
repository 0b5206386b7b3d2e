"""One ffmpeg process and the threads that read it: NUT in, NUT per rung out, its last words kept, never a zombie."""

from __future__ import annotations

import io
import itertools
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

import av
import av.error

from pipeline.ladders.backend import SourcePacket
from pipeline.ladders.ffmpeg_command import NUT_OPTIONS, STAMPS_PER_S, stamp
from pipeline.ladders.nvenc_errors import meaning_of
from scenarios.errors import EncoderUnavailable

TIME_BASE = Fraction(1, STAMPS_PER_S)
STALL_S = 10.0
"""A process that has taken nothing and given nothing for so long is hung, and killed."""
HUNG = f"ffmpeg stood still for {STALL_S:g} s and was killed"
KEPT_LINES, KEPT_BYTES = 40, 400
"""What is kept of the process's messages: so many lines, so many bytes of each."""
MUXER_OPTIONS = NUT_OPTIONS | {"strict": "-2", "avoid_negative_ts": "disabled"}
POLL_S = 0.2
"""How often a wait looks whether there was progress."""


class FfmpegFailed(RuntimeError):  # noqa: N818 - read as "ffmpeg failed: ..."
    """The process ended with an error that no row of the table explains, or was killed because it hung."""


class FfmpegProcess:
    """Takes source packets on one thread, gives back packets of every rung on a thread each.

    Attributes:
        cpu_s: CPU seconds of the whole process, user and system, once it was reaped; None before. Decoding, scaling
            and encoding cannot be told apart in it.
    """

    def __init__(
        self,
        command: Callable[[int, Mapping[str, int]], list[str]],
        *,
        rungs: Sequence[str],
        fps: float,
        decoded: Callable[[int], None],
        encoded: Callable[[str, av.Packet], None],
        name: str = "ffmpeg",
    ) -> None:
        """Start the process.

        Args:
            command: makes the arguments from the descriptor for decoded frames and those of the rungs.
            rungs: their names.
            fps: frame rate to declare for the source.
            decoded: called with the stamp of every frame that left the decoder, in order, from one thread.
            encoded: called with a rung's name and each of its packets, from the rung's thread.
            name: of the threads.
        """
        self.cpu_s: float | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._error: BaseException | None = None
        self._progress_s = time.monotonic()
        self._process, files = _spawn(command, rungs)
        assert self._process.stdin is not None
        assert isinstance(self._process.stderr, io.FileIO)
        self._input = self._process.stdin
        os.set_blocking(self._input.fileno(), False)
        self._muxer = _NutMuxer(fps)
        messages, shown = io.BufferedReader(self._process.stderr), io.BufferedReader(files[0])
        self._threads = [
            self._thread(f"{name}/messages", _read_messages, messages, self._lines.append),
            self._thread(f"{name}/decoded", self._read_decoded, shown, decoded),
        ]
        for rung, file in zip(rungs, files[1:], strict=True):
            self._threads.append(self._thread(f"{name}/{rung}", self._read_rung, file, rung, encoded))

    def send(self, packet: SourcePacket, annex_b: bytes) -> None:
        """Hand over one packet; blocks while the process has no room.

        Raises:
            EncoderUnavailable, FfmpegFailed: the process has ended, or hangs; or what one of the readers raised.
        """
        try:
            if self._error is None:
                self._write(self._muxer.mux(packet, annex_b))
                return
        except BrokenPipeError:
            pass  # it has ended; its status and its messages say why
        self.finish()
        raise FfmpegFailed("ffmpeg stopped reading before the stream ended")

    def _write(self, data: bytes) -> None:
        since_s, rest = time.monotonic(), memoryview(data)
        poll = select.poll()
        poll.register(self._input, select.POLLOUT)
        while rest:
            if poll.poll(1000 * POLL_S):
                rest = rest[os.write(self._input.fileno(), rest) :]
            elif self._stalled(since_s):
                raise FfmpegFailed(HUNG)

    def finish(self) -> None:
        """End the input, wait until everything has come out, and reap the process; errors as `send`."""
        self._input.close()
        hung = not self._drained()
        if hung:
            os.kill(self._process.pid, signal.SIGKILL)
            self._drained()
        status = self._reap()
        if self._error is not None and not isinstance(self._error, av.error.FFmpegError):
            raise self._error
        if hung:
            raise FfmpegFailed(HUNG)
        if status != 0:
            raise explain_ffmpeg(status, tuple(self._lines))
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """End the process now and reap it; harmless when it was reaped."""
        if self._process.returncode is None:
            # Not Popen.kill: that may reap it first, and lose its CPU time.
            os.kill(self._process.pid, signal.SIGKILL)
            self._input.close()
            self._drained()
            self._reap()

    def _stalled(self, since_s: float) -> bool:
        return time.monotonic() - max(since_s, self._progress_s) > STALL_S

    def _drained(self) -> bool:
        """Wait for the readers; return False if they stood still for `STALL_S`."""
        since_s = time.monotonic()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(POLL_S)
                if thread.is_alive() and self._stalled(since_s):
                    return False
        return True

    def _reap(self) -> int:
        """Return the exit status, negative for a signal; notes the CPU time, which only `wait4` tells."""
        if self._process.returncode is None:
            _, status, usage = os.wait4(self._process.pid, 0)
            self.cpu_s = usage.ru_utime + usage.ru_stime
            self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode

    def _thread(self, name: str, work: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=self._guard, args=(work, *args), name=name, daemon=True)
        thread.start()
        return thread

    def _guard(self, work: Callable[..., None], file: io.IOBase, *args: object) -> None:
        with file:
            try:
                work(file, *args)
            except Exception as error:  # raised again by `send` or `finish`: a reader has no caller
                self._error = self._error or error

    def _read_decoded(self, file: io.BufferedReader, decoded: Callable[[int], None]) -> None:
        for line in _lines_of(file):
            found = re.search(rb"pts:(-?\d+)", line)
            if found is not None:
                self._progress_s = time.monotonic()
                decoded(int(found[1]))

    def _read_rung(self, file: io.FileIO, rung: str, encoded: Callable[[str, av.Packet], None]) -> None:
        first = file.read(1)
        if not first:
            return  # it ended without a frame; its status says whether that is an error
        probing = {"probesize": "32", "analyzeduration": "0"}
        with av.open(_Rest(first, file), format="nut", options=probing) as container:
            for packet in container.demux(video=0):
                if packet.size > 0:
                    self._progress_s = time.monotonic()
                    encoded(rung, packet)


class _NutMuxer:
    """FFmpeg's NUT muxer into memory: the one container that takes any clock, flushed packet by packet."""

    def __init__(self, fps: float) -> None:
        self._pieces: list[bytes] = []
        # NUT stores no dts, but the muxer refuses one that does not rise or is after its pts; a publisher's may be.
        self._order = itertools.count(-(2**62))
        self._container = av.open(self, "w", format="nut", options=MUXER_OPTIONS)
        rate = Fraction(fps).limit_denominator(1001)
        # The size is read from the parameter sets in the stream; NUT only wants one.
        self._stream = self._container.add_mux_stream("h264", rate=rate, width=16, height=16, time_base=TIME_BASE)

    def write(self, data: bytes) -> int:
        """Keep what the muxer writes: an error raised in here would lose its kind on the way through FFmpeg."""
        self._pieces.append(bytes(data))
        return len(data)

    def mux(self, packet: SourcePacket, annex_b: bytes) -> bytes:
        """Return the packet as NUT; with the first comes the header."""
        coded = av.Packet(annex_b)
        coded.stream, coded.time_base = self._stream, TIME_BASE
        coded.pts, coded.dts = stamp(packet.pts, packet.part), next(self._order)
        coded.is_keyframe = packet.is_keyframe
        self._container.mux(coded)
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class _Rest:
    """A file whose first byte was read already."""

    def __init__(self, first: bytes, file: io.FileIO) -> None:
        self._first, self._file = first, file

    def read(self, size: int) -> bytes:
        first, self._first = self._first, b""
        return first or self._file.read(size)


def explain_ffmpeg(status: int, lines: Sequence[str]) -> Exception:
    """Return the error that a process's exit status and its messages amount to.

    A row of the table of NVENC's errors is an EncoderUnavailable with its meaning; anything else is quoted whole.
    """
    meaning = meaning_of(lines)
    if meaning is not None:
        return EncoderUnavailable(meaning)
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return FfmpegFailed(f"ffmpeg {how}; it said: {'; '.join(lines) or 'nothing'}")


def _spawn(
    command: Callable[[int, Mapping[str, int]], list[str]], rungs: Sequence[str]
) -> tuple[subprocess.Popen[bytes], list[io.FileIO]]:
    """Return the process and the reading ends of its pipes: that of decoded frames, then one per rung."""
    pipes = [os.pipe() for _ in range(1 + len(rungs))]
    files, writers = [io.FileIO(reader, "r") for reader, _ in pipes], [writer for _, writer in pipes]
    try:
        process = subprocess.Popen(
            command(writers[0], dict(zip(rungs, writers[1:], strict=True))),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=writers,
            bufsize=0,
            # Ctrl-C at the terminal must reach us, who then flush it, and not it.
            start_new_session=True,
        )
    except BaseException:
        for file in files:
            file.close()
        raise
    finally:
        for descriptor in writers:
            os.close(descriptor)
    return process, files


def _read_messages(file: io.BufferedReader, keep: Callable[[str], None]) -> None:
    for line in _lines_of(file):
        keep(line.decode("utf-8", "backslashreplace").strip())


def _lines_of(file: io.BufferedReader) -> Iterator[bytes]:
    """Yield lines, longer ones in pieces: what the process writes does not decide what is kept."""
    return iter(lambda: file.readline(KEPT_BYTES), b"")

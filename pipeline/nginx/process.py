"""nginx as a child process: started in a private folder, waited for, stopped for certain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import tempfile
from collections import deque
from pathlib import Path

from pipeline.doctor import NGINX_RTMP_MODULES, SYSTEM_PATHS
from pipeline.nginx.configuration import HLS_APP, RTMP_SOCKET
from scenarios.errors import NotReady

log = logging.getLogger(__name__)

START_S = 10.0
"""The longest that nginx may take to listen; it tries a port that is in use for 2.5 s before it gives up."""
STOP_S = 2.0
"""How long nginx may take to stop before it is killed."""
KEPT_LINES, MAX_LINE_BYTES = 20, 1000
"""What is kept of nginx's messages."""
MAX_SOCKET_PATH_BYTES = 107
"""Longest path of a Unix socket on Linux (unix(7))."""
_POLL_S = 0.02
_LONGEST_SOCKET_NAME = 16


class NginxProcess:
    """One run of nginx; `start` once, then `stop`.

    Attributes:
        folder: holds its configuration, sockets and HLS; private to this user, removed by `stop`.
    """

    def __init__(self) -> None:
        """Make the folder; NotReady if nginx, its module or setpriv is missing, or no folder can be made."""
        self._nginx = _required("nginx", "apt install nginx libnginx-mod-rtmp")
        self._setpriv = _required("setpriv", "apt install util-linux")
        self.module = _rtmp_module()
        self.folder = _private_folder()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    @property
    def said(self) -> str:
        """The last lines of nginx's error log."""
        return "; ".join(self._lines) or "nothing"

    async def start(self, text: str) -> None:
        """Start nginx with that configuration; return once it listens.

        Raises:
            NotReady: it ended or did not listen within `START_S`; the text holds its own words.
        """
        (self.folder / HLS_APP).mkdir(exist_ok=True)
        (self.folder / RTMP_SOCKET).unlink(missing_ok=True)
        (self.folder / "nginx.conf").write_text(text, encoding="utf-8")
        self._lines.clear()
        # setpriv makes the kernel end nginx with us, however we end; a session of its own keeps Ctrl-C from it.
        command = [self._setpriv, "--pdeathsig", "TERM", self._nginx, "-p", f"{self.folder}/", "-c", "nginx.conf"]
        command += ["-e", "stderr"]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._reader = asyncio.create_task(self._read(self._process.stderr))
        try:
            async with asyncio.timeout(START_S):
                await self._listening()
        except TimeoutError:
            raise NotReady(f"nginx does not listen after {START_S:g} s; it said: {self.said}") from None

    async def ended(self) -> int:
        """Return the exit status once nginx has ended, negative for a signal."""
        assert self._process is not None
        assert self._reader is not None
        status = await self._process.wait()
        await asyncio.wait([self._reader], timeout=STOP_S)
        return status

    async def stop(self) -> None:
        """End nginx and every process of it."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_S)
        # The master takes its workers with it unless it was killed; the group is ours alone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self.ended()
        self._process = None

    def remove_folder(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _listening(self) -> None:
        assert self._process is not None
        while self._process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(self.folder / RTMP_SOCKET)
                writer.close()
                return
            await asyncio.sleep(_POLL_S)
        await self.ended()
        raise NotReady(f"nginx could not start; it said: {self.said}")

    async def _read(self, messages: asyncio.StreamReader) -> None:
        """Keep and log what nginx says, a line at a time; what is longer than a line may be is passed over."""
        while True:
            try:
                line = await messages.readline()
            except ValueError:  # longer than the limit; the reader has dropped it
                continue
            if not line:
                return
            text = line.decode("utf-8", "backslashreplace").strip()
            self._lines.append(text)
            log.warning("nginx: %s", text)


def _required(program: str, remedy: str) -> str:
    path = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), SYSTEM_PATHS]))
    if path is None:
        raise NotReady(f"{program} is not installed; {remedy}")
    return path


def _rtmp_module() -> Path:
    for module in NGINX_RTMP_MODULES:
        if module.is_file():
            return module
    raise NotReady("nginx has no rtmp module here; apt install nginx libnginx-mod-rtmp")


def _private_folder() -> Path:
    """Return a new folder that only this user can enter, its path short enough for the sockets in it."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="headroom-nginx-"))
    except OSError as error:
        raise NotReady(f"no temporary folder can be made: {error.strerror}; set TMPDIR") from error
    if len(os.fsencode(folder)) + 1 + _LONGEST_SOCKET_NAME > MAX_SOCKET_PATH_BYTES:
        folder.rmdir()
        raise NotReady(f"the temporary folder {folder.parent} has too long a name for sockets; set TMPDIR")
    return folder

"""nginx as a child process: started in a private folder, waited for, stopped for certain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections import deque
from pathlib import Path

from pipeline.doctor import NGINX_RTMP_MODULES, SYSTEM_PATHS
from pipeline.nginx.configuration import PID_FILE
from pipeline.nginx.folder import CONFIGURATION_FILE, PrivateFolder, remove_stale_folders
from scenarios.errors import NotReady

log = logging.getLogger(__name__)

START_S = 10.0
"""The longest that nginx may take to listen; it tries a port that is in use for 2.5 s before it gives up."""
STOP_S = 2.0
"""How long nginx may take to stop before it is killed."""
KEPT_LINES, MAX_LINE_BYTES = 20, 1000
"""What is kept of nginx's messages."""
_POLL_S = 0.05


class NginxProcess:
    """One run of nginx: `start`, `stop`, `remove_folder`.

    Attributes:
        module: its rtmp module.
    """

    def __init__(self) -> None:
        """Make the folder; NotReady if nginx, its module or setpriv is missing, or no folder can be made."""
        self._nginx = _required("nginx", "apt install nginx libnginx-mod-rtmp")
        self._setpriv = _required("setpriv", "apt install util-linux")
        self.module = _rtmp_module()
        remove_stale_folders()
        self._folder = PrivateFolder()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    @property
    def folder(self) -> Path:
        """The private folder of its configuration, sockets and HLS; it is there until `remove_folder`."""
        return self._folder.path

    @property
    def said(self) -> str:
        """The last lines of nginx's error log."""
        return "; ".join(self._lines) or "nothing"

    async def start(self, text: str) -> None:
        """Start nginx with that configuration; return once it listens.

        Raises:
            NotReady: it ended or did not listen within `START_S`; the text holds its own words.
        """
        self._folder.write_configuration(text)
        # setpriv makes the kernel end nginx with us, however we end; a session of its own keeps Ctrl-C from it.
        command = [self._setpriv, "--pdeathsig", "TERM", self._nginx, "-p", f"{self.folder}/", "-c", CONFIGURATION_FILE]
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
        # Not `wait`, which also waits for stderr to be closed: workers hold it when their master was killed.
        while self._process.returncode is None:
            await asyncio.sleep(_POLL_S)
        return self._process.returncode

    async def stop(self) -> None:
        """End nginx and every process of it."""
        if self._process is None:
            return
        assert self._reader is not None
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            self._process.terminate()
            await asyncio.wait_for(self.ended(), STOP_S)
        # The master takes its workers with it unless it was killed; the group is ours alone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._reader
        self._process = None

    def remove_folder(self) -> None:
        """Remove the folder and all in it."""
        self._folder.remove()

    async def _listening(self) -> None:
        """Return once nginx has written its pid, which it does when all its sockets are open."""
        assert self._process is not None
        while not _has_content(self.folder / PID_FILE):
            if self._process.returncode is not None:
                await self.stop()
                raise NotReady(f"nginx could not start; it said: {self.said}")
            await asyncio.sleep(_POLL_S)

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


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


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

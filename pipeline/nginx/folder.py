"""The private folder that one run of nginx lives in, and the removal of those that a killed run left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from pipeline.nginx.configuration import CALLBACK_SOCKET, CONTROL_SOCKET, HLS_APP, RTMP_SOCKET
from scenarios.errors import NotReady

PREFIX = "headroom-nginx-"
CONFIGURATION_FILE = "nginx.conf"
MAX_SOCKET_PATH_BYTES = 107
"""Longest path of a Unix socket on Linux (unix(7))."""
_LONGEST_SOCKET_BYTES = max(map(len, (CALLBACK_SOCKET, CONTROL_SOCKET, RTMP_SOCKET)))


class PrivateFolder:
    """A new temporary folder that only this user can enter, locked for as long as this process lives.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        """Make it; NotReady if that cannot be, or if its name is too long for the sockets in it."""
        try:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        except OSError as error:
            raise NotReady(f"no temporary folder can be made: {error.strerror}; set TMPDIR") from error
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if len(os.fsencode(self.path)) + 1 + _LONGEST_SOCKET_BYTES > MAX_SOCKET_PATH_BYTES:
            self.remove()
            raise NotReady(f"the temporary folder {self.path.parent} has too long a name for sockets; set TMPDIR")
        (self.path / HLS_APP).mkdir()

    def write_configuration(self, text: str) -> None:
        """Write the configuration; from now on the folder is removed by others once this process has died."""
        (self.path / CONFIGURATION_FILE).write_text(text, encoding="utf-8")

    def remove(self) -> None:
        """Remove the folder and all in it; harmless when it is gone."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def remove_stale_folders() -> None:
    """Remove the folders of this user whose process has died: nobody holds their lock."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # not ours, in use, or removed by somebody else just now
            if path.stat().st_uid == os.geteuid() and (path / CONFIGURATION_FILE).is_file():
                _remove_if_free(path)


def _remove_if_free(path: Path) -> None:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    finally:
        os.close(lock)

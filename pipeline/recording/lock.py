"""One server per recording folder: a lock that the system frees when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from pipeline.recording.layout import LOCK
from scenarios.errors import NotReady


def lock_folder(root: Path) -> IO[str]:
    """Make the folder if it is missing, and return its lock file, held until that is closed.

    Raises:
        NotReady: it is no folder, may not be written, or another process, which is named, records there.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / LOCK).open("a+", encoding="utf-8")
    except (FileExistsError, NotADirectoryError):
        raise NotReady(f"{root} is not a folder; choose another --record") from None
    except OSError as error:
        raise NotReady(f"{root} cannot be recorded to ({error.strerror}); choose another --record") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with file:
            file.seek(0)
            holder = file.read().strip() or "unknown"
        raise NotReady(f"{root} is being recorded to by process {holder}; stop it or choose another --record") from None
    try:
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
    except OSError as error:
        file.close()
        raise NotReady(
            f"{root} cannot be written ({error.strerror}); free some space or choose another --record"
        ) from error
    return file

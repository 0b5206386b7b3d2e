"""Write a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from scenarios.errors import NotReady


def require_writable(path: Path) -> None:
    """Check that a file can be written there, before the work whose result it will hold.

    Raises:
        NotReady: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise NotReady(f"{path} cannot be written ({error.strerror}); choose another --out") from error


def write_whole(path: Path, text: str) -> Path:
    """Write a text as UTF-8 and return the path; an older file of that name is replaced in one step.

    Raises:
        NotReady: it cannot be written there; nothing is left behind.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise NotReady(f"{path} cannot be written ({error.strerror}); choose another --out") from error
    return path

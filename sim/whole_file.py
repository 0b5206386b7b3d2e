"""Write a file, or a folder, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
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


def require_folder(folder: Path, *, mark: str, what: str) -> None:
    """Check that a folder can be written there, before the work whose result it will hold.

    Args:
        folder: it may be there already, with the mark in it.
        mark: a file that every such folder has.
        what: it is, such as `a result`.

    Raises:
        NotReady: it cannot be written, or holds something else.
    """
    if folder.exists() and not (folder / mark).is_file():
        raise NotReady(f"{folder} exists and is not {what} of headroom; choose another --out")
    require_writable(folder)


def write_folder(folder: Path, fill: Callable[[Path], None], *, mark: str, what: str) -> Path:
    """Write a folder and return its path; an older one at the place is replaced.

    Args:
        folder: its path.
        fill: makes the folder at a path, with the mark in it.
        mark: as `require_folder`.
        what: likewise.

    Raises:
        NotReady: it cannot be written, or the place holds something else; nothing is left behind.
    """
    require_folder(folder, mark=mark, what=what)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
            fill(Path(name) / "new")
            if folder.exists():
                folder.rename(Path(name) / "replaced")
            (Path(name) / "new").rename(folder)
    except OSError as error:
        raise NotReady(f"{folder} cannot be written ({error.strerror}); choose another --out") from error
    return folder


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

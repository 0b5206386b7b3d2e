"""Write a folder whole or not at all, and say when, where and with what it was made."""

from __future__ import annotations

import datetime
import os
import platform
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from scenarios.errors import NotReady

LIBRARIES = ("headroom", "numpy", "scipy", "pandas", "simpy")


def require_place(folder: Path, marker: str, what: str) -> None:
    """Check that a folder can be written there, before the work whose outcome it will hold.

    Args:
        folder: to be written, or to be replaced.
        marker: a file that every folder of its kind has.
        what: its kind.

    Raises:
        NotReady: it cannot, or something of another kind is there.
    """
    if folder.exists() and not (folder / marker).is_file():
        raise NotReady(f"{folder} exists and is not a {what} of headroom; choose another --out")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-"):
            pass
    except OSError as error:
        raise _refused(folder, error) from error


def write_whole_folder(folder: Path, marker: str, what: str, fill: Callable[[Path], None]) -> Path:
    """Write a folder and return its path; an older one of its kind is replaced in one step.

    Args:
        folder: as `require_place`, and so are marker and what.
        marker: likewise.
        what: likewise.
        fill: writes the files into an empty folder.

    Raises:
        NotReady: as `require_place`.
    """
    require_place(folder, marker, what)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
            made = Path(name) / "made"
            made.mkdir()
            fill(made)
            if folder.exists():
                folder.rename(Path(name) / "replaced")
            made.rename(folder)
    except OSError as error:
        raise _refused(folder, error) from error
    return folder


def made_here() -> dict[str, Any]:
    """Return when, where and with which versions something is made."""
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "cpus": os.cpu_count(),
    }


def _refused(folder: Path, error: OSError) -> NotReady:
    return NotReady(f"{folder} cannot be written ({error.strerror}); choose another --out")

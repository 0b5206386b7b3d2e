"""The names below the recording folder, and how a file comes to be there whole or not at all."""

from __future__ import annotations

import datetime
import os
import re
from contextlib import suppress
from pathlib import Path

from pipeline.rtmp.keys import is_stream_name
from scenarios.errors import NotReady
from scenarios.ladder import Ladder

PLAYLIST = "index.m3u8"
"""The multivariant playlist of a recording, and in each rung's folder the media playlist."""
LOCK = "headroom.lock"
TEMPORARY = ".tmp"
"""Ends every name that is not finished yet, or not gone yet."""
MEDIA_FILE = re.compile(r"\d+\.(ts|m4s)")
"""Segments; the init segments of fMP4 beside them are some hundred bytes and go with their recording."""
RECORDING = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}-\d{8}T\d{6}Z")


def check_names(ladder: Ladder) -> None:
    """Refuse a ladder whose rungs cannot be folders beside a playlist.

    Rung names hold letters, digits, `_`, `.`, `+` and `-` and begin with a letter or digit (`scenarios.base.Name`).

    Raises:
        NotReady: a rung is named like the playlist, or two names differ in case only, which some disks take as one.
    """
    taken = {PLAYLIST, PLAYLIST + TEMPORARY}
    for rung in ladder.rungs:
        if rung.name.lower() in taken:
            raise NotReady(f"rung {rung.name!r} cannot be recorded beside a file of that name; name it otherwise")
        taken.add(rung.name.lower())


def make_recording_folder(root: Path, stream: str, start_unix_s: float) -> Path:
    """Make and return `{root}/{stream}-{start UTC}`; a start that is taken becomes the next free second.

    Raises:
        OSError: it cannot be made. The root itself never is: it may be a disk that was unplugged.
    """
    if not is_stream_name(stream):
        raise ValueError(f"{stream!r} is no stream name")
    start = datetime.datetime.fromtimestamp(start_unix_s, tz=datetime.UTC)
    while True:
        folder = root / f"{stream}-{start:%Y%m%dT%H%M%SZ}"
        try:
            folder.mkdir()
        except FileExistsError:
            start += datetime.timedelta(seconds=1)
        else:
            return folder


def recording_folders(root: Path) -> list[Path]:
    """Return every recording below the root, by name; what was not made here is not among them."""
    return sorted(path for path in root.iterdir() if RECORDING.fullmatch(path.name) and _is_folder(path))


def condemned_folders(root: Path) -> list[Path]:
    """Return recordings whose removal was begun."""
    return [
        path
        for path in root.iterdir()
        if path.suffix == TEMPORARY and RECORDING.fullmatch(path.stem) and _is_folder(path)
    ]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, bring it to the disk, and only then give it its name.

    Raises:
        OSError: it cannot be written; a file of that name stays as it was, and nothing is left beside it.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise

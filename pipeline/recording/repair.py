"""What a server that was killed left behind: leftovers go, recordings that were cut off get their end."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.hls.playlist import ENDLIST
from pipeline.recording.layout import (
    MEDIA_FILE,
    PLAYLIST,
    TEMPORARY,
    condemned_folders,
    recording_folders,
    write_whole,
)
from pipeline.recording.retention import Finished
from scenarios.errors import NotReady


def repair(root: Path) -> list[Finished]:
    """Return the recordings of the folder, each with an end; nobody may be recording there.

    Temporary files and media that no playlist lists are removed. A recording without a playlist is removed too.

    Raises:
        NotReady: something cannot be read, written or removed.
    """
    try:
        for folder in condemned_folders(root):
            shutil.rmtree(folder)
        return [_finished(folder) for folder in recording_folders(root) if _repair_recording(folder)]
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise NotReady(
            f"the recordings in {root} cannot be repaired ({place}{error.strerror}); "
            "free some space, or see to its permissions"
        ) from error


def _repair_recording(folder: Path) -> bool:
    """Repair one recording; return False if nothing of it was worth keeping."""
    for path in folder.rglob(f"*{TEMPORARY}"):
        path.unlink()
    playlists = list(folder.glob(f"*/{PLAYLIST}"))
    if not playlists:
        shutil.rmtree(folder)
        return False
    for playlist in playlists:
        _end(playlist)
    return True


def _end(playlist: Path) -> None:
    """Give a media playlist its end, and remove media beside it that it does not list."""
    text = playlist.read_text(encoding="utf-8")
    if not text.endswith(ENDLIST):
        text = text.replace("#EXT-X-PLAYLIST-TYPE:EVENT\n", "#EXT-X-PLAYLIST-TYPE:VOD\n", 1) + ENDLIST
        write_whole(playlist, text.encode())
    listed = set(text.splitlines())
    for path in playlist.parent.iterdir():
        if MEDIA_FILE.fullmatch(path.name) and path.name not in listed:
            path.unlink()


def _finished(folder: Path) -> Finished:
    """Describe a repaired recording; it ended when a playlist was last written."""
    return Finished(
        folder=folder,
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if MEDIA_FILE.fullmatch(path.name)),
        ended_unix_s=max(path.stat().st_mtime for path in folder.rglob(PLAYLIST)),
    )

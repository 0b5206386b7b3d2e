"""Find a file that another file names: beside or below it, and never outside of its folder."""

from __future__ import annotations

from pathlib import Path

from scenarios.reading.phrases import did_you_mean, echo


class NotThereError(Exception):
    """A name that leads to no file which may be read.

    Attributes:
        hint: what to do; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def path_beside(name: object, folder: Path, *, kind: str, suffix: str) -> Path:
    """Return the file of a name, symbolic links followed.

    Args:
        name: as the naming file has it.
        folder: of the naming file, resolved.
        kind: what it should be, for the reader of an error: `file` or `CSV file`.
        suffix: of the files that are suggested, without the dot.

    Raises:
        NotThereError: it is no name, leads out of the folder, or no file is there.
    """
    if not isinstance(name, str) or not name or not name.isprintable():
        raise NotThereError(f"must be the name of a {kind}, not {echo(name)}")
    try:
        path = (folder / name).resolve()
        exists = path.exists()
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of symbolic links
        raise NotThereError(f"cannot be looked up: {getattr(error, 'strerror', None) or error}") from None
    if not path.is_relative_to(folder):
        raise NotThereError(
            f"{echo(name)} leads out of the folder of this file", "name a file beside or below this one"
        )
    if not exists:
        known = sorted(file.name for file in folder.glob(f"*.{suffix}"))
        raise NotThereError(f"no file {echo(name)} beside this one", did_you_mean(name, known))
    return path

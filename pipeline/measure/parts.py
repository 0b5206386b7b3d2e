"""What a measurement that can be resumed has so far: a folder with one file for each load, rewritten whole."""

from __future__ import annotations

import gzip
import json
import shutil
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.ladders.choice import Choice
from pipeline.measure.encoder import encoder_facts
from pipeline.measure.host import machine_facts
from pipeline.measure.plan import Plan
from pipeline.measure.search import Tried
from pipeline.measure.session import Taken
from scenarios.errors import CalibrationError, NotReady
from scenarios.machine import MachineFacts

ABOUT = "about.json"


class Parts:
    """The runs of one measurement on disk: for each load a file of JSON lines, one a run, each compressed for itself.

    Attributes:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = {path: path.read_bytes() for path in sorted(folder.glob("*.json.gz"))}

    @classmethod
    def opened(cls, out: Path, *, plan: Plan, choice: Choice) -> Parts:
        """Return the parts of a measurement to be written to `out`; a new folder if there is none yet.

        Raises:
            CalibrationError: they are of another machine, encoder or protocol.
            NotReady: the folder cannot be written.
        """
        folder = out.with_name(f"{out.name}.parts")
        about = _about(plan, choice)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / ABOUT
            if not path.exists():
                _write_whole(path, json.dumps(about, indent=2).encode())
            _require_same(path, about)
            return cls(folder)
        except OSError as error:
            raise NotReady(f"{folder} cannot be used ({error.strerror}); choose another --out or free space") from error

    def runs(self) -> list[Taken]:
        """Return all runs, in the order they were taken.

        Raises:
            CalibrationError: a file is damaged.
        """
        taken = [one for path, data in self._files.items() for one in _runs(path, data)]
        return sorted(taken, key=lambda one: one.number)

    def keep(self, taken: Taken) -> None:
        """Add a run; its load's file is replaced at once, or stays as it is."""
        path = self.folder / f"{_load(taken)}.json.gz"
        line = json.dumps({field.name: getattr(taken, field.name) for field in fields(taken)}, allow_nan=False)
        self._files[path] = self._files.get(path, b"") + gzip.compress(f"{line}\n".encode())
        _write_whole(path, self._files[path])

    def remove(self) -> None:
        """Remove the folder: all of it is in the bundle."""
        shutil.rmtree(self.folder)


def _load(taken: Taken) -> str:
    return taken.series if taken.series.endswith(f"-{taken.streams}") else f"{taken.series}-{taken.streams}"


def _about(plan: Plan, choice: Choice) -> dict[str, Any]:
    """Return what must be the same when a measurement is resumed."""
    cases = [series.case for series in plan.series]
    facts = encoder_facts(
        backend=choice.backend.name,
        preset=cases[0].preset,
        ladders={case.ladder_name: case.ladder for case in cases},
    )
    machine = machine_facts()
    alike = {name: getattr(machine, name) for name in ("cpu_model", "cores", "architecture", "product_name", "gpus")}
    assert alike.keys() <= MachineFacts.model_fields.keys()
    about = {"protocol": plan.protocol_sha256, "machine": alike, "encoder": facts.model_dump(mode="json")}
    return dict(json.loads(json.dumps(about)))


def _require_same(path: Path, about: dict[str, Any]) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CalibrationError(f"{path}: damaged ({error}); remove {path.parent} and measure again") from error
    for what, value in about.items():
        if before.get(what) != value:
            raise CalibrationError(
                f"{path.parent} was begun with another {what}: {before.get(what)}, this is {value}; "
                "go on where it was begun, or choose another --out"
            )


def _runs(path: Path, data: bytes) -> list[Taken]:
    try:
        found = [json.loads(line) for line in gzip.decompress(data).splitlines()]
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise CalibrationError(f"{path}: damaged ({error}); remove it, its load is measured again") from error
    return [Taken(**one | {"tried": one["tried"] and Tried(*one["tried"])}) for one in found]


def _write_whole(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(data)
    draft.replace(path)

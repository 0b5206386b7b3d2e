"""What a measurement that can be resumed has so far: a folder with one file for each load, rewritten whole."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import defaultdict
from dataclasses import asdict
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
QUICKLY = 1
"""Compression level of the files: they are rewritten after every run."""


class Parts:
    """The runs of one measurement on disk.

    Attributes:
        folder: where they are.
        taken: all runs, in the order they were taken.
    """

    def __init__(self, folder: Path, taken: list[Taken]) -> None:
        self.folder = folder
        self.taken = taken
        self._by_load: defaultdict[str, list[Taken]] = defaultdict(list)
        for one in taken:
            self._by_load[_load(one)].append(one)

    @classmethod
    def opened(cls, out: Path, *, plan: Plan, choice: Choice) -> Parts:
        """Return the parts of a measurement to be written to `out`; a new folder if there is none yet.

        Raises:
            CalibrationError: they are of another machine, encoder or protocol, or damaged.
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
            taken = [_taken(entry) for path in folder.glob("*.json.gz") for entry in _read(path)]
        except OSError as error:
            raise NotReady(f"{folder} cannot be used ({error.strerror}); choose another --out or free space") from error
        return cls(folder, sorted(taken, key=lambda one: one.rows["runs"][0]["run"]))

    def keep(self, taken: Taken) -> None:
        """Add a run; its load's file is replaced at once, or stays as it is."""
        self.taken.append(taken)
        runs = self._by_load[_load(taken)]
        runs.append(taken)
        text = json.dumps([asdict(one) | {"tried": one.tried} for one in runs], allow_nan=False)
        _write_whole(self.folder / f"{_load(taken)}.json.gz", gzip.compress(text.encode(), QUICKLY))

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


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        entries: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise CalibrationError(f"{path}: damaged ({error}); remove it, its load is measured again") from error
    return entries


def _taken(entry: dict[str, Any]) -> Taken:
    tried = Tried(*entry["tried"]) if entry["tried"] is not None else None
    return Taken(entry["series"], entry["streams"], entry["rows"], tried, entry["contended"])


def _write_whole(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(data)
    draft.replace(path)

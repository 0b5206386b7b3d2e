"""A child process that is spoken to in lines of JSON, and never outlives its parent's interest."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pipeline
from scenarios.errors import EncoderUnavailable, NotReady

KILL_AFTER_S = 5.0
ERRORS = {"EncoderUnavailable": EncoderUnavailable, "NotReady": NotReady}


class Child:
    """A module of ours run as a program; a context manager that ends it whatever happens."""

    def __init__(self, module: str) -> None:
        self._module = module
        root = str(Path(pipeline.__file__).parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )

    def __enter__(self) -> Self:
        """Return the running child."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child: by the end of its input, and by force if it does not take the hint."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        try:
            self._process.wait(0 if kind else KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def tell(self, document: Mapping[str, Any]) -> None:
        """Send one object."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(document) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._died()

    def hear(self, timeout_s: float) -> dict[str, Any]:
        """Return the next object the child says.

        Raises:
            NotReady: it said that it is not ready, or nothing within `timeout_s`.
            EncoderUnavailable: it said so.
            RuntimeError: it ended without a word: a bug, told with what it wrote to standard error.
        """
        assert self._process.stdout is not None
        watchdog = threading.Timer(timeout_s, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            self._died()
        heard: dict[str, Any] = json.loads(line)
        if "error" in heard:
            raise ERRORS[heard["kind"]](heard["error"])
        return heard

    def _died(self) -> None:
        code = self._process.wait(KILL_AFTER_S)
        if code == -9:
            raise NotReady(f"{self._module} did not answer in time; is the machine overloaded by something else?")
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace")[-4000:]
        raise RuntimeError(f"{self._module} ended with code {code}:\n{said}")

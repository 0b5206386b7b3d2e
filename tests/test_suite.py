"""The suite itself: a skip that CI does not allow fails it, whichever process it is in, and so does either half."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONFTEST = Path(__file__).with_name("conftest.py")
SETTINGS = "[pytest]\naddopts = --strict-markers\nmarkers =\n    requires_nvenc: of a GPU\n    alone: by itself\n"
PASSES = "def test_passes():\n    pass\n"
OF_A_TEST = "import pytest\ndef test_planted():\n    pytest.skip('planted')\n"
OF_A_MODULE = "import pytest\npytest.importorskip('no_such_package', reason='planted')\n"
ALLOWED = "import pytest\n@pytest.mark.requires_nvenc\ndef test_planted():\n    pytest.skip('planted')\n"
TWO_PROCESSES = ("-p", "xdist", "-n", "2", "--dist", "worksteal")


def outcome(folder: Path, planted: dict[str, str], *options: str, ci: str = "true") -> tuple[int, str]:
    """Run a suite with the files of `planted` under our conftest; return its exit code and what it printed."""
    shutil.copy(CONFTEST, folder)
    files = {"pytest.ini": SETTINGS, "test_first.py": PASSES, "test_last.py": PASSES} | planted
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", *options],
        cwd=folder,
        env=os.environ | {"CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("options", [(), TWO_PROCESSES], ids=["one process", "two"])
def test_planted_skips_fail_in_ci_and_are_named_once(tmp_path, options):
    code, said = outcome(tmp_path, {"test_one.py": OF_A_TEST, "test_two.py": OF_A_MODULE}, *options)
    assert code == 1
    (line,) = [line for line in said.splitlines() if "counts as failed" in line]
    assert sorted(line.partition(": ")[2].split(", ")) == ["test_one.py::test_planted", "test_two.py"]
    assert "2 passed" in said


@pytest.mark.parametrize(("planted", "ci"), [(ALLOWED, "true"), (OF_A_TEST, "")], ids=["allowed", "outside CI"])
def test_other_skips_do_not(tmp_path, planted, ci):
    code, said = outcome(tmp_path, {"test_one.py": planted}, *TWO_PROCESSES, ci=ci)
    assert (code, "SKIPPED [1]" in said, "counts as failed" in said) == (0, True, False)


@pytest.mark.parametrize("failing", ["not alone", "alone", "neither"])
@pytest.mark.parametrize("target", ["test", "test-long"])
def test_both_halves_run_and_both_count(tmp_path, target, failing):
    stand_in = tmp_path / "pytest"
    stand_in.write_text(f'#!/bin/sh\necho "$2"\ncase "$2" in {failing!r}*) exit 1;; esac\n', encoding="utf-8")
    stand_in.chmod(0o755)
    command = ["make", "--silent", "--no-print-directory", "--old-file=.venv/.ready", target, f"BIN={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    long = " and not long" if target == "test" else ""
    assert done.stdout.splitlines() == [f"not alone{long}", f"alone{long}"]
    assert (done.returncode == 0) == (failing == "neither")

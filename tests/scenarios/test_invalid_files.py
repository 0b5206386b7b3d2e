"""Bad scenario files: each says exactly what the text beside it says, exit 2, no traceback, nothing written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INVALID = Path(__file__).parent / "invalid"
FILES = sorted(INVALID.glob("*.yaml"))


def headroom(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import headroom; headroom.main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_there_are_files_and_each_has_its_message():
    assert len(FILES) >= 12
    assert {file.stem for file in FILES} == {file.stem for file in INVALID.glob("*.txt")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_bad_file_is_refused_by_its_message(file, tmp_path):
    shutil.copy(file, tmp_path)
    done = headroom("run", file.name, "--out", "result", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == file.with_suffix(".txt").read_text(encoding="utf-8")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_validate_shows_the_problems_of_all_files_and_says_which_are_valid(tmp_path):
    (tmp_path / "good.yaml").write_text("extends: baseline\nset:\n  platform.cdn.clusters: 12\n")
    for file in FILES[:2]:
        shutil.copy(file, tmp_path)
    done = headroom("validate", "good.yaml", *(file.name for file in FILES[:2]), folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == "good.yaml: valid\n"
    assert done.stderr == "".join(file.with_suffix(".txt").read_text(encoding="utf-8") for file in FILES[:2])

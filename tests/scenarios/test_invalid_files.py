"""Bad scenario files: each says exactly what the text beside it says, exit 2, no traceback, nothing written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import headroom

INVALID = Path(__file__).parent / "invalid"
FILES = sorted(INVALID.glob("*.yaml"))
ROOT = Path(__file__).parent.parent.parent


class Refusal(NamedTuple):
    """What the command did with a file."""

    exit_code: object
    stdout: str
    stderr: str
    cpu_s: float


@pytest.fixture
def command(tmp_path, monkeypatch, capsys) -> Callable[..., Refusal]:
    """Return the command, run in this process and in an empty folder."""

    def run(*arguments: str) -> Refusal:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["headroom", *arguments])
        started = time.process_time()
        with pytest.raises(SystemExit) as done:
            headroom.main()
        cpu_s = time.process_time() - started
        return Refusal(done.value.code, *capsys.readouterr(), cpu_s)

    return run


def test_there_are_files_and_each_has_its_message():
    assert len(FILES) >= 30
    assert {file.stem for file in FILES} == {file.stem for file in INVALID.glob("*.txt")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_bad_file_is_refused_by_its_message(file, tmp_path, command):
    shutil.copy(file, tmp_path)
    done = command("run", file.name, "--out", "result")
    assert done.stderr == file.with_suffix(".txt").read_text(encoding="utf-8")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.cpu_s < 1
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9)
)
NO_TEXT_OF_THE_LANGUAGE = {
    "s21 a bomb of aliases": (BOMB.encode(), "5:10: the aliases of this file stand for more than 10000 values"),
    "s23 flow nesting": (b"a: " + b"[" * 3000 + b"]" * 3000, "1:67: nested deeper than 64 levels"),
    "s23 block nesting": (
        "".join(" " * level + "a:\n" for level in range(3000)).encode(),
        "65:65: nested deeper than 64 levels",
    ),
    "s25 empty": (b"", " the file is empty; a mapping of keys belongs here"),
    "s25 comments alone": (b"# nothing\n", " the file is empty; a mapping of keys belongs here"),
    "s25 two documents": (
        b"extends: baseline\n---\nset: {}\n",
        "2:1: a second document starts here; keep one document in a file, without '---' lines",
    ),
    "s25 a tab": (
        b"extends: baseline\nset:\n\tplatform.cdn.clusters: 4\n",
        "3:1: not valid YAML: found character '\\t' that cannot start any token; indent with spaces",
    ),
    "s25 NUL": (b"title: a\0b\n", "1:9: the control character U+0000 is not allowed; delete it"),
    "s25 not UTF-8": (
        b"title: caf\xe9\n",
        "1:11: not UTF-8: the byte 0xe9 starts no character; save the file as UTF-8",
    ),
    "s26 larger than 5 MB": (
        b"title: x\n" + b"#" * 5_000_000,
        " larger than 5 MB; keep large tables in files of their own",
    ),
}


@pytest.mark.parametrize("case", NO_TEXT_OF_THE_LANGUAGE)
def test_what_is_no_text_of_the_language_is_refused_in_one_line(case, tmp_path, command):
    content, message = NO_TEXT_OF_THE_LANGUAGE[case]
    (tmp_path / "f.yaml").write_bytes(content)
    done = command("run", "f.yaml", "--out", "result")
    assert done.stderr.rstrip("\n") == f"f.yaml:{message}"
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.cpu_s < 1
    assert [path.name for path in tmp_path.iterdir()] == ["f.yaml"]


def test_a_pipe_a_folder_and_nothing_at_all_are_no_files(tmp_path, command):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, message in {
        "pipe": "pipe: not a regular file; a plain file is read, no folder, pipe or device",
        "folder": "folder: not a regular file; a plain file is read, no folder, pipe or device",
        "pip": "pip: no such file; did you mean 'pipe'?",
    }.items():
        done = command("run", name, "--out", "result")
        assert (done.exit_code, done.stdout, done.stderr) == (2, "", message + "\n")
        assert done.cpu_s < 1
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "folder"}


def test_files_that_extend_one_another_in_a_circle_show_it(tmp_path, command):
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"extends: {other}.yaml\n")
    done = command("run", "a.yaml", "--out", "result")
    circle = "a.yaml -> b.yaml -> c.yaml -> a.yaml"
    assert done.stderr == f"c.yaml:1:10: extends: the files extend one another in a circle: {circle}\n"
    assert done.exit_code == 2


def test_a_bomb_costs_no_memory(tmp_path, command):
    (tmp_path / "f.yaml").write_text(BOMB)
    command("run", "f.yaml")  # what is loaded once is loaded
    tracemalloc.start()
    try:
        command("run", "f.yaml")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 50e6


def test_no_and_on_are_names(tmp_path, command):
    (tmp_path / "f.yaml").write_text("extends: baseline\ntitle: no\nquestion: on\n")
    assert command("validate", "f.yaml") == (0, "f.yaml: valid\n", "", pytest.approx(0, abs=5))


def test_a_tag_of_python_runs_nothing(tmp_path, command):
    (tmp_path / "f.yaml").write_text("title: !!python/object/apply:os.system ['touch canary']\n")
    done = command("run", "f.yaml")
    assert (done.exit_code, [path.name for path in tmp_path.iterdir()]) == (2, ["f.yaml"])


def test_from_outside_the_answer_comes_within_a_second(tmp_path):
    file = FILES[0]
    shutil.copy(file, tmp_path)
    code = "import headroom, time; import atexit; atexit.register(lambda: print(time.process_time())); headroom.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", file.name, "--out", "result"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, file.with_suffix(".txt").read_text(encoding="utf-8"))
    assert float(done.stdout) < 1
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_validate_shows_the_problems_of_all_files_and_says_which_are_valid(tmp_path, command):
    (tmp_path / "good.yaml").write_text("extends: baseline\nset:\n  platform.cdn.clusters: 12\n")
    for file in FILES[:2]:
        shutil.copy(file, tmp_path)
    done = command("validate", "good.yaml", *(file.name for file in FILES[:2]))
    assert (done.exit_code, done.stdout) == (2, "good.yaml: valid\n")
    assert done.stderr == "".join(file.with_suffix(".txt").read_text(encoding="utf-8") for file in FILES[:2])

"""What the pages show is what the commands print."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


refresh, performance, fidelity = script("refresh"), script("performance"), script("fidelity")


BLOCKS = {
    f"{page.name} {number}": match.group()
    for page in refresh.PAGES
    for number, match in enumerate(refresh.BLOCK.finditer(page.read_text(encoding="utf-8")), start=1)
}


def test_every_page_has_blocks():
    assert len(BLOCKS) >= 3 * len(refresh.PAGES)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_every_block_runs_and_prints_what_the_page_shows(block):
    assert refresh.refreshed(block) == block


@pytest.mark.parametrize("guide", refresh.GUIDES, ids=lambda guide: guide.name)
def test_every_step_of_a_guide_runs_and_prints_what_the_guide_shows(guide):
    text = guide.read_text(encoding="utf-8")
    assert len(refresh.BLOCK.findall(text)) >= 3
    assert refresh.FILE.findall(text)
    assert refresh.followed(text) == text


def test_a_guide_has_a_folder_of_its_own_and_its_steps_their_order():
    file, first = "`a.txt`:\n\n```text\nten\n```\n", "```console\n$ sed s/ten/new/ a.txt > b.txt\n$ ls\n"
    rest = "```\n```console\n$ cat b.txt\n"
    assert refresh.followed(f"{file}{first}{rest}old\n```") == f"{file}{first}a.txt\nb.txt\n{rest}new\n```"


def test_a_stale_output_a_failing_command_and_a_missing_target_are_caught():
    assert refresh.refreshed("```console\n$ echo new\nold\n```") == "```console\n$ echo new\nnew\n```"
    for block in ("```console\n$ false\n```", "```python\n1 / 0\n```", "```console\n$ make no-such-target\n```"):
        with pytest.raises(subprocess.CalledProcessError):
            refresh.refreshed(block)


def test_the_page_of_performance_is_what_the_benchmarks_printed():
    text = performance.PAGE.read_text(encoding="utf-8")
    assert text == performance.page()
    assert text.count("\n## ") == len(performance.COMMANDS)
    for name, key in performance.TARGETS:
        assert f"`{key}`" in text, f"{name} was not measured"


def test_the_page_of_fidelity_is_what_the_benchmark_printed():
    assert fidelity.PAGE.read_text(encoding="utf-8") == fidelity.page()
    bundles = (ROOT / "scenarios" / "bundles").glob("xeon-*/runs.parquet")
    jobs_s = pd.concat([pd.read_parquet(path, columns=["reference_cpu_s"]) for path in bundles])["reference_cpu_s"]
    assert f"took from {jobs_s.min():.2f} to {jobs_s.max():.2f} s" in " ".join(fidelity.HEAD.split())
    for path in fidelity.WITH_TABLE:
        text = path.read_text(encoding="utf-8")
        assert text.count(fidelity.MARKS[0]) == text.count(fidelity.MARKS[1]) == 1
        assert fidelity.with_table(text) == text

"""The page of faults names, for each fault, tests that exist, and every bad scenario file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = {row[0]: row[1] for row in re.findall(r"^\| ([PSRH]\d+) \| (.+) \|$", PAGE, re.MULTILINE)}
FILES = {path.stem for path in (ROOT / "tests" / "scenarios" / "invalid").glob("*.yaml")}
FAULTS = [
    *(f"P{number}" for number in range(1, 21)),
    *(f"S{number}" for number in range(1, 31)),
    *(f"R{number}" for number in (1, 2, 3, 15, 17, 18, 19)),
    *(f"H{number}" for number in range(1, 8)),
]


def functions(module: str) -> set[str]:
    (path,) = (ROOT / "tests").rglob(f"{module}.py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_tests(fault):
    tests, files = re.findall(r"`(test_\w+)::(test_\w+)`", ROWS[fault]), re.findall(r"`(s\d\d_\w+)`", ROWS[fault])
    assert tests or files, "no test is named"
    assert set(files) <= FILES
    for module, function in tests:
        assert function in functions(module), (module, function)


def test_every_bad_file_is_on_the_page():
    assert FILES - set(re.findall(r"`(s\d\d_\w+)`", PAGE)) == {"s00_several_at_once"}

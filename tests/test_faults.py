"""The page of faults names, for each of P1 to P20, tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = {row[0]: row[1] for row in re.findall(r"^\| (P\d+) \| (.+) \|$", PAGE, re.MULTILINE)}


@pytest.mark.parametrize("fault", [f"P{number}" for number in range(1, 21)])
def test_each_fault_has_tests(fault):
    named = re.findall(r"`(test_\w+)::(test_\w+)`", ROWS[fault])
    assert named, "no test is named"
    for module, function in named:
        (path,) = (ROOT / "tests").rglob(f"{module}.py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}

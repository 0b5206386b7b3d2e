"""The page of the model leaves no component out, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "model.md"
TEXT = PAGE.read_text(encoding="utf-8")
PARTS = ("Assumes", "Closed form", "Fidelity", "Limits")


def sections(text: str) -> dict[str, str]:
    """Return the text of each section by its title."""
    _, *found = re.split(r"^## ", text, flags=re.MULTILINE)
    return {title: body for title, _, body in (part.partition("\n") for part in found)}


def about(body: str) -> list[str]:
    """Return the files that a section is about: those between its title and its first point."""
    return re.findall(r"`(sim/\S+\.py)`", body.partition("\n- **")[0])


def lacking(text: str) -> set[str]:
    """Return the components that no section is about."""
    files = [path for path in (ROOT / "sim" / "components").rglob("*.py") if path.name != "__init__.py"]
    told = {name for body in sections(text).values() for name in about(body)}
    return {path.relative_to(ROOT).as_posix() for path in files} - told


@pytest.mark.parametrize("title", sections(TEXT))
def test_a_section_says_all_four_of_what_it_is_about_and_names_its_tests(title):
    body = sections(TEXT)[title]
    assert about(body)
    assert re.findall(r"^- \*\*(.+?)\*\*", body, re.MULTILINE) == list(PARTS)
    assert re.search(r"`tests/\S+\.py`", body.partition("- **Closed form**")[2].partition("- **Fidelity**")[0])


def test_every_component_has_its_section_and_no_other():
    assert lacking(TEXT) == set()
    told = [name for body in sections(TEXT).values() for name in about(body) if "/components/" in name]
    assert len(told) == len(set(told))
    assert lacking(TEXT.replace("`sim/components/raids.py`", "")) == {"sim/components/raids.py"}  # planted


def test_what_is_named_exists():
    named = re.findall(r"`((?:sim|tests|docs|scenarios)/[^`\s]*)`", TEXT)
    assert len([name for name in named if name.startswith("tests/")]) > 30
    assert [name for name in named if not (ROOT / name).exists()] == []
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []

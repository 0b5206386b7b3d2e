"""The page of streams per node, and the table of accelerators, are what the simulator says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from scenarios import load_catalogue, load_scenario

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("streams_per_node", ROOT / "docs" / "streams_per_node.py")
streams_per_node = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(streams_per_node)
TEXT = streams_per_node.PAGE.read_text(encoding="utf-8")


def ladder(name):
    return load_scenario(ROOT / "scenarios" / "library" / f"{name}.yaml")


@pytest.mark.parametrize("name", streams_per_node.LADDERS)
@pytest.mark.parametrize(
    "instance", ["c5.2xlarge", "c7a.4xlarge", "g4dn.xlarge", "g6.12xlarge", "g6e.xlarge", "vt1.3xlarge"]
)
def test_a_row_is_what_run_says(name, instance):
    part = TEXT.split(f"`{name}.yaml`")[1].split("\n## ")[0]
    one = streams_per_node.row(ladder(name), instance)
    if one.result is None:
        assert one.reason.removeprefix(f"{instance}: ") in part
        assert instance in part.split("Not answered")[1]
    else:
        assert streams_per_node.line(one.result) in part


def test_every_shipped_type_stands_in_both_parts():
    for part in TEXT.split("The ladder of")[1:]:
        assert [name for name in load_catalogue().instances if name != "this-machine" and name not in part] == []


def test_the_table_of_devices_and_that_of_accelerators_are_current():
    scenarios = {name: ladder(name) for name in streams_per_node.LADDERS}
    assert "\n".join(streams_per_node._devices(scenarios)) in TEXT
    assert streams_per_node.COEFFICIENTS.read_text(encoding="utf-8") == streams_per_node.coefficients_page()
    assert "| NVIDIA T4 | `encode_engine_s_per_pixel h264 p4` |" in streams_per_node.accelerator_table()


@pytest.mark.long
def test_the_whole_page_is_current():
    assert streams_per_node.page() == TEXT

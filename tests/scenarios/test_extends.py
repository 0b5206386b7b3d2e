"""A what-if is a difference: `extends` and `set`, and where each value of the whole came from."""

from __future__ import annotations

import math
import re
import textwrap
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from scenarios.base import BitsPerSecond, IsoDate, Name, PositiveCount, Ratio, Seconds, SpecModel, Text
from scenarios.errors import ScenarioError
from scenarios.reading.load import Loaded, load, origin, resolve_text
from scenarios.reading.node import unplaced


class Fixed(SpecModel):
    kind: Literal["fixed"]
    nodes: PositiveCount


class Queue(SpecModel):
    kind: Literal["queue"]
    wait_s: Seconds = 5.0


class Rung(SpecModel):
    name: Name
    bitrate_bps: BitsPerSecond


class Cache(SpecModel):
    ttl_s: Seconds = 3.0
    size: PositiveCount = 1


class Plan(SpecModel):
    title: Text
    question: Text = "?"
    date: IsoDate | None = None
    scaler: Annotated[Fixed | Queue, Field(discriminator="kind")]
    rungs: tuple[Rung, ...] = ()
    shares: dict[str, Ratio] = Field(default_factory=dict)
    cache: Cache = Cache(ttl_s=9.0)
    points: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _descending(self) -> Plan:
        rates = [rung.bitrate_bps for rung in self.rungs]
        if rates != sorted(rates, reverse=True):
            raise ValueError("rungs must descend")
        return self


BASE = """\
title: base
date: 2026-11-22
scaler: {kind: fixed, nodes: 2}
rungs:
  - {name: 720p30, bitrate_bps: 2 Mbit/s}
  - {name: g4dn.xlarge, bitrate_bps: 1 Mbit/s}
shares: {720p30: 0.25}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files into an empty working folder that holds base.yaml and a library of one file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "shipped.yaml").write_text("title: shipped\nscaler: {kind: queue}\n")

    def one(text: str, name: str = "whatif.yaml") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return name

    one(BASE, "base.yaml")
    return one


def opened(name: str) -> Loaded[Plan]:
    return load(name, Plan, library=Path("library"))


def refusal(name: str) -> list[str]:
    with pytest.raises(ScenarioError) as error:
        opened(name)
    return str(error.value).splitlines()


def test_set_changes_single_values(write):
    plan = opened(
        write(
            """\
            extends: base.yaml
            title: a what-if
            set:
              scaler.nodes: 7
              rungs.720p30.bitrate_bps: 3 Mbit/s
              rungs.g4dn.xlarge.bitrate_bps: 1500 kbit/s
              shares.720p30: 0.5
              shares.new: 0.1
              cache.size: 5
            """
        )
    ).value
    assert plan == Plan(
        title="a what-if",
        date=plan.date,
        scaler=Fixed(kind="fixed", nodes=7),
        rungs=(Rung(name="720p30", bitrate_bps=3e6), Rung(name="g4dn.xlarge", bitrate_bps=1.5e6)),
        shares={"720p30": 0.5, "new": 0.1},
        cache=Cache(ttl_s=9.0, size=5),  # the default of the plan, not of the cache
    )
    assert opened("base.yaml").value.scaler == Fixed(kind="fixed", nodes=2)


def test_the_longest_name_that_fits_is_meant(write):
    write(BASE.replace("{720p30: 0.25}", "{a: 0.1, a.b: 0.2}"), "base.yaml")
    plan = opened(write("extends: base.yaml\nset: {shares.a.b: 0.3}\n")).value
    assert plan.shares == {"a": 0.1, "a.b": 0.3}


def test_a_whole_mapping_item_or_list_is_replaced(write):
    name = write(
        """\
        extends: base.yaml
        set:
          scaler: {kind: queue}
          scaler.wait_s: 500 ms
          rungs.720p30: {name: hd, bitrate_bps: 4 Mbit/s}
          cache: {size: 2}
          points: [1, 2]
        """
    )
    plan = opened(name).value
    assert plan.scaler == Queue(kind="queue", wait_s=0.5)
    assert [rung.name for rung in plan.rungs] == ["hd", "g4dn.xlarge"]
    assert plan.cache == Cache(size=2)
    assert plan.points == (1.0, 2.0)


def test_a_chain_of_files_in_folders_and_the_library(write):
    write("extends: shipped\nset: {scaler.wait_s: 1 s}\n", "near/first.yaml")
    loaded = opened(write("extends: near/first.yaml\nquestion: why\nset: {cache.size: 3}\n"))
    assert loaded.value == Plan(
        title="shipped", question="why", scaler=Queue(kind="queue", wait_s=1.0), cache=Cache(ttl_s=9.0, size=3)
    )
    assert [path.name for path in loaded.files] == ["whatif.yaml", "first.yaml", "shipped.yaml"]
    assert opened(write("extends: shipped.yaml\n")).value.title == "shipped"
    assert origin(loaded, ("title",)) == "shipped.yaml:1"
    assert origin(loaded, ("scaler", "wait_s")) == "first.yaml:2 (set)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: ../../etc/passwd", "1:10: extends: '../../etc/passwd' leads out of the folder of this file"),
        ("extends: /etc/passwd", "1:10: extends: '/etc/passwd' leads out of the folder"),
        ("extends: link.yaml", "1:10: extends: 'link.yaml' leads out of the folder"),
        ("extends: loop.yaml", "1:10: extends: cannot be looked up: Symlink loop"),
        ("extends: bse.yaml", "no file 'bse.yaml' beside this one or in the library; did you mean 'base.yaml'?"),
        ("extends: shiped", "no file 'shiped' beside this one or in the library; did you mean 'shipped'?"),
        ("extends: 7", "1:10: extends: must be the name of a file, not 7"),
        ('extends: "a\\0b"', "1:10: extends: must be the name of a file, not 'a\\x00b'"),
        (f"extends: {'a' * 300}", "1:10: extends: cannot be looked up: File name too long"),
        ("extends: library", "library: not a regular file"),
        ("extends: whatif.yaml", "in a circle: whatif.yaml -> whatif.yaml"),
        (
            "extends: circle.yaml",
            "round.yaml:1:10: extends: the files extend one another in a circle: circle.yaml -> round.yaml",
        ),
    ],
    ids=range(12),
)
def test_extends_that_leads_nowhere(write, tmp_path, text, message):
    (tmp_path / "link.yaml").symlink_to("/etc/passwd")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    write("extends: round.yaml\n", "circle.yaml")
    write("extends: circle.yaml\n", "round.yaml")
    (line,) = refusal(write(text + "\n"))
    assert message in line


def test_a_chain_has_an_end(write):
    for number in range(20):
        write(f"extends: f{number + 1}.yaml\n", f"f{number}.yaml")
    assert refusal("f0.yaml") == ["f15.yaml:1:10: extends: more than 16 files extend one another"]


def test_every_problem_of_a_what_if_at_its_own_line(write):
    name = write(
        """\
        extends: base.yaml
        titel: x
        set:
          scaler.node: 7
          scalar.nodes: 7
          rungs.720p3.bitrate_bps: 1 Mbit/s
          rungs.720p30.bitrate_bps: fast
          title.x: 1
          cache.size: .nan
          a..b: 1
          shares.720p30: 2
          shares: {}
          points: [1, x]
        """
    )
    assert refusal(name) == [
        "whatif.yaml:2:1: titel: 'titel' cannot stand beside 'extends'; did you mean 'title'?",
        "whatif.yaml:4:3: scaler.node: unknown key 'node'; did you mean 'nodes'?",
        "whatif.yaml:5:3: scalar: unknown key 'scalar'; did you mean 'scaler'?",
        "whatif.yaml:6:3: rungs.720p3.bitrate_bps: no item of the list is named '720p3'; did you mean '720p30'?",
        "whatif.yaml:7:29: rungs.720p30.bitrate_bps: 'fast' is not a number and a unit; a data rate is needed, "
        "such as '10 Gbit/s'",
        "whatif.yaml:8:3: title.x: there is nothing inside 'base' to set; set the value itself",
        "whatif.yaml:9:15: cache.size: must be finite",
        "whatif.yaml:10:3: a..b: is not a dotted path; such as 'platform.cdn.clusters'",
        "whatif.yaml:11:18: shares.720p30: must be a number, at least 0, at most 1, not 2",
        "whatif.yaml:12:3: shares: undoes 'shares.720p30', set above; put the wider path first",
        "whatif.yaml:13:15: points[1]: must be a number, not 'x'",
    ]


def test_what_a_change_breaks_elsewhere_is_placed_at_the_change(write):
    """Another kind makes keys of the base unknown; a lower rung breaks the order of the whole."""
    name = write("extends: base.yaml\nset:\n  scaler.kind: queue\n  rungs.720p30.bitrate_bps: 1 kbit/s\n")
    assert refusal(name) == [
        "whatif.yaml:3:3: scaler.nodes: unknown key 'nodes'; it is a key of kind: fixed",
    ]
    name = write("extends: base.yaml\nset:\n  title: x\n  rungs.720p30.bitrate_bps: 1 kbit/s\n")
    assert refusal(name) == ["whatif.yaml:3:3: rungs must descend"]


def test_what_was_wrong_before_stays_with_the_base(write):
    write(BASE.replace("nodes: 2", "nodes: 0").replace("2 Mbit/s", "2 bit/s"), "base.yaml")
    assert refusal(write("extends: base.yaml\nset:\n  cache.size: 0\n  scaler.x: 1\n")) == [
        "whatif.yaml:3:15: cache.size: must be a whole number, at least 1, at most 1e9, not 0",
        "whatif.yaml:4:3: scaler.x: unknown key 'x'; the keys here are kind and nodes",
        "base.yaml:3:30: scaler.nodes: must be a whole number, at least 1, at most 1e9, not 0",
    ]


def test_a_replaced_mapping_that_lacks_a_key_gets_the_remedy(write):
    assert refusal(write("extends: base.yaml\nset:\n  scaler: {kind: fixed}\n")) == [
        "whatif.yaml:3:3: scaler.nodes: missing key 'nodes' under scaler; `set` replaced the whole of scaler; "
        "one value is set by its own path, 'scaler.KEY: ...'"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE + "set: {}\n", "8:1: set: this file extends none; name the file it changes: 'extends: ...'"),
        ("extends: base.yaml\nset: 3\n", "2:6: set: must be a mapping of dotted paths to values, not 3"),
        ("extends: base.yaml\nset:\n", "2:1: set: must be a mapping of dotted paths to values, not empty"),
        ("extends: base.yaml\nscaler: {}\n", "2:1: scaler: 'scaler' cannot stand beside 'extends'; change values"),
        (f"extends: base.yaml\nset: {{title{'.a' * 500}: 1}}\n", "nested deeper than 64 levels"),
    ],
    ids=range(5),
)
def test_misuse_of_set(write, text, message):
    (line,) = refusal(write(text))
    assert message in line


def test_a_file_that_stands_alone_knows_no_extends(write):
    with pytest.raises(ScenarioError, match="unknown key 'extends'"):
        load(write("extends: base.yaml\ntitle: x\nscaler: {kind: queue}\n"), Plan, library=None)


def test_origins(write):
    loaded = opened(write("extends: base.yaml\nset: {cache.size: 3, rungs.720p30.bitrate_bps: 3 Mbit/s}\n"))
    origins = {
        ("title",): "base.yaml:1",
        ("rungs", 0, "bitrate_bps"): "whatif.yaml:2 (set)",
        ("rungs", 1, "bitrate_bps"): "base.yaml:6",
        ("cache", "size"): "whatif.yaml:2 (set)",
        ("cache", "ttl_s"): "default",
        ("points",): "default",
    }
    assert {path: origin(loaded, path) for path in origins} == origins
    for nowhere in (("nope",), ("rungs", 2), ("title", "x"), ("rungs", "name")):
        with pytest.raises(KeyError):
            origin(loaded, nowhere)


def test_a_later_problem_knows_its_place(write):
    loaded = opened(write("extends: base.yaml\nset: {shares.720p30: 0.5}\n"))
    assert str(loaded.problem(("rungs", 1, "name"), "unknown type", "choose")) == (
        "base.yaml:6:12: rungs.g4dn.xlarge.name: unknown type; choose"
    )
    assert str(loaded.problem(("shares",), "too few")) == "whatif.yaml:2:7: shares: too few"
    assert str(loaded.problem(("cache", "ttl_s"), "too long")) == "base.yaml:1:1: cache.ttl_s: too long"


def test_resolved_text_is_the_whole_with_origins(write):
    write("extends: base.yaml\nset: {cache.size: 3, rungs.720p30.bitrate_bps: 3 Mbit/s}\n")
    assert resolve_text(opened("whatif.yaml")) == textwrap.dedent(
        """\
        title: base               # base.yaml:1
        question: "?"             # default
        date: 2026-11-22          # base.yaml:2
        scaler:
          kind: fixed             # base.yaml:3
          nodes: 2                # base.yaml:3
        rungs:
          - name: 720p30          # base.yaml:5
            bitrate_bps: 3000000  # whatif.yaml:2 (set), 3 Mbit/s
          - name: g4dn.xlarge     # base.yaml:6
            bitrate_bps: 1000000  # base.yaml:6, 1 Mbit/s
        shares:
          720p30: 0.25            # base.yaml:7
        cache:
          ttl_s: 9                # default
          size: 3                 # whatif.yaml:2 (set)
        points: []                # default
        """
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
plans = st.builds(
    Plan,
    title=st.one_of(
        st.sampled_from(["word " * 30, "two  blanks " * 20 + ".", "a b " * 30 + "#", "x" * 300, " lead" * 20]),
        texts,
        texts.map(lambda text: " ".join(text.split())),
        st.sampled_from(["no", "1", "a: b", "<<"]),
    ),
    scaler=st.one_of(
        st.builds(Queue, kind=st.just("queue"), wait_s=st.floats(0, 1e9)),
        st.builds(Fixed, kind=st.just("fixed"), nodes=st.integers(1, 10**9)),
    ),
    shares=st.dictionaries(
        st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20), st.floats(0, 1), max_size=3
    ),
    points=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(plans)
def test_resolved_text_loads_again_as_the_same(tmp_path_factory, plan):
    path = tmp_path_factory.getbasetemp() / "resolved.yaml"
    text = resolve_text(Loaded(plan, unplaced({}), ()))
    path.write_text(text, encoding="utf-8", newline="")
    assert load(path, Plan).value == plan
    assert all(math.isfinite(point) for point in plan.points)
    assert all(re.search(r"# default$", line) for line in text.splitlines() if line.startswith("title: "))

"""Loading: every problem at once, each in its place and in plain words."""

from __future__ import annotations

import textwrap
import time
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from scenarios.base import BitsPerSecond, Count, IsoDate, Name, PositiveCount, Ratio, Seconds, SpecModel, Text
from scenarios.errors import ScenarioError
from scenarios.reading.load import load


class Fixed(SpecModel):
    kind: Literal["fixed"]
    nodes: PositiveCount
    fixed: Count = 0
    """Named like its kind, which pydantic puts into its locations."""


class Queue(SpecModel):
    kind: Literal["queue"]
    wait_s: Seconds = 5.0


class Rung(SpecModel):
    name: Name
    height: Annotated[int, Field(ge=16, le=8192, multiple_of=2)]
    bitrate_bps: BitsPerSecond


class Cdn(SpecModel):
    clusters: Annotated[int, Field(ge=1, le=10_000)]
    """How many clusters. They share nothing."""
    egress_bps: BitsPerSecond = 1e9


class Platform(SpecModel):
    scaler: Annotated[Fixed | Queue, Field(discriminator="kind")]
    cdn: Cdn = Cdn(clusters=4)
    spare: Count | Literal["auto"] = 0
    start: Queue | Count = 0


class Plan(SpecModel):
    title: Text = ""
    date: IsoDate | None = None
    open: bool = True
    rungs: Annotated[tuple[Rung, ...], Field(max_length=3)] = ()
    shares: dict[str, Ratio] = Field(default_factory=dict)
    notes: dict[Literal["price", "network"], Text] = Field(default_factory=dict)
    points: tuple[float, ...] = ()
    platform: Platform

    @model_validator(mode="after")
    def _shares_sum(self) -> Plan:
        if self.shares and sum(self.shares.values()) != 1:
            raise ValueError(f"shares sum to {sum(self.shares.values()):g}; they must sum to 1")
        return self


GOOD = "platform: {scaler: {kind: fixed, nodes: 2}}\n"


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Return the lines of the refusal of a text."""
    monkeypatch.chdir(tmp_path)

    def refused(text: str) -> list[str]:
        (tmp_path / "f.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        started = time.process_time()
        with pytest.raises(ScenarioError) as error:
            load("f.yaml", Plan)
        assert time.process_time() - started < 1
        assert error.value.exit_code == 2
        return str(error.value).splitlines()

    return refused


def test_a_good_file(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text(
        "title: no\ndate: 2026-11-22\nshares: {a: 1}\n"
        "rungs:\n- {name: on, height: 720, bitrate_bps: 2500 kbit/s}\n"
        "platform:\n  scaler: {kind: queue, wait_s: 500 ms}\n  cdn: {clusters: 9, egress_bps: 10 Gbit/s}\n"
    )
    plan = load(path, Plan).value
    assert (plan.title, plan.rungs[0].name) == ("no", "on")
    assert plan.date is not None
    assert plan.date.isoformat() == "2026-11-22"
    assert plan.rungs[0].bitrate_bps == 2_500_000.0
    assert plan.platform.scaler == Queue(kind="queue", wait_s=0.5)
    assert plan.platform.cdn == Cdn(clusters=9, egress_bps=1e10)


WRONG_VALUES = {
    "points: [1, .nan]": "1:13: points[1]: must be finite",
    "points: [1, 1e400]": "1:13: points[1]: must be finite",
    "points: .inf": "1:9: points: must be finite",
    "title: .nan": "1:8: title: must be finite",
    "points: 7": "1:9: points: must be a list, not 7",
    "title: 7": "1:8: title: must be a text of at most 2000 characters, not 7; put it in quotes",
    "title: [a]": "1:1: title: must be a text of at most 2000 characters, not a list of 1 items",
    "open: 1": "1:7: open: must be true or false, not 1",
    "open: 'true'": "1:7: open: must be true or false, not 'true'; delete the quotes",
    "date: 20261122": "1:7: date: must be a date (2026-11-22), not 20261122",
    "shares: {a: 1.5}": "1:13: shares.a: must be a number, at least 0, at most 1, not 1.5",
    "shares: {a: '1'}": "1:13: shares.a: must be a number, at least 0, at most 1, not '1'; delete the quotes",
    "shares: {a: 0.9, b: 0.3}": "1:1: shares sum to 1.2; they must sum to 1",
    "shares: [1]": "1:1: shares: must be a mapping of keys, not a list of 1 items",
    "notes: {pric: x}": "1:9: notes.pric: the key must be 'price' or 'network'; did you mean 'price'?",
    "rungs: [{name: a/b, height: 720, bitrate_bps: 1 kbit/s}]": (
        "1:16: rungs.a/b.name: must be a text of the form ^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$, not 'a/b'"
    ),
    "rungs: [{name: a, height: 721, bitrate_bps: 1 kbit/s}]": (
        "1:27: rungs.a.height: must be a whole number, at least 16, at most 8192, a multiple of 2, not 721"
    ),
    "rungs: [{name: a, height: 720.0, bitrate_bps: 1 kbit/s}]": (
        "1:27: rungs.a.height: must be a whole number, at least 16, at most 8192, a multiple of 2, not 720.0; write 720"
    ),
    f"rungs: [{{name: a, height: {10**30}, bitrate_bps: 1 kbit/s}}]": (
        "1:27: rungs.a.height: must be a whole number, at least 16, at most 8192, a multiple of 2, "
        "not 1000000000000000000000000000000"
    ),
    "rungs: [{name: a, height: 720, bitrate_bps: 10 GB}]": (
        "1:45: rungs.a.bitrate_bps: '10 GB' is an amount of data; a data rate is needed, such as '10 Gbit/s'"
    ),
    "rungs: [{name: a, height: 720, bitrate_bps: 0}]": (
        "1:45: rungs.a.bitrate_bps: must be a number, greater than 0, at most 1e14, not 0"
    ),
    "rungs: [{name: a, height: 720, bitrate_bps: 6000000 Gbit/s}]": (
        "1:45: rungs.a.bitrate_bps: must be a number, greater than 0, at most 1e14, not '6000000 Gbit/s'; "
        "did you mean '6000000 bit/s'?"
    ),
    f"title: {'x' * 3000}": (
        f"1:8: title: must be a text of at most 2000 characters, not '{'x' * 40}'... of 3000 characters"
    ),
    "rungs: [&r {name: a, height: 720, bitrate_bps: 1}, *r, *r, *r]": (
        "1:1: rungs: must be a list of at most 3 items, not a list of 4 items"
    ),
    "points:": "1:1: points: must be a list, not empty",
}


@pytest.mark.parametrize("line", WRONG_VALUES, ids=range(len(WRONG_VALUES)))
def test_wrong_values(problems, line):
    found = problems(line + "\n" + GOOD)
    assert found == [f"f.yaml:{WRONG_VALUES[line]}"]


WRONG_PLATFORMS = {
    "7": "platform: must be a mapping of keys, not 7",
    "": "platform: must be a mapping of keys, not empty",
    "{cdn: {clusters: 0}, scaler: {kind: queue}}": (
        "platform.cdn.clusters: must be a whole number, at least 1, at most 10000, not 0"
    ),
    "{cdn: {clusters: true}, scaler: {kind: queue}}": (
        "platform.cdn.clusters: must be a whole number, at least 1, at most 10000, not true"
    ),
    "{cdn: {}, scaler: {kind: queue}}": (
        "platform.cdn.clusters: missing key 'clusters' under platform.cdn; it holds a whole number, at least 1, "
        "at most 10000: How many clusters. They share nothing."
    ),
    "{cdn: {clusters: 1, egres_bps: 1}, scaler: {kind: queue}}": (
        "platform.cdn.egres_bps: unknown key 'egres_bps'; did you mean 'egress_bps'?"
    ),
    "{clusters: 1, scaler: {kind: queue}}": (
        "platform.clusters: unknown key 'clusters'; it belongs under platform.cdn"
    ),
    "{height: 1, scaler: {kind: queue}}": ("platform.height: unknown key 'height'; it belongs under rungs.*"),
    "{zzz: 1, scaler: {kind: queue}}": (
        "platform.zzz: unknown key 'zzz'; the keys here are scaler, cdn, spare and start"
    ),
    "{scaler: {kind: queu}}": ("platform.scaler.kind: must be 'fixed' or 'queue', not 'queu'; did you mean 'queue'?"),
    "{scaler: {kind: 7}}": "platform.scaler.kind: must be 'fixed' or 'queue', not 7",
    "{scaler: {nodes: 7}}": (
        "platform.scaler.kind: missing key 'kind' under platform.scaler; it holds 'fixed' or 'queue'"
    ),
    "{scaler: {kind: queue, nodes: 7}}": ("platform.scaler.nodes: unknown key 'nodes'; it is a key of kind: fixed"),
    "{scaler: {kind: fixed, nodes: 0, fixed: 7}}": (
        "platform.scaler.nodes: must be a whole number, at least 1, at most 1e9, not 0"
    ),
    "{scaler: {kind: queue, wait_s: -1 s}}": (
        "platform.scaler.wait_s: must be a number, at least 0, at most 1e9, not '-1 s'"
    ),
    "{scaler: {kind: queue}, spare: some}": (
        "platform.spare: must be a whole number, at least 0, at most 1e9 or 'auto', not 'some'"
    ),
    "{scaler: {kind: queue}, start: {kind: queue, wait: 1}}": (
        "platform.start.wait: unknown key 'wait'; did you mean 'wait_s'?"
    ),
    "{scaler: {kind: queue}, start: {kind: queue, wait_s: -1}}": (
        "platform.start.wait_s: must be a number, at least 0, at most 1e9, not -1"
    ),
    "{scaler: {kind: queue}, start: many}": (
        "platform.start: must be a mapping of keys or a whole number, at least 0, at most 1e9, not 'many'"
    ),
}


@pytest.mark.parametrize("text", WRONG_PLATFORMS, ids=range(len(WRONG_PLATFORMS)))
def test_wrong_platforms(problems, text):
    (found,) = problems(f"platform: {text}\n")
    assert found.partition(" ")[2] == WRONG_PLATFORMS[text]


def test_all_at_once_in_the_order_of_the_text(problems):
    found = problems(
        """\
        title: ok
        title: twice
        platform:
          cdn:
            egres_bps: 1
          scaler: {kind: fixed, nodes: "5"}
        rungs:
          - {name: a, height: 99999999999999999999999999999999999999999999999999999999999999999999999999999999999\
99999999999999999999, bitrate_bps: 1}
        points: [.nan]
        """
    )
    assert [line.split(": ")[0] for line in found] == [
        "f.yaml:2:1",  # duplicate
        "f.yaml:4:3",  # clusters is missing
        "f.yaml:5:5",
        "f.yaml:6:32",
        "f.yaml:8:23",  # said once, by the reader
        "f.yaml:9:10",
    ]


def test_a_misspelt_required_key_is_one_problem(problems):
    assert problems("platform: {scaler: {kind: queue}, cdn: {cluster: 1}}") == [
        "f.yaml:1:41: platform.cdn.cluster: unknown key 'cluster'; did you mean 'clusters'?"
    ]


def test_a_thousand_problems_are_cut_with_their_number(problems):
    found = problems(f"points: [{'a, ' * 1000}]\n{GOOD}")
    assert len(found) == 201
    assert found[-1] == "f.yaml: 800 more problems are not shown; mend these first"


def test_text_of_the_file_cannot_forge_lines_or_control_the_terminal(problems):
    (line,) = problems('"\\e[31mred": 1\n' + GOOD)
    assert "\x1b" not in line
    (line,) = problems('rungs: "a\\nb\\u202e"\n' + GOOD)
    assert line == "f.yaml:1:8: rungs: must be a list of at most 3 items, not 'a\\nb\\u202e'"


TEXTS = st.recursive(
    st.sampled_from(
        ["1", "-1", ".nan", "true", "x", "'5'", "10 Gbit/s", "5 parsec", "fixed", "queue", "~", "9" * 5000, "*a"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(["kind", "nodes", "name", "cdn", "clusters", "a", "5", "scaler", "start"]),
            inner,
            max_size=3,
        ).map(lambda d: "{" + ", ".join(f"{key}: {value}" for key, value in d.items()) + "}"),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*Plan.model_fields, "extends", "set", "tilte"]), TEXTS, max_size=5))
def test_any_document_is_loaded_or_refused(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in document.items()))
    refused = ""
    try:
        assert isinstance(load(path, Plan).value, Plan)
    except ScenarioError as error:
        refused = str(error)
        assert error.problems  # noqa: PT017
    for line in refused.splitlines():
        assert line.startswith(str(path))
        assert "pydantic" not in line
        assert "Input should" not in line

"""Reading YAML: plain values with positions, and one clear line for everything else."""

from __future__ import annotations

import math
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.errors import ScenarioError
from scenarios.reading import yaml_events
from scenarios.reading.yaml_source import parse, read


def value(text: str) -> object:
    return parse(text, "f.yaml").value


def refusal(text: str) -> str:
    with pytest.raises(ScenarioError) as refused:
        value(text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("2026-11-22", "2026-11-22"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("'5'", "5"),
        ("~", None),
        ("", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("0x10", 16),
        ("0o10", 8),
        ("+1", 1),
        ("-1.5e3", -1500.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e400", math.inf),
        ("-.inf", -math.inf),
        ("10 Gbit/s", "10 Gbit/s"),
        ("720p30", "720p30"),
        ("-", None),
    ],
)
def test_scalars_follow_the_core_schema(text, expected):
    if text == "-":
        expected = (None,)
    got = value(f"a:\n  {text}\n")["a"]
    assert (got, type(got)) == (expected, type(expected))


def test_not_a_number_stays_a_float():
    assert math.isnan(value("a: .nan\n")["a"])


def test_lists_are_tuples_and_aliases_are_followed():
    text = "a: &x\n- 1\n- {b: [2, 3]}\nc: *x\n"
    assert value(text) == {"a": (1, {"b": (2, 3)}), "c": (1, {"b": (2, 3)})}


def test_positions_of_keys_and_values():
    source = parse("# top\na: 1\nb:\n  c: [10, {d: 5}]\n", "f.yaml")
    assert source.position(()) == (2, 1)
    assert source.position(("a",)) == (2, 4)
    assert source.position(("a",), key=True) == (2, 1)
    assert source.position(("b", "c", 1, "d")) == (4, 15)
    assert source.position(("b", "c", 1, "d"), key=True) == (4, 12)
    assert source.position(("b", "c", 7)) == (4, 6)  # nearest parent
    assert source.position(("b", "nope", "deeper"), key=True) == (4, 3)


def test_every_problem_with_single_keys_and_values_is_reported_at_once():
    text = f'a: 1\na: 2\n5: x\n<<: {{b: 1}}\nc: {"9" * 5000}\nd: "\\ud800"\ne: [\n'
    assert refusal(text).splitlines() == [
        "f.yaml:2:1: duplicate key 'a': line 1 has it already; keep one of them",
        "f.yaml:3:1: the key 5 is not a text; a name goes in quotes",
        "f.yaml:4:1: merge keys ('<<') are not read; write the keys out",
        "f.yaml:5:4: an integer of 5000 digits is too long; at most 100 are read",
        "f.yaml:6:4: half a surrogate pair is no character; write the character itself",
        "f.yaml:8:1: not valid YAML: expected the node content, but found '<stream end>' "
        "while parsing a flow node that starts in line 8",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: the file is empty"),
        ("# nothing\n", "f.yaml: the file is empty"),
        ("---\n", "f.yaml: the file is empty"),
        ("- 1\n", "f.yaml:1:1: the top level is a list, not a mapping"),
        ("5\n", "f.yaml:1:1: the top level is a single value, not a mapping"),
        ("a: 1\n---\nb: 1\n", "f.yaml:2:1: a second document starts here"),
        ("a:\n\tb: 1\n", "indent with spaces"),
        ("%YAML 1.1\n---\na: 1\n", "f.yaml:2:1: this is not YAML 1.2"),
        ("a: b: c\n", "f.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("a: 1\nb: \0\n", "f.yaml:2:4: the control character U+0000 is not allowed"),
        ('a: "\\UFFFFFFFF"\n', "f.yaml:1:1: an escape that is no character"),
        ("a: !!str 5\n", "f.yaml:1:4: the tag !!str is not read"),
        ("a: ! 5\n", "f.yaml:1:4: the tag ! is not read"),
        ("? [a]\n: 1\n", "f.yaml:1:3: a key must be a plain text"),
        ("a: &x 1\n*x : 2\n", "f.yaml:2:1: a key must be a plain text"),
        ("a: *x\n", "f.yaml:1:4: no anchor '&x' stands before this alias"),
        ("a: &x {b: [*x]}\n", "f.yaml:1:12: the anchor '&x' contains itself"),
        ("a: " + "[" * 3000 + "]" * 3000, "f.yaml:1:67: nested deeper than 64 levels"),
        ("".join(" " * i + "a:\n" for i in range(3000)), "f.yaml:65:65: nested deeper than 64 levels"),
        ("a: 1\n" + "b" * 100_001, "f.yaml:2:1: a line of more than 100000 characters"),
        ("a: &0 1\nb: *0\n1: [*9]", "f.yaml:3:5: no anchor '&9'"),
    ],
    ids=range(21),
)
def test_refusals_within_a_second(text, message):
    started = time.process_time()
    assert message in refusal(text)
    assert time.process_time() - started < 1


def bomb(width: int, levels: int) -> str:
    lines = [f"a0: &a0 [{', '.join('x' * width)}]\n"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} [{aliases}]\n")
    return "".join(lines)


def test_a_bomb_of_aliases_is_refused_before_it_is_walked():
    started = time.process_time()
    assert refusal(bomb(9, 9)) == "f.yaml:5:10: the aliases of this file stand for more than 10000 values"
    assert time.process_time() - started < 0.2
    assert len(value(bomb(9, 4))) == 4


def test_aliases_cannot_nest_deeper_than_text():
    lines = ["a0: &a0 " + "[" * 30 + "]" * 30 + "\n"]
    lines += [f"a{i}: &a{i} {'[' * 30}*a{i - 1}{']' * 30}\n" for i in range(1, 100)]
    assert "nested deeper than 64 levels by this alias" in refusal("".join(lines))


def test_the_number_of_values_is_bounded(monkeypatch):
    monkeypatch.setattr(yaml_events, "MOST_NODES", 100)
    assert value(f"a: [{'1,' * 97}]")["a"] == (1,) * 97
    assert refusal(f"a: [{'1,' * 98}]").startswith("f.yaml:1:199: more than 100 keys and values")


def test_nothing_is_executed(tmp_path):
    canary = tmp_path / "canary"
    text = f"a: !!python/object/apply:os.system ['touch {canary}']\n"
    assert "the tag !!python/object/apply:os.system is not read" in refusal(text)
    assert not canary.exists()


def test_files_that_are_none(tmp_path):
    def refused(path) -> str:
        with pytest.raises(ScenarioError) as error:
            read(path)
        return str(error.value)

    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "latin1.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    (tmp_path / "utf16.yaml").write_bytes("a: 1\n".encode("utf-16"))
    (tmp_path / "large.yaml").write_bytes(b"a: 1\n" + b"#" * 5_000_000)
    assert refused(tmp_path).endswith("not a regular file; a plain file is read, no folder, pipe or device")
    assert "not a regular file" in refused(tmp_path / "fifo")
    assert "not a regular file" in refused(tmp_path / "/dev/zero")
    assert refused(tmp_path / "large.yml").endswith("no such file; did you mean 'large.yaml'?")
    assert refused(tmp_path / "no" / "such.yaml").endswith("no such file")
    assert "cannot be read: File name too long" in refused(tmp_path / ("a" * 300))
    assert "cannot be read: embedded null byte" in refused(tmp_path / "a\0b")
    assert "larger than 5 MB" in refused(tmp_path / "large.yaml")
    assert "latin1.yaml:2:7: not UTF-8: the byte 0xe9 starts no character" in refused(tmp_path / "latin1.yaml")
    assert "utf16.yaml:1:1: not UTF-8: the byte 0xff" in refused(tmp_path / "utf16.yaml")


@pytest.mark.alone
def test_a_profile_of_3000_numbers_reads_fast(tmp_path):
    row = ", ".join(f"{index / 7:.17g}" for index in range(15))
    path = tmp_path / "profile.yaml"
    path.write_text("draws:\n" + f"  - [{row}]\n" * 200 + "# " + "x" * 40_000)
    fastest = math.inf
    for _ in range(3):
        started = time.process_time()
        rows = read(path).value["draws"]
        fastest = min(fastest, time.process_time() - started)
    assert (len(rows), rows[-1][14]) == (200, 2.0)
    assert fastest < 0.5


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content)
    _read_or_refused(lambda: read(path).value)


PIECES = [
    *"ab:-?[]{},&*!%|>'\"\\#@`~ \t\n",
    *(": ", "- ", "? ", "\n  ", "&a ", "*a", "!e!x ", "<<: ", "1", "0x", ".inf", "1e9", "---\n", "...\n"),
    *('"\\U0011FFFF"', '"\\ud800"', "%YAML 1.2\n", "%TAG ! x\n", "é", "\u2028", "\x85", "\ufeff", "|2-\n", "\r"),
]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_mixture_of_yaml_is_read_or_refused(pieces):
    _read_or_refused(lambda: value("".join(pieces)))


def _read_or_refused(reading) -> None:
    problems = ()
    try:
        result = reading()
    except ScenarioError as error:
        problems = error.problems
    assert problems or isinstance(result, dict)
    assert all("\n" not in str(problem) for problem in problems)

"""AMF0: golden bytes of the specification, round trips, and bodies that lie about themselves."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.rtmp import amf
from pipeline.rtmp.amf import AmfDate, EcmaArray
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.limits import MAX_AMF_DEPTH, MAX_AMF_ENTRIES

GOLDEN = {
    "number": ("00 40 08 00 00 00 00 00 00", 3.0),
    "true": ("01 01", True),
    "false": ("01 00", False),
    "string": ("02 00 04 6c 69 76 65", "live"),
    "object": ("03 00 03 61 70 70 02 00 04 6c 69 76 65 00 00 09", {"app": "live"}),
    "null": ("05", None),
    "ecma array": ("08 00 00 00 01 00 01 77 00 40 94 00 00 00 00 00 00 00 00 09", EcmaArray(w=1280.0)),
    "strict array": ("0a 00 00 00 02 05 01 01", [None, True]),
    "date": ("0b 42 77 00 00 00 00 00 00 00 00", AmfDate(1580547964928.0)),
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
leaves = st.none() | st.booleans() | st.floats(allow_nan=False) | texts | st.builds(AmfDate, st.floats(allow_nan=False))
values = st.recursive(
    leaves,
    lambda inner: (
        st.dictionaries(texts, inner, max_size=4)
        | st.dictionaries(texts, inner, max_size=4).map(EcmaArray)
        | st.lists(inner, max_size=4)
    ),
    max_leaves=12,
)


def typed(value: object) -> object:
    """Return the value with every container's type beside it, so that a dict and an ECMA array differ."""
    if isinstance(value, dict):
        return type(value).__name__, [(key, typed(item)) for key, item in value.items()]
    if isinstance(value, list):
        return "list", [typed(item) for item in value]
    return type(value).__name__, value


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes_both_ways(name):
    wire, value = GOLDEN[name]
    assert typed(amf.decode(bytes.fromhex(wire))) == typed([value])
    assert amf.encode(value) == bytes.fromhex(wire)


@given(st.lists(values, max_size=3))
@settings(deadline=None, max_examples=200)
def test_what_is_encoded_is_decoded(wanted):
    assert typed(amf.decode(amf.encode(*wanted))) == typed(wanted)


def test_integers_become_floats_and_long_strings_survive():
    decoded = amf.decode(amf.encode(7, "x" * 70_000))
    assert typed(decoded) == typed([7.0, "x" * 70_000])


def test_undefined_reads_as_none():
    assert amf.decode(b"\x06") == [None]


def test_an_ecma_array_ends_at_its_marker_whatever_its_count_says():
    body = bytearray(amf.encode(EcmaArray(width=1280.0, height=720.0)))
    body[1:5] = bytes(4)
    assert amf.decode(bytes(body)) == [{"width": 1280.0, "height": 720.0}]


@pytest.mark.parametrize("name", GOLDEN)
def test_every_truncation_is_an_error(name):
    body = bytes.fromhex(GOLDEN[name][0])
    for length in range(1, len(body)):
        with pytest.raises(RtmpError):
            amf.decode(body[:length])


@given(st.binary(max_size=80))
@settings(deadline=None, max_examples=500)
def test_noise_raises_nothing_else(body):
    with contextlib.suppress(RtmpError):
        amf.decode(body)


def test_the_depth_limit_is_where_it_says():
    assert amf.decode(amf.encode(nested(MAX_AMF_DEPTH))) == [nested(MAX_AMF_DEPTH)]
    with pytest.raises(RtmpError, match="nested deeper"):
        amf.decode(amf.encode(nested(MAX_AMF_DEPTH + 1)))
    with pytest.raises(RtmpError, match="nested deeper"):
        amf.decode(b"\x03\x00\x01a" * 100_000)


def test_containers_beside_each_other_are_not_deeper():
    beside = [{"key": []} for _ in range(2 * MAX_AMF_DEPTH)]
    assert amf.decode(amf.encode(beside, *beside)) == [beside, *beside]


def test_the_entry_limit_is_where_it_says():
    keys = MAX_AMF_ENTRIES - 1  # the object itself is a value too
    wanted = {f"k{index}": None for index in range(keys)}
    assert amf.decode(amf.encode(wanted)) == [wanted]
    with pytest.raises(RtmpError, match="more than"):
        amf.decode(amf.encode(wanted | {"one more": None}))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x0a\xff\xff\xff\xff" + b"\x05" * 1000, "more than"),
        (b"\x0a\xff\xff\xff\xff" + b"\x05", "past the end"),
        (b"\x0c\xff\xff\xff\xff" + b"x", "past the end"),
        (b"\x02\x00\x02\xff\xfe", "UTF-8"),
        (b"\x07\x00\x01", "0x07"),
        (struct.pack(">B", 0x11), "0x11"),
    ],
)
def test_bodies_that_lie_are_refused(body, reason):
    with pytest.raises(RtmpError, match=reason):
        amf.decode(body)


def test_what_amf_cannot_say_is_our_own_mistake():
    with pytest.raises(TypeError, match="bytes"):
        amf.encode(b"raw")

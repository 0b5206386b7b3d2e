"""AMF0, the encoding of RTMP commands and metadata (Adobe, "Action Message Format -- AMF 0", 2007).

Nothing is read past the end of the message: a slice that would come back short is an error here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.limits import MAX_AMF_DEPTH, MAX_AMF_ENTRIES

NUMBER, BOOLEAN, STRING, OBJECT, NULL, UNDEFINED = 0x00, 0x01, 0x02, 0x03, 0x05, 0x06
ECMA_ARRAY, OBJECT_END, STRICT_ARRAY, DATE, LONG_STRING = 0x08, 0x09, 0x0A, 0x0B, 0x0C


@dataclass(frozen=True, slots=True)
class AmfDate:
    """A point in time; the wire's time zone is reserved by the specification and ignored."""

    epoch_ms: float


class EcmaArray(dict[str, "AmfValue"]):
    """An object that AMF0 calls an associative array, as metadata is sent; otherwise a plain dict."""


AmfValue: TypeAlias = "float | int | bool | str | AmfDate | dict[str, AmfValue] | list[AmfValue] | None"


def decode(data: bytes) -> list[AmfValue]:
    """Return all values of a message body; undefined reads as None and every number as float.

    Raises:
        RtmpError: the body is cut short, nested or populated beyond the limits, or of an unsupported type.
    """
    body = _Body(data)
    values = []
    while not body.exhausted:
        values.append(body.value())
    return values


def encode(*values: AmfValue) -> bytes:
    """Return the values one after the other as AMF0; the inverse of `decode`, integers becoming floats.

    Raises:
        TypeError: a value of a type that has no AMF0 marker.
    """
    return b"".join(_encoded(value) for value in values)


class _Body:
    """A message body, how far it has been read, and what it has unfolded to so far."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._depth = 0
        self._entries = 0

    @property
    def exhausted(self) -> bool:
        return self._position == len(self._data)

    def value(self) -> AmfValue:
        self._count_entry()
        marker = self._take(1)[0]
        if marker not in _READERS:
            raise RtmpError(f"AMF0 type 0x{marker:02x} is not supported")
        return _READERS[marker](self)

    def number(self) -> float:
        number: float = struct.unpack(">d", self._take(8))[0]
        return number

    def boolean(self) -> bool:
        return self._take(1) != b"\0"

    def string(self) -> str:
        return self._text(length_bytes=2)

    def long_string(self) -> str:
        return self._text(length_bytes=4)

    def null(self) -> None:
        return None

    def date(self) -> AmfDate:
        epoch_ms = self.number()
        self._take(2)
        return AmfDate(epoch_ms)

    def object(self) -> dict[str, AmfValue]:
        self._enter()
        properties = {}
        while (key := self.string()) or self._data[self._position : self._position + 1] != b"\x09":
            properties[key] = self.value()
        self._take(1)
        self._depth -= 1
        return properties

    def ecma_array(self) -> EcmaArray:
        self._take(4)  # the count is only a hint, and some publishers leave it at 0: the end marker decides
        return EcmaArray(self.object())

    def strict_array(self) -> list[AmfValue]:
        count = self._integer(4)
        self._enter()
        items = [self.value() for _ in range(count)]  # a false count meets the entry limit or the end
        self._depth -= 1
        return items

    def _text(self, *, length_bytes: int) -> str:
        raw = self._take(self._integer(length_bytes))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise RtmpError("an AMF0 string is not UTF-8") from None

    def _integer(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise RtmpError("an AMF0 value runs past the end of its message")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_AMF_DEPTH:
            raise RtmpError(f"AMF0 nested deeper than {MAX_AMF_DEPTH}")

    def _count_entry(self) -> None:
        self._entries += 1
        if self._entries > MAX_AMF_ENTRIES:
            raise RtmpError(f"more than {MAX_AMF_ENTRIES} AMF0 values in one message")


_READERS: dict[int, Callable[[_Body], AmfValue]] = {
    NUMBER: _Body.number,
    BOOLEAN: _Body.boolean,
    STRING: _Body.string,
    OBJECT: _Body.object,
    NULL: _Body.null,
    UNDEFINED: _Body.null,
    ECMA_ARRAY: _Body.ecma_array,
    STRICT_ARRAY: _Body.strict_array,
    DATE: _Body.date,
    LONG_STRING: _Body.long_string,
}


def _encoded(value: AmfValue) -> bytes:
    match value:
        case None:
            return bytes([NULL])
        case bool():
            return bytes([BOOLEAN, value])
        case int() | float():
            return struct.pack(">Bd", NUMBER, value)
        case str():
            return _encoded_text(value)
        case EcmaArray():
            return struct.pack(">BI", ECMA_ARRAY, len(value)) + _encoded_properties(value)
        case dict():
            return bytes([OBJECT]) + _encoded_properties(value)
        case list():
            return struct.pack(">BI", STRICT_ARRAY, len(value)) + encode(*value)
        case AmfDate():
            return struct.pack(">Bdh", DATE, value.epoch_ms, 0)
    raise TypeError(f"AMF0 has no type for {type(value).__name__}")


def _encoded_text(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 0xFFFF:
        return struct.pack(">BI", LONG_STRING, len(raw)) + raw
    return struct.pack(">BH", STRING, len(raw)) + raw


def _encoded_properties(properties: dict[str, AmfValue]) -> bytes:
    parts = []
    for key, value in properties.items():
        raw = key.encode()
        parts.append(struct.pack(">H", len(raw)) + raw + _encoded(value))
    return b"".join(parts) + struct.pack(">HB", 0, OBJECT_END)

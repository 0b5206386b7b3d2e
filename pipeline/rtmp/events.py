"""What a publish session reports to its owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from pipeline.rtmp.amf import AmfValue


@dataclass(frozen=True, slots=True)
class PublishRequested:
    """The peer wants to publish; to be answered with `PublishSession.accept` or `refuse`."""

    app: str
    stream_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VideoMessage:
    """A video message of the accepted publish: an FLV tag body at its time, unwrapped beyond 32 bits."""

    timestamp_ms: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AudioMessage:
    """An audio message of the accepted publish; as `VideoMessage`."""

    timestamp_ms: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the publisher says about its stream in `onMetaData`; unchecked."""

    values: dict[str, AmfValue]


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The publisher ended its stream; nothing follows."""


Event: TypeAlias = PublishRequested | VideoMessage | AudioMessage | Metadata | Unpublished

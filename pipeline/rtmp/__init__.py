"""RTMP ingest: a publish-only server, the keys that open it, and a publisher to load it with."""

from __future__ import annotations

from pipeline.rtmp.client import Publisher
from pipeline.rtmp.connection import Publication
from pipeline.rtmp.errors import PublishRefused, RtmpError
from pipeline.rtmp.frames import AudioFrame, VideoFrame
from pipeline.rtmp.keys import StreamKeys
from pipeline.rtmp.limits import Deadlines
from pipeline.rtmp.server import IngestCounts, RtmpServer

__all__ = [
    "AudioFrame",
    "Deadlines",
    "IngestCounts",
    "Publication",
    "PublishRefused",
    "Publisher",
    "RtmpError",
    "RtmpServer",
    "StreamKeys",
    "VideoFrame",
]

"""What the pipeline asks of an ingest: our own RTMP server is one, nginx-rtmp another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeline.rtmp.authoriser import Authoriser
from pipeline.rtmp.connection import Publication
from pipeline.rtmp.server import PublishCallbacks
from scenarios.errors import NotReady


class Ingest(Protocol):
    """Takes broadcasts over RTMP and hands each to a `Publication`.

    Attributes:
        scheme: of the address that publishers are given, `rtmp` or `rtmps`.
    """

    scheme: str

    @property
    def port(self) -> int:
        """The port that publishers connect to."""

    @property
    def live_names(self) -> frozenset[str]:
        """Names of the streams that are being published."""

    def stream_key(self, name: str, key: str) -> str:
        """Return what a publisher of the stream enters as stream key."""

    def facts(self) -> dict[str, object]:
        """Return what `/healthz` says of it."""

    async def start(self) -> None:
        """Open the port; NotReady if that cannot be."""

    async def close(self) -> None:
        """Close the port and end every broadcast with `server closed`."""

    async def failure(self) -> NotReady:
        """Return, once it can take no broadcast any more, why; wait while it can."""


class OpenIngest(Protocol):
    """Makes an ingest that is yet to be started."""

    def __call__(
        self,
        *,
        host: str,
        port: int,
        authorise: Authoriser,
        callbacks: PublishCallbacks,
        publish: Callable[[str], Publication],
    ) -> Ingest:
        """Return the ingest; the arguments are those of `RtmpServer`."""

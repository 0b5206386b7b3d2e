"""An RTMP server that takes every publisher and forgets what it is sent; prints its port, runs until it is killed."""

from __future__ import annotations

import asyncio

from pipeline.marks import STILL_CLOCK
from pipeline.rtmp import AudioFrame, RtmpServer, VideoFrame


class Forgotten:
    """A publication of which nothing is kept."""

    demux_clock = audio_clock = STILL_CLOCK

    def video(self, frame: VideoFrame, arrival_s: float) -> None:
        """See `Publication.video`."""

    def audio(self, frame: AudioFrame, arrival_s: float) -> None:
        """See `Publication.audio`."""

    def close(self, reason: str) -> None:
        """See `Publication.close`."""


async def main() -> None:
    """Serve."""
    server = RtmpServer(port=0, authorise=lambda app, key, peer: key, publish=lambda name: Forgotten())
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

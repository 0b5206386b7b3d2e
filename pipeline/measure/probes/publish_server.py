"""Two RTMP servers that forget what they are sent, one of them asks an endpoint about every publisher.

`python -m pipeline.measure.probes.publish_server` reads `{"on_publish": URL}` and says `{"asking_port": …,
"silent_port": …, "key": …}`. A line later it reports `{"callback_s": […]}`, what each call took, in their order.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from pipeline.marks import STILL_CLOCK
from pipeline.measure.parent import obey, read, say
from pipeline.rtmp import AudioFrame, RtmpServer, StreamKeys, VideoFrame
from pipeline.rtmp.callbacks import HttpCallbacks


class Forgotten:
    """A publication of which nothing is kept."""

    demux_clock = audio_clock = STILL_CLOCK

    def video(self, frame: VideoFrame, arrival_s: float) -> None:
        """See `Publication.video`."""

    def audio(self, frame: AudioFrame, arrival_s: float) -> None:
        """See `Publication.audio`."""

    def close(self, reason: str) -> None:
        """See `Publication.close`."""


async def _serve(config: dict[str, Any]) -> dict[str, Any]:
    keys, key = StreamKeys.generate("probe")
    callbacks = HttpCallbacks(on_publish=config["on_publish"])
    asking, silent = (
        RtmpServer(port=0, authorise=keys.authorise, publish=lambda name: Forgotten(), callbacks=asked)
        for asked in (callbacks, None)
    )
    async with AsyncExitStack() as stack:
        for server in (asking, silent):
            await server.start()
            stack.push_async_callback(server.close)
        say({"asking_port": asking.port, "silent_port": silent.port, "key": key})
        await read()
    return {"callback_s": [mark.latency_s for mark in callbacks.calls]}


if __name__ == "__main__":
    obey(_serve)

"""Our ladder and packager over a file, in a process of its own: prints its CPU seconds, imports and start apart."""

from __future__ import annotations

import sys
import threading
import time

import av

from benchmarks.ladder import LADDERS
from pipeline.hls.codec_parameters import AacFormat
from pipeline.hls.packager import Packager
from pipeline.hls.segmenter import AudioUnit
from pipeline.hls.store import Store
from pipeline.ladders.backend import TICKS_PER_S, SourcePacket
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.session import ThreadedSession
from pipeline.ladders.x264 import DEFAULT_PRESET, X264Encoder

WAITING_PACKETS = 64
"""How far the file is read ahead of the encoders; the whole file at once would cost memory, not CPU."""


def encode(path: str, ladder_name: str) -> float:
    """Return the CPU seconds of demuxing, decoding, scaling, encoding and packaging the file."""
    ladder, _ = LADDERS[ladder_name]
    done, failures = threading.Event(), []
    began_s = time.process_time()
    stream = Store().stream("benchmark", ladder)
    packager = Packager(stream, failed=failures.append, ended=done.set)
    with av.open(path) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        avcc, aac = bytes(video.codec_context.extradata), AacFormat.from_config(bytes(audio.codec_context.extradata))
        session = ThreadedSession(
            avcc,
            ladder=ladder,
            open_encoder=lambda rung: X264Encoder(rung, preset=DEFAULT_PRESET),
            emit=packager.video,
            ended=lambda error: (failures.append(error) if error else None, packager.close()),
            backlog=Backlog(max_packets=10**9, max_bytes=2**40),
        )
        for index, packet in enumerate(container.demux(video, audio)):
            if packet.dts is None:
                continue
            if packet.stream is audio:
                pts = round(packet.pts * packet.time_base * TICKS_PER_S)
                packager.audio(AudioUnit(pts, aac.adts(bytes(packet)), aac))
                continue
            while session.counters.fed - session.counters.decoded > WAITING_PACKETS:
                time.sleep(0.005)
            session.feed(
                SourcePacket(
                    index=index,
                    pts=round(packet.pts * packet.time_base * TICKS_PER_S),
                    dts=round(packet.dts * packet.time_base * TICKS_PER_S),
                    is_keyframe=packet.is_keyframe,
                    data=bytes(packet),
                    avcc=avcc,
                    arrival_s=time.monotonic(),
                )
            )
    session.close()
    done.wait()
    if failures:
        raise failures[0]
    if session.counters.decoded < session.counters.fed:
        raise RuntimeError(f"frames were lost: {session.counters}")
    return time.process_time() - began_s


if __name__ == "__main__":
    print(encode(sys.argv[1], sys.argv[2]))

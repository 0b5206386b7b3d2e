"""What a worker process costs beside encoding in the server: CPU per second of a stream, and once to start.

The same packets are encoded in this process and in a worker, in pairs; a long stream minus a short one is what
a second costs, without starting and ending.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

from benchmarks.pairs import machine, show, spread
from pipeline.ladders.backend import LadderBackend, SourcePacket
from pipeline.ladders.x264 import X264Backend
from pipeline.load.clip import DEFAULT_SOURCE, frames_of, source_clip
from pipeline.serve import BUILT_IN_LADDER
from pipeline.workers.backend import WorkerBackend

ROUNDS = 5
SHORT_S, LONG_S = 2, 12
TICKS_OF_A_FRAME = 3000
IN_FLIGHT = 30
"""Packets that may be under way: nothing is dropped, and nobody waits for a packet."""


def packets(seconds: int) -> list[SourcePacket]:
    """Return so many seconds of the clip that `measure` publishes, sent in a loop."""
    config, frames = frames_of(source_clip().path)
    stream = []
    for index in range(round(DEFAULT_SOURCE.fps) * seconds):
        frame = frames[index % len(frames)]
        composition_ms = int.from_bytes(frame.body[2:5], "big", signed=True)
        stream.append(
            SourcePacket(
                index=index,
                pts=TICKS_OF_A_FRAME * index + 90 * composition_ms,
                dts=TICKS_OF_A_FRAME * index,
                is_keyframe=frame.is_keyframe,
                data=frame.body[5:],
                avcc=config.body[5:],
                arrival_s=0.0,
            )
        )
    return stream


def cpu_s() -> float:
    """Return the CPU seconds of this process and of the children that it has reaped."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def encoding_cpu_s(backend: LadderBackend, stream: list[SourcePacket]) -> float:
    """Return the CPU seconds of encoding the stream, everything included."""
    before = cpu_s()
    pids: set[int] = set()
    session = backend.open(stream[0].avcc, BUILT_IN_LADDER, lambda packet: None)
    for packet in stream:
        session.feed(packet)
        while session.counters.fed - session.counters.decoded > IN_FLIGHT:
            time.sleep(0.01)
        if isinstance(backend, WorkerBackend):
            pids |= set(backend.pids.values())
    session.close()
    session.join(60.0)
    if session.counters.decoded != len(stream):
        raise RuntimeError(f"not everything was encoded: {session.counters}")
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.01)  # its time is counted once it is reaped
    return cpu_s() - before


def pair() -> dict[str, float]:
    """Return CPU seconds per second of a stream, here and in a worker, and those of a worker's start and end."""
    short, long = packets(SHORT_S), packets(LONG_S)
    rates, shorts = {}, {}
    for name, backend in (("here", X264Backend()), ("worker", WorkerBackend("x264"))):
        shorts[name] = encoding_cpu_s(backend, short)
        rates[name] = (encoding_cpu_s(backend, long) - shorts[name]) / (LONG_S - SHORT_S)
    return {
        "in_process_cpu_s_per_s": rates["here"],
        "worker_cpu_s_per_s": rates["worker"],
        "ratio": rates["worker"] / rates["here"],
        "worker_start_cpu_s": shorts["worker"] - SHORT_S * rates["worker"],
    }


def main() -> None:
    """Print median, low and high of each over the rounds."""
    pair()  # makes the clip if need be, and warms caches
    pairs = [pair() for _ in range(ROUNDS)]
    show({"machine": machine(), "rounds": ROUNDS} | {name: spread([one[name] for one in pairs]) for name in pairs[0]})


if __name__ == "__main__":
    main()

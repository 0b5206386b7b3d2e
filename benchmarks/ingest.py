"""CPU of our RTMP ingest beside nginx-rtmp: the same 20 publishers at live pace, nothing done with the media.

`python -m benchmarks.ingest [--streams N] [--rounds N] [--seconds S] [--json]`. CPU is that of the server's one
thread in the window, by the scheduler's own clock; the generator runs in a process of its own. `parts` says where ours
goes: the protocol alone (the same bytes through the state machine, in memory), the kernel's share, and the rest, which
is the event loop and reading.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.pairs import FEWEST_ROUNDS, interleaved, machine, ratio, show, spread
from pipeline.load.clip import SourceClip, frames_of, source_clip
from pipeline.load.publishers import PublisherConfig, Schedule
from pipeline.measure.child import Child
from pipeline.rtmp import messages
from pipeline.rtmp.chunks import ChunkWriter
from pipeline.rtmp.client import CHUNK_BYTES
from pipeline.rtmp.events import VideoMessage
from pipeline.rtmp.frames import FrameAssembler
from pipeline.rtmp.handshake import ClientHandshake
from pipeline.rtmp.messages import MessageType, RtmpMessage
from pipeline.rtmp.session import Phase, PublishSession
from scenarios.errors import NotReady

RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
READ_BYTES = 16 * 1024
"""What one read of a live stream of this rate brings, a frame."""
START_S = 1.0
STAGGER_S = 0.02


@contextmanager
def ours() -> Iterator[tuple[int, int]]:
    """Yield process id and port of an `RtmpServer` that forgets what it is sent."""
    command = [sys.executable, "-m", "benchmarks.ingest_of_ours"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def nginx() -> Iterator[tuple[int, int]]:
    """Yield process id and port of an nginx-rtmp with one worker and one application `live`."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None or not RTMP_MODULE.is_file():
        raise NotReady("nginx-rtmp is not installed; apt install nginx libnginx-mod-rtmp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(
            f"load_module {RTMP_MODULE};\nmaster_process off; daemon off; pid {folder}/pid;\n"
            f"error_log {folder}/error.log error;\nevents {{ worker_connections 256; }}\n"
            f"rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 4096; "
            "application live { live on; record off; } } }\n",
            encoding="utf-8",
        )
        with subprocess.Popen([program, "-c", configuration, "-p", folder, "-e", f"{folder}/error.log"]) as process:
            try:
                time.sleep(0.5)
                yield process.pid, port
            finally:
                process.kill()


def cpu_of(pid: int) -> tuple[float, int, int]:
    """Return the CPU seconds of a process's main thread, and its user and system time in ticks, which are coarser."""
    on_cpu_ns = int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return on_cpu_ns / 1e9, int(fields[11]), int(fields[12])


def loaded(pid: int, port: int, *, streams: int, seconds: float, clip: SourceClip) -> tuple[float, float]:
    """Return the server's CPU seconds per stream-second and the kernel's share of it, under load."""
    with Child("pipeline.load.publishers") as generator:
        generator.hear(60)
        start_s = time.monotonic() + 0.2
        window_s = start_s + streams * STAGGER_S + START_S
        schedule = Schedule(start_s, STAGGER_S, window_s, window_s + seconds)
        keys = tuple(f"stream-{number}" for number in range(streams))
        fps = clip.content.source.fps
        generator.tell(asdict(PublisherConfig(port, keys, str(clip.path), fps, schedule)))
        time.sleep(max(0.0, window_s - time.monotonic()))
        before = cpu_of(pid)
        time.sleep(seconds)
        cpu_s, user, system = (after - start for after, start in zip(cpu_of(pid), before, strict=True))
        report = generator.hear(60)
    errors = [stream["error"] for stream in report["streams"] if stream["error"]]
    if errors:
        raise RuntimeError(f"a stream was cut off: {errors[0]}")
    return cpu_s / streams / seconds, system / max(user + system, 1)


def protocol_cpu_s(clip: SourceClip) -> float:
    """Return the CPU seconds per stream-second of the state machine alone, over a loop of the clip in memory."""
    header, frames = frames_of(clip.path)
    writer = ChunkWriter()
    session, assembler = PublishSession(bytes(1528)), FrameAssembler()
    session.receive(ClientHandshake(bytes(1528)).hello + bytes(1536))
    session.receive(writer.set_chunk_size(CHUNK_BYTES))
    for number, name in enumerate(("connect", "createStream", "publish"), start=1):
        argument = {"app": "live"} if name == "connect" else None
        extra = ("key", "live") if name == "publish" else ()
        session.receive(writer.write(messages.command(name, number, argument, *extra, stream_id=number // 3)))
    session.accept()
    if session.phase is not Phase.PUBLISHING:
        raise RuntimeError("the commands did not lead to a publish")
    sent = [RtmpMessage(6, MessageType.VIDEO, 1, tag.timestamp_ms, tag.body) for tag in (header, *frames)]
    wire = [writer.write(message) for message in sent]
    began_s = time.process_time()
    for data in wire:
        for at in range(0, len(data), READ_BYTES):
            for event in session.receive(data[at : at + READ_BYTES]):
                if isinstance(event, VideoMessage):
                    assembler.video(event.timestamp_ms, event.payload)
    return (time.process_time() - began_s) / (len(frames) / clip.content.source.fps)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    clip, kernel = source_clip(), []
    with ours() as (our_pid, our_port), nginx() as (nginx_pid, nginx_port):
        load = {"streams": asked.streams, "seconds": asked.seconds, "clip": clip}

        def our_sample() -> float:
            cpu_s, share = loaded(our_pid, our_port, **load)
            kernel.append(share)
            return cpu_s

        found = interleaved(
            {"ours": our_sample, "nginx_rtmp": lambda: loaded(nginx_pid, nginx_port, **load)[0]}, asked.rounds
        )
    protocol = spread([1000 * protocol_cpu_s(clip) for _ in range(asked.rounds)])
    total_ms, in_kernel = 1000 * spread(found["ours"])["median"], spread(kernel)["median"]
    show(
        {
            "machine": machine(),
            "streams": asked.streams,
            "bitrate_bps": clip.content.source.bitrate_bps,
            "ours_cpu_ms_per_stream_s": spread([1000 * value for value in found["ours"]]),
            "nginx_rtmp_cpu_ms_per_stream_s": spread([1000 * value for value in found["nginx_rtmp"]]),
            "ratio_to_nginx_rtmp": ratio(found["ours"], found["nginx_rtmp"]),
            "parts_ms": {
                "kernel": total_ms * in_kernel,
                "protocol": protocol["median"],
                "event_loop_and_reading": total_ms * (1 - in_kernel) - protocol["median"],
            },
        }
    )


if __name__ == "__main__":
    main()

"""A worker program with backends that misbehave, each named after what it does to its process."""

from __future__ import annotations

import os
import signal
import threading

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.x264 import X264Backend
from pipeline.workers import child
from scenarios.errors import EncoderUnavailable

POISON = b"\x00\x00\x00\x0b\x06poison ..."
"""A harmless NAL unit (SEI) as AVCC, at which planted backends misbehave."""
CAPPED = "no further NVENC session: the driver's cap on sessions is reached or the GPU's memory is full"
NO_GPU = "the NVIDIA driver sees no GPU; check CUDA_VISIBLE_DEVICES and nvidia-smi"


class Planted(X264Backend):
    """x264 whose session calls `on_poison` when it is fed with poison."""

    def open(self, source_avcc, ladder, emit, **options):
        self.stuck = threading.Event()

        def emit_unless_stuck(packet):
            if self.stuck.is_set():
                threading.Event().wait()
            emit(packet)

        session = super().open(source_avcc, ladder, emit_unless_stuck, **options)
        feed = session.feed

        def feed_or_misbehave(packet):
            if POISON in packet.data:
                self.on_poison()
            feed(packet)

        session.feed = feed_or_misbehave
        return session

    def on_poison(self):
        raise LookupError("planted")


class Killer(Planted):
    def on_poison(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Sticking(Planted):
    def on_poison(self):
        self.stuck.set()


class Stillborn(X264Backend):
    def open(self, *args, **options):
        os._exit(3)


class Capped(X264Backend):
    def open(self, *args, **options):
        raise EncoderUnavailable(CAPPED)


class Broken(X264Backend):
    def open(self, *args, **options):
        raise LookupError("planted")


def gone_gpu() -> X264Backend:
    raise EncoderUnavailable(NO_GPU)


PLANTED = {
    "killer": Killer,
    "sticking": Sticking,
    "stillborn": Stillborn,
    "capped": Capped,
    "broken": Broken,
    "gone": gone_gpu,
}

if __name__ == "__main__":
    LADDER_BACKENDS.update(PLANTED)
    child.main()

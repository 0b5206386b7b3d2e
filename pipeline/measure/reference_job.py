"""A fixed piece of the pipeline's own work, whose CPU time tells how fast the machine is at the moment.

The same virtual machine is faster at one hour than at another: its neighbours share its clock, caches and memory, and
no counter that a guest can read says so. A run that is slower than another because of that differs in this too.
"""

from __future__ import annotations

import time

from pipeline.load.clip import source_clip
from scenarios.ladder import Rung

FRAMES = 90
RUNG = Rung(name="480p30", width=854, height=480, fps=30.0, bitrate_bps=1.2e6)
REFERENCE_S = 0.7
"""Wall-clock time that a plan allows for it."""


def reference_cpu_s() -> float:
    """Return the thread CPU time of decoding, scaling and encoding the first `FRAMES` frames of the usual clip.

    One thread, the same frames, rung and options whatever is being measured, so that only the machine varies.

    Raises:
        NotReady: see `pipeline.load.clip.source_clip`.
    """
    import av

    from pipeline.ladders.x264 import DEFAULT_PRESET, X264Encoder

    encoder = X264Encoder(RUNG, preset=DEFAULT_PRESET)
    with av.open(str(source_clip().path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        began_s = time.thread_time()
        for _, picture in zip(range(FRAMES), container.decode(stream), strict=False):
            picture.pts = None
            encoder.encode(encoder.scale(picture))
        return time.thread_time() - began_s

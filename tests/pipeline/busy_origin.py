"""The origin of the probe with a fault planted: each playlist costs it `BURNT_S` of CPU more."""

from __future__ import annotations

import time

from pipeline import origin
from pipeline.measure.parent import obey
from pipeline.measure.probes import origin_server

BURNT_S = 0.003
_playlist = origin.media_playlist


def slow_playlist(window):
    until_s = time.thread_time() + BURNT_S
    while time.thread_time() < until_s:
        pass
    return _playlist(window)


if __name__ == "__main__":
    origin.media_playlist = slow_playlist
    obey(origin_server._serve)

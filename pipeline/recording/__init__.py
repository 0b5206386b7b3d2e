"""Recording to disk: every published segment of every rung, playable as HLS at any moment.

`recorder` takes segments from the packagers and owns the one thread that writes; `recording` is one broadcast on
disk; `retention` says what must go; `layout` knows every name; `lock` and `repair` come before the first segment.
"""

from pipeline.recording.recorder import Recorder
from pipeline.recording.retention import Limits

__all__ = ["Limits", "Recorder"]

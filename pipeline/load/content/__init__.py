"""What publishers show: kinds of content that cost an encoder differently, drawn and never downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.load.content.camera import camera
from pipeline.load.content.game import game
from pipeline.load.content.picture import Picture
from pipeline.load.content.screen import screen

CONTENTS: dict[str, Callable[[int, int, int], Iterator[Picture]]] = {"camera": camera, "screen": screen, "game": game}
"""Name as `--content` takes it, and what yields the pictures of a loop from width, height and their number.

The pictures depend on these three alone, and the last leads into the first as any leads into the next.
"""

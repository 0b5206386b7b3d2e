"""Three kinds of content: the same pictures every time, and a different burden for an encoder."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from pipeline.load.content import CONTENTS
from pipeline.options import Content

WIDTH, HEIGHT = 320, 180


def drawn(name: str, frames: int = 6):
    return list(CONTENTS[name](WIDTH, HEIGHT, frames))


def coded_bytes(pictures) -> int:
    """What x264 makes of the pictures at one quality."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.thread_count = Fraction(1, 30), Fraction(30), 1
    encoder.options = {"preset": "ultrafast", "crf": "23", "g": "60"}
    total = 0
    for number, picture in enumerate(pictures):
        flat = np.concatenate([plane.reshape(-1, WIDTH) for plane in picture])
        frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
        frame.pts = number
        total += sum(packet.size for packet in encoder.encode(frame))
    return total + sum(packet.size for packet in encoder.encode(None))


def test_the_command_offers_what_there_is():
    assert [content.value for content in Content] == list(CONTENTS)


@pytest.mark.parametrize("name", CONTENTS)
def test_pictures_move_fit_and_are_the_same_again(name):
    pictures = drawn(name)
    shapes = [(HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2)]
    assert all([plane.shape for plane in picture] == shapes for picture in pictures)
    assert all(plane.dtype == np.uint8 for picture in pictures for plane in picture)
    assert all(picture.luma.min() >= 16 and picture.luma.max() <= 235 for picture in pictures)
    assert not np.array_equal(pictures[0].luma, pictures[1].luma)
    for picture, again in zip(pictures, drawn(name), strict=True):
        assert all(np.array_equal(plane, other) for plane, other in zip(picture, again, strict=True))


@pytest.mark.parametrize("name", CONTENTS)
def test_pictures_of_odd_sizes_can_be_drawn(name):
    for width, height in [(16, 16), (854, 480), (722, 406)]:
        picture = next(iter(CONTENTS[name](width, height, 30)))
        assert picture.luma.shape == (height, width)
        assert picture.blue.shape == picture.red.shape == (height // 2, width // 2)


def test_the_camera_is_the_one_that_profiles_were_measured_with():
    """Committed bundles name the clip by its digest: these are the pictures it was drawn from."""
    digest = hashlib.sha256()
    for picture in drawn("camera"):
        for plane in picture:
            digest.update(plane.tobytes())
    assert digest.hexdigest() == "d774cebafeadf1800aa461bc592b52bc354bf6d4e1d51b5f41d1410989c8df43"


def test_kinds_cost_an_encoder_differently():
    screen, camera, game = (coded_bytes(drawn(name, 60)) for name in ("screen", "camera", "game"))
    assert screen * 1.5 < camera
    assert camera * 1.5 < game


def test_a_screen_is_mostly_still_and_changes_suddenly():
    pictures = drawn("screen", 60)
    changed = [float((one.luma != next_.luma).mean()) for one, next_ in pairwise(pictures)]
    assert np.median(changed) < 0.1
    assert max(changed) > 1.5 * float(np.median(changed))
    assert np.argmax(changed) in (14, 29, 44)  # the editor shows another page


def test_a_game_cuts_to_another_scene():
    pictures = drawn("game", 60)
    changes = [np.abs(one.luma.astype(int) - next_.luma).mean() for one, next_ in pairwise(pictures)]
    cuts = sorted(np.argsort(changes)[-4:])
    assert cuts == [11, 23, 35, 47]

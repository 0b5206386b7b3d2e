"""Numbers in pictures: read back from every rung after real coding, and never read where there is none."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.load.barcode import read_barcode, write_barcode
from pipeline.load.content import CONTENTS
from pipeline.load.content.picture import Picture

NUMBERS = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from([(1920, 1080), (1280, 720), (854, 480), (640, 360), (426, 240), (320, 180), (160, 90)])


def grey(width: int, height: int) -> Picture:
    planes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    return Picture(*(np.full(shape, 126, dtype=np.uint8) for shape in planes))


@given(NUMBERS, SIZES)
def test_every_number_is_read_back(number, size):
    picture = grey(*size)
    write_barcode(picture, number)
    assert read_barcode(picture.luma) == number


@given(NUMBERS, st.integers(0, 39))
def test_one_wrong_block_is_noticed(number, block):
    picture = grey(640, 360)
    write_barcode(picture, number)
    row = picture.luma[:15, 16 * block : 16 * (block + 1)]
    row[:] = 250 - row
    assert read_barcode(picture.luma) is None


def test_pictures_without_a_code_have_no_number():
    for level in (0, 16, 126, 235, 255):
        assert read_barcode(np.full((360, 640), level, dtype=np.uint8)) is None
    for name, draw in CONTENTS.items():
        assert [read_barcode(picture.luma) for picture in draw(640, 360, 3)] == [None] * 3, name


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(
    ("source", "source_bps", "rung", "rung_bps"),
    [
        ((1280, 720), 3.5e6, (854, 480), 1.2e6),
        ((1280, 720), 3.5e6, (640, 360), 600e3),
        ((640, 360), 800e3, (320, 180), 200e3),
    ],
)
def test_every_number_survives_two_encoders_and_scaling(content, source, source_bps, rung, rung_bps):
    """Contribution at a bitrate that is low for its size, then a lower rung at ultrafast: every picture is read."""
    pictures = []
    for number, picture in enumerate(CONTENTS[content](*source, 10)):
        write_barcode(picture, 2**32 - 1 - number * 77_777_777)
        flat = np.concatenate([plane.reshape(-1, source[0]) for plane in picture])
        pictures.append(av.VideoFrame.from_ndarray(flat, format="yuv420p"))
    received = transcoded(pictures, *source, source_bps, "veryfast")
    scaled = [frame.reformat(width=rung[0], height=rung[1]) for frame in received]
    shown = transcoded(scaled, *rung, rung_bps, "ultrafast")
    lumas = [frame.to_ndarray()[: rung[1], : rung[0]] for frame in shown]
    assert [read_barcode(luma) for luma in lumas] == [2**32 - 1 - n * 77_777_777 for n in range(10)]


def transcoded(frames, width: int, height: int, bitrate_bps: float, preset: str):
    """Frames through x264 with a second of buffer, and decoded."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.thread_count = Fraction(1, 30), Fraction(30), 1
    bits = str(round(bitrate_bps))
    encoder.bit_rate = round(bitrate_bps)
    encoder.options = {"preset": preset, "tune": "zerolatency", "maxrate": bits, "bufsize": bits}
    decoder = av.CodecContext.create("h264", "r")
    shown = []
    for number, frame in enumerate([*frames, None]):
        if frame is not None:
            frame.pts, frame.pict_type = number, av.video.frame.PictureType.NONE
        for packet in encoder.encode(frame):
            shown += decoder.decode(packet)
    return shown + decoder.decode(None)

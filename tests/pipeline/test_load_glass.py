"""Glass to glass: every picture is joined with its own sending, and what is lost or seen twice is counted."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.hls.parser import ListedSegment
from pipeline.load.barcode import write_barcode
from pipeline.load.content import CONTENTS
from pipeline.load.glass import SeenPicture, seen_pictures
from pipeline.load.viewer import Fetched
from pipeline.measure.glass_to_glass import glass_to_glass
from scenarios.errors import NotReady

FPS, LOOP = 30, 300
SENT_S = [1000.0 + number / FPS for number in range(1200)]


def seen(numbers, *, late_s: float = 3.0, date_error_s: float = 0.0) -> list[SeenPicture]:
    return [SeenPicture(number % LOOP, SENT_S[number] + date_error_s, SENT_S[number] + late_s) for number in numbers]


def joined(pictures, *, rung_fps: float = FPS, window=(0.0, 1e9)):
    return glass_to_glass(pictures, SENT_S, loop_frames=LOOP, source_fps=FPS, rung_fps=rung_fps, window=window)


@given(st.floats(0.01, 100.0), st.floats(-4.9, 4.9))
def test_a_latency_is_right_however_long_while_the_date_is_less_than_half_a_loop_wrong(late_s, date_error_s):
    result = joined(seen(range(200, 1200, 7), late_s=late_s, date_error_s=date_error_s))
    assert result.latency_s == pytest.approx([late_s] * len(range(200, 1200, 7)))


def test_a_date_that_is_more_than_half_a_loop_wrong_is_a_whole_loop_wrong_and_told_where_it_can_be():
    early = joined(seen(range(400, 800), date_error_s=-5.1))
    assert set(np.round(early.latency_s, 6)) == {13.0}
    with pytest.raises(NotReady, match="arrived before it was sent"):
        joined(seen(range(400, 800), date_error_s=5.1))


def test_lost_and_repeated_and_unreadable_pictures_are_counted_exactly():
    numbers = [number for number in range(500, 1200) if number not in (510, 511, 900)]
    pictures = seen([*numbers, 700, 700, 701])
    pictures[20] = SeenPicture(None, *pictures[20][1:])
    result = joined(pictures)
    assert (result.pictures, result.lost, result.duplicated, result.unread) == (696, 3, 3, 1)


def test_the_end_of_the_stream_counts_as_lost_where_it_was_not_seen():
    assert joined(seen(range(500, 1190))).lost == 10


def test_a_rung_of_half_the_rate_has_half_of_the_pictures():
    result = joined(seen(range(600, 1200, 2)), rung_fps=15)
    assert (result.pictures, result.lost) == (300, 0)
    assert joined(seen(range(600, 1198, 2)), rung_fps=15).lost == 1


def test_only_pictures_that_were_sent_in_the_window_have_their_latency_told():
    result = joined(seen(range(600, 1200)), window=(SENT_S[700], SENT_S[800]))
    assert len(result.latency_s) == 100


def test_without_a_readable_picture_or_with_a_strange_one_nothing_is_made_up():
    with pytest.raises(NotReady, match="none of 2 pictures"):
        joined([SeenPicture(None, 1.0, 2.0), SeenPicture(4, None, 2.0)])
    with pytest.raises(NotReady, match="none of 0 pictures"):
        joined([])
    with pytest.raises(NotReady, match="picture 300 was seen, which was never sent"):
        joined([SeenPicture(300, 1001.0, 1002.0)])


@pytest.mark.parametrize(
    ("container", "options"), [("mpegts", {}), ("mp4", {"movflags": "empty_moov+default_base_moof+frag_keyframe"})]
)
def test_pictures_of_a_segment_are_read_with_their_dates(container, options):
    """An MPEG-TS segment, and a fragment behind its init section; the first picture has the segment's date."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream("libx264", rate=Fraction(30), width=320, height=180)
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast", "tune": "zerolatency"}
        for number, picture in enumerate(CONTENTS["game"](320, 180, 12)):
            write_barcode(picture, 100 + number)
            frame = av.VideoFrame.from_ndarray(
                np.concatenate([plane.reshape(-1, 320) for plane in picture]), format="yuv420p"
            )
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    segment = ListedSegment(sequence=4, uri="4.ts", line=9, duration_s=0.4, unix_s=5000.0, discontinuity=False)
    pictures = seen_pictures(Fetched(segment, file.getvalue(), 77.0), unix_offset_s=4000.0)
    assert [picture.index for picture in pictures] == list(range(100, 112))
    assert [picture.dated_s for picture in pictures] == pytest.approx([1000 + n / 30 for n in range(12)], abs=1e-3)
    assert {picture.fetched_s for picture in pictures} == {77.0}

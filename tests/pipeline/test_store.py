"""The store and its playlists: against a second playlist parser, and any order of what may happen to a stream."""

from __future__ import annotations

import datetime
import re
from itertools import pairwise

import pytest
from checked import names
from clips import ladder
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from segments import parse

from pipeline.hls.checker import broken, check_playlist
from pipeline.hls.containers import FMP4
from pipeline.hls.live_rules import CHANGE_RULES, Change
from pipeline.hls.parser import ListedSegment, MediaPlaylist, Playlist
from pipeline.hls.playlist import media_playlist, multivariant_playlist
from pipeline.hls.store import LISTED_SEGMENTS, RungStore, Segment, Store, StreamStore, Window

TWO_RUNGS = ladder((320, 180, 30), (160, 90, 15))


def store_with(count: int, *, duration_s: float = 2.0, broken: tuple[int, ...] = ()) -> RungStore:
    store = RungStore(TWO_RUNGS.rungs[0], segment_s=2.0, listed=LISTED_SEGMENTS)
    for number in range(count):
        store.append(
            bytes(50_000),
            duration_s=duration_s,
            unix_s=1_700_000_000.0 + 2 * number,
            codecs=("avc1.42c01f",),
            discontinuity=number in broken,
        )
    return store


def test_a_media_playlist_lists_the_window():
    header, entries = parse(media_playlist(store_with(10).window))
    assert header["EXT-X-TARGETDURATION"] == "2"
    assert header["EXT-X-MEDIA-SEQUENCE"] == "4"
    assert "EXT-X-INDEPENDENT-SEGMENTS" in header
    assert "EXT-X-ENDLIST" not in header
    assert [entry["uri"] for entry in entries] == [f"{number}.ts" for number in range(4, 10)]
    assert [entry["EXTINF"] for entry in entries] == ["2.00000,"] * 6
    dates = [datetime.datetime.fromisoformat(entry["EXT-X-PROGRAM-DATE-TIME"]) for entry in entries]
    assert dates[0].timestamp() == 1_700_000_008.0
    assert {(b - a).total_seconds() for a, b in pairwise(dates)} == {2.0}


def test_what_has_left_the_list_can_still_be_fetched_for_a_while():
    window = store_with(20).window
    assert [number for number in range(20) if window.find(number)] == list(range(20 - window.kept_limit, 20))
    assert window.find(20) is None
    assert window.find(-1) is None


@pytest.mark.parametrize(("count", "tagged", "sequence"), [(6, [2], 0), (8, [0], 0), (9, [], 1), (20, [], 1)])
def test_a_discontinuity_that_slides_out_is_counted(count, tagged, sequence):
    header, entries = parse(media_playlist(store_with(count, broken=(2,)).window))
    assert [n for n, entry in enumerate(entries) if "EXT-X-DISCONTINUITY" in entry] == tagged
    assert header["EXT-X-DISCONTINUITY-SEQUENCE"] == str(sequence)


@pytest.mark.parametrize(("duration_s", "target_s"), [(1.9, 2), (2.49, 2), (2.5, 3), (4.6, 5)])
def test_no_listed_duration_rounds_above_the_target(duration_s, target_s):
    assert store_with(1, duration_s=duration_s).window.target_duration_s == target_s


@pytest.mark.parametrize(("segment_s", "target_s"), [(0.4, 1), (2.0, 2), (2.5, 3), (6.0, 6)])
def test_the_target_is_known_before_the_first_segment(segment_s, target_s):
    store = RungStore(TWO_RUNGS.rungs[0], segment_s=segment_s, listed=LISTED_SEGMENTS)
    assert store.window.target_duration_s == target_s


def test_an_empty_playlist_is_an_error_not_an_answer():
    with pytest.raises(ValueError, match="needs a segment"):
        media_playlist(Window(limit=6, target_duration_s=2))
    with pytest.raises(ValueError, match="without a segment"):
        multivariant_playlist(StreamStore("test", TWO_RUNGS))


def test_a_multivariant_playlist_tells_measured_rates():
    stream = StreamStore("test", TWO_RUNGS)
    for rung, sizes in {"180p30": (30_000, 150_000), "90p15": (1_000, 2_000)}.items():
        for size in sizes:
            stream.rungs[rung].append(bytes(size), duration_s=2.0, unix_s=0.0, codecs=("avc1.42c01f", "mp4a.40.2"))
    stream.rungs["180p30"].append(bytes(99_000), duration_s=0.1, unix_s=0.0, codecs=("avc1.42c01f", "mp4a.40.2"))
    lines = multivariant_playlist(stream).splitlines()
    variants = [
        dict(re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', line.split(":", 1)[1]))
        for line in lines
        if line.startswith("#EXT-X-STREAM-INF")
    ]
    assert [line for line in lines if not line.startswith("#")] == ["180p30/index.m3u8", "90p15/index.m3u8"]
    assert variants[0]["BANDWIDTH"] == "600000", "the second segment; the third is too short to count"
    assert variants[0]["AVERAGE-BANDWIDTH"] == str(round(8 * 279_000 / 4.1))
    assert variants[1]["BANDWIDTH"] == "250000", "never below the encoder's target"
    assert variants[0]["CODECS"] == '"avc1.42c01f,mp4a.40.2"'
    assert (variants[0]["RESOLUTION"], variants[1]["FRAME-RATE"]) == ("320x180", "15.000")


def test_a_stream_of_another_ladder_is_a_mistake():
    store = Store()
    store.stream("one", TWO_RUNGS)
    with pytest.raises(ValueError, match="another ladder"):
        store.stream("one", ladder((320, 180, 30)))


class StoreMachine(RuleBasedStateMachine):
    """Any order of segments, interruptions and ends, read back after each step as a player would."""

    def __init__(self) -> None:
        super().__init__()
        self.store = RungStore(TWO_RUNGS.rungs[0], segment_s=2.0, listed=LISTED_SEGMENTS, container=FMP4)
        self.published: list[Segment] = []
        self.readings: list[MediaPlaylist] = []
        self.ended = False

    @rule(duration_s=st.floats(0.04, 4.0), init=st.sampled_from([b"a", b"b"]), jumped=st.booleans())
    def publish(self, duration_s, init, jumped):
        number = len(self.published)
        segment = self.store.append(
            b"%d" % number,
            duration_s=duration_s,
            unix_s=4.0 * number,
            codecs=("avc1.42c01f",),
            discontinuity=jumped,
            init=init,
        )
        self.published.append(segment)
        self.ended = False

    @precondition(lambda self: self.published)
    @rule()
    def interrupt(self):
        self.store.interrupt()

    @precondition(lambda self: self.published)
    @rule()
    def end(self):
        self.store.end()
        self.ended = True

    def fetchable(self, segment: ListedSegment) -> bool:
        """Whether what the playlist said of a segment is what its URIs bring now."""
        found = self.store.window.find(int(segment.uri.removesuffix(".m4s")))
        init = self.store.window.find_init(int(segment.map_uri.removeprefix("init-").removesuffix(".mp4")))
        return found is not None and (found.data, init) == (
            b"%d" % segment.sequence,
            self.published[segment.sequence].init,
        )

    @precondition(lambda self: self.published)
    @invariant()
    def reads_back(self):
        text = media_playlist(self.store.window)
        assert check_playlist("index.m3u8", text.encode()) == []
        reading = MediaPlaylist.of(Playlist.read("index.m3u8", text.encode()), 0.0)
        self.check_what_is_listed(reading)
        if self.readings:
            found = broken(CHANGE_RULES, Change(self.readings[-1], reading), "index.m3u8")
            assert names(found) <= {"target-stays", "window", "end-is-final"}, "what the encoder and publisher decide"
        self.readings.append(reading)
        for former in self.readings:
            if reading.end_sequence - former.end_sequence <= LISTED_SEGMENTS + 1:
                assert all(self.fetchable(segment) for segment in former.segments)

    def check_what_is_listed(self, reading: MediaPlaylist) -> None:
        listed = self.published[-LISTED_SEGMENTS:]
        left = self.published[: reading.media_sequence]
        assert (reading.end_sequence, len(reading.segments)) == (len(self.published), len(listed))
        assert reading.ended == self.ended
        assert reading.discontinuity_sequence == sum(segment.discontinuity for segment in left)
        assert [each.discontinuity for each in reading.segments] == [each.discontinuity for each in listed]


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_segment_after_an_interruption_is_a_discontinuity_but_the_first_of_all_is_not():
    store = RungStore(TWO_RUNGS.rungs[0], segment_s=2.0, listed=LISTED_SEGMENTS)
    store.interrupt()
    made = []
    for step in ("first", "second", "interrupted", "fourth", "after the end"):
        if step == "interrupted":
            store.interrupt()
        if step == "after the end":
            store.end()
        made.append(store.append(b"x", duration_s=2.0, unix_s=0.0, codecs=("avc1.42c01f",)))
    assert [segment.discontinuity for segment in made] == [False, False, True, False, True]


def test_the_map_stands_at_the_first_segment_and_wherever_it_changes():
    store = RungStore(TWO_RUNGS.rungs[0], segment_s=2.0, listed=4, container=FMP4)
    for init in (b"a", b"a", b"b", b"b", b"a", b"c"):
        store.append(b"x", duration_s=2.0, unix_s=0.0, codecs=("avc1.42c01f",), init=init)
    lines = media_playlist(store.window).splitlines()
    assert "#EXT-X-VERSION:7" in lines
    shown = [line for line in lines if line.startswith("#EXT-X-MAP") or not line.startswith("#")]
    maps = [f'#EXT-X-MAP:URI="init-{number}.mp4"' for number in range(3)]
    assert shown == [maps[1], "2.m4s", "3.m4s", maps[0], "4.m4s", maps[2], "5.m4s"]

"""The HLS checker: each rule against one planted fault, FFmpeg's own HLS, and a real broadcast of ours."""

from __future__ import annotations

import asyncio
import subprocess
from functools import partial

import pytest
from checked import check_files, names, replaced, without
from clips import clip
from live_pipeline import KEY_NAME, send, until, with_pipeline
from test_hls_checker_fmp4 import PLANTED_FRAGMENTS

from pipeline.hls import checker as checking
from pipeline.hls.checker import Answer, Checker, StreamChecker, Violation, broken, check_playlist
from pipeline.hls.live_rules import CHANGE_RULES, SEGMENT_RULES, Change
from pipeline.hls.parser import MediaPlaylist, Playlist, attribute_list, date_unix_s
from pipeline.hls.rules import COMMON_RULES, MEDIA_RULES, MULTIVARIANT_RULES
from pipeline.hls.segment_facts import PTS_MODULUS, pts_step_s, segment_facts
from pipeline.rtmp import Publisher
from pipeline.serve import LivePipeline

MEDIA = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-PROGRAM-DATE-TIME:2026-06-11T18:00:00.000Z
#EXTINF:2.00000,
7.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-06-11T18:00:09.250Z
#EXTINF:2.49900,a title
8.ts
#EXT-X-PROGRAM-DATE-TIME:2026-06-11T20:00:11.749+02:00
#EXTINF:2,
9.ts
"""
MULTIVARIANT = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-STREAM-INF:BANDWIDTH=300000,CODECS="avc1.42c00d,mp4a.40.2",RESOLUTION=160x90,FRAME-RATE=29.970
hi/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.42c00b"
lo/index.m3u8
"""
PLANTED_TEXT = [
    ("text", MEDIA, "#EXTM3U\n", "\ufeff#EXTM3U\n"),
    ("text", MEDIA, "a title", "a\x07title"),
    ("text", MULTIVARIANT, "#EXTM3U\n", "#EXTM3U\n# \udcff\n"),
    ("extm3u", MEDIA, "#EXTM3U\n", ""),
    ("extm3u", MULTIVARIANT, "#EXTM3U\n", "\n#EXTM3U\n"),
    ("one-kind", MULTIVARIANT, "#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n"),
    ("once", MEDIA, "#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n#EXT-X-VERSION:3\n"),
    ("once", MEDIA, "9.ts\n", "9.ts\n#EXT-X-ENDLIST\n#EXT-X-ENDLIST\n"),
    ("claimed", MEDIA, "9.ts\n", ""),
    ("uri", MEDIA, "8.ts", "a b.ts"),
    ("uri", MEDIA, "8.ts", "50%.ts"),
    ("uri", MULTIVARIANT, "lo/index", "http://[::1/index"),
    ("version", MEDIA, "#EXT-X-VERSION:3\n", ""),
    ("version", MEDIA, "#EXT-X-VERSION:3\n", "#EXT-X-VERSION:2\n"),
    ("version", MEDIA, "#EXTINF:2,", "#EXT-X-BYTERANGE:9@0\n#EXTINF:2,"),
    ("version", MEDIA, "#EXT-X-VERSION:3\n", '#EXT-X-VERSION:5\n#EXT-X-MAP:URI="i.mp4"\n'),
    ("map", MEDIA, "#EXT-X-VERSION:3\n", "#EXT-X-VERSION:6\n#EXT-X-MAP:URI=i.mp4\n"),
    ("map", MEDIA, "#EXT-X-VERSION:3\n", '#EXT-X-VERSION:6\n#EXT-X-MAP:BYTERANGE="9@0"\n'),
    ("target-duration", MEDIA, "#EXT-X-TARGETDURATION:2\n", ""),
    ("target-duration", MEDIA, "TARGETDURATION:2", "TARGETDURATION:2.0"),
    ("target-duration", MEDIA, "TARGETDURATION:2", "TARGETDURATION:0"),
    ("target-covers", MEDIA, "2.49900", "2.50000"),
    ("extinf", MEDIA, "#EXTINF:2.00000,\n", ""),
    ("extinf", MEDIA, "#EXTINF:2,\n", "#EXTINF:2\n"),
    ("extinf", MEDIA, "#EXTINF:2,\n", "#EXTINF:2,\n\n#EXTINF:2,\n"),
    ("media-sequence", MEDIA, "MEDIA-SEQUENCE:7", "MEDIA-SEQUENCE:-7"),
    ("discontinuity-sequence", MEDIA, "DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:one"),
    ("date", MEDIA, "18:00:00.000Z", "18:00:00.000"),
    ("date", MEDIA, "06-11T18:00:00", "13-11T18:00:00"),
    ("date-advances", MEDIA, "20:00:11.749+02:00", "18:00:11.749+02:00"),
    ("date-advances", MEDIA, "20:00:11.749+02:00", "20:00:09.250+02:00"),
    ("stream-inf", MULTIVARIANT, "lo/index.m3u8\n", "lo/index.m3u8\nmore/index.m3u8\n"),
    ("stream-inf", MULTIVARIANT, "\nlo/index.m3u8\n", "\n\nlo/index.m3u8\n"),
    ("attributes", MULTIVARIANT, "BANDWIDTH=100000,", "BANDWIDTH=100000, "),
    ("attributes", MULTIVARIANT, "BANDWIDTH=100000,", "BANDWIDTH=100000,BANDWIDTH=100000,"),
    ("attributes", MULTIVARIANT, '"avc1.42c00b"', '"avc1.42c00b",'),
    ("bandwidth", MULTIVARIANT, "BANDWIDTH=100000,", ""),
    ("bandwidth", MULTIVARIANT, "BANDWIDTH=100000", "BANDWIDTH=0"),
    ("bandwidth", MULTIVARIANT, "BANDWIDTH=100000", "BANDWIDTH=1e5"),
    ("codecs", MULTIVARIANT, ',CODECS="avc1.42c00b"', ""),
    ("codecs", MULTIVARIANT, '"avc1.42c00b"', "avc1.42c00b"),
    ("codecs", MULTIVARIANT, '"avc1.42c00b"', '"avc1.42c0"'),
    ("codecs", MULTIVARIANT, '"avc1.42c00b"', '"hvc1.1.6.93"'),
    ("codecs", MULTIVARIANT, '"avc1.42c00b"', '"av01.0.04M"'),
    ("resolution", MULTIVARIANT, "160x90", "160*90"),
    ("frame-rate", MULTIVARIANT, "29.970", "30000/1001"),
    ("frame-rate", MULTIVARIANT, "29.970", "0.000"),
]


def check_text(text: str) -> list[Violation]:
    return check_playlist("index.m3u8", text.encode("utf-8", errors="surrogateescape"))


MAPPED = MEDIA.replace("#EXT-X-VERSION:3\n", '#EXT-X-VERSION:6\n#EXT-X-MAP:URI="i.mp4",BYTERANGE="9@0"\n')
OTHER_CODECS = MULTIVARIANT.replace("avc1.42c00d", "hvc1.1.6.L93.90").replace("avc1.42c00b", "av01.0.04M.08")


@pytest.mark.parametrize(
    "good", [MEDIA, MAPPED, OTHER_CODECS, MULTIVARIANT, MEDIA.replace("\n", "\r\n"), MEDIA + "#EXT-X-ENDLIST\n"]
)
def test_a_good_playlist_breaks_no_rule(good):
    assert check_text(good) == []


@pytest.mark.parametrize(("rule", "good", "part", "wrong"), PLANTED_TEXT)
def test_a_fault_of_the_text_breaks_exactly_its_rule(rule, good, part, wrong):
    assert good.count(part) >= 1
    assert names(check_text(good.replace(part, wrong, 1))) == {rule}


@pytest.mark.parametrize("rule", ["media-sequence", "discontinuity-sequence"])
def test_sequences_stand_before_the_first_segment(rule):
    line = f"#EXT-X-{rule.upper()}:7\n"
    without = "".join(each for each in MEDIA.splitlines(keepends=True) if rule.upper() not in each)
    assert check_text(without) == []
    assert names(check_text(without.replace("7.ts\n", f"7.ts\n{line}"))) == {rule}


def test_the_discontinuity_sequence_stands_before_any_discontinuity():
    tag = "#EXT-X-DISCONTINUITY-SEQUENCE:1\n"
    first = MEDIA.replace(tag, f"#EXT-X-DISCONTINUITY\n{tag}")
    assert names(check_text(first)) == {"discontinuity-sequence"}


def test_a_violation_says_where_what_which_rule_and_what_to_do():
    (violation,) = check_text(MEDIA.replace("2.49900", "3.7"))
    assert str(violation) == (
        "index.m3u8:13: 8.ts lasts 3.7 s, the target duration is 2 s (target-covers, RFC 8216 4.3.3.1); "
        "cut shorter segments or declare a longer target"
    )


@pytest.mark.parametrize(
    "text",
    ["", "hello", "#EXTM3U", "#EXTM3U\n#EXTINF:\n", "#EXTINF:" + 400 * "9" + ",\n0.ts", "#EXT-X-STREAM-INF", "\x00"],
)
def test_what_is_no_playlist_is_reported_not_raised(text):
    assert check_text(text) != []


def window(
    first: int, last: int, *, breaks: int = 4, target_s: int = 2, ended: bool = False, read_s: float = 0.0, **swaps: str
) -> MediaPlaylist:
    """Return a live window of 2 s segments, number 5 after a discontinuity; `swaps` replace a segment's line."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-TARGETDURATION:{target_s}",
        f"#EXT-X-MEDIA-SEQUENCE:{first}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}",
    ]
    for number in range(first, last + 1):
        lines += ["#EXT-X-DISCONTINUITY"] * (number == 5) + ["#EXTINF:2,", swaps.get(f"s{number}", f"{number}.ts")]
    lines += ["#EXT-X-ENDLIST"] * ended
    text = "\n".join(lines) + "\n"
    assert check_text(text) == []
    return MediaPlaylist.of(Playlist.read("index.m3u8", text.encode()), read_s)


BEFORE = window(5, 10, breaks=3)
GOOD_CHANGES = {
    "one leaves, one comes": (BEFORE, window(6, 11, read_s=2.0)),
    "nothing yet, at the limit": (BEFORE, window(5, 10, breaks=3, read_s=3.0)),
    "as short as allowed": (BEFORE, window(9, 11)),
    "ended, for long": (window(5, 10, ended=True), window(5, 10, ended=True, read_s=99.0)),
    "the end may be short": (BEFORE, window(10, 11, ended=True)),
}
SHIFTED = {f"s{number}": f"{number + 1}.ts" for number in range(5, 11)}
PLANTED_CHANGES = [
    ("never-back", BEFORE, window(4, 9, breaks=3)),
    ("never-back", window(6, 11), window(6, 10)),
    ("numbers-stay", window(6, 10), window(6, 10, **SHIFTED)),
    ("segments-stay", BEFORE, window(6, 11, s8="other.ts")),
    ("segments-stay", BEFORE, window(6, 11, s8="#EXT-X-DISCONTINUITY\n8.ts")),
    ("breaks-counted", BEFORE, window(6, 11, breaks=3)),
    ("breaks-counted", window(6, 11), window(7, 12, breaks=5)),
    ("grows", BEFORE, window(5, 10, breaks=3, read_s=3.01)),
    ("end-is-final", window(5, 10, breaks=3, ended=True), window(6, 11)),
    ("target-stays", BEFORE, window(6, 11, target_s=3)),
    ("window", BEFORE, window(10, 11)),
]


@pytest.mark.parametrize("change", GOOD_CHANGES.values(), ids=GOOD_CHANGES)
def test_a_live_playlist_may_move_on(change):
    assert broken(CHANGE_RULES, Change(*change), "index.m3u8") == []


@pytest.mark.parametrize(("rule", "before", "after"), PLANTED_CHANGES)
def test_a_fault_between_two_readings_breaks_exactly_its_rule(rule, before, after):
    assert names(broken(CHANGE_RULES, Change(before, after), "index.m3u8")) == {rule}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """FFmpeg's own HLS of 6 s: rungs `hi` and `lo`, and `late`, which is a frame behind; by path."""
    folder = tmp_path_factory.mktemp("hls")
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30:duration=6"]
    for rung, options in {"hi": [], "lo": ["-s", "80x46"], "late": ["-output_ts_offset", "0.0333333"]}.items():
        (folder / rung).mkdir()
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-sc_threshold", "0", "-threads", "1"]
        command += [*options, "-f", "hls", "-hls_time", "2", "-hls_segment_filename", f"{folder}/{rung}/%d.ts"]
        command += ["-hls_flags", "program_date_time", f"{folder}/{rung}/index.m3u8"]
    subprocess.run(command, check=True, timeout=60)
    found = {f"/live/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.*")}
    return found | {"/live/index.m3u8": MULTIVARIANT.encode()}


def with_a_packet_before_the_tables(files: dict[str, bytes]) -> dict[str, bytes]:
    stray = b"\x47\x02\x00\x10" + bytes(184)
    return files | {"/live/lo/1.ts": stray + files["/live/lo/1.ts"]}


def with_one_segment_skipped(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {f"/live/{rung}/1.ts": files[f"/live/{rung}/2.ts"] for rung in ("hi", "lo")}


def with_a_late_rung(files: dict[str, bytes]) -> dict[str, bytes]:
    late = {path.replace("late", "lo"): data for path, data in files.items() if "late" in path}
    return files | late


PLANTED_FILES = [
    ("fetchable", partial(without, path="/live/lo/1.ts")),
    ("fetchable", partial(without, path="/live/hi/index.m3u8")),
    ("tables", with_a_packet_before_the_tables),
    ("tables", lambda files: files | {"/live/lo/1.ts": b"not a segment" * 100}),
    ("tables", lambda files: files | {"/live/lo/1.ts": b""}),
    ("idr", partial(replaced, path="/live/hi/1.ts", part=b"\0\0\1\x65", wrong=b"\0\0\1\x41")),
    ("idr", lambda files: files | {"/live/hi/1.ts": files["/live/hi/1.ts"][: 3 * 188]}),
    ("duration", lambda files: files | {"/live/hi/2.ts": files["/live/hi/2.ts"][: len(files["/live/hi/2.ts"]) // 2]}),
    ("continues", with_one_segment_skipped),
    ("aligned", with_a_late_rung),
]


@pytest.mark.requires_ffmpeg
def test_the_hls_of_ffmpeg_breaks_no_rule(files):
    assert check_files(files) == []
    facts = segment_facts(files["/live/hi/1.ts"])
    assert (facts.faults, facts.starts_with_idr, facts.video_s) == ((), True, pytest.approx(2.0, abs=1e-3))


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize(("rule", "plant"), PLANTED_FILES)
def test_a_fault_of_a_segment_breaks_exactly_its_rule(files, rule, plant):
    assert names(check_files(plant(files))) == {rule}


@pytest.mark.requires_ffmpeg
def test_a_declared_discontinuity_may_jump(files):
    skipped = with_one_segment_skipped(files)
    for rung in ("hi", "lo"):
        path = f"/live/{rung}/index.m3u8"
        skipped |= {path: skipped[path].replace(b"#EXTINF", b"#EXT-X-DISCONTINUITY\n#EXTINF")}
    assert check_files(skipped) == []


def test_every_rule_has_a_planted_fault():
    planted = {rule for rule, *_ in [*PLANTED_TEXT, *PLANTED_CHANGES, *PLANTED_FILES, *PLANTED_FRAGMENTS]}
    rules = [*COMMON_RULES, *MEDIA_RULES, *MULTIVARIANT_RULES, *CHANGE_RULES, *SEGMENT_RULES]
    assert planted == {rule.name for rule in rules}
    assert len(rules) == len(planted), "a name stands for one rule"
    assert all(rule.find.__doc__ for rule in rules)


def test_time_stamps_go_on_over_their_wrap():
    assert pts_step_s(PTS_MODULUS - 90_000, 90_000) == 2.0
    assert pts_step_s(90_000, PTS_MODULUS - 90_000) == -2.0


def test_dates_and_attributes_mean_what_they_say():
    assert date_unix_s("1970-01-01T01:00:01.500+01:00") == 1.5
    assert attribute_list('A=1,B="x,y"') == {"A": "1", "B": '"x,y"'}
    assert attribute_list("") is None


@pytest.mark.requires_ffmpeg
def test_a_violation_is_told_once_and_a_flood_is_cut_off(files, monkeypatch):
    told: list[Violation] = []
    wrong = replaced(files, "/live/hi/index.m3u8", b"#EXT-X-TARGETDURATION:2\n", b"#EXT-X-TARGETDURATION:1\n")

    async def fetch(path: str) -> Answer:
        return Answer(wrong[path]) if path in wrong else Answer(refusal="404 Not Found")

    async def poll(checker: Checker) -> None:
        for now_s in (0.0, 0.5, 1.0):
            await checker.poll(["live", "never-there"], fetch, now_s)

    checker = Checker(told.append)
    asyncio.run(poll(checker))
    assert [violation.place for violation in told] == [f"/live/hi/index.m3u8:{line}" for line in (7, 10, 13)]
    assert (checker.violations, checker.segments) == (3, 3)
    monkeypatch.setattr(checking, "MAX_REPORTED", 2)
    told.clear()
    asyncio.run(poll(Checker(told.append)))
    assert len(told) == 2


@pytest.mark.requires_ffmpeg
def test_a_stream_that_was_there_must_stay(files):
    there: dict[str, bytes] = {}

    async def fetch(path: str) -> Answer:
        return Answer(there[path]) if path in there else Answer(refusal="404 Not Found")

    async def poll() -> list[set[str]]:
        found = []
        stream = StreamChecker("/live/index.m3u8", fetch)
        for now in ({}, files, {}):
            there.clear()
            there.update(now)
            found.append(names(await stream.poll(0.0)))
        return found

    assert asyncio.run(poll()) == [set(), set(), {"fetchable"}]


def test_a_fault_of_our_own_origin_is_seen_through_http(monkeypatch):
    def broken_playlist(window):
        return written(window).replace("#EXTINF", "#EXT-X-PROGRAM-DATE-TIME:now\n#EXTINF")

    from pipeline import origin

    written = origin.media_playlist
    monkeypatch.setattr(origin, "media_playlist", broken_playlist)
    told: list[Violation] = []

    async def test(pipeline: LivePipeline, key: str) -> None:
        url = f"http://127.0.0.1:{pipeline.origin.port}"
        checker = asyncio.create_task(Checker(told.append).run(url, lambda: pipeline.broadcasts.live_names))
        publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
        await send(publisher, clip(seconds=3.0).frames)
        await until(lambda: len(told) == 2)
        await publisher.close()
        checker.cancel()

    with_pipeline(test)
    assert names(told) == {"date"}
    assert {each.place.rpartition(":")[0] for each in told} == {
        f"/{KEY_NAME}/{rung}/index.m3u8" for rung in ("180p30", "90p15")
    }

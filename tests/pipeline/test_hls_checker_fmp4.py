"""The HLS checker on fMP4: FFmpeg's own breaks no rule, each planted fault exactly its own."""

from __future__ import annotations

import subprocess
from functools import partial

import pytest
from checked import check_files, names, replaced, without
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.hls.boxes import boxes
from pipeline.hls.fragments import decode_spans, tracks
from pipeline.hls.segment_facts import segment_facts

MULTIVARIANT = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-STREAM-INF:BANDWIDTH=300000,CODECS="avc1.42c00d,mp4a.40.2"
hi/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.42c00b,mp4a.40.2"
lo/index.m3u8
"""
SOURCE = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30:duration=6", "-f", "lavfi", "-i", "sine=r=48000:d=6"]
CODECS = ["-c:v", "libx264", "-preset", "veryfast", "-g", "60", "-sc_threshold", "0", "-threads", "1", "-c:a", "aac"]
HLS = ["-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4"]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """FFmpeg's own HLS in fMP4 of 6 s, with B-frames and audio, in rungs `hi` and `lo`; by path."""
    folder = tmp_path_factory.mktemp("hls")
    command = ["ffmpeg", "-v", "error", *SOURCE]
    for rung, size in {"hi": "160x90", "lo": "80x46"}.items():
        (folder / rung).mkdir()
        names = ["-hls_segment_filename", f"{folder}/{rung}/%d.m4s", f"{folder}/{rung}/index.m3u8"]
        command += ["-map", "0:v", "-map", "1:a", "-pix_fmt", "yuv420p", "-s", size, *CODECS, *HLS, *names]
    subprocess.run(command, check=True, timeout=60)
    found = {f"/live/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.*")}
    return found | {"/live/index.m3u8": MULTIVARIANT.encode()}


def changed(files: dict[str, bytes], path: str, part: bytes, *, after: int, to: bytes) -> dict[str, bytes]:
    """Return the files with bytes overwritten that many after the first `part` of one."""
    data = files[path]
    at = data.index(part) + len(part) + after
    return files | {path: data[:at] + to + data[at + len(to) :]}


def without_box(files: dict[str, bytes], path: str, kind: bytes) -> dict[str, bytes]:
    """Return the files with one box of one file made into free space."""
    return replaced(files, path, kind, b"free")


def with_the_media_first(files: dict[str, bytes]) -> dict[str, bytes]:
    top = [(box.kind, bytes(box.body)) for box in boxes(files["/live/lo/1.m4s"])]
    data = b"".join((8 + len(body)).to_bytes(4, "big") + kind + body for kind, body in reversed(top))
    return files | {"/live/lo/1.m4s": data}


def with_a_part_repeated(files: dict[str, bytes]) -> dict[str, bytes]:
    """Let the audio of the second segment begin where that of the first did; the picture goes on."""
    init, first, second = (files[f"/live/lo/{name}"] for name in ("init.mp4", "0.m4s", "1.m4s"))
    known = tracks(init)
    start = round(decode_spans(first, known)[2].start_s * known[2].timescale)
    at = second.index(b"tfdt", second.index(b"tfdt") + 4) + 8
    return files | {"/live/lo/1.m4s": second[:at] + start.to_bytes(8, "big") + second[at + 8 :]}


INIT, SECOND = "/live/lo/init.mp4", "/live/lo/1.m4s"
MAP = b'#EXT-X-MAP:URI="init.mp4"\n'
PLANTED_FRAGMENTS = [
    ("fetchable", partial(without, path=INIT)),
    ("fetchable", partial(without, path=SECOND)),
    ("mapped", partial(replaced, path="/live/lo/index.m3u8", part=MAP, wrong=b"")),
    ("version", partial(replaced, path="/live/lo/index.m3u8", part=b"VERSION:7", wrong=b"VERSION:5")),
    ("init", lambda files: files | {INIT: b""}),
    ("init", lambda files: files | {INIT: files[INIT][:-9]}),
    ("init", lambda files: files | {INIT: files[SECOND]}),
    ("init", partial(without_box, path=INIT, kind=b"mvex")),
    ("init", partial(without_box, path=INIT, kind=b"trex")),
    ("init", partial(changed, path=INIT, part=b"stsz", after=8, to=b"\0\0\0\1")),
    ("init", lambda files: files | {INIT: files[INIT].replace(b"iso6", b"iso4").replace(b"cmfc", b"iso4")}),
    ("fragment", with_the_media_first),
    ("fragment", partial(without_box, path=SECOND, kind=b"moof")),
    ("fragment", partial(without_box, path=SECOND, kind=b"tfdt")),
    ("fragment", partial(changed, path=SECOND, part=b"tfhd", after=4, to=b"\0\0\0\7")),
    ("fragment", partial(changed, path=SECOND, part=b"tfhd", after=1, to=b"\0")),
    ("fragment", lambda files: files | {SECOND: files[SECOND][: len(files[SECOND]) // 2]}),
    ("fragment", lambda files: files | {SECOND: b"not a segment"}),
    ("idr", lambda files: files | {SECOND: files["/live/lo/1.m4s"].replace(b"\x65\x88", b"\x41\x88")}),
    ("decode-times", with_a_part_repeated),
]


@pytest.mark.requires_ffmpeg
def test_the_fmp4_of_ffmpeg_breaks_no_rule(files):
    assert check_files(files) == []
    facts = segment_facts(files["/live/hi/1.m4s"], files["/live/hi/init.mp4"])
    assert (facts.faults, facts.starts_with_idr, facts.video_s) == ((), True, pytest.approx(2.0, abs=1e-3))
    assert sorted(facts.spans) == [1, 2]


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize(("rule", "plant"), PLANTED_FRAGMENTS)
def test_a_fault_of_fmp4_breaks_exactly_its_rule(files, rule, plant):
    planted = plant(files)
    assert planted != files
    assert names(check_files(planted)) == {rule}


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("examples", [300, pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_bytes_that_mean_nothing_are_a_finding_and_never_an_error(files, examples):
    """Any byte of the structure may be another, and the end may come anywhere."""
    init, segment = files[INIT], files[SECOND]

    @settings(max_examples=examples, deadline=None)
    @given(
        edits=st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 255)), min_size=1, max_size=4),
        cut=st.none() | st.integers(0, 2500),
    )
    def read(edits, cut):
        mutated = bytearray(init + segment)
        for at, value in edits:
            mutated[at] = value
        segment_facts(bytes(mutated[len(init) : cut and len(init) + cut]), bytes(mutated[: len(init)]))

    read()

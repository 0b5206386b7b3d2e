"""What a stream costs by the laws of a profile, and what those laws were measured for."""

from __future__ import annotations

import pytest
from profiles import LADDER, SOURCE, measured_ladder, profile

from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Rung, Source
from sim.coverage import extrapolation, require_coverage
from sim.stream_cost import frame_costs, load_growth, startup_s, stream_cpu_s, stream_rss_bytes, utilisation

VALUES = profile().middle()
TOP, LOW = LADDER.rungs
FRAME_BYTES = 3.5e6 / 8 / 30


def test_the_costs_of_a_frame_are_their_laws():
    costs = frame_costs(VALUES, SOURCE, LADDER)
    assert costs.receive_s == pytest.approx(0.0002 + 1e-9 * FRAME_BYTES)
    assert costs.decode_s == pytest.approx(0.0001 + 2e-9 * 1280 * 720 + 7e-8 * FRAME_BYTES)
    assert costs.scale_s == {
        "720p30": 0.00005,  # the source's own size
        "480p30": pytest.approx(0.00005 + 5e-10 * 1280 * 720 + 4e-10 * 854 * 480),
    }
    assert costs.encode_s["480p30"] == pytest.approx(0.0003 + 4.5e-9 * 854 * 480)
    assert costs.mux_s["720p30"] == pytest.approx(0.00005 + 1e-9 * 2.5e6 / 8 / 30)
    assert (costs.other_s, costs.audio_s) == (0.00005, pytest.approx(0.001 / 30))


def test_a_stream_costs_the_sum_of_its_frames_and_jobs():
    costs = frame_costs(VALUES, SOURCE, LADDER)
    of_rungs = sum(sum(of.values()) for of in (costs.scale_s, costs.encode_s, costs.mux_s))
    per_frame = costs.receive_s + costs.decode_s + costs.audio_s + of_rungs + 5 * costs.other_s
    assert stream_cpu_s(VALUES, SOURCE, LADDER) == pytest.approx(30 * per_frame)


def test_a_rung_of_half_the_rate_costs_half():
    slow = LOW.model_copy(update={"fps": 15.0, "bitrate_bps": LOW.bitrate_bps / 2})
    top_alone = stream_cpu_s(VALUES, SOURCE, Ladder(rungs=(TOP,)))
    whole = stream_cpu_s(VALUES, SOURCE, LADDER) - top_alone
    assert stream_cpu_s(VALUES, SOURCE, Ladder(rungs=(TOP, slow))) - top_alone == pytest.approx(whole / 2)


def test_a_copied_rung_is_muxed_and_alone_not_even_decoded():
    copied = TOP.model_copy(update={"copied": True, "bitrate_bps": SOURCE.bitrate_bps})
    costs = frame_costs(VALUES, SOURCE, Ladder(rungs=(copied, LOW)))
    assert set(costs.mux_s) == {"720p30", "480p30"}
    assert set(costs.encode_s) == set(costs.scale_s) == {"480p30"}
    alone = frame_costs(VALUES, SOURCE, Ladder(rungs=(copied,)))
    assert alone.decode_s == 0.0
    each = alone.receive_s + alone.audio_s + alone.mux_s["720p30"] + alone.other_s
    assert stream_cpu_s(VALUES, SOURCE, Ladder(rungs=(copied,))) == pytest.approx(30 * each)


def test_content_moves_decoding_and_encoding_alone():
    usual, screen = (frame_costs(VALUES, SOURCE, LADDER, content=content) for content in ("camera", "screen"))
    assert usual == frame_costs(VALUES, SOURCE, LADDER)
    assert screen.decode_s == pytest.approx(0.8 * usual.decode_s)
    assert screen.encode_s["720p30"] == pytest.approx(0.7 * usual.encode_s["720p30"])
    assert (screen.scale_s, screen.mux_s) == (usual.scale_s, usual.mux_s)
    with pytest.raises(CalibrationError, match="the profile has no decode_content_factor game; measure"):
        frame_costs(VALUES, SOURCE, LADDER, content="game")


def test_growth_is_that_of_the_cores_in_use_and_counts_itself():
    assert load_growth(VALUES, 0.5) == pytest.approx(1.05)
    assert load_growth(VALUES, 3.0) == load_growth(VALUES, 1.0) == pytest.approx(1.1)
    share = utilisation(VALUES, 1.2, cores=2)
    assert share * 2 == pytest.approx(0.01 + 1.2 * load_growth(VALUES, share))
    assert utilisation(VALUES, 5.0, cores=2) == 1.0


def test_memory_and_start_up():
    pixels = 1280 * 720 * 2 + 854 * 480
    assert stream_rss_bytes(VALUES, SOURCE, LADDER) == 4e6 + 20.0 * pixels
    assert startup_s(VALUES, LADDER) == pytest.approx(2.15)
    without = {key: value for key, value in VALUES.items() if key != "startup_overhead_s"}
    with pytest.raises(CalibrationError, match="the profile has no startup_overhead_s"):
        startup_s(without, LADDER)


def small(height: int = 360, fps: float = 30.0, codec: str = "h264") -> Ladder:
    width = round(height * 16 / 18) * 2
    return Ladder(rungs=(Rung(name="small", width=width, height=height, fps=fps, bitrate_bps=5e5, codec=codec),))


@pytest.mark.parametrize(
    ("source", "ladder", "content", "message"),
    [
        (SOURCE, small(), None, r"rung small of 640x360@30, measured were 409,920 to 921,600 pixels; measure such"),
        (SOURCE.model_copy(update={"width": 640, "height": 360}), LADDER, None, r"a source of 640x360@30, measured"),
        (SOURCE, small(540, fps=60.0), None, r"60 frames a second, measured were 30"),
        (
            SOURCE.model_copy(update={"bitrate_bps": 6e6}),
            LADDER,
            None,
            r"a source of 6,000,000 bit/s, measured were 3,5",
        ),
        (SOURCE, LADDER, "game", r"content 'game', measured were camera"),
    ],
)
def test_what_lies_beyond_the_range_is_refused_unless_asked_for(source, ladder, content, message):
    with pytest.raises(CalibrationError, match=f"{message}.*--extrapolate"):
        require_coverage(profile(), source, ladder, content=content)
    assert len(require_coverage(profile(), source, ladder, content=content, extrapolate=True)) == 1
    (said,) = extrapolation(profile(), source, ladder, content=content)
    assert said.startswith("EXTRAPOLATED beyond what profile invented was measured for: ")


def test_what_lies_within_the_range_is_not():
    assert require_coverage(profile(), SOURCE, LADDER) == ()
    between = Rung(name="540p30", width=960, height=540, fps=30.0, bitrate_bps=2e6)
    nearly = Rung(name="480p30", width=852, height=480, fps=30.0, bitrate_bps=1e6)
    assert require_coverage(profile(), SOURCE, Ladder(rungs=(between, nearly)), content="camera") == ()
    assert extrapolation(profile(), SOURCE, LADDER) == ()


def test_another_codec_is_refused_even_when_asked_for():
    for source, ladder in ((SOURCE, small(540, codec="av1")), (SOURCE.model_copy(update={"codec": "hevc"}), LADDER)):
        with pytest.raises(CalibrationError, match="was measured with h264"):
            require_coverage(profile(), source, ladder, extrapolate=True)


def test_a_profile_of_copied_rungs_alone_says_nothing_of_encoding():
    copied = Ladder(rungs=(TOP.model_copy(update={"copied": True}),))
    measured = profile().measured.model_copy(update={"ladders": (measured_ladder("c", SOURCE, copied, capacity=9),)})
    of_copies = profile().model_copy(update={"measured": measured})
    assert require_coverage(of_copies, SOURCE, copied) == ()
    with pytest.raises(CalibrationError, match="copied rungs alone"):
        require_coverage(of_copies, SOURCE, LADDER)


def test_the_ranges_come_from_the_ladders():
    measured = profile().measured
    assert measured.chief.name == "ladder"
    assert (measured.source_pixels.low, measured.source_pixels.high) == (921_600, 921_600)
    assert (measured.rung_pixels.low, measured.rung_pixels.high) == (409_920, 921_600)
    assert (measured.source_bps.low, measured.fps.high) == (3.5e6, 30.0)
    assert isinstance(measured.chief.source, Source)

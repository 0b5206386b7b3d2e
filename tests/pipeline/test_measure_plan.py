"""What each depth measures, within which time, and that nothing held out is in it."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.load.clip import DEFAULT_SOURCE
from pipeline.load.content import CONTENTS
from pipeline.measure.depths import (
    CHIEF,
    FEWEST_SEGMENTS,
    QUICK_SEGMENTS,
    default_plan,
    full_plan,
    quick_plan,
)
from pipeline.measure.holdout import holdout_plan
from pipeline.measure.plan import STAGGER_S, USUAL_STREAMS, Case
from pipeline.serve import BUILT_IN_LADDER
from scenarios.errors import NotReady
from scenarios.ladder import Ladder, Rung, Source
from scenarios.protocol import held_out_protocol

BUILT_IN = Case(CHIEF, BUILT_IN_LADDER, DEFAULT_SOURCE, "ultrafast")
OWN = Case(
    CHIEF,
    Ladder(segment_s=4.0, rungs=(Rung(name="720p60", width=1280, height=720, fps=60.0, bitrate_bps=4e6),)),
    Source(width=1920, height=1080, fps=60.0, bitrate_bps=6e6),
    "veryfast",
)


def of_x264(chief: Case):
    return [default_plan(chief, backend="x264"), full_plan(chief, backend="x264")]


def test_the_quick_budget_holds_five_loads_of_enough_segments():
    plan = quick_plan(BUILT_IN)
    (series,) = plan.series
    assert series.most_runs == 5
    assert FEWEST_SEGMENTS <= plan.segments <= QUICK_SEGMENTS
    assert series.most_runs * plan.window(series.case).run_s(USUAL_STREAMS) < 150
    assert "150 s" in plan.describe()
    assert not plan.contention_voids


def test_long_segments_leave_fewer_loads_and_a_short_budget_none():
    assert quick_plan(OWN).series[0].most_runs in {2, 3}
    with pytest.raises(NotReady, match="60 s are too short"):
        quick_plan(OWN, budget_s=60.0)


@pytest.mark.parametrize(("chief", "depth", "within_s"), [(BUILT_IN, 0, 900), (BUILT_IN, 1, 2700), (OWN, 1, 3600)])
def test_a_depth_tells_before_how_long_it_takes_and_what_it_runs(chief, depth, within_s):
    plan = of_x264(chief)[depth]
    assert plan.expected_s <= within_s <= 3600
    text = plan.describe()
    assert text.startswith(f"budget {plan.budget_s:.0f} s, about {plan.expected_s:.0f} s expected")
    assert text.count("\n") == len(plan.series)
    assert plan.contention_voids


def test_the_full_depth_varies_ladder_source_content_preset_start_and_audio():
    plan = full_plan(BUILT_IN, backend="x264")
    cases = [series.case for series in plan.series]
    assert cases[0] == BUILT_IN
    assert sum(not series.loads for series in plan.series) == 5
    assert len({(case.ladder, case.source) for case in cases}) == 5
    assert {case.content for case in cases} == {"camera", "screen"}
    assert {case.preset for case in cases} == {"ultrafast", "superfast", "veryfast"}
    assert Counter(case.start for case in cases)["aligned"] == 1
    assert Counter(case.tone for case in cases)[True] == 1
    names = {case.ladder_name: case.ladder for case in cases}
    assert all(names[case.ladder_name] == case.ladder for case in cases)


def test_a_ladder_of_ones_own_is_the_chief_and_the_built_in_one_is_measured_too():
    for plan in of_x264(OWN):
        assert plan.series[0].case == OWN
        assert BUILT_IN_LADDER in [series.case.ladder for series in plan.series]
        assert [series.case.preset for series in plan.series].count("veryfast") > 5
    assert {series.case.preset for series in full_plan(OWN, backend="nvenc").series} == {"veryfast"}


def test_streams_start_apart_by_no_whole_number_of_frames_unless_aligned():
    for fps in (25, 30, 50, 60):
        assert abs(STAGGER_S * fps - round(STAGGER_S * fps)) > 0.2
    starts = {series.case.start: series.case.stagger_s for series in full_plan(BUILT_IN, backend="x264").series}
    assert starts == {"staggered": STAGGER_S, "aligned": 0.0}


def test_no_depth_that_may_be_fitted_holds_what_is_held_out_and_each_names_the_protocol():
    held_out = held_out_protocol()
    ladders = {(held.source, held.ladder) for held in held_out.protocol.ladders.values()}
    contents = {clip.content for clip in held_out.protocol.clips.values()}
    assert len(ladders) >= 3
    assert contents <= set(CONTENTS)
    for plan in of_x264(BUILT_IN):
        assert plan.protocol_sha256 == held_out.sha256
        for series in plan.series:
            assert (series.case.source, series.case.ladder) not in ladders
            assert series.case.content not in contents
    assert quick_plan(BUILT_IN).protocol_sha256 is None


def test_the_held_out_plan_is_the_protocols_and_within_the_hour():
    held_out = held_out_protocol()
    plan = holdout_plan(held_out, preset="ultrafast")
    assert plan.protocol_sha256 == held_out.sha256
    assert plan.expected_s < 3600
    assert {series.case.ladder_name for series in plan.series if not series.loads} == set(held_out.protocol.ladders)
    clip = held_out.protocol.clips["game"]
    assert (clip.ladder, clip.source, clip.loads) == (BUILT_IN_LADDER, DEFAULT_SOURCE, (1, 2))
    assert [series.repeats for series in plan.series if series.loads] == [6, 6]

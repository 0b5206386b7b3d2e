"""What is held out: six rounds of the loads that a search decided, kept after every run, resumed where they ended."""

from __future__ import annotations

import gzip
import json

import pytest
from planted_run import plant, planted_run
from small_measurement import LADDER, SOURCE, choice

from pipeline.measure import holdout, parts, session
from pipeline.measure.holdout import holdout_plan, measure_holdout
from scenarios.errors import CalibrationError, NotReady
from scenarios.protocol import HeldOut, HeldOutClip, HeldOutLadder, Protocol, held_out_protocol
from sim.calibration.tables import read_bundle

SMALL = Protocol(
    headroom_protocol=1,
    segments=4,
    warm_up_segments=1,
    repeats=6,
    search_repeats=2,
    fractions_of_n_max=(0.3, 0.7),
    ladders={"H1": HeldOutLadder(content="camera", source=SOURCE, ladder=LADDER)},
    clips={"game": HeldOutClip(content="game", source=SOURCE, ladder=LADDER, loads=(1,))},
)
SEARCH = [1, 2, 4, 6, 5, 4]
"""Loads of the search, where four hold."""
ROUND = [1, 3, 1]
"""Loads of a round: 0.3 and 0.7 of four, and the clip's."""


@pytest.fixture(autouse=True)
def planted(monkeypatch, clip_cache):
    """The small protocol, and loads that were asked for; at a number in `dies` the machine is switched off."""
    monkeypatch.setattr(session, "PAUSE_S", 0.0)
    monkeypatch.setattr(holdout, "held_out_protocol", lambda: HeldOut(SMALL, "a" * 64))
    monkeypatch.setenv("XDG_CACHE_HOME", str(clip_cache))
    asked, dies = [], []

    def run(streams, **options):
        if len(asked) in dies:
            dies.clear()
            raise SystemExit("switched off")
        asked.append(streams)
        return planted_run(streams, **options)

    plant(monkeypatch, run)
    return asked, dies


def take(tmp_path, *, budget_s=3600.0, sha256="a" * 64):
    plan = holdout_plan(HeldOut(SMALL, sha256), preset="ultrafast", budget_s=budget_s)
    said = []
    return measure_holdout(tmp_path / "bundle", plan=plan, choice=choice(), say=said.append), said


def test_a_search_and_six_rounds_become_one_bundle_and_no_parts(tmp_path, planted):
    done, _ = take(tmp_path)
    assert planted[0] == SEARCH + 6 * ROUND
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    bundle = read_bundle(done.folder)
    assert (bundle.meta.depth, bundle.meta.protocol_sha256) == ("holdout", "a" * 64)
    assert sorted(content.name.split("-")[0] for content in bundle.meta.content) == ["camera", "game"]
    assert bundle.meta.ladders == {"H1": LADDER, "game": LADDER}
    runs = bundle.runs[bundle.runs["run"] >= len(SEARCH)]
    repeats = runs.groupby(["ladder", "concurrent_streams"]).size()
    assert repeats.to_dict() == {("H1", 1): 6, ("H1", 3): 6, ("game", 1): 6}
    assert done.lacking == ()


def test_a_measurement_that_was_killed_goes_on_where_it_ended_and_loses_nothing(tmp_path, planted):
    asked, dies = planted
    dies.append(len(SEARCH) + 4)
    with pytest.raises(SystemExit):
        take(tmp_path)
    files = sorted(path.name for path in (tmp_path / "bundle.parts").iterdir())
    assert files == [
        "H1-1.json.gz",
        "H1-3.json.gz",
        *(f"H1-search-{load}.json.gz" for load in (1, 2, 4, 5, 6)),
        "about.json",
        "game-1.json.gz",
    ]
    lines = gzip.decompress((tmp_path / "bundle.parts" / "H1-1.json.gz").read_bytes()).splitlines()
    assert [json.loads(line)["rows"]["runs"][0]["repeat"] for line in lines] == [1, 2]  # one more in the search
    done, said = take(tmp_path)
    assert any(line.startswith(f"going on after {len(SEARCH) + 4} runs") for line in said)
    assert sorted(asked) == sorted(SEARCH + 6 * ROUND)
    runs = read_bundle(done.folder).runs
    assert runs["run"].tolist() == list(range(len(asked)))
    assert not runs.duplicated(["ladder", "concurrent_streams", "clip", "repeat"]).any()


def test_interruptions_are_kept_and_never_held_against_a_load(tmp_path, planted, monkeypatch):
    run, interrupted = session.run_load, []

    def interrupt(streams, **options):
        if streams == 2 and len(interrupted) < 4:
            interrupted.append(streams)
            raise KeyboardInterrupt
        return run(streams, **options)

    plant(monkeypatch, interrupt)
    for _ in range(4):
        with pytest.raises(NotReady, match="interrupted; the same command goes on where it ended"):
            take(tmp_path)
    done, _ = take(tmp_path)
    runs = read_bundle(done.folder).runs
    assert (runs["void_reason"] == "cut short: interrupted").sum() == 4
    assert planted[0] == SEARCH + 6 * ROUND
    assert done.lacking == ()


def test_a_spent_budget_keeps_what_was_measured_for_the_next_call(tmp_path, planted, monkeypatch):
    with pytest.raises(NotReady, match="too short for one load"):
        take(tmp_path, budget_s=5.0)
    real = session.Session._gone_s
    monkeypatch.setattr(session.Session, "_gone_s", lambda self: 3600.0 if len(planted[0]) == 9 else real(self))
    with pytest.raises(NotReady, match=r"budget of 3600 s is spent; the same command goes on where it ended"):
        take(tmp_path)
    monkeypatch.setattr(session.Session, "_gone_s", real)
    take(tmp_path)
    assert len(planted[0]) == len(SEARCH) + 6 * len(ROUND)


@pytest.mark.parametrize("what", ["protocol", "machine", "encoder"])
def test_parts_of_another_protocol_machine_or_encoder_are_refused(tmp_path, planted, what):
    planted[1].append(3)
    with pytest.raises(SystemExit):
        take(tmp_path)
    path = tmp_path / "bundle.parts" / parts.ABOUT
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {what: "another"}))
    with pytest.raises(CalibrationError, match=f"begun with another {what}: another, this is"):
        take(tmp_path)


def test_a_damaged_part_is_refused_and_once_removed_measured_again(tmp_path, planted):
    asked, dies = planted
    dies.append(len(SEARCH) + 3)
    with pytest.raises(SystemExit):
        take(tmp_path)
    path = tmp_path / "bundle.parts" / "H1-3.json.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CalibrationError, match=r"H1-3.json.gz: damaged .* remove it"):
        take(tmp_path)
    path.unlink()
    done, _ = take(tmp_path)
    runs = read_bundle(done.folder).runs
    assert (runs["concurrent_streams"] == 3).sum() == 6
    assert len(asked) == len(SEARCH) + 6 * len(ROUND) + 1


def test_the_committed_protocol_names_three_ladders_and_a_clip():
    protocol = held_out_protocol().protocol
    assert (protocol.repeats, protocol.segments, protocol.warm_up_segments) == (6, 10, 2)
    assert len(protocol.ladders) == 3
    assert protocol.loads(18) == (5, 9, 13)
    assert protocol.loads(1) == (1,)
    assert [clip.content for clip in protocol.clips.values()] == ["game"]

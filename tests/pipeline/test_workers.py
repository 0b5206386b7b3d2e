"""Broadcasts in worker processes that are killed, stopped, poisoned and wedged; the others must not notice."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clips import clip, ladder
from ladder_run import Run
from planted_worker import CAPPED, NO_GPU, POISON
from workers import GOP_S, LOW, RUNGS, TOP, Broadcasting, is_running, planted, source, start_s, until

from pipeline.ladders.x264 import X264Backend
from pipeline.workers.backend import WorkerBackend
from pipeline.workers.protocol import WorkerError
from pipeline.workers.restarts import RestartPolicy
from pipeline.workers.session import RESTART_EPOCHS, WorkersDied
from scenarios.errors import EncoderUnavailable

__all__ = ["planted"]
FILLER = b"\x00\x00\x00\x02\x0c\x80"
"""A NAL unit of filler data as AVCC: a decoder swallows it without a frame and without an error."""


def poisoned(packets, *indexes):
    packets = list(packets)
    for index in indexes:
        packets[index] = dataclasses.replace(packets[index], data=POISON + packets[index].data)
    return packets


def test_a_worker_gives_the_same_packets_as_the_backend_itself():
    before, after = clip(seconds=2.0, b_frames=2).packets(), clip(seconds=1.0, width=480, height=270).packets()
    later = max(packet.pts for packet in before) + 3000
    moved = [
        dataclasses.replace(packet, index=60 + packet.index, pts=packet.pts + later, dts=packet.dts + later, epoch=1)
        for packet in after
    ]
    rungs = ladder((320, 180, 30), (160, 90, 15))
    runs = [Run(before + moved, rungs, open=backend.open) for backend in (WorkerBackend("x264"), X264Backend())]
    theirs, ours = runs
    assert theirs.errors == ours.errors == [None]
    assert theirs.by_rung == ours.by_rung
    assert {len(packets) for packets in theirs.by_rung.values()} == {90, 45}
    assert theirs.counters == ours.counters
    for kind in ("decodes", "encodes", "drops"):
        frames = [sorted((mark.frame, getattr(mark, "rung", "")) for mark in getattr(run.marks, kind)) for run in runs]
        assert frames[0] == frames[1], kind


def test_feeding_never_blocks_even_before_the_worker_has_started():
    run = Run(source(4.0), RUNGS, open=WorkerBackend("x264").open)
    assert run.slowest_feed_s < 0.5
    assert run.counters.fed == 120 == run.counters.decoded


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_killed_worker_is_replaced_at_a_keyframe_and_other_workers_lose_nothing(kills):
    """P8: back within a GOP and 3 s, the rest untouched, the hole measured in segments."""
    backend = WorkerBackend("x264", streams_per_worker=1, restarts=RestartPolicy(healthy_s=1.0))
    packets = source(12.0 * kills)
    hit = Broadcasting(backend, packets, speed=2.0, name="hit")
    until(lambda: 1 in backend.pids)
    spared = Broadcasting(backend, packets, speed=2.0, name="spared")
    for kill in range(kills):
        hit.wait_for(45, epoch=kill * RESTART_EPOCHS)
        pid = backend.pids[1]
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: backend.pids.get(1, pid) != pid)
    hit.end()
    spared.end()
    hit.check(restarts=kills)
    spared.check(restarts=0)
    assert len(spared.by_rung[TOP]) == len(packets) == spared.session.counters.decoded
    assert spared.session.counters.lost == 0
    for mark in hit.marks.restarts:
        assert mark.cause == "worker 1 died (signal 9, SIGKILL)"
        assert mark.outage_s <= GOP_S + max(3.0, 6 * start_s())
        assert mark.gap_segments == pytest.approx(mark.gap_s / RUNGS.segment_s)
    holes = [
        (after.pts - before.pts) / 90_000
        for before, after in zip(hit.by_rung[TOP], hit.by_rung[TOP][1:], strict=False)
        if before.epoch != after.epoch
    ]
    assert all(abs(mark.gap_s - hole) <= 0.1 for mark, hole in zip(hit.marks.restarts, holes, strict=True))


def test_a_stopped_worker_is_killed_and_replaced():
    backend = WorkerBackend("x264", stall_s=1.0)
    broadcast = Broadcasting(backend, source(20.0))
    broadcast.wait_for(15)
    os.kill(backend.pids[1], signal.SIGSTOP)
    broadcast.wait_for(15, epoch=RESTART_EPOCHS)
    broadcast.end().check(restarts=1)
    assert broadcast.marks.restarts[0].cause == "worker 1 stood still for 1 s and was killed"


def test_a_stuck_encoder_is_killed_with_its_worker_and_replaced(planted):
    backend = WorkerBackend("sticking", stall_s=1.0)
    broadcast = Broadcasting(backend, poisoned(source(40.0), 70), speed=8.0)
    broadcast.wait_for(15, epoch=RESTART_EPOCHS)
    broadcast.end().check(restarts=1)
    assert "stood still" in broadcast.marks.restarts[0].cause
    assert broadcast.session.counters.lost > 0


def test_a_publisher_that_pauses_or_sends_nothing_to_see_is_not_taken_for_a_stuck_worker(caplog):
    backend = WorkerBackend("x264", stall_s=0.5)
    packets = source(10.0)
    packets[60:240] = [dataclasses.replace(packet, data=FILLER, is_keyframe=False) for packet in packets[60:240]]
    broadcast = Broadcasting(backend, packets)
    broadcast.wait_for(15)
    broadcast.go_on.clear()
    time.sleep(2.0)  # four times what a stuck worker is given
    broadcast.end()
    assert broadcast.errors == [None]
    assert broadcast.marks.restarts == []
    assert caplog.messages == [], "not one worker died"
    assert {packet.frame_index for packet in broadcast.by_rung[TOP]} >= {*range(60), *range(240, 300)}


def test_a_broadcast_that_kills_its_workers_is_soon_alone_with_them(planted, caplog):
    policy = RestartPolicy(first_s=0.05, limit_s=0.2, healthy_s=1000.0)
    backend = WorkerBackend("killer", streams_per_worker=2, restarts=policy)
    bad = Broadcasting(backend, poisoned(source(20.0), *range(20, 600, 30)), name="bad", warm=False)
    until(lambda: backend.pids)
    good = Broadcasting(backend, source(20.0), name="good", warm=False)
    bad.end()
    good.end()
    restarts = len(good.marks.restarts)
    good.check(restarts=restarts)
    epoch = good.by_rung[TOP][-1].epoch
    assert restarts <= epoch // RESTART_EPOCHS <= policy.shared_deaths
    assert sum("died (signal 9" in message for message in caplog.messages) > restarts + policy.shared_deaths
    undisturbed = {packet.frame_index for packet in good.by_rung[TOP] if packet.epoch == epoch}
    overload = {mark.frame for mark in good.marks.drops}
    assert undisturbed == set(range(min(undisturbed), 600)) - overload


def test_a_broadcast_whose_workers_die_at_once_ends_with_the_reason(planted):
    backend = WorkerBackend("stillborn", restarts=RestartPolicy(first_s=0.01, barren_lives=3))
    broadcast = Broadcasting(backend, source(30.0), warm=False)
    until(lambda: broadcast.errors)
    (error,) = broadcast.errors
    assert isinstance(error, WorkersDied)
    assert str(error) == "3 workers in a row gave no frame of 'test'; worker 1 ended with status 3"
    broadcast.end()
    assert not any(broadcast.by_rung.values())


@pytest.mark.parametrize(("name", "sentence"), [("capped", CAPPED), ("gone", NO_GPU)])
def test_an_encoder_that_cannot_be_had_in_the_worker_is_said_in_its_own_words(planted, name, sentence):
    broadcast = Broadcasting(WorkerBackend(name), source(5.0), warm=False).end()
    (error,) = broadcast.errors
    assert isinstance(error, EncoderUnavailable)
    assert str(error) == sentence
    assert broadcast.marks.restarts == []


def test_a_bug_in_the_worker_comes_with_its_traceback(planted):
    (error,) = Broadcasting(WorkerBackend("broken"), source(5.0), warm=False).end().errors
    assert isinstance(error, WorkerError)
    assert str(error) == "LookupError: planted"
    assert "planted_worker.py" in error.__notes__[0]


def test_what_a_backend_refuses_is_refused_before_a_process_starts():
    rungs = RUNGS.model_copy(update={"rungs": (RUNGS.rungs[0].model_copy(update={"codec": "hevc"}),)})
    with pytest.raises(EncoderUnavailable, match="hevc"):
        WorkerBackend("x264").open(b"", rungs, lambda packet: None)
    with pytest.raises(EncoderUnavailable, match="placebo"):
        WorkerBackend("x264", preset="placebo")


def test_a_worker_lives_as_long_as_its_broadcasts_and_has_its_limits():
    backend = WorkerBackend("x264", streams_per_worker=2)
    one = Broadcasting(backend, source(6.0), name="one")
    until(lambda: backend.pids)
    two = Broadcasting(backend, source(2.0), name="two")
    one.wait_for(5)
    two.wait_for(5)
    (pid,) = backend.pids.values()
    assert os.getsid(pid) == pid, "the terminal's Ctrl-C is not for it"
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    limits = dict(
        (line[:25].strip(), line[26:].split()[0]) for line in Path(f"/proc/{pid}/limits").read_text().splitlines()
    )
    assert limits["Max core file size"] == "0"
    assert int(limits["Max open files"]) == 32 + 4 * 2
    assert int(limits["Max address space"]) == 12 * 2**30
    two.end().check(restarts=0)
    assert backend.pids == {1: pid}
    one.end().check(restarts=0)
    until(lambda: not is_running(pid))
    assert backend.pids == {}


SERVER = """
import sys, time
from workers import Broadcasting, WorkerBackend, source
backend = WorkerBackend("x264")
broadcast = Broadcasting(backend, source(3600.0), speed=1.0)
broadcast.wait_for(5)
print(*backend.pids.values(), flush=True)
time.sleep(600)
"""


def test_a_worker_does_not_outlive_its_server():
    paths = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert is_running(pid)
        server.kill()
    until(lambda: not is_running(pid))


def test_a_broadcast_whose_packets_are_not_taken_holds_up_no_other_of_its_worker():
    backend = WorkerBackend("x264", streams_per_worker=2, stall_s=0.5)
    blocked = Broadcasting(backend, source(20.0), name="blocked")
    blocked.wait_for(1)
    blocked.take.clear()
    free = Broadcasting(backend, source(20.0), name="free")
    until(lambda: backend.pids)
    (pid,) = backend.pids.values()
    free.end().check(restarts=0)
    assert len(free.by_rung[TOP]) == 600
    assert backend.pids == {1: pid}, "nor is it taken for stuck"
    blocked.take.set()
    blocked.end().check(restarts=0)
    counters = blocked.session.counters
    assert counters.dropped > 0, "what does not fit is dropped and counted, not kept"
    assert counters.lost == 0


def test_the_low_rung_is_not_held_back():
    broadcast = Broadcasting(WorkerBackend("x264"), source(3.0)).end()
    assert [packet.frame_index for packet in broadcast.by_rung[LOW]] == list(range(0, 90, 2))

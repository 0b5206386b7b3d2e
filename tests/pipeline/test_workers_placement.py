"""Who is encoded where, when a dead worker is replaced, and what a death may tear apart: no processes needed."""

from __future__ import annotations

import dataclasses
import socket
from collections import defaultdict

import pytest
from clips import clip
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ladders.backend import LadderCounters, RungPacket
from pipeline.workers import child
from pipeline.workers.child import Speaker
from pipeline.workers.lockstep import MAX_HELD, Lockstep
from pipeline.workers.pool import Pool
from pipeline.workers.protocol import messages
from pipeline.workers.restarts import Deaths, RestartPolicy


class FakeWorker:
    def __init__(self, number: int) -> None:
        self.number, self.alive, self.ended = number, True, False

    def end(self) -> None:
        self.ended = True


def test_places_are_filled_one_after_the_other_and_given_up_with_their_last_broadcast():
    pool = Pool(FakeWorker, 2)
    places = [pool.enter() for _ in range(5)]
    assert [place.number for place in places] == [1, 1, 2, 2, 3]
    first = places[0].worker()
    assert places[1].worker() is first
    pool.leave(places[0])
    assert not first.ended
    assert pool.enter().number == 1
    pool.leave(places[1])
    pool.leave(places[0])
    assert first.ended
    assert pool.enter().number == 3
    assert pool.enter().number == 1, "the smallest number that is free"


def test_a_dead_worker_is_replaced_once_for_all_who_share_it():
    pool = Pool(FakeWorker, 2)
    place = pool.enter()
    pool.enter()
    first = place.worker()
    assert pool.workers == [first]
    first.alive = False
    assert pool.workers == []
    second = place.worker()
    assert second is not first
    assert place.worker() is second
    assert second.number == first.number


def test_an_isolated_broadcast_is_alone_and_stays_alone():
    pool = Pool(FakeWorker, 4)
    shared = pool.enter()
    assert pool.enter() is pool.enter() is shared
    alone = pool.isolate(shared)
    assert (alone.number, alone.broadcasts, shared.broadcasts) == (2, 1, 2)
    assert pool.isolate(alone) is alone
    assert pool.enter() is shared
    pool.leave(shared)
    pool.leave(shared)
    assert pool.isolate(shared) is shared, "the last one keeps the place, and has it for itself"
    assert pool.enter().number == 3


def test_waits_double_up_to_a_limit_and_a_healthy_life_starts_anew():
    deaths = Deaths(RestartPolicy(first_s=0.1, limit_s=5.0, healthy_s=10.0))
    waits = []
    for _ in range(8):
        deaths.note(lived_s=1.0, packets=1, was_stuck=False)
        waits.append(deaths.wait_s)
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    deaths.note(lived_s=10.0, packets=1, was_stuck=False)
    assert deaths.wait_s == pytest.approx(0.1)
    for _ in range(2000):
        deaths.note(lived_s=0.0, packets=1, was_stuck=False)
    assert deaths.wait_s == 5.0


def test_only_lives_without_a_packet_end_a_broadcast():
    deaths = Deaths(RestartPolicy(barren_lives=3))
    hopeless = []
    for packets in (0, 0, 1, 0, 0, 0):
        deaths.note(lived_s=1.0, packets=packets, was_stuck=False)
        hopeless.append(deaths.is_hopeless)
    assert hopeless == [False] * 5 + [True]


def test_the_second_death_in_a_row_isolates_and_standing_still_does_at_once():
    deaths = Deaths(RestartPolicy())
    deaths.note(lived_s=1.0, packets=1, was_stuck=False)
    assert not deaths.wants_isolation
    deaths.note(lived_s=1.0, packets=1, was_stuck=False)
    assert deaths.wants_isolation
    deaths.note(lived_s=100.0, packets=1, was_stuck=False)
    assert not deaths.wants_isolation
    deaths.note(lived_s=100.0, packets=1, was_stuck=True)
    assert deaths.wants_isolation


RUNGS = ("a", "b", "c")


def rung_packet(rung: str, index: int, *, gop: int = 3) -> RungPacket:
    return RungPacket(
        rung=rung,
        pts=index,
        dts=index,
        data=b"",
        is_keyframe=index % gop == 0,
        frame_index=index,
        arrival_s=0.0,
        epoch=0,
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(RUNGS), max_size=60))
def test_wherever_a_death_falls_every_rung_has_begun_the_same_segments(order):
    passed: dict[str, list[RungPacket]] = defaultdict(list)
    lockstep = Lockstep(RUNGS, lambda packet: passed[packet.rung].append(packet))
    fed: dict[str, int] = dict.fromkeys(RUNGS, 0)
    for rung in order:
        lockstep.take(rung_packet(rung, fed[rung]))
        fed[rung] += 1
        started = {sum(packet.is_keyframe for packet in passed[name]) for name in RUNGS}
        assert len(started) == 1
        slowest = min(fed.values())
        assert all(len(passed[name]) >= min(fed[name], 3 * -(-slowest // 3)) for name in RUNGS), "held without need"
    lockstep.flush()
    assert {rung: [packet.frame_index for packet in passed[rung]] for rung in RUNGS} == {
        rung: list(range(count)) for rung, count in fed.items()
    }


def test_a_rung_that_never_comes_does_not_hold_the_others_for_ever():
    passed: list[RungPacket] = []
    lockstep = Lockstep(("a", "b"), passed.append)
    for index in range(MAX_HELD + 1):
        lockstep.take(rung_packet("a", index))
    assert [packet.frame_index for packet in passed] == list(range(MAX_HELD + 1))


def test_a_session_that_refuses_is_vouched_for_only_if_nothing_waits_in_it(monkeypatch):
    monkeypatch.setattr(child, "ANSWER_S", 0.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        speaker = Speaker(theirs)
        counters = speaker.counters = LadderCounters(encoded={"a": 0})
        packet = clip(seconds=1.0).packets()[0]

        def answers(index: int, *, accepted: bool) -> bool:
            speaker.answer(dataclasses.replace(packet, index=index), accepted=accepted)
            ours.settimeout(0.05)
            try:
                return bool(ours.recv(2**16))
            except TimeoutError:
                return False

        assert all(answers(index, accepted=True) for index in range(120)), "it takes packets: it lives"
        assert not answers(120, accepted=False), "120 wait in it"
        counters.decoded = 1
        assert answers(121, accepted=False), "a frame got somewhere"
        assert not answers(122, accepted=False)
        speaker.emit(rung_packet("a", 119))
        ours.recv(2**16)
        assert answers(123, accepted=False), "nothing waits: it refuses up to the next keyframe"


def test_counters_come_before_the_packet_they_count():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        speaker = Speaker(theirs)
        speaker.counters = LadderCounters(decoded=1, encoded={"a": 0})
        speaker.emit(rung_packet("a", 0))
        speaker.emit(rung_packet("b", 0))
        speaker.end(None)
        theirs.shutdown(socket.SHUT_WR)
        with ours.makefile("rb") as file:
            kinds = [type(message).__name__ for message in messages(file)]
    assert kinds == ["LadderCounters", "RungPacket", "RungPacket", "LadderCounters", "Ended"]

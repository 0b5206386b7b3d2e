import pytest
from watched_fleet import Watched

from scenarios.admission import Open, PartnersFirst, SourceOnly, ViewerThreshold
from sim.components.admission import Channels, policy


def rule(spec, partner=(), viewers=()):
    return policy(spec, Channels(partner, viewers))


def test_giving_up_at_the_deadline_or_at_the_own_end():
    world = Watched([500, 500, 500, 20], deadline_s=60.0)
    world.fleet.start_ready(1)
    world.request(0, 1, 2, 3)
    world.env.run(until=100)
    assert world.refused == [(20, 3, "stopped"), (60, 2, "gave up waiting")]


def test_deadline_zero_refuses_at_once():
    world = Watched([500], deadline_s=0.0, rule=rule(Open()))
    world.request(0)
    assert world.refused == [(0, 0, "refused: no place")]


def test_a_full_queue_refuses():
    world = Watched([500] * 3, limit=2)
    world.request(0, 1, 2)
    assert world.refused == [(0, 2, "refused: queue full")]
    assert world.admission.waiting == 2


def test_nobody_overtakes_the_queue():
    world = Watched([50, 500, 500, 500])
    world.fleet.start_ready(1)
    world.request(0, 1, 2)
    world.at(40, world.request, 3)
    world.env.run(until=55)
    assert [(at, broadcast) for at, broadcast, _ in world.placed] == [(0, 0), (0, 1), (50, 2)]


def test_without_room_a_broadcast_goes_on_with_its_source_alone():
    world = Watched([500] * 4, deadline_s=60.0, rule=rule(SourceOnly(kind="source_only")))
    world.fleet.start_ready(1)
    world.request(0, 1, 2)
    world.env.run(until=100)
    assert world.without == [(60, 2)]
    assert world.refused == []


def test_partners_overtake_and_have_room_kept_for_them():
    partner = [False, False, False, False, True, True]
    spec = PartnersFirst(kind="partners_first", reserved_share=0.25)
    world = Watched([500] * 6, deadline_s=60.0, rule=rule(spec, partner))
    world.fleet.start_ready(2)  # four places; others leave a quarter
    world.request(0, 1, 2, 3)
    assert [b for _, b, _ in world.placed] == [0, 1, 2]
    world.request(4)
    assert world.placed[-1][1] == 4
    world.request(5)
    world.at(10, world.fleet.leave, 0)  # the only place that becomes free goes to the partner, who came last
    world.at(10, world.admission.serve)
    world.env.run(until=100)
    assert world.placed[-1][:2] == (10, 5)
    assert world.without == [(60, 3)]


def test_a_threshold_of_viewers():
    spec = ViewerThreshold(kind="viewer_threshold", viewers=100.0)
    world = Watched([500] * 3, rule=rule(spec, [False, False, True], [99.0, 100.0, 1.0]))
    world.fleet.start_ready(2)
    world.request(0, 1, 2)
    assert world.without == [(0, 0)]
    assert [b for _, b, _ in world.placed] == [1, 2]


@pytest.mark.parametrize("spec", [Open(), SourceOnly(kind="source_only")])
def test_who_has_withdrawn_is_not_served(spec):
    world = Watched([500] * 4, rule=rule(spec))
    world.fleet.start_ready(1)
    world.request(0, 1, 2, 3)
    world.admission.withdraw(2)
    world.fleet.kill([0], "died")
    world.env.run(until=31)
    assert world.placed[-1][:2] == (30, 3)

"""The joint draws are the worlds that are simulated, one for all candidates, with a name for what nobody knows."""

from __future__ import annotations

import pytest
from platforms import scenario
from profiles import SOURCE, profile

from scenarios import CalibrationError, load_catalogue
from sim.assembly import draw
from sim.capacity_review.joint_draws import ANCHOR, PROFILE, draw_places
from sim.carried import drawn, plan_range

KNOWN = load_catalogue()
MIX = (
    {"source": SOURCE.model_dump(), "share": 0.6},
    {"source": SOURCE.model_dump() | {"width": 1920, "height": 1080, "bitrate_bps": 6e6}, "share": 0.4},
)
POOLS = ({"name": "sure", "min_nodes": 1}, {"name": "spot", "purchase": "spot", "discount": 0.6, "weight": 2.0})
TYPES = ("g4dn.xlarge", "g4dn.12xlarge", "g6.xlarge", "c7i.4xlarge", "this-machine")


def on(instance, **changes):
    listed = {"platform.transcode.nic_bps": None, "platform.transcode.node_price_usd_per_hour": None}
    own = {} if instance == "this-machine" else listed
    few = {"horizon.horizon_s": 300.0, "platform.transcode.instance": instance}
    return scenario(**few | own | changes)


@pytest.fixture(scope="module")
def drawn_together():
    return draw_places({name: on(name) for name in TYPES}, profile(), KNOWN, seed=5, draws=60)


@pytest.mark.parametrize(
    "changes",
    [{}, {"workload.source_mix": MIX}, {"platform.transcode.pools": POOLS, "workload.source_mix": MIX}],
    ids=["one source", "two sources", "two sources in two pools"],
)
def test_a_draw_is_the_world_of_the_replication_of_that_number(changes):
    candidates = {name: on(name, **changes) for name in TYPES[:4]}
    found = draw_places(candidates, profile(), KNOWN, seed=9, draws=3)
    for number in range(3):
        for name, candidate in candidates.items():
            made = draw(candidate, profile(), KNOWN, seed=9, replication=number)
            assert found.places.loc[number, name] == made.largest.places_per_node
            assert found.binding.loc[number, name] == made.largest.chief.binding


def test_positions_are_those_that_were_asked_of_the_replication(drawn_together):
    for number in (0, 7):
        position = drawn(5, number)
        world = draw(on("c7i.4xlarge"), profile(), KNOWN, seed=5, replication=number).world
        row = drawn_together.positions.loc[number]
        names = drawn_together.positions.columns.drop([ANCHOR, PROFILE])
        assert row[names].to_dict() == {name: position(name) for name in names}
        assert 32_000.0 - 16_000.0 * row[ANCHOR] == pytest.approx(world.anchor_coremark_per_vcpu)  # cheap: slow here


def test_a_candidate_is_drawn_alike_whoever_stands_beside_it(drawn_together):
    alone = draw_places({"g6.xlarge": on("g6.xlarge")}, profile(), KNOWN, seed=5, draws=20)
    assert alone.places["g6.xlarge"].equals(drawn_together.places["g6.xlarge"].head(20))
    shared = [name for name in alone.positions if name != PROFILE]
    assert alone.positions[shared].equals(drawn_together.positions[shared].head(20))


def test_what_types_share_is_one_source_and_the_anchor_is_no_matter_of_the_measured_machine(drawn_together):
    touches = drawn_together.touches
    assert touches["video clock of t4"] == touches["CPU of g4dn"] == ("g4dn.xlarge", "g4dn.12xlarge")
    assert touches["speed of h264 p4"] == ("g4dn.xlarge", "g4dn.12xlarge", "g6.xlarge")
    assert touches["CPU of c7i"] == ("c7i.4xlarge",)
    assert touches["CPU of c5n"] == ()  # the ingest nodes' alone
    assert touches["speed of decoding h264"] == ()  # published as one number
    assert touches[ANCHOR] == TYPES[:4]
    assert touches[PROFILE] == TYPES
    assert set(touches) == set(drawn_together.positions)


def test_position_0_is_the_costly_end_of_every_source(drawn_together):
    """The rank of what a node holds rises with the position of what binds it."""
    both = drawn_together.positions.join(drawn_together.places)
    for source, name in ((ANCHOR, "c7i.4xlarge"), ("speed of h264 p4", "g6.xlarge"), ("video clock of t4", TYPES[0])):
        assert both[[source, name]].corr("spearman").iloc[0, 1] > 0.3, source
    alone = draw_places({"this-machine": on("this-machine")}, profile(spread=0.2), KNOWN, seed=5, draws=40)
    places, rank = alone.places["this-machine"], alone.positions[PROFILE]
    ordered = places.iloc[rank.argsort(kind="stable")]
    assert places.nunique() > 1
    assert ordered.is_monotonic_increasing  # one kind of node: the rank tells all of it
    assert rank.between(0.0, 1.0, inclusive="neither").all()


def test_a_node_that_holds_nothing_counts_as_one_broadcast_and_is_told():
    hardly = on(
        "g4dn.xlarge", **{"platform.transcode.nvenc_preset": "p7", "platform.transcode.planning_utilisation": 0.12}
    )
    assert plan_range(hardly, profile(), KNOWN).low == 0
    found = draw_places({"t4": hardly, "l4": on("g6.xlarge")}, profile(), KNOWN, seed=1, draws=40)
    assert 0 < found.held_nothing["t4"] < 40
    assert found.held_nothing["l4"] == 0
    assert found.places["t4"].min() == 1.0
    (line,) = found.told()
    assert line.startswith(f"t4: in {found.held_nothing['t4']} of 40 joint draws one broadcast does not fit")


def test_equal_seeds_draw_equal_and_progress_is_told():
    told = []
    candidates = {"g6.xlarge": on("g6.xlarge")}
    first = draw_places(candidates, profile(), KNOWN, seed=2, draws=5, progress=lambda *now: told.append(now))
    assert told == [(number, 5) for number in range(1, 6)]
    assert draw_places(candidates, profile(), KNOWN, seed=2, draws=5).positions.equals(first.positions)
    assert not draw_places(candidates, profile(), KNOWN, seed=3, draws=5).positions.equals(first.positions)


def test_no_draw_and_no_candidate_are_refused():
    with pytest.raises(CalibrationError, match="not 1 and 0; name an instance type"):
        draw_places({"g6.xlarge": on("g6.xlarge")}, profile(), KNOWN, seed=1, draws=0)
    with pytest.raises(CalibrationError, match="not 0 and 1000"):
        draw_places({}, profile(), KNOWN, seed=1)
    with pytest.raises(CalibrationError, match=r"c7gn\.4xlarge: the catalogue has no CoreMark"):
        draw_places({"c7gn.4xlarge": on("c7gn.4xlarge")}, profile(), KNOWN, seed=1, draws=1)

"""What is assumed about a fleet is told with its value, once a topic, and only where it is used."""

from __future__ import annotations

from pathlib import Path

import pytest
from platforms import scenario

from scenarios import load_scenario
from scenarios.law import Lognormal, Observed, Weibull
from sim.assumed_grounds import assumed_grounds, law_text, node_price_text, startup_mean_s

LIBRARY = Path(__file__).parent.parent.parent / "scenarios" / "library"
SPOT = {"name": "spot", "purchase": "spot", "discount": 0.64}
PREEMPTIBLE = {"name": "cheap", "purchase": "preemptible", "launch_failure": 0.05, "price_usd_per_hour": 0.02}


def grounds(**changes):
    return list(assumed_grounds(scenario(**{path.replace("__", "."): value for path, value in changes.items()})))


def test_a_plain_fleet_rests_on_how_its_nodes_boot_and_a_fixed_one_not_even_on_that():
    assert grounds() == ["assumed: a node from its order until it takes a broadcast: boot 90 to 300 s, evenly"]
    assert grounds(platform__transcode__autoscaler={"kind": "fixed"}) == []


def test_pools_tell_discount_price_band_notice_life_and_failed_orders():
    text = "\n".join(grounds(platform__transcode__pools=[SPOT, PREEMPTIBLE]))
    for told in (
        "discount 0.64 of pool spot (0.64 for g4dn.xlarge",
        "0.02 USD per hour for a node of pool cheap",
        "5.0% of orders of pool cheap come to nothing",
        "pool spot are taken back in the band 15-20% a month, 0.00026 times an hour",
        "with 120 s notice",
        "with 30 s notice, and at an age of 24 h at the latest",
        "a broadcast that moves misses 1 segment (1 to 3)",
        "publishers and players that were cut off ask again without end, first after 1 s (0.5 to 10)",
    ):
        assert told in text
    own = {**SPOT, "interruptions": {"per_hour": 0.5}}
    assert "taken back 0.5 times an hour, with" in "\n".join(grounds(platform__transcode__pools=[own]))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("spot_storm", "assumed: spot storm, 50% (10% to 100%) of spot nodes are taken back within 300 s, and none is"),
        ("zone_loss", "assumed: zone a lost, zone a is gone for 3600 s"),
        ("rolling_deploy", "assumed: deploy, 25% of the nodes at a time (Kubernetes: 25%), 900 s to empty a node"),
        ("twitch_evening", "boot 120 to 210 s, evenly, image 30 to 600 s, evenly (0 to 600 s)"),
    ],
)
def test_failures_and_starts_of_the_library_are_told(name, told):
    assert told in "\n".join(assumed_grounds(load_scenario(LIBRARY / f"{name}.yaml")))


def test_players_with_a_retry_of_their_own_have_a_line_of_their_own():
    loss = [{"kind": "node_loss", "at_s": 60.0}]
    lines = grounds(failures=loss, platform__ingest__retry={"attempts": 3})
    assert any(line.startswith("assumed: publishers that were cut off ask again 3 times") for line in lines)
    assert any("players that were cut off ask again without end" in line for line in lines)
    assert "assumed: node_loss, 10% of the ready nodes die at once" in lines


def test_a_price_is_told_for_each_pool():
    assert node_price_text(scenario()) == "an assumed 0.085 USD per node-hour"
    pools = scenario(**{"platform.transcode.pools": [SPOT, PREEMPTIBLE]})
    assert node_price_text(pools) == "an assumed 0.085 less 64% (spot), an assumed 0.02 (cheap) USD per node-hour"
    other = scenario(**{"platform.transcode.pools": [{"name": "t4", "instance": "g4dn.xlarge"}]})
    assert node_price_text(other) == "a listed 0.526 (t4) USD per node-hour"


def test_laws_are_told_in_a_few_words_and_their_means_add_up():
    assert law_text(Lognormal(kind="lognormal", mean_s=60.0, cv=0.5)) == "lognormal, mean 60 s, variation 0.5"
    assert law_text(Weibull(kind="weibull", mean_s=60.0, shape=2.0)) == "weibull, mean 60 s, shape 2"
    assert law_text(Observed(kind="observed", values_s=(10.0, 30.0))) == "observed, mean 20 s"
    assert startup_mean_s(scenario().platform.transcode) == 195.0


def test_a_pool_that_may_never_have_a_node_is_not_told():
    unused = [{**SPOT, "weight": 0.0}, {"name": "none", "purchase": "reserved", "discount": 0.3, "available_max": 0}]
    text = "\n".join(grounds(platform__transcode__pools=[{"name": "on-demand"}, *unused]))
    assert "discount" not in text
    assert "taken back" not in text

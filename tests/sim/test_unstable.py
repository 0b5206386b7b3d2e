"""S20: a platform that more broadcasts want a place on than its largest fleet has runs, is flagged, and has no wait."""

from __future__ import annotations

import math

from platforms import scenario
from profiles import profile

from sim.answer import answer
from sim.replication import run

CROWDED = {"platform.transcode.min_nodes": 3, "platform.transcode.max_nodes": 3, "horizon.horizon_s": 1800.0}


def test_an_unstable_platform_runs_is_flagged_and_no_wait_is_told():
    crowded = run(scenario(**CROWDED), profile(), seed=4)
    assert crowded.unstable.startswith("UNSTABLE in 3 of 3 runs: from ")
    assert answer(crowded)[0] == f"{crowded.unstable}."
    assert crowded.document()["unstable"] == crowded.unstable
    told = crowded.summary.set_index("metric")["mean"]
    assert told["unstable_after_s"] < 1800.0
    assert math.isnan(told.get("start_wait_p95_s", math.nan))


def test_a_stable_one_is_not():
    roomy = run(scenario(**{"horizon.horizon_s": 1800.0}), profile(), seed=4)
    assert (roomy.unstable, roomy.document()["unstable"]) == ("", None)
    assert not math.isnan(roomy.summary.set_index("metric").loc["start_wait_p95_s", "mean"])

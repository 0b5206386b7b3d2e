"""The answer: same bytes for the same seed, whatever the workers and the hash seed; it moves with the profile."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from platforms import scenario
from profiles import profile

import headroom
from scenarios.errors import NotReady, ScenarioError
from scenarios.held_out import CpuError, HeldOutErrors, LadderErrors, NMaxError
from sim.metrics import METRICS, summarise
from sim.metrics.cost import PURCHASES
from sim.replication import run
from sim.results import read_result, to_json

NEEDS_FAILURES = {
    *("source_only_fraction", "interrupted", "moved", "lost", "interrupted_per_1000_h", "outage_mean_s"),
    *("viewer_hours_lost", "viewer_hours_away", "publisher_attempts", "player_retries_peak_per_s"),
    *("blast_radius_broadcasts", "blast_radius_viewers", "recovery_s"),
    *("late_segment_fraction", "dropped_video_fraction", "edge_busiest_utilisation"),
}
"""What a platform without failures, whose broadcasts all cost alike and all have a ladder, has nothing of."""
SMALL = scenario(**{"horizon.horizon_s": 1800.0})


def digest(result) -> str:
    """Hash everything a result says, times and host apart."""
    frames = (result.summary, result.values, result.ticks, result.broadcasts, result.nodes)
    text = to_json(result.document()) + "".join(frame.to_csv(index=False) for frame in frames)
    return hashlib.sha256(text.encode()).hexdigest()


def test_same_seed_same_bytes_another_seed_differs():
    first = digest(run(SMALL, profile(), seed=4))
    assert first == digest(run(SMALL, profile(), seed=4))
    assert first != digest(run(SMALL, profile(), seed=5))


def test_workers_and_executors_move_no_digit():
    alone = digest(run(SMALL, profile(), seed=4, workers=1))
    assert alone == digest(run(SMALL, profile(), seed=4, workers=2))
    with ThreadPoolExecutor(2) as executor:
        assert alone == digest(run(SMALL, profile(), seed=4, executor=executor))


def test_the_answer_moves_with_the_measured_profile():
    cheap = run(SMALL, profile(), seed=4).summary.set_index("metric")["mean"]
    costly = run(SMALL, profile(cost=1.6), seed=4).summary.set_index("metric")["mean"]
    assert costly["nodes_peak"] > 1.3 * cheap["nodes_peak"]
    assert costly["transcode_usd_per_month"] > 1.3 * cheap["transcode_usd_per_month"]
    assert costly["viewers_peak"] == cheap["viewers_peak"]  # the crowd is the same: common random numbers


@pytest.mark.parametrize("planning_utilisation", [0.5, 0.8, 1.0])
def test_a_faster_machine_never_needs_more_nodes(planning_utilisation):
    """All CPU times shorter by a fifth, again and again: in every replication and for the mean, no more nodes."""
    platform = scenario(
        **{"horizon.horizon_s": 1800.0, "platform.transcode.planning_utilisation": planning_utilisation}
    )
    nodes, per_node = [], []
    for power in range(5):
        values = run(platform, profile(cost=0.8**power), seed=4).values.pivot(
            index="replication", columns="metric", values="value"
        )
        nodes.append(values["nodes_peak"])
        per_node.append(values["broadcasts_per_node"])
    for slower, faster in itertools.pairwise(nodes):
        assert (faster <= slower).all()
    assert (nodes[-1] < nodes[0]).all()
    for slower, faster in itertools.pairwise(per_node):
        assert (faster >= slower).all()


def test_the_answer_tells_the_error_out_of_sample():
    table = held_out_table()
    told = run(SMALL, profile().model_copy(update={"held_out": table}), seed=4, replications=1).rests_on()
    (line,) = [line for line in told if line.startswith("out of sample")]
    assert "on the nearest ladder that the fit has not seen (960x540@30 + 640x360@30 of 1280x720@30" in line
    assert "CPU per stream-second 2.1% off (noise floor 0.8%, target met)" in line
    assert "N_max 5 predicted, 6 measured (target met; cores ÷ CPU says 7)" in line
    assert any(line.startswith("not measured out of sample") for line in run(SMALL, profile(), seed=4).rests_on())


def held_out_table() -> HeldOutErrors:
    near = {"ladder": "H3", "clip": "camera", "source": "1280x720@30", "rungs": ("960x540@30", "640x360@30")}
    return HeldOutErrors(
        bundles=("held-out",),
        date=datetime.date(2026, 1, 31),
        protocol_sha256="a" * 64,
        seed=1,
        repeats=6,
        figures=(),
        ladders=(
            LadderErrors(
                **near,
                cpu_s_per_stream_s=0.3,
                cpu=CpuError(error=0.021, noise_floor=0.008, verdict="met"),
                n_max=NMaxError(measured=6, predicted=5, division=7, verdict="met"),
            ),
            LadderErrors(
                **near | {"ladder": "H1", "rungs": ("640x360@30",)},
                cpu_s_per_stream_s=0.1,
                cpu=CpuError(error=0.5, noise_floor=0.4, verdict="UNRESOLVED"),
                n_max=None,
            ),
        ),
    )


def test_ignorance_of_the_profile_widens_the_interval():
    known = run(SMALL, profile(spread=0.0), seed=4, replications=8).values
    unknown = run(SMALL, profile(spread=0.1), seed=4, replications=8).values
    share = "full_node_cpu"
    assert known.loc[known["metric"] == share, "value"].std() == 0
    assert unknown.loc[unknown["metric"] == share, "value"].std() > 0.01


def test_an_origin_that_was_measured_has_its_cores_in_the_answer():
    measured = profile(more={"origin_cpu_s_per_request tls": 1e-4, "origin_cpu_s_per_byte tls": 1e-9})
    result = run(SMALL, measured, seed=4)
    cores = result.summary.set_index("metric").loc["origin_cores_peak"]
    egress_bps = result.summary.set_index("metric").loc["origin_egress_peak_bps", "mean"]
    assert cores["mean"] > 0.9e-9 * egress_bps / 8
    assert "cores of the measured kind in use at the origin, busiest tick" in set(result.table()["what"])


def test_every_metric_has_a_value_an_interval_and_a_place_in_the_table():
    result = run(SMALL, profile(), seed=4)
    told = list(result.summary["metric"])
    assert told == [name for name in METRICS if name in told]
    lacking = METRICS.keys() - {*told}
    engines = {name for name in METRICS if name.endswith(("_engine", "_session", "gpu_memory"))}  # an accelerator's
    unmeasured = {"origin_cores_peak", "segment_publish_s"}  # the profile has no origin, nor sizes of nodes
    bought = {
        name for name in METRICS if name.endswith("_usd_per_month") and "_".join(name.split("_")[:-3]) in PURCHASES
    }
    assert lacking == engines | unmeasured | bought | NEEDS_FAILURES | {"unstable_after_s", "fragmentation"}
    assert result.summary["mean"].notna().all()
    assert (result.summary["low"] <= result.summary["mean"]).all()
    assert len(result.table()) == len(told)
    assert result.binding == "cpu"


def summaries(trials: np.ndarray) -> pd.DataFrame:
    """Return what is said of each row of values, as if each were a metric of its own."""
    trial, value = np.repeat(np.arange(len(trials)), trials.shape[1]), trials.ravel()
    summary = summarise(pd.DataFrame({"component": "c", "metric": trial, "unit": "s", "value": value}))
    assert list(summary["metric"]) == list(range(len(trials)))
    return summary


def test_intervals_are_students_t_over_replications():
    """95 % intervals of the mean of 10 values cover it in 95 % of 1,000 trials; 5 values counted 10 times do not."""
    rng = np.random.default_rng(1)
    right = summaries(10 + rng.standard_normal((1000, 10)))
    wrong = summaries(10 + np.repeat(rng.standard_normal((1000, 5)), 10, axis=1))
    assert 0.93 <= ((right["low"] <= 10) & (right["high"] >= 10)).mean() <= 0.97
    assert ((wrong["low"] <= 10) & (wrong["high"] >= 10)).mean() < 0.8


def test_the_interval_of_a_day_holds_the_next_day():
    rng = np.random.default_rng(2)
    found, following = summaries(10 + rng.standard_normal((1000, 8))), 10 + rng.standard_normal(1000)
    assert 0.93 <= ((found["day_low"] <= following) & (found["day_high"] >= following)).mean() <= 0.97
    assert ((found["low"] <= following) & (found["high"] >= following)).mean() < 0.7


def test_a_result_folder_reads_back_equal_and_says_how_to_make_it_again(tmp_path):
    result = run(SMALL, profile(), seed=4)
    folder = result.write(tmp_path / "out" / "result")
    again = read_result(folder)
    assert digest(again) == digest(result)
    assert again.scenario == SMALL
    provenance = json.loads((folder / "run.json").read_text())
    assert provenance["seed"] == 4
    assert {"numpy", "simpy", "scipy", "pandas"} <= provenance["versions"].keys()
    assert [path.name for path in folder.parent.iterdir()] == ["result"]
    result.write(folder)  # an older result is replaced


def test_a_result_is_never_written_over_something_else(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(NotReady, match="is not a result of headroom; choose another --out"):
        run(SMALL, profile(), seed=4).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_place_that_holds_something_else_is_refused_before_the_work(tmp_path, monkeypatch, capsys):
    (tmp_path / "precious.txt").write_text("mine")
    command = ["headroom", "run", "scenarios/library/twitch_evening.yaml", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr("sim.replication.run", lambda *_, **__: pytest.fail("it was simulated first"))
    with pytest.raises(SystemExit):
        headroom.main()
    assert "is not a result of headroom" in capsys.readouterr().err


def test_a_result_of_another_version_is_refused_by_its_number_and_says_how_to_have_it_again(tmp_path):
    folder = run(SMALL, profile(), replications=1, engine="fleet").write(tmp_path / "result")
    told = folder / "run.json"
    told.write_text(told.read_text(encoding="utf-8").replace('"headroom_result": 3', '"headroom_result": 2'))
    with pytest.raises(
        ScenarioError, match=r"result version 2, this headroom reads 3; run the scenario again; a run.json"
    ):
        read_result(folder)


def test_a_damaged_result_is_refused(tmp_path):
    folder = run(SMALL, profile(), seed=4).write(tmp_path / "result")
    data = bytearray((folder / "ticks.parquet").read_bytes())
    data[len(data) // 3] ^= 1
    (folder / "ticks.parquet").write_bytes(bytes(data))
    with pytest.raises(ScenarioError, match="damaged"):
        read_result(folder)

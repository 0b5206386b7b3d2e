"""Promises of every run: the same bytes, draws that stay where they are, no impossible delay, monotone waits."""

from __future__ import annotations

import ast
import itertools
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simpy
from fleets import serve
from platforms import scenario
from profiles import profile
from test_run import digest

import sim.assembly
import sim.crowd
import sim.metrics
from scenarios.catalogue import load_catalogue
from sim.assembly import simulate
from sim.clock import Clock, InvariantError
from sim.components.autoscaler import Autoscaling, Bounds
from sim.components.chat import Chat
from sim.components.fleet import Fleet
from sim.components.ingest import Ingest
from sim.components.node import Startup, Told
from sim.components.pools import Pool
from sim.metrics import METRICS, Metric
from sim.replication import run
from sim.sampling import stream

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
TINY = scenario(**{"horizon.horizon_s": 600.0, "workload.broadcasts.peak_concurrent": 20.0})


# R1: the same seed, whatever runs it

HOW = {
    "fork": "executor=ProcessPoolExecutor(2, multiprocessing.get_context('fork'))",
    "spawn": "workers=2",
}


@pytest.mark.parametrize(
    ("how", "hash_seed"),
    [
        ("fork", 0),
        ("spawn", 1),
        *(pytest.param(how, seed, marks=pytest.mark.long) for how in HOW for seed in range(2, 10)),
    ],
)
def test_processes_and_hash_seeds_move_no_digit(how, hash_seed, tmp_path):
    script = tmp_path / "child.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "if __name__ == '__main__':\n"
        f"    sys.path[:0] = {[str(folder) for folder in (ROOT, TESTS, TESTS / 'theory', TESTS / 'sim')]!r}\n"
        "    from test_promises import TINY, digest, profile, run\n"
        f"    print(digest(run(TINY, profile(), seed=4, replications=4, {HOW[how]})))\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest(run(TINY, profile(), seed=4, replications=4))


# R2: what is new moves nothing that was there


class ChattyChat(Chat):
    """Draws from streams of its own, as a new component would."""

    def step(self, viewers):
        stream(4, 0, "weather").random(7)
        return super().step(viewers)


def test_a_new_component_and_a_new_metric_move_no_other_draw(monkeypatch):
    before = run(TINY, profile(), seed=4)
    monkeypatch.setattr(sim.crowd, "Chat", ChattyChat)
    luck = Metric("weather", "1", "luck", lambda case: float(stream(4, case.run.replication, "luck").random()))
    monkeypatch.setattr(sim.metrics, "METRICS", {"luck": luck, **METRICS})
    after = run(TINY, profile(), seed=4)
    for frame in ("ticks", "broadcasts", "nodes"):
        pd.testing.assert_frame_equal(getattr(before, frame), getattr(after, frame), check_exact=True)
    others = after.values[after.values["metric"] != "luck"].reset_index(drop=True)
    pd.testing.assert_frame_equal(before.values, others, check_exact=True)
    assert set(after.values["metric"]) - set(before.values["metric"]) == {"luck"}


# R3: no delay that time cannot have

IMPOSSIBLE = (math.nan, -1.0, -1e-9, math.inf, np.float64("nan"))


def fleet(env, boot_s) -> Fleet:
    return Fleet(
        env,
        pools=[Pool("only", "a", 1, (1,))],
        source_of=[0],
        max_nodes=5,
        startup=lambda: Startup(0.0, boot_s),
        life=lambda: 0.0,
        told=Told(lambda b, n: None, lambda b, n: None, lambda: None),
    )


@pytest.mark.parametrize("delay_s", IMPOSSIBLE)
def test_a_delay_that_cannot_be_names_the_component_that_asked(delay_s):
    env = Clock()
    with pytest.raises(InvariantError, match=r"^sim\.components\.fleet\._after: a delay of .* s at 0 s"):
        fleet(env, delay_s).order(1)
    assert env.peek() == math.inf  # nothing was scheduled


def test_a_process_is_named_as_well():
    env = Clock()
    spec = scenario().platform.transcode.autoscaler.model_copy(update={"sync_period_s": math.nan})
    autoscaling = Autoscaling(env, spec, fleet(env, 30.0), bounds=Bounds(1, 5, 4), start_hour=0.0)
    env.process(autoscaling._syncs())
    with pytest.raises(InvariantError, match=r"^sim\.components\.autoscaler\.autoscaling\._syncs: a delay of nan s"):
        env.run(10)
    ingest = Ingest(
        env,
        auth_limit_per_s=1.0,
        auth_burst=1,
        auth_wait_limit_s=math.inf,
        places=1,
        on_admitted=None,
        on_refused=None,
    )
    ingest._next_token_s = math.inf
    with pytest.raises(InvariantError, match=r"^sim\.components\.ingest\.request: a delay of inf s"):
        ingest.request(0)


def test_a_whole_run_has_the_clock_that_asks(monkeypatch):
    monkeypatch.setattr(sim.assembly, "startups", lambda spec, named: lambda: Startup(math.nan, 1.0))
    with pytest.raises(InvariantError, match=r"^sim\.components\.fleet\._after: a delay of nan s"):
        simulate(TINY, profile(), load_catalogue(), seed=4, replication=0)


@pytest.mark.alone
def test_asking_costs_less_than_a_third_of_a_microsecond():
    def per_call_s(env) -> float:
        env._queue.clear()
        started = time.process_time()
        for _ in range(20_000):
            env.timeout(1.0)
        return (time.process_time() - started) / 20_000

    rounds = [(per_call_s(Clock()), per_call_s(simpy.Environment())) for _ in range(9)]  # in turns: the machine drifts
    ours_s, plain_s = map(min, zip(*rounds, strict=True))
    assert ours_s - plain_s < 0.3e-6


SIMULATOR = [
    path for path in (ROOT / "sim").rglob("*.py") if path.name != "clock.py" and "calibration" not in path.parts
]


@pytest.mark.parametrize("path", SIMULATOR, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_passes_the_clock_by(path):
    text = path.read_text(encoding="utf-8")
    for way in ("simpy.Environment()", "simpy.Timeout(", ".schedule("):
        assert way not in text


# R15: no clock of the machine

TAKES_THE_TIME = {"sim/whole_folder.py", "sim/trace_report.py"}
"""The one says when a folder was made, the other reads moments of a trace."""


def test_a_jump_of_the_machines_clock_moves_nothing(monkeypatch):
    calm = digest(run(TINY, profile(), seed=4))
    jumps = itertools.cycle([0.0, 1e9, -1e9, 3600.0])
    for name in ("time", "monotonic", "perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: next(jumps))
    assert digest(run(TINY, profile(), seed=4)) == calm


@pytest.mark.parametrize("path", SIMULATOR, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_simulator_does_not_know_the_time(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not names & {"time", "datetime"} or str(path.relative_to(ROOT)) in TAKES_THE_TIME


# R19: more servers, the same broadcasts


def p95(waits_s: np.ndarray) -> float:
    return float(np.quantile(waits_s, 0.95)) if waits_s.size else 0.0


@pytest.mark.parametrize("seed", range(3))
def test_more_places_never_raise_the_95th_percentile_of_waiting_in_a_queue(seed):
    """First come, first served, nobody gives up: path by path, so but for rounding."""
    rng = stream(seed, 0, "arrivals")
    arrival_s = np.cumsum(rng.exponential(10.0, 1500))
    duration_s = rng.lognormal(4.0, 1.0, 1500)
    waits = []
    for nodes in range(8, 16):
        placed_s, _ = serve(
            arrival_s,
            duration_s,
            nodes=nodes,
            broadcasts_per_node=1,
            queue_deadline_s=1e8,
            holds_place_for_its_duration=True,
        )
        waits.append(p95(placed_s - arrival_s))
    assert waits[0] > 100 > waits[-1]
    assert all(more <= fewer + 1e-6 for fewer, more in itertools.pairwise(waits))


@pytest.mark.parametrize("seed", range(3))
def test_more_nodes_never_raise_the_95th_percentile_of_waiting_on_the_platform(seed):
    """Who gives up makes room for others, so the order holds within a second of waits of up to a minute."""
    waits = []
    for nodes in range(6, 24, 3):
        crowded = scenario(
            **{
                "horizon.horizon_s": 3600.0,
                "workload.broadcasts.duration": {"kind": "lognormal", "mean_s": 600.0, "cv": 1.2},
                "platform.transcode.autoscaler": {"kind": "fixed"},
                "platform.transcode.min_nodes": nodes,
            }
        )
        rows = simulate(crowded, profile(spread=0.0), load_catalogue(), seed=seed, replication=0).broadcasts
        asked = rows[(rows["publish_s"] >= 0) & rows["placed_s"].notna()]
        waits.append(p95((asked["placed_s"] - asked["publish_s"]).to_numpy()))
    assert waits[0] > 30 > 5 > waits[-1]
    assert all(more <= fewer + 1.0 for fewer, more in itertools.pairwise(waits))

"""How often a nominal 95 % interval covers the exact value, on queues whose every figure is known exactly.

`python -m benchmarks.coverage [--runs N] [--workers N] [--json]`. Each run of M/M/5 and M/H2/5 is judged by several
replications, each a path of consecutive customers that starts in the exact stationary state (`sim.theory`), so there
is no bias and what is measured is the interval alone. A path is so long that twenty of them would just give the mean
wait to ±5 %, which `auto` asks for by default: shorter ones would leave the rule nothing but its most replications,
longer ones would let it stop at its first look. The length comes from paths of another seed.

A quantile is that of each replication, and its interval holds their median, by order statistics over replications, of
twenty the 6th and the 15th, which cover a median in 95.9 % of samples. The customers of a path follow each other's
waits, so order statistics over all of them promise too much. That is the second null; the first is the interval of the
mean that takes the customers of one path for independent.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.pairs import machine
from sim.sampling import Floats, stream
from sim.statistics.intervals import Interval, mean_interval, proportion_interval, quantile_interval, ratio_interval
from sim.statistics.sequential import Precision
from sim.theory.stationary_path import draw_waits
from sim.theory.two_phase_queue import TwoPhaseQueue, balanced_queue

QUEUES = {"M/M/5": balanced_queue(5, 0.8, 1.0), "M/H2/5": balanced_queue(5, 0.8, 4.0)}
"""Of these services have a squared coefficient of variation of 1 and 4; both keep the servers 80 % busy."""
RUNS = 2000
FEW, MANY = 10, 20
"""Replications of a run: what `auto` takes at least, and twice as many."""
SHARE = 0.95
"""Of the waiting-time quantile."""
RULE = Precision(metric="wait_s")
PILOT_PATHS, PILOT_CUSTOMERS = 400, 20_000
TARGET, SEQUENTIAL_TARGET = (0.93, 0.97), (0.92, 1.0)


class Figures(NamedTuple):
    """What one replication tells: mean and quantile of the waits, sums of waits and stays, all in seconds."""

    mean_s: float
    quantile_s: float
    wait_s: float
    stay_s: float


class Outcome(NamedTuple):
    """One interval of one run.

    Attributes:
        interval: as computed.
        exact: what it should cover.
        replications: that it took.
    """

    interval: Interval
    exact: float
    replications: int

    @property
    def covers(self) -> bool:
        """Whether the exact value lies in it."""
        return self.interval.low <= self.exact <= self.interval.high


def figures(waits_s: Floats, service_s: Floats) -> Figures:
    """Return the figures of a path."""
    wait_s = float(waits_s.sum())
    return Figures(wait_s / waits_s.size, float(np.quantile(waits_s, SHARE)), wait_s, wait_s + float(service_s.sum()))


def path(queue: TwoPhaseQueue, customers: int, seed: int, run: int, number: int, empty: bool) -> tuple[Floats, Floats]:
    """Return waits and services of one replication of a run."""
    name = f"path of {queue.servers} servers, {queue.service_scv:.3g}"
    return draw_waits(queue, customers, stream(seed, run * RULE.most + number, name), empty=empty)


@cache
def wait_quantile_s(queue: TwoPhaseQueue) -> float:
    """Return the exact quantile of the waits, once for all runs."""
    return queue.wait_quantile_s(SHARE)


def one_run(run: int, *, queue: TwoPhaseQueue, customers: int, seed: int, empty: bool = False) -> dict[str, Outcome]:
    """Return every interval of one run."""
    exact_quantile_s = wait_quantile_s(queue)
    first = path(queue, customers, seed, run, 0, empty)
    told = [figures(*first)]
    told += [figures(*path(queue, customers, seed, run, number, empty)) for number in range(1, MANY)]
    mean_s, quantile_s, wait_s, stay_s = (np.array(column) for column in zip(*told, strict=True))
    ratio = queue.wait_s / (queue.wait_s + queue.service_s)
    found = {
        f"mean wait, Student's t, {count} replications": Outcome(mean_interval(mean_s[:count]), queue.wait_s, count)
        for count in (FEW, MANY)
    }
    found["p95 wait, order statistics over replications"] = Outcome(
        quantile_interval(quantile_s, 0.5), exact_quantile_s, MANY
    )
    bootstrap = ratio_interval(wait_s, stay_s, stream(seed, run, "resamples"))
    found["share of the stay that is waiting, bootstrap"] = Outcome(bootstrap, ratio, MANY)
    found["mean wait, sequential to 5 %"] = _sequential(run, mean_s, queue, customers, seed, empty)
    found["null: mean wait of one path, customers as if independent"] = Outcome(
        mean_interval(first[0]), queue.wait_s, 1
    )
    found["null: p95 wait of one path, likewise"] = Outcome(quantile_interval(first[0], SHARE), exact_quantile_s, 1)
    return found


def _sequential(run: int, mean_s: Floats, queue: TwoPhaseQueue, customers: int, seed: int, empty: bool) -> Outcome:
    values = list(mean_s)
    for look in RULE.looks():
        while len(values) < look:
            values.append(figures(*path(queue, customers, seed, run, len(values), empty)).mean_s)
        if RULE.judge(np.array(values[:look])) is not None:
            break
    return Outcome(mean_interval(np.array(values[:look])), queue.wait_s, look)


def customers_of(queue: TwoPhaseQueue, seed: int) -> int:
    """Return the length of a path of which `MANY` give the mean to the rule's precision, to a thousand upwards."""
    pilots = [path(queue, PILOT_CUSTOMERS, seed + 1, 0, number, False)[0].mean() for number in range(PILOT_PATHS)]
    spread = float(np.std(pilots, ddof=1)) / queue.wait_s
    wanted = RULE.relative * math.sqrt(MANY) / float(stats.t.ppf(0.975, MANY - 1))
    return math.ceil(PILOT_CUSTOMERS * (spread / wanted) ** 2 / 1000) * 1000


def row(outcomes: list[Outcome], name: str) -> dict[str, Any]:
    """Return what one kind of interval did over all runs: its coverage with the exact interval of that."""
    covered = proportion_interval(sum(one.covers for one in outcomes), len(outcomes))
    values = np.array([one.interval.value for one in outcomes])
    counts = np.array([one.replications for one in outcomes])
    low, high = SEQUENTIAL_TARGET if "sequential" in name else TARGET
    halves = [(one.interval.high - one.interval.low) / 2 for one in outcomes]
    return {
        "coverage": covered.value,
        "coverage_low": covered.low,
        "coverage_high": covered.high,
        "target": None if name.startswith("null") else [low, high],
        "met": None if name.startswith("null") else low <= covered.value <= high,
        "exact": outcomes[0].exact,
        "mean": float(values.mean()),
        "variance": float(values.var(ddof=1)),
        "relative_half_width": float(np.mean(halves)) / outcomes[0].exact,
        "replications_mean": float(counts.mean()),
        "replications_least": int(counts.min()),
        "replications_most": int(counts.max()),
    }


def coverage(queue: TwoPhaseQueue, *, runs: int, customers: int, seed: int = 1, workers: int = 1) -> dict[str, Any]:
    """Return a row for every kind of interval."""
    one = partial(one_run, queue=queue, customers=customers, seed=seed)
    if workers == 1:
        return table(map(one, range(runs)))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return table(pool.map(one, range(runs), chunksize=20))


def table(found: Iterable[dict[str, Outcome]]) -> dict[str, Any]:
    """Return a row for every kind of interval of many runs."""
    kinds: dict[str, list[Outcome]] = {}
    for outcomes in found:
        for name, outcome in outcomes.items():
            kinds.setdefault(name, []).append(outcome)
    return {name: row(outcomes, name) for name, outcomes in kinds.items()}


def main() -> None:
    """Print a table for each queue, or one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    document: dict[str, Any] = {"machine": machine(), "runs": asked.runs, "seed": asked.seed}
    for name, queue in QUEUES.items():
        customers = customers_of(queue, asked.seed)
        rows = coverage(queue, runs=asked.runs, customers=customers, seed=asked.seed, workers=asked.workers)
        document[name] = {"customers": customers, "wait_s": queue.wait_s, "intervals": rows}
        print(f"{name}: done", file=sys.stderr, flush=True)
    print(json.dumps(document) if asked.json else text(document))


def text(document: dict[str, Any]) -> str:
    """Return the outcome as lines."""
    lines = [f"{document['runs']} runs each, seed {document['seed']}"]
    for name in QUEUES:
        of = document[name]
        lines.append(f"\n{name}: paths of {of['customers']:,} customers, exact mean wait {of['wait_s']:.5f} services")
        for kind, told in of["intervals"].items():
            verdict = {None: "", True: "as wanted", False: "MISSED"}[told["met"]]
            counts = f"{told['replications_mean']:.3g} ({told['replications_least']}…{told['replications_most']})"
            lines.append(
                f"  {kind:<57} {told['coverage']:7.2%} [{told['coverage_low']:.2%} … {told['coverage_high']:.2%}] "
                f"{verdict:<9} variance {told['variance']:.3g}, half-width {told['relative_half_width']:.1%}, "
                f"replications {counts}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

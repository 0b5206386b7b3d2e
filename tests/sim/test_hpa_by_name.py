"""The proposals over counts against the rules written out for each pod by its name."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from test_hpa import cpu, per_pod

from sim.components.autoscaler.proposals import MetricMissingError, PodSamples, Seen, Tolerances, proposal

REQUEST = 1000


def by_name(samples, missing, unready, target, current, tolerance, *, is_utilisation):
    """Return the replicas that samples by pod propose; None where there is no sample."""

    def ratio(metrics):
        if is_utilisation:
            return (sum(metrics.values()) * 100 // (REQUEST * len(metrics))) / target
        return (sum(metrics.values()) // len(metrics)) / target

    if not samples:
        return None
    metrics = dict(samples)
    first = ratio(metrics)
    up = first > 1 and bool(unready)
    if not up and not missing:
        return current if abs(1 - first) <= tolerance else math.ceil(first * len(samples))
    for pod in missing:
        if first < 1:
            metrics[pod] = REQUEST * max(100, target) // 100 if is_utilisation else target
        elif first > 1:
            metrics[pod] = 0
    for pod in unready if up else ():
        metrics[pod] = 0
    second = ratio(metrics)
    if abs(1 - second) <= tolerance or (first < 1 < second) or (first > 1 > second):
        return current
    replicas = math.ceil(second * len(metrics))
    if (second < 1 and replicas > current) or (second > 1 and replicas < current):
        return current
    return replicas


@settings(max_examples=400, deadline=None)
@given(
    values=st.lists(st.integers(0, 3000), max_size=12),
    missing=st.integers(0, 6),
    unready=st.integers(0, 6),
    target=st.integers(1, 200),
    current=st.integers(1, 30),
    is_utilisation=st.booleans(),
)
def test_counts_propose_what_names_do(values, missing, unready, target, current, is_utilisation):
    samples = {f"r{number}": value for number, value in enumerate(values)}
    lacking, starting = [f"m{n}" for n in range(missing)], [f"u{n}" for n in range(unready)]
    milli_target = target if is_utilisation else 10 * target
    # 0.125 and its distance from 1 are exact, so that |1 - r| <= t and 1 - t <= r <= 1 + t say the same
    expected = by_name(samples, lacking, starting, milli_target, current, 0.125, is_utilisation=is_utilisation)
    name = "cpu" if is_utilisation else "streams"
    seen = Seen(len(values), {name: PodSamples(sum(values), len(values), missing, unready)}, requests={"cpu": REQUEST})
    metric = cpu(target) if is_utilisation else per_pod(f"{milli_target}m")
    try:
        found = proposal(metric, seen, current, Tolerances(0.125, 0.125))
    except MetricMissingError:
        found = None
    assert found == expected

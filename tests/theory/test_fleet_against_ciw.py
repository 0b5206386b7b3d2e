"""The real fleet as a queue, against another simulator on the same arrivals and durations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fleets import serve

from sim.sampling import stream
from sim.theory import kiefer_wolfowitz

ciw = pytest.importorskip("ciw", reason="Ciw, a queueing simulator, is not installed: it comes with headroom[dev]")


def starts_in_ciw(arrival_s: np.ndarray, duration_s: np.ndarray, servers: int) -> np.ndarray:
    """Return the start of every service in Ciw's first-come-first-served queue, in the order of arrival."""
    gaps = [*np.diff(arrival_s, prepend=0.0).tolist(), math.inf]
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential(gaps)],
        service_distributions=[ciw.dists.Sequential(duration_s.tolist())],
        number_of_servers=[servers],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(arrival_s[-1] + duration_s.sum())
    records = sorted(simulation.get_all_records(), key=lambda record: record.arrival_date)
    assert len(records) == arrival_s.size
    return np.array([record.service_start_date for record in records])


@pytest.mark.parametrize("law", ["exponential", "lognormal", "constant"])
@pytest.mark.parametrize(("nodes", "per_node", "load"), [(2, 4, 7.0), (12, 1, 10.0), (3, 5, 13.5)])
def test_waits_are_those_of_ciw_one_by_one(nodes, per_node, load, law):
    rng, count, mean_s = stream(41, nodes, law), 800, 100.0
    arrival_s = np.cumsum(rng.exponential(mean_s / load, count))
    draws = {"exponential": rng.exponential, "lognormal": lambda mean, size: mean * rng.lognormal(-0.6, 1.1, size)}
    duration_s = draws[law](mean_s, count) if law in draws else np.full(count, mean_s)
    placed_s, _ = serve(
        arrival_s,
        duration_s,
        nodes=nodes,
        broadcasts_per_node=per_node,
        queue_deadline_s=1e9,
        holds_place_for_its_duration=True,
    )
    oracle_s = starts_in_ciw(arrival_s, duration_s, nodes * per_node)
    assert (oracle_s - arrival_s > 1.0).mean() > 0.1  # there is something to wait for
    np.testing.assert_allclose(placed_s, oracle_s, rtol=0, atol=1e-6)
    np.testing.assert_allclose(kiefer_wolfowitz(arrival_s, duration_s, nodes * per_node), oracle_s, rtol=0, atol=1e-6)
    one_more_s = starts_in_ciw(arrival_s, duration_s, nodes * per_node + 1)
    assert np.abs(placed_s - one_more_s).max() > 1.0

"""Closed forms and exact recursions that the simulator is tested against; each with its source."""

from sim.theory.caches import TtlFractions, edge_misses, edge_misses_of, ttl_fractions
from sim.theory.infrastructure import SpotPool, surge_deficit
from sim.theory.kiefer_wolfowitz import kiefer_wolfowitz
from sim.theory.live_load import live_from_empty, periodic_response
from sim.theory.queues import (
    ErlangA,
    FiniteQueue,
    deterministic_wait_s,
    erlang_b,
    erlang_c,
    erlang_c_wait_quantile_s,
    erlang_c_wait_s,
)

__all__ = [
    "ErlangA",
    "FiniteQueue",
    "SpotPool",
    "TtlFractions",
    "deterministic_wait_s",
    "edge_misses",
    "edge_misses_of",
    "erlang_b",
    "erlang_c",
    "erlang_c_wait_quantile_s",
    "erlang_c_wait_s",
    "kiefer_wolfowitz",
    "live_from_empty",
    "periodic_response",
    "surge_deficit",
    "ttl_fractions",
]

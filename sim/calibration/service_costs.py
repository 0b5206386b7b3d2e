"""What the origin and the authorisation of publishers cost: from tables of their own, which may be empty."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sim.calibration.regression import Floats, distinct, relative_nnls
from sim.calibration.resample import UNREPEATED_CV, lognormal
from sim.calibration.tables import Bundle

TRANSPORTS = {"plain": False, "tls": True}


def service_costs(bundle: Bundle) -> dict[str, float]:
    """Return the origin's CPU per request and byte, of each transport, and the time of an authorisation.

    What was not measured is absent: a transport without requests, or with objects of a single size, which do not
    tell a request from its bytes.
    """
    found = _origin_costs(bundle.origin, None, 1) | _authorisation(bundle.authorisations, None, 1)
    return {key: float(values[0]) for key, values in found.items()}


def service_cost_draws(bundle: Bundle, *, draws: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return draws of the same: series and calls resampled, and the machine's speed with them."""
    found = _origin_costs(bundle.origin, rng, draws) | _authorisation(bundle.authorisations, rng, draws)
    return pd.DataFrame(found, index=range(draws))


def _origin_costs(origin: pd.DataFrame, rng: np.random.Generator | None, draws: int) -> dict[str, Floats]:
    found = {}
    for transport, tls in TRANSPORTS.items():
        rows = origin[(origin["tls"].astype(bool) == tls) & (origin["requests"] > 0) & (origin["server_cpu_s"] > 0)]
        requests, sent = rows["requests"].to_numpy(float), rows["sent_bytes"].to_numpy(float)
        if not len(rows) or distinct(sent / requests) < 2:
            continue
        features = np.column_stack([np.ones(len(rows)), sent / requests])
        seen = np.broadcast_to(rows["server_cpu_s"].to_numpy(float) / requests, (draws, len(rows)))
        costs = relative_nnls(seen, features, weights=_taken_of_each_size(rows, rng, draws)).T
        slow = np.ones(draws) if rng is None else lognormal(UNREPEATED_CV, draws, rng)
        found[f"origin_cpu_s_per_request {transport}"] = costs[0] * slow
        found[f"origin_cpu_s_per_byte {transport}"] = costs[1] * slow
    return found


def _taken_of_each_size(rows: pd.DataFrame, rng: np.random.Generator | None, draws: int) -> Floats:
    """Return how often each series is taken; every object stays as often as it was measured."""
    taken: Floats = np.ones((draws, len(rows)))
    if rng is not None:
        for _, positions in pd.Series(range(len(rows))).groupby(rows["object_bytes"].to_numpy()):
            repeats = len(positions)
            taken[:, positions] = rng.multinomial(repeats, np.full(repeats, 1 / repeats), size=draws)
    return taken


def _authorisation(calls: pd.DataFrame, rng: np.random.Generator | None, draws: int) -> dict[str, Floats]:
    """Return the mean time from a publisher's connection to its acceptance where an endpoint was asked."""
    accepted_s = calls.loc[calls["with_callback"].astype(bool), "accepted_s"].dropna().to_numpy(float)
    if not accepted_s.size:
        return {}
    if rng is None:
        return {"authorisation_s": np.array([accepted_s.mean()])}
    picked = rng.integers(0, accepted_s.size, size=(draws, accepted_s.size))
    return {"authorisation_s": accepted_s[picked].mean(axis=1) * lognormal(UNREPEATED_CV, draws, rng)}

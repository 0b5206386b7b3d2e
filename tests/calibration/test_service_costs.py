"""The origin's costs per request and byte, and the time of an authorisation, from tables of their own."""

from __future__ import annotations

import numpy as np
import pytest
from profiles import profile as invented
from synthetic import LADDER, store, write_bundle
from test_fit import fit, rows_of

from scenarios.errors import CalibrationError
from sim.stream_cost import origin_cpu_s, startup_s

PER_REQUEST, PER_BYTE = {False: 6e-5, True: 9e-5}, {False: 3e-10, True: 9e-10}


def origin_rows(transports=(False, True), sizes=(2_000, 300_000, 900_000)) -> list[dict[str, object]]:
    """Return series of requests whose CPU follows the law within 2 %."""
    rng = np.random.default_rng(1)
    return [
        {
            "tls": tls,
            "object": "playlist" if size < 10_000 else "segment",
            "object_bytes": size,
            "repeat": repeat,
            "requests": 1000,
            "sent_bytes": 1000 * size,
            "server_cpu_s": 1000 * (PER_REQUEST[tls] + PER_BYTE[tls] * size) * rng.normal(1, 0.02),
            "wall_s": 2.0,
        }
        for tls in transports
        for size in sizes
        for repeat in range(3)
    ]


def calls(with_callback: bool, accepted_s: float) -> list[dict[str, object]]:
    return [
        {"call": n, "with_callback": with_callback, "callback_s": 0.004, "accepted_s": accepted_s + 1e-4 * n}
        for n in range(5)
    ]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return rows_of(write_bundle(tmp_path_factory.mktemp("usual") / "b", segments=4))


def test_requests_and_bytes_are_told_apart_for_each_transport(rows, tmp_path):
    tables = rows | {"origin": origin_rows(), "authorisations": calls(True, 0.012) + calls(False, 0.005)}
    found = fit([store(tmp_path / "b", tables)], name="origin")
    for transport, tls in (("plain", False), ("tls", True)):
        for name, truth in (("request", PER_REQUEST[tls]), ("byte", PER_BYTE[tls])):
            coefficient = found.coefficient(f"origin_cpu_s_per_{name}", transport)
            assert coefficient.middle == pytest.approx(truth, rel=0.05)
            assert coefficient.low < truth < coefficient.high < 1.5 * truth
    assert found.coefficient("authorisation_s").middle == pytest.approx(0.0122)
    cpu_s = origin_cpu_s(found.middle(), requests=np.array([10.0]), sent_bytes=np.array([1e6]), transport="tls")
    assert cpu_s == pytest.approx(10 * 9e-5 + 9e-4, rel=0.05)
    assert startup_s(found.middle(), LADDER) == pytest.approx(
        2.0 + found.coefficient("startup_overhead_s").middle + 0.0122
    )


def test_what_was_not_measured_is_absent_and_refused_by_name(rows, tmp_path):
    one_size = rows | {"origin": origin_rows(transports=(True,), sizes=(2_000,)), "authorisations": calls(False, 0.005)}
    names = {c.key for c in fit([store(tmp_path / "b", one_size)], name="one").coefficients}
    assert not any("origin" in name or "authorisation" in name for name in names)
    with pytest.raises(CalibrationError, match="the profile has no origin_cpu_s_per_request tls; measure"):
        origin_cpu_s(invented().middle(), requests=np.ones(1), sent_bytes=np.ones(1), transport="tls")

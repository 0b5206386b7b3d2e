"""What a worker forbids itself before it sees a byte of a publisher's: hostile media must stay in its process."""

from __future__ import annotations

import resource
from typing import NamedTuple

GIB = 2**30


class Limits(NamedTuple):
    """Limits of one process, for itself and for each broadcast that it may have; None is no limit of ours.

    Attributes:
        address_bytes: address space (RLIMIT_AS): `(own, per broadcast)`. CUDA maps far more than it uses, so none
            for backends on a GPU.
        open_files: descriptors (RLIMIT_NOFILE): `(own, per broadcast)`.
    """

    address_bytes: tuple[int, int] | None = None
    open_files: tuple[int, int] | None = None


LIMITS = {"x264": Limits(address_bytes=(4 * GIB, 4 * GIB), open_files=(32, 4))}
"""By backend; one that is not here is only forbidden to leave core files."""


def forbid_excess(backend: str, broadcasts: int) -> None:
    """Set the backend's limits for this process; there is no way back, a limit that is already lower stays."""
    limits = LIMITS.get(backend, Limits())
    _lower(resource.RLIMIT_CORE, 0)
    for what, shares in ((resource.RLIMIT_AS, limits.address_bytes), (resource.RLIMIT_NOFILE, limits.open_files)):
        if shares is not None:
            own, each = shares
            _lower(what, own + each * broadcasts)


def _lower(what: int, limit: int) -> None:
    soft, hard = resource.getrlimit(what)
    for present in (soft, hard):
        if present != resource.RLIM_INFINITY:
            limit = min(limit, present)
    resource.setrlimit(what, (limit, limit))

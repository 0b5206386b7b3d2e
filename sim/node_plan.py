"""What a node holds and what a broadcast takes, as vectors of resources; the first to saturate binds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.sampling import Floats

RESOURCES = ("cpu", "memory", "nic_in", "nic_out")
"""What every node has, in this order: core-seconds per second, bytes, bits per second each way."""
RESOURCE_NAMES = {
    "cpu": "CPU",
    "memory": "memory",
    "nic_in": "inbound network",
    "nic_out": "outbound network",
    "encode_engine": "encoding engines",
    "decode_engine": "decoding engines",
    "encode_session": "encoding sessions",
    "gpu_memory": "GPU memory",
}
"""How a reader calls them; a node that encodes on an accelerator has some of the last four as well."""


@dataclass(frozen=True)
class NodePlan:
    """A node of one type under one set of coefficients.

    Attributes:
        capacity: what planning may use of each resource, shape (resources,).
        demand: what one broadcast takes of each, shape (resources,).
        price_usd_per_hour: on demand.
        resources: names of the resources, in the order of both vectors.
        segment_publish_s: mean segment publish latency at the planned load; NaN where no model of the node says.
    """

    capacity: Floats
    demand: Floats
    price_usd_per_hour: float
    resources: tuple[str, ...] = RESOURCES
    segment_publish_s: float = math.nan

    @property
    def broadcasts(self) -> int:
        """Broadcasts that fit on one node."""
        return math.floor(float((self.capacity / self.demand).min()) + 1e-9)

    @property
    def binding(self) -> str:
        """The resource that saturates first."""
        return self.resources[int(np.argmin(self.capacity / self.demand))]

    def utilisation(self) -> dict[str, float]:
        """Return, for a full node, the share of each planned capacity that is taken."""
        share = self.broadcasts * self.demand / self.capacity
        return {name: float(value) for name, value in zip(self.resources, share, strict=True)}

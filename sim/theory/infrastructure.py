"""Machines that come and go."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class SpotPool:
    """Nodes that are reclaimed at a rate and replaced after a while, independently of each other.

    Attributes:
        nodes: N.
        reclaimed_per_s: r, of each node that is up.
        replacement_s: b.
    """

    nodes: int
    reclaimed_per_s: float
    replacement_s: float

    @property
    def down_share(self) -> float:
        """Share of nodes that is down: r b / (1 + r b)."""
        product = self.reclaimed_per_s * self.replacement_s
        return product / (1.0 + product)

    def at_least_down(self, nodes: int) -> float:
        """Return the probability that so many or more are down at once: Binomial(N, down_share)."""
        return float(stats.binom.sf(nodes - 1, self.nodes, self.down_share))

    @property
    def interruptions_per_s(self) -> float:
        """Reclaims per second: N (1 - down_share) r."""
        return self.nodes * (1.0 - self.down_share) * self.reclaimed_per_s


def surge_deficit(demand: float, capacity: float, boot_s: float) -> float:
    """Return place-seconds that lack while what was ordered at a step of demand boots: (demand - capacity)⁺ · boot."""
    return max(demand - capacity, 0.0) * boot_s

"""Which clusters a broadcast's viewers are served by, also while some clusters are lost."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from scenarios.platform import Cdn as CdnSpec
from sim.sampling import Floats


class ClusterShares:
    """Shares of viewers by home region and cluster.

    Inside a region viewers fall on clusters in proportion to rank^-exponent. Those of a lost cluster go to the other
    clusters of their region, or, where the whole region is lost, to all clusters that are left, in proportion to
    what these serve of the same home already (in proportion to rank^-exponent if they serve nobody of it).

    Attributes:
        up: whether each cluster serves, shape (clusters,).
    """

    def __init__(self, spec: CdnSpec, regions: tuple[str, ...]) -> None:
        names = spec.cluster_regions
        if regions and names is None:
            raise ValueError("viewers have regions but clusters have none; give cdn.cluster_regions")
        for name in regions:
            if names is not None and name not in names:
                raise ValueError(f"no cluster in the region {name!r}; give it one in cdn.cluster_regions")
        for name in names or ():
            if regions and name not in regions:
                raise ValueError(f"cdn.cluster_regions names {name!r}; the regions are {', '.join(regions)}")
        self.names = names
        self.regions = regions or tuple(dict.fromkeys(names or ()))
        self._region = np.array([self.regions.index(name) for name in names] if names else [0] * spec.clusters)
        self._global: Floats = np.arange(1, spec.clusters + 1, dtype=float) ** -spec.cluster_exponent
        rank = np.array([1 + int(np.sum(self._region[:c] == self._region[c])) for c in range(spec.clusters)])
        self._regional: Floats = rank.astype(float) ** -spec.cluster_exponent
        self.up = np.ones(spec.clusters, bool)

    def named(self, region: str) -> npt.NDArray[np.intp]:
        """Return the clusters of a region; KeyError if it has none."""
        if region not in self.regions:
            raise KeyError(region)
        return np.flatnonzero(self._region == self.regions.index(region))

    def turn(self, clusters: Iterable[int], *, up: bool) -> None:
        """Take clusters out or bring them back.

        Raises:
            ValueError: none would be left to serve.
        """
        after = self.up.copy()
        after[list(clusters)] = up
        if not after.any():
            raise ValueError("the last clusters cannot be lost: nobody would be left to serve")
        self.up = after

    def of(self, mix: Floats | None, up: npt.NDArray[np.bool_] | None = None) -> Floats:
        """Return the share of each home's viewers on each cluster, shape (homes, clusters); each row sums to 1.

        Args:
            mix: share of the viewers of each home that are in each region, shape (homes, regions), rows summing
                to 1. None for one home whose viewers are spread over all clusters.
            up: clusters that serve, if not those that serve now.
        """
        up = self.up if up is None else up
        if mix is None:
            everywhere: Floats = self._global * up
            alone: Floats = (everywhere / everywhere.sum())[None, :]
            return alone
        weight: Floats = self._regional * up
        of_region = np.bincount(self._region, weights=weight, minlength=len(self.regions))[self._region]
        share = np.asarray(mix, dtype=float)[:, self._region] * np.divide(
            weight, of_region, out=np.zeros_like(weight), where=of_region > 0
        )
        left = share.sum(axis=1, keepdims=True)
        elsewhere = self._global * up / (self._global @ up)
        spread: Floats = np.where(left > 0, share / np.where(left > 0, left, 1.0), elsewhere)
        return spread

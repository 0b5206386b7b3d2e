"""Which rung a viewer watches: by given shares, or by throughput as hls.js does it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import unquote

import numpy as np

from pipeline.hls.parser import Playlist, attribute_list
from pipeline.load.http_requests import Fault, FaultyAnswer

FAST_S, SLOW_S = 3.0, 9.0
"""Half-lives of hls.js's two averages for live streams (`abrEwmaFastLive`, `abrEwmaSlowLive`)."""
FIRST_ESTIMATE_BPS = 500_000.0
"""hls.js's guess before anything is loaded (`abrEwmaDefaultEstimate`)."""
STAY_SHARE, UP_SHARE = 0.95, 0.7
"""Share of the estimate that a rung may need to be kept, and to be gone up to (`abrBandWidthFactor`, `…UpFactor`)."""
SHORTEST_LOAD_S = 0.05
"""Quicker loads count as this long, as in hls.js: they measure the clock and not the network."""


class Variant(NamedTuple):
    """A rung as the multivariant playlist offers it: its name is the folder its playlist is in."""

    rung: str
    uri: str
    bandwidth_bps: float


class RungChoice(Protocol):
    """How one viewer chooses."""

    def observe(self, received_bytes: int, load_s: float) -> None:
        """Learn from a segment that took `load_s` to come."""
        ...

    def choose(self, variants: Sequence[Variant], current: Variant | None) -> Variant:
        """Return the rung to watch next, of variants from the highest to the lowest."""
        ...


class ByShares:
    """Draws one rung for the whole session, by the rungs' shares."""

    def __init__(self, shares: Mapping[str, float], rng: np.random.Generator) -> None:
        weights = np.array(list(shares.values()))
        self._rung = str(rng.choice(list(shares), p=weights / weights.sum()))

    def observe(self, received_bytes: int, load_s: float) -> None:
        """Learn nothing: the rung is fixed."""

    def choose(self, variants: Sequence[Variant], current: Variant | None) -> Variant:
        """Return the drawn rung; FaultyAnswer where the playlist lacks it."""
        for variant in variants:
            if variant.rung == self._rung:
                return variant
        raise FaultyAnswer(Fault.INVALID)


class ByThroughput:
    """hls.js's rule: the highest rung that a share of the estimated throughput carries.

    The estimate is the smaller of two exponentially weighted averages, so that it falls quickly and rises slowly.
    """

    def __init__(self) -> None:
        self._averages = (_Average(FAST_S), _Average(SLOW_S))

    @property
    def estimate_bps(self) -> float:
        """Estimated throughput."""
        return min(average.value(FIRST_ESTIMATE_BPS) for average in self._averages)

    def observe(self, received_bytes: int, load_s: float) -> None:
        """Learn from a segment that took `load_s` to come."""
        load_s = max(load_s, SHORTEST_LOAD_S)
        for average in self._averages:
            average.add(8 * received_bytes / load_s, weight_s=load_s)

    def choose(self, variants: Sequence[Variant], current: Variant | None) -> Variant:
        """Return the highest rung that fits; the lowest where none does."""
        for variant in variants:
            goes_up = current is None or variant.bandwidth_bps > current.bandwidth_bps
            if variant.bandwidth_bps <= self.estimate_bps * (UP_SHARE if goes_up else STAY_SHARE):
                return variant
        return variants[-1]


class _Average:
    """An average whose samples lose half their weight in a given time of loading."""

    def __init__(self, half_life_s: float) -> None:
        self._keeps = math.exp(math.log(0.5) / half_life_s)
        self._sum, self._weight_s = 0.0, 0.0

    def add(self, value: float, *, weight_s: float) -> None:
        kept = self._keeps**weight_s
        self._sum = value * (1 - kept) + kept * self._sum
        self._weight_s += weight_s

    def value(self, default: float) -> float:
        """Return the average, corrected for its start from 0; `default` before the first sample."""
        return self._sum / (1 - self._keeps**self._weight_s) if self._weight_s else default


def read_variants(body: bytes) -> tuple[Variant, ...]:
    """Return the variants of a multivariant playlist, from the highest to the lowest; FaultyAnswer if it has none."""
    variants = []
    for entry in Playlist.read("", body).entries:
        streams = entry.values("EXT-X-STREAM-INF")
        attributes = attribute_list(streams[0]) if len(streams) == 1 else None
        if attributes is None or not attributes.get("BANDWIDTH", "").isdigit():
            raise FaultyAnswer(Fault.INVALID)
        rung = unquote(entry.uri).rpartition("/")[0]
        variants.append(Variant(rung, entry.uri, float(attributes["BANDWIDTH"])))
    if not variants:
        raise FaultyAnswer(Fault.INVALID)
    return tuple(sorted(variants, key=lambda variant: -variant.bandwidth_bps))

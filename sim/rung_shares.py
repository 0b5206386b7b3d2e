"""Which renditions the viewers of a broadcast receive: the rungs that its source leaves of the ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scenarios.ladder import Ladder, Source
from sim.sampling import Floats


def renditions(ladder: Ladder, rung_shares: Mapping[str, float], sources: Sequence[Source]) -> tuple[Floats, Floats]:
    """Return what viewers receive of broadcasts of each source, with their ladder and without.

    A viewer whose rung a source leaves out takes the nearest below it that is left, or, where there is none, the
    nearest above. Renditions are the rungs of the ladder, then each source as it is sent, which is what a copied rung
    passes on.

    Args:
        ladder: of the platform.
        rung_shares: share of viewers on each of its rungs, by name.
        sources: kinds of sources.

    Returns:
        Share of viewers on each rendition, shape (2 × sources, renditions): two rows a source, with the ladder and
        without. Bitrate of each rendition in bit/s, shape (renditions,).

    Raises:
        ValueError: a source is left without a rung.
    """
    rungs = [rung.name for rung in ladder.rungs]
    shares = np.zeros((2 * len(sources), len(rungs) + len(sources)))
    for number, source in enumerate(sources):
        own = len(rungs) + number
        left = {rung.name for rung in ladder.of(source).rungs}
        for place, name in enumerate(rungs):
            taken = _nearest(place, [other for other, rung in enumerate(rungs) if rung in left])
            shares[2 * number, own if ladder.rungs[taken].copied else taken] += rung_shares[name]
        shares[2 * number + 1, own] = 1.0
    bitrates = [rung.bitrate_bps for rung in ladder.rungs] + [source.bitrate_bps for source in sources]
    return shares, np.array(bitrates)


def _nearest(place: int, left: Sequence[int]) -> int:
    """Return the first of the places that is not above, which are numbered from the top; else the last one above."""
    return next((other for other in left if other >= place), left[-1])

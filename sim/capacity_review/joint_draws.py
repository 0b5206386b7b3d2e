"""What a node of each candidate holds in many joint draws of everything that nobody knows exactly.

A draw takes no simulated time: a row of the profile's joint draws, the CoreMark anchor, and a position for each source
of ignorance, from which the plan of a node follows. Draw k is the world of replication k (`sim.assembly.draw_world`),
and the same one for every candidate: types that share a GPU, a preset or a CPU family share what is not known of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from scenarios.catalogue import Catalogue
from scenarios.errors import CalibrationError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.capacity import mean_plan, node_plan, of_each_source
from sim.carried import carried_values, drawn
from sim.engines import Position
from sim.fleet_plan import LargestFleet, largest_of, of_pool, pools_of
from sim.node_plan import NodePlan
from sim.sampling import Floats, stream

DRAWS = 1_000
ANCHOR = "anchor: CoreMark per core of the measured machine"
PROFILE = "the profile's joint draws"
LEAST_ROOM = 1e-9
"""Of a resource: stands for what is less, where a share of it is looked at on a logarithmic scale."""

Progress = Callable[[int, int], None]
"""Called with draws done and draws in all."""
Kind = tuple[str, str | None, float | None]
"""What makes a node another one: its type, where it encodes, its network. How it is bought does not."""


@dataclass(frozen=True)
class JointDraws:
    """One row a draw, the same draws for every candidate.

    Attributes:
        places: broadcasts that a node holds in the mean of the largest fleet, at least 1; one column a candidate.
        binding: the resource that saturates first on most of that fleet; one column a candidate.
        positions: where each source of ignorance stands: 0 the costly end, 1 the cheap one; one column a source. The
            position of a profile's row is its rank among all rows by what a broadcast takes of a node.
        touches: source → the candidates whose nodes depend on it, in their order.
        held_nothing: candidate → draws in which one broadcast of some source does not fit on its node.
    """

    places: pd.DataFrame
    binding: pd.DataFrame
    positions: pd.DataFrame
    touches: Mapping[str, tuple[str, ...]]
    held_nothing: Mapping[str, int]

    def told(self) -> tuple[str, ...]:
        """Return one line for each candidate on whose node a broadcast does not fit in every draw."""
        return tuple(
            f"{name}: in {count:,} of {len(self.places):,} joint draws one broadcast does not fit on a node; a node "
            "that holds none counts as holding one"
            for name, count in self.held_nothing.items()
            if count
        )


@dataclass(frozen=True)
class _World:
    """One joint draw: a row of the profile, where the anchor stands (0 its low end), and positions by name."""

    row: Mapping[str, float]
    anchor: float
    position: Position


class _Candidate:
    """A scenario whose kinds of nodes are worked out once; only what depends on the draw is left."""

    def __init__(self, name: str, scenario: Scenario, profile: Profile, catalogue: Catalogue) -> None:
        self.name = name
        self._scenario, self._profile, self._catalogue = scenario, profile, catalogue
        self._kind_of: dict[str, Kind] = {}
        self._variants: dict[Kind, tuple[Scenario, ...]] = {}
        for pool in pools_of(scenario):
            kind = of_pool(scenario, pool)
            node = kind.platform.transcode
            key = (node.instance, node.encode_on, node.nic_bps)
            self._kind_of[pool.name] = key
            self._variants.setdefault(key, of_each_source(kind))

    def plans(self, world: _World) -> dict[Kind, list[NodePlan]]:
        """Return the plan of a node by its kind, one for each source."""
        between = self._scenario.anchor_coremark_per_vcpu
        anchor = between.low + (between.high - between.low) * world.anchor
        return {key: [self._plan(one, world, anchor) for one in of] for key, of in self._variants.items()}

    def _plan(self, variant: Scenario, world: _World, anchor: float) -> NodePlan:
        values = {**world.row, **carried_values(variant, self._catalogue, world.position)}
        return node_plan(variant, self._profile, self._catalogue, values, anchor)

    def largest(self, plans: Mapping[Kind, list[NodePlan]]) -> LargestFleet:
        """Return the largest fleet of such nodes."""
        means = {key: mean_plan(self._scenario, of) for key, of in plans.items()}
        return largest_of(self._scenario, {pool: means[key] for pool, key in self._kind_of.items()})

    def vectors(self, world: _World) -> Floats:
        """Return capacities and demands of all its nodes, one after the other."""
        of_each = [plan for of in self.plans(world).values() for plan in of]
        return np.concatenate([part for plan in of_each for part in (plan.capacity, plan.demand)])

    def log_share(self, world: _World) -> float:
        """Return the logarithm of the share of a node that one broadcast takes, in the mean of kinds and sources."""
        shares = [
            float((plan.demand / np.maximum(plan.capacity, LEAST_ROOM)).max())
            for of in self.plans(world).values()
            for plan in of
        ]
        return float(np.log(shares).mean())


def draw_places(
    candidates: Mapping[str, Scenario],
    profile: Profile,
    catalogue: Catalogue,
    *,
    seed: int,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> JointDraws:
    """Return what a node of each candidate holds, draw by draw.

    Draw k takes the row, the anchor and the positions of replication k of a run with this seed, so the first draws
    are the worlds that were simulated.

    Args:
        candidates: name → scenario whose transcode nodes are all of the candidate's type; pools may differ in how
            they are bought.
        profile: of all of them.
        catalogue: likewise.
        seed: the only seed.
        draws: at least 1.
        progress: told after each draw.

    Raises:
        CalibrationError: there is no candidate or no draw, an accelerator cannot encode the ladder, or the catalogue
            or the profile lacks a figure.
    """
    if not candidates or draws < 1:
        raise CalibrationError(
            f"joint draws need a candidate and a draw, not {len(candidates)} and {draws}; name an instance type, and "
            "draw at least once"
        )
    parties = [_Candidate(name, scenario, profile, catalogue) for name, scenario in candidates.items()]
    rows = [profile.row(index) for index in range(len(profile.draws.rows))]
    rank = _row_positions(parties, rows)
    names, found = list(candidates), _Found()
    for number in range(draws):
        index, anchor = _row_and_anchor(seed, number, len(rows))
        asked = _Asked(drawn(seed, number))
        found.add(parties, _World(rows[index], anchor, asked))
        found.positions.append({PROFILE: rank[index], ANCHOR: 1.0 - anchor, **asked.positions})
        if progress:
            progress(number + 1, draws)
    positions = pd.DataFrame(found.positions)
    return JointDraws(
        places=pd.DataFrame(np.maximum(found.places, 1.0), columns=names),
        binding=pd.DataFrame(found.binding, columns=names),
        positions=positions,
        touches=_touches(parties, rows, rank, list(positions)),
        held_nothing=dict(zip(names, np.sum(found.lacking, axis=0).tolist(), strict=True)),
    )


def _row_and_anchor(seed: int, number: int, rows: int) -> tuple[int, float]:
    """Return the row of the profile and the position of the anchor, as `sim.assembly.draw_world` takes them."""
    rng = stream(seed, number, "coefficients")
    return int(rng.integers(rows)), float(rng.random())


class _Asked:
    """Positions by name, drawn once in a world and kept."""

    def __init__(self, draw: Position) -> None:
        self._draw = draw
        self.positions: dict[str, float] = {}

    def __call__(self, name: str) -> float:
        if name not in self.positions:
            self.positions[name] = self._draw(name)
        return self.positions[name]


class _Found:
    """What the draws have given so far, one row each."""

    def __init__(self) -> None:
        self.places: list[list[float]] = []
        self.binding: list[list[str]] = []
        self.lacking: list[list[bool]] = []
        self.positions: list[dict[str, float]] = []

    def add(self, parties: list[_Candidate], world: _World) -> None:
        """Add the row of one world."""
        plans = [party.plans(world) for party in parties]
        fleets = [party.largest(of) for party, of in zip(parties, plans, strict=True)]
        self.places.append([fleet.places_per_node for fleet in fleets])
        self.binding.append([fleet.chief.binding for fleet in fleets])
        self.lacking.append([any(plan.broadcasts < 1 for of in kinds.values() for plan in of) for kinds in plans])


def _row_positions(parties: list[_Candidate], rows: list[dict[str, float]]) -> Floats:
    """Return the position of each row: its mid-rank by what a broadcast takes, everything else in the middle.

    A row has many coefficients and a position is one number, so they are put in the order of the share of a node that
    a broadcast takes, in the geometric mean over the candidates' nodes.
    """
    cost = [sum(party.log_share(_World(row, 0.5, _at_end("", 0.5))) for party in parties) for row in rows]
    position: Floats = 1.0 - (stats.rankdata(cost) - 0.5) / len(rows)
    return position


def _touches(
    parties: list[_Candidate], rows: list[dict[str, float]], rank: Floats, sources: list[str]
) -> dict[str, tuple[str, ...]]:
    """Return the candidates whose nodes are others at the two ends of a source, everything else in the middle."""
    middle = rows[int(np.argsort(rank)[len(rows) // 2])]

    def ends(source: str) -> Iterator[_World]:
        for end in (0.0, 1.0):
            row = rows[int(np.argmax(rank) if end else np.argmin(rank))] if source == PROFILE else middle
            anchor = 1.0 - end if source == ANCHOR else 0.5  # a slow measured machine makes the others fast
            yield _World(row, anchor, _at_end(source, end))

    def moves(party: _Candidate, source: str) -> bool:
        costly, cheap = (party.vectors(world) for world in ends(source))
        return not np.array_equal(costly, cheap)

    return {source: tuple(party.name for party in parties if moves(party, source)) for source in sources}


def _at_end(source: str, end: float) -> Position:
    """Return the positions of one source at an end and all others in the middle."""
    return lambda name: end if name == source else 0.5

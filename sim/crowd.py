"""Who watches: the whole crowd with its CDN and chat, advanced on the tick, or nobody at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from scenarios.scenario import Scenario
from sim.components.audience import Audience, AudienceView
from sim.components.broadcasts import BroadcastTable
from sim.components.cdn import Cdn
from sim.components.chat import Chat
from sim.components.returns import Returns
from sim.records import Outcome
from sim.sampling import Floats

Rows = npt.NDArray[np.intp]


class Crowd:
    """Everything that is advanced on the tick: who wants to watch, who can, and what they ask of CDN and chat."""

    def __init__(
        self,
        scenario: Scenario,
        table: BroadcastTable,
        named: Callable[[str], np.random.Generator],
        audience: Audience | AudienceView,
    ) -> None:
        workload, platform, horizon = scenario.workload, scenario.platform, scenario.horizon
        self._tick_s, self._table = horizon.tick_s, table
        self._mean_session_s = workload.audience.mean_session_s
        self._audience = audience
        # Without regions of its own the CDN serves everybody from everywhere, wherever they are.
        self._in_regions = bool(workload.regions) and platform.cdn.cluster_regions is not None
        names = tuple(region.name for region in workload.regions) if self._in_regions else ()
        self._cdn = Cdn(
            platform.cdn,
            scenario.ladder,
            workload.audience.rung_shares,
            source_bps=workload.source.bitrate_bps,
            sources=workload.sources if workload.source_mix else (),
            regions=names,
        )
        self._has_sources = len(workload.sources) > 1
        self._chat = Chat(workload.chat, horizon.tick_s, named("chat"))
        self._returns = Returns(
            platform.players.retry,
            tick_s=horizon.tick_s,
            mean_session_s=workload.audience.mean_session_s,
            auth_limit_per_s=platform.players.auth_limit_per_s,
            auth_burst=platform.players.auth_burst,
        )
        self._interrupted: dict[int, None] = {}

    def viewers_of(self, broadcast: int) -> float:
        """Return how many want a broadcast, as of the last step."""
        return self._audience.viewers_of(broadcast)

    def interrupted(self, broadcast: int) -> None:
        """Cut off everybody who watches a broadcast."""
        self._interrupted[broadcast] = None

    def clusters_down(self, regions: Sequence[str], is_down: bool) -> None:
        """Take the CDN clusters of regions away, or bring them back."""
        clusters = [cluster for region in regions for cluster in self._cdn.clusters_of(region)]
        if clusters and is_down:
            self._cdn.lose(clusters)
        elif clusters:
            self._cdn.bring_back(clusters)

    def step(self, at_s: float, state: npt.NDArray[np.int8]) -> dict[str, float]:
        """Advance by one tick to `at_s`, with the states of all broadcasts; return what is written down of it."""
        live, wanted = self._audience.step(at_s)
        here = state[live]
        source_only = here == Outcome.SOURCE_ONLY
        watched = (here == Outcome.IN_SERVICE) | source_only
        if self._interrupted:
            self._returns.interrupted(np.fromiter(self._interrupted, int))
            self._interrupted.clear()
        mix = self._audience.mix(at_s) if self._in_regions else None
        cut_off = self._cdn.cut_off(mix)
        if cut_off is not None:
            rows = live[watched]
            self._returns.interrupted(rows, cut_off[self._table.region[rows]] if self._in_regions else cut_off[0])
        # In equilibrium as many ask the players' auth service anyway as leave.
        joins_per_s = float(wanted.sum()) / self._mean_session_s
        back = self._returns.step(live, watched, wanted, self._tick_s, joins_per_s=joins_per_s)
        delivered = self._deliver(mix, live[watched], back.served[watched], source_only[watched])
        return {
            "broadcasts_wanted": float(live.size),
            "broadcasts_source_only": float(np.count_nonzero(source_only)),
            "viewers_wanted": float(wanted.sum()),
            "viewers_served": float(back.served.sum()),
            "viewers_unserved": back.viewers_unserved,
            "viewers_away": back.viewers_away,
            "player_retries": back.retries,
            "player_retries_turned_away": back.turned_away,
            **delivered,
            **{f"chat_{name}": value for name, value in self._chat.step(back.served)._asdict().items()},
        }

    def _deliver(
        self, mix: Floats | None, rows: Rows, viewers: Floats, source_only: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        served = self._cdn.serve(
            viewers,
            self._tick_s,
            home=self._table.region[rows] if self._in_regions else None,
            mix=mix,
            source_only=source_only if source_only.any() else None,
            source=self._table.source[rows] if self._has_sources else None,
        )
        busiest = self._cdn.edge_utilisation(served, self._tick_s)
        return served._asdict() | ({} if busiest is None else {"edge_busiest_utilisation": busiest})


class Nobody:
    """In place of the crowd where the control plane is simulated alone: broadcasts are counted, nobody watches them.

    Nothing that viewers do reaches the fleet, so what becomes of broadcasts and nodes is the same to the last digit.
    """

    def __init__(self, table: BroadcastTable) -> None:
        self._publish_s, self._end_s = table.publish_s, np.sort(table.end_s)

    def viewers_of(self, broadcast: int) -> float:
        """Return 0."""
        return 0.0

    def interrupted(self, broadcast: int) -> None:
        """Nobody is cut off."""

    def clusters_down(self, regions: Sequence[str], is_down: bool) -> None:
        """No cluster serves anybody."""

    def step(self, at_s: float, state: npt.NDArray[np.int8]) -> dict[str, float]:
        """Return what is known of the broadcasts at `at_s`."""
        begun, ended = (np.searchsorted(moments, at_s, side="right") for moments in (self._publish_s, self._end_s))
        return {
            "broadcasts_wanted": float(begun - ended),
            "broadcasts_source_only": float(np.count_nonzero(state == Outcome.SOURCE_ONLY)),
        }

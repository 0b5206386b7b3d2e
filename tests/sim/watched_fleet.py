"""A small fleet with the queue before it, and what both told."""

from __future__ import annotations

import simpy

from scenarios.nodes import Interruptions
from sim.components.admission import Admission, Answers, FirstCome
from sim.components.fleet import Fleet
from sim.components.node import Startup, Told
from sim.components.pools import Pool

TWO_PLACES = Pool("only", "a", units=2, need=(1,))


class Watched:
    """Nodes that hold two broadcasts unless told otherwise; broadcasts stop at `ends_s`."""

    def __init__(
        self,
        ends_s,
        *,
        deadline_s=60.0,
        max_nodes=10,
        boot_s=30.0,
        pools=(TWO_PLACES,),
        rule=None,
        fails=(),
        life=0.0,
        source=None,
        limit=None,
        **fleet,
    ):
        self.env = simpy.Environment()
        self.placed, self.refused, self.ended = [], [], []
        self.interrupted, self.moved, self.gone, self.without = [], [], [], []
        self._ends_s, failing = ends_s, iter([*fails])
        self.fleet = Fleet(
            self.env,
            pools=pools,
            source_of=source or [0] * len(ends_s),
            max_nodes=max_nodes,
            startup=lambda: Startup(0.0, boot_s, next(failing, 1.0)),
            life=lambda: life,
            told=Told(
                lambda b, n: self.interrupted.append((self.env.now, b, n)),
                lambda b, n: self.moved.append((self.env.now, b, n)),
                lambda: self.admission.serve(),
                lambda n, why: self.gone.append((self.env.now, n, why)),
            ),
            **fleet,
        )
        self.admission = Admission(
            self.env,
            rule=rule or FirstCome(),
            place=self.fleet.place,
            free_share=self.fleet.free_share,
            patience_s=lambda b: deadline_s,
            limit=limit,
            answers=Answers(
                lambda b, n: self.placed.append((self.env.now, b, n)),
                lambda b: self.without.append((self.env.now, b)),
                lambda b, why: self.refused.append((self.env.now, b, why)),
            ),
        )
        for broadcast, end_s in enumerate(ends_s):
            self.at(end_s, self._stop, broadcast)

    def request(self, *broadcasts):
        for broadcast in broadcasts:
            self.admission.request(broadcast)

    def at(self, moment_s, happens, *what):
        self.env.timeout(moment_s - self.env.now).callbacks.append(lambda _: happens(*what))

    def _stop(self, broadcast):
        if self.fleet.node_of(broadcast) >= 0:
            self.fleet.leave(broadcast)
            self.ended.append((self.env.now, broadcast))
        elif broadcast in self.admission:
            self.admission.withdraw(broadcast)
            self.refused.append((self.env.now, broadcast, "stopped"))


def spot(per_hour=0.0, notice_s=120.0, max_life_s=None):
    return Interruptions(per_hour=per_hour, notice_s=notice_s, max_life_s=max_life_s)

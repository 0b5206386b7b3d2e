"""How often, and how soon, a broadcast may have another worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class RestartPolicy(NamedTuple):
    """Back-off and patience.

    Attributes:
        first_s: wait after a first death.
        limit_s: longest wait; it doubles from death to death.
        healthy_s: a life of this length starts the count of deaths anew.
        barren_lives: so many lives in a row without one packet end the broadcast.
        shared_deaths: so many deaths in a row, and the broadcast goes on in a worker of its own: if its content is
            what kills, the others are rid of it. One whose own session stood still goes at once.
    """

    first_s: float = 0.1
    limit_s: float = 5.0
    healthy_s: float = 10.0
    barren_lives: int = 5
    shared_deaths: int = 2


@dataclass(slots=True)
class Deaths:
    """The deaths that one broadcast has seen."""

    policy: RestartPolicy
    in_a_row: int = 0
    barren: int = 0
    was_stuck: bool = False

    def note(self, *, lived_s: float, packets: int, was_stuck: bool) -> None:
        """Count the end of a life of this length that made so many packets; was this broadcast what stood still?"""
        self.was_stuck = was_stuck
        self.in_a_row = 1 if lived_s >= self.policy.healthy_s else self.in_a_row + 1
        self.barren = 0 if packets else self.barren + 1

    @property
    def is_hopeless(self) -> bool:
        """Whether another life would be one too many."""
        return self.barren >= self.policy.barren_lives

    @property
    def wants_isolation(self) -> bool:
        """Whether this broadcast may be the reason."""
        return self.was_stuck or self.in_a_row >= self.policy.shared_deaths

    @property
    def wait_s(self) -> float:
        """How long to wait before the next life."""
        doublings = min(self.in_a_row - 1, 64)
        return min(self.policy.limit_s, self.policy.first_s * 2.0**doublings)

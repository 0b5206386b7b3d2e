"""What a profile's held-out table says of a scenario's ladder, in one sentence."""

from __future__ import annotations

import math

from scenarios.held_out import CpuError, HeldOutErrors, LadderErrors, NMaxError
from scenarios.ladder import Ladder, Source
from scenarios.profile import Profile
from sim.stream_cost import stream_cpu_s


def held_out_text(profile: Profile, source: Source, ladder: Ladder) -> str:
    """Return how far the profile was off on the held-out ladder that is nearest to this one.

    Errors of CPU per stream-second and of N_max, or UNRESOLVED where noise hides them. Nearest is the one whose CPU
    per stream-second, as the profile has it for one stream alone, has the smallest ratio to that of this ladder; among
    those whose N_max was searched, if any.
    """
    if profile.held_out is None:
        return f"not measured out of sample: profile {profile.name} carries no errors of loads its fit has not seen"
    cpu_s_per_stream_s = stream_cpu_s(profile.middle(), source, ladder)
    nearest = nearest_ladder(profile.held_out, cpu_s_per_stream_s)
    return (
        f"out of sample, on the nearest ladder that the fit has not seen ({' + '.join(nearest.rungs)} of "
        f"{nearest.source}, {nearest.cpu_s_per_stream_s:.3g} CPU-seconds per stream-second, here "
        f"{cpu_s_per_stream_s:.3g}): CPU per stream-second {_cpu_text(nearest.cpu)}; N_max {_n_max_text(nearest.n_max)}"
    )


def nearest_ladder(held_out: HeldOutErrors, cpu_s_per_stream_s: float) -> LadderErrors:
    """Return the held-out ladder whose CPU per stream-second has the smallest ratio to a given one."""
    searched = [entry for entry in held_out.ladders if entry.n_max is not None]
    return min(
        searched or held_out.ladders, key=lambda entry: abs(math.log(entry.cpu_s_per_stream_s / cpu_s_per_stream_s))
    )


def _cpu_text(cpu: CpuError | None) -> str:
    if cpu is None:
        return "not measured"
    floor = "not measured" if cpu.noise_floor is None else f"{cpu.noise_floor:.1%}"
    if cpu.verdict == "UNRESOLVED":
        return f"UNRESOLVED (noise floor {floor})"
    return f"{cpu.error:.1%} off (noise floor {floor}, target {cpu.verdict})"


def _n_max_text(n_max: NMaxError | None) -> str:
    if n_max is None:
        return "not measured"
    if n_max.verdict == "UNRESOLVED":
        return "UNRESOLVED (the search left more than a quarter of it open)"
    return (
        f"{n_max.predicted} predicted, {n_max.measured} measured (target {n_max.verdict}; cores ÷ CPU says "
        f"{n_max.division})"
    )

"""The held-out measurement: what the committed protocol names, in interleaved rounds, resumable after every run."""

from __future__ import annotations

from pathlib import Path

from pipeline.ladders.choice import Choice
from pipeline.measure.agenda import Agenda
from pipeline.measure.bundle_writer import require_free
from pipeline.measure.measurement import Measured, facts_of, prepared, require_standing, written
from pipeline.measure.parts import Parts
from pipeline.measure.plan import Case, Plan, Series
from pipeline.measure.search import capacity
from pipeline.measure.session import Progress, Say, Session
from scenarios.errors import NotReady
from scenarios.protocol import HeldOut, HeldOutLadder, held_out_protocol

HOLDOUT_BUDGET_S = 3600.0


def holdout_plan(held_out: HeldOut, *, preset: str, budget_s: float = HOLDOUT_BUDGET_S) -> Plan:
    """Return the plan of what is known before: the searches for N_max, and the loads of the clips."""
    protocol = held_out.protocol
    searches = [
        Series(_case(name, held, preset), repeats=protocol.search_repeats, base_repeats=1, name=f"{name}-search")
        for name, held in protocol.ladders.items()
    ]
    clips = [
        Series(_case(name, clip, preset), loads=(load,), repeats=protocol.repeats, name=f"{name}-{load}")
        for name, clip in protocol.clips.items()
        for load in clip.loads
    ]
    return Plan(
        "holdout",
        budget_s,
        (*searches, *clips),
        protocol.segments,
        protocol.warm_up_segments,
        later_runs=len(searches) * len(protocol.fractions_of_n_max) * protocol.repeats,
        protocol_sha256=held_out.sha256,
    )


def measure_holdout(
    out: Path,
    *,
    plan: Plan,
    choice: Choice,
    say: Say = lambda line: None,
    progress: Progress = lambda elapsed_s, doing: None,
) -> Measured:
    """Measure what is held out, from where an earlier call with the same `out` left off.

    Args:
        out: where the bundle goes, once all is measured; until then its runs are in `OUT.parts`, a file for each load.
        plan: of `holdout_plan`.
        choice: the encoder.
        say: as in `measure`.
        progress: likewise.

    Raises:
        NotReady: as in `measure`; or the parts are of another machine, encoder or protocol; or it was interrupted or
            its budget spent before all was measured: what was measured is kept for the next call.
        EncoderUnavailable: as in `measure`.
    """
    require_free(out)
    clips = prepared(plan.series, plan=plan, choice=choice, say=say, progress=progress)
    parts = Parts.opened(out, plan=plan, choice=choice)
    session = Session(plan, backend=choice.backend.name, clips=clips, say=say, progress=progress, keep=parts.keep)
    for taken in parts.runs():
        session.restore(taken)
    if session.tables:
        say(f"going on after {len(session.tables)} runs in {parts.folder}")
    searches = [series for series in plan.series if not series.loads]
    found = session.work_off(searches)
    rounds = [*_rounds(found), *(series for series in plan.series if series.loads)]
    if session.stopped is None:
        say("\n".join(f"  {series}" for series in rounds))
    taken_all = session.work_off(rounds)
    require_standing(session, plan)
    missing = [str(agenda.series) for agenda in taken_all if agenda.first() or agenda.again()]
    if missing or session.stopped is not None:
        why = session.stopped or f"the budget of {plan.budget_s:.0f} s is spent"
        raise NotReady(f"not all is measured: {why}; the same command goes on where it ended ({parts.folder})")
    facts = facts_of([series.case for series in plan.series], clips.values(), session, plan=plan, choice=choice)
    measured = written(out, facts, session.tables, session)
    parts.remove()
    return measured


def _case(name: str, held: HeldOutLadder, preset: str) -> Case:
    return Case(name, held.ladder, held.source, preset, held.content)


def _rounds(searches: list[Agenda]) -> list[Series]:
    """Return a series for each load of each ladder, so that a round runs each once."""
    rounds, protocol = [], held_out_protocol().protocol
    for search in searches:
        n_max, _ = capacity(search.tried, repeats=search.series.repeats)
        case = search.series.case
        for load in protocol.loads(n_max) if n_max else ():
            rounds.append(Series(case, loads=(load,), repeats=protocol.repeats, name=f"{case.ladder_name}-{load}"))
    return rounds

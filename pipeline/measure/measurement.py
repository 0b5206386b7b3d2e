"""From a plan to a bundle: the clips, the runs, and what the bundle says of them."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.choice import Choice
from pipeline.ladders.probe import require_packages
from pipeline.load.clip import SourceClip, source_clip
from pipeline.measure.bundle_writer import Tables, require_free, write_bundle
from pipeline.measure.encoder import encoder_facts, require_measurable
from pipeline.measure.host import machine_facts
from pipeline.measure.plan import Case, Plan, Series
from pipeline.measure.probes.session import require_probes
from pipeline.measure.session import Progress, Say, Session
from scenarios.bundle import BUNDLE_VERSION
from scenarios.errors import NotReady
from scenarios.ladder import Ladder


@dataclass(frozen=True)
class Measured:
    """A bundle that was written.

    Attributes:
        folder: where it is.
        lacking: what it should hold besides: loads of which only void runs are in it, or all after an interruption.
    """

    folder: Path
    lacking: tuple[str, ...]


def measure(
    out: Path,
    *,
    plan: Plan,
    choice: Choice,
    say: Say = lambda line: None,
    progress: Progress = lambda elapsed_s, doing: None,
) -> Measured:
    """Measure this machine.

    Args:
        out: where the bundle goes; must not exist yet.
        plan: what is run; the clips are made first, once, outside of its budget.
        choice: the encoder.
        say: told the budget before it is spent, the encoder, and each result.
        progress: see `Progress`.

    Raises:
        NotReady: a package is missing, `out` is taken, or every run was void.
        EncoderUnavailable: the encoder cannot run on this machine, or not be measured.
    """
    require_free(out)
    clips = prepared(plan.series, plan=plan, choice=choice, say=say, progress=progress)
    session = Session(plan, backend=choice.backend.name, clips=clips, say=say, progress=progress)
    session.work_off(plan.series)
    require_standing(session, plan)
    if plan.probes_s:
        session.probe(plan.series[0].case)
    session.tick("writing the bundle")
    facts = facts_of([series.case for series in plan.series], clips.values(), session, plan=plan, choice=choice)
    return written(out, facts, session.tables, session)


def prepared(
    series: Sequence[Series], *, plan: Plan, choice: Choice, say: Say, progress: Progress
) -> dict[Case, SourceClip]:
    """Check that all can be run, tell the budget, and return the clips.

    Raises:
        NotReady, EncoderUnavailable: see `measure`.
    """
    require_packages()
    backend = choice.backend.name
    for case in {one.case for one in series}:
        require_measurable(backend, case.ladder)
        LADDER_BACKENDS[backend](preset=case.preset).check(case.ladder)
    if plan.probes_s:
        require_probes()
    say(plan.describe())
    say(choice.why)
    progress(0.0, "making the source clips")
    source_clip()  # that of the fixed job
    return {one.case: one.case.clip() for one in series}


def require_standing(session: Session, plan: Plan) -> None:
    """Raise NotReady if no run stands."""
    if session.standing:
        return
    if session.void_reasons:
        raise NotReady(f"every run was void ({session.void_reasons[0]}); end other programs and measure again")
    if session.stopped is not None:
        raise NotReady(f"nothing was measured: {session.stopped}")
    raise NotReady(f"a budget of {plan.budget_s:.0f} s is too short for one load; allow more")


def facts_of(
    cases: Sequence[Case], clips: Iterable[SourceClip], session: Session, *, plan: Plan, choice: Choice
) -> dict[str, Any]:
    """Return the fields of `BundleMeta` but for its tables."""
    today = datetime.datetime.now(datetime.UTC).date()
    contents = {clip.content.name: clip.content for clip in clips}
    return {
        "headroom_bundle": BUNDLE_VERSION,
        "identity": f"{plan.depth}-{today.isoformat()}-{secrets.token_hex(4)}",
        "date": today,
        "headroom_version": _version(),
        "depth": plan.depth,
        "machine": machine_facts(),
        "encoders": {
            preset: encoder_facts(backend=choice.backend.name, preset=preset, ladders=_ladders(cases, preset))
            for preset in dict.fromkeys(case.preset for case in cases)
        },
        "ladders": _ladders(cases),
        "content": tuple(contents.values()),
        "warm_up_segments": plan.warm_up_segments,
        "contended": session.contended,
        "protocol_sha256": plan.protocol_sha256,
    }


def _ladders(cases: Sequence[Case], preset: str | None = None) -> dict[str, Ladder]:
    return {case.ladder_name: case.ladder for case in cases if preset in (None, case.preset)}


def written(out: Path, facts: dict[str, Any], parts: Sequence[Tables], session: Session) -> Measured:
    """Write the bundle and return it."""
    write_bundle(out, facts=facts, parts=parts)
    stopped = [f"the rest of the plan: {session.stopped}"] if session.stopped is not None else []
    return Measured(out, tuple([*session.unmet, *stopped]))


def _version() -> str:
    try:
        return metadata.version("headroom")
    except metadata.PackageNotFoundError:
        return "run from its sources, not installed"

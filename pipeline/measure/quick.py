"""The quick measurement: the search for the largest load that holds, within a few minutes."""

from __future__ import annotations

import datetime
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.ladders.choice import Choice, choose_backend
from pipeline.ladders.probe import require_packages
from pipeline.load.clip import DEFAULT_CONTENT, DEFAULT_SOURCE, SourceClip, source_clip
from pipeline.measure.bundle_writer import require_free, write_bundle
from pipeline.measure.encoder import encoder_facts, require_measurable
from pipeline.measure.host import machine_facts
from pipeline.measure.load_run import RawRun, run_load
from pipeline.measure.plan import AROUND_S, Plan, quick_plan
from pipeline.measure.rows import Rows, joined, rows_of
from pipeline.measure.search import Tried, next_load
from pipeline.measure.verdict import Verdict
from scenarios.errors import NotReady
from scenarios.ladder import Ladder, Source

QUICK_BUDGET_S = 150.0
CONTENDED = 0.10
"""Share of the machine's CPU that may go elsewhere before the bundle is marked."""
LADDER_NAME = "ladder"

Progress = Callable[[float, str], None]
"""Called some times a second with the seconds gone by and what is being done."""


@dataclass
class _Taken:
    """What has been measured so far."""

    parts: list[Rows] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    repeats: Counter[int] = field(default_factory=Counter)
    contended: bool = False

    def add(self, raw: RawRun, rows: Rows, verdict: Verdict) -> None:
        self.parts.append(rows)
        self.verdicts.append(verdict)
        self.repeats[raw.streams] += 1
        self.contended |= raw.shares.steal + raw.shares.contention > CONTENDED
        if verdict.verdict != "void":
            in_use = raw.server_cpu_s / raw.wall_s
            self.tried.append(Tried(raw.streams, verdict.verdict == "holds", in_use))


def measure_quick(
    out: Path,
    *,
    ladder: Ladder,
    source: Source = DEFAULT_SOURCE,
    content: str = DEFAULT_CONTENT,
    encoder: str = "auto",
    budget_s: float = QUICK_BUDGET_S,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = lambda elapsed_s, doing: None,
) -> Path:
    """Measure this machine and return the folder of the bundle.

    Args:
        out: where the bundle goes; must not exist yet.
        ladder: what every stream is encoded to.
        source: what every stream sends; its clip is made first, once, outside of the budget.
        content: what the clip shows, of `CONTENTS`.
        encoder: as `--encoder` takes it.
        budget_s: wall-clock time for all but making the clip.
        say: told the budget before it is spent, the encoder, and each result.
        progress: see `Progress`.

    Raises:
        NotReady: a package is missing, `out` is taken, or every run was void.
        EncoderUnavailable: the encoder cannot run on this machine.
    """
    require_packages()
    plan = quick_plan(budget_s=budget_s, segment_s=ladder.segment_s)
    return measure(
        out, plan=plan, ladder=ladder, source=source, content=content, encoder=encoder, say=say, progress=progress
    )


def measure(
    out: Path,
    *,
    plan: Plan,
    ladder: Ladder,
    source: Source = DEFAULT_SOURCE,
    content: str = DEFAULT_CONTENT,
    encoder: str = "auto",
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = lambda elapsed_s, doing: None,
) -> Path:
    """Measure with a given plan; otherwise as `measure_quick`."""
    require_packages()
    require_free(out)
    choice = choose_backend(encoder)
    require_measurable(choice.backend.name, ladder)
    choice.backend.check(ladder)
    say(plan.describe())
    say(choice.why)
    progress(0.0, "making the source clip")
    clip = source_clip(source, content=content)
    started_s = time.monotonic()

    def tick(doing: str) -> None:
        progress(time.monotonic() - started_s, doing)

    taken = _search(plan, ladder=ladder, clip=clip, choice=choice, tick=tick, say=say, started_s=started_s)
    if not taken.verdicts:
        raise NotReady(f"a budget of {plan.budget_s:.0f} s is too short for one load; allow more")
    if not taken.tried:
        raise NotReady(f"every run was void ({taken.verdicts[0].void_reason}); end other programs and measure again")
    tick("writing the bundle")
    facts = _facts(plan, taken, ladder=ladder, clip=clip, choice=choice)
    return write_bundle(out, facts=facts, rows=joined(taken.parts))


def _search(
    plan: Plan,
    *,
    ladder: Ladder,
    clip: SourceClip,
    choice: Choice,
    tick: Callable[[str], None],
    say: Callable[[str], None],
    started_s: float,
) -> _Taken:
    taken = _Taken()
    cores = machine_facts().cores
    while True:
        streams = next_load(taken.tried, cores=cores, runs_left=plan.runs - len(taken.verdicts))
        gone_s = time.monotonic() - started_s
        if streams is None or gone_s + plan.run_s(streams) + AROUND_S / 2 > plan.budget_s:
            return taken
        doing = f"N = {streams}"
        raw = run_load(
            streams,
            plan=plan,
            clip=clip,
            ladder=ladder,
            backend=choice.backend.name,
            preset=choice.backend.preset,
            tick=lambda doing=doing: tick(doing),
        )
        rows, verdict = rows_of(
            raw,
            run=len(taken.verdicts),
            repeat=taken.repeats[streams],
            ladder=LADDER_NAME,
            clip=clip.content.name,
            fps=clip.content.source.fps,
            segment_s=ladder.segment_s,
        )
        taken.add(raw, rows, verdict)
        say(_result(raw, verdict))


def _result(raw: RawRun, verdict: Verdict) -> str:
    why = f" ({verdict.void_reason})" if verdict.void_reason else ""
    slope = f", backlog {verdict.slope.middle:+.4f} s/s" if verdict.slope else ""
    elsewhere = raw.shares.steal + raw.shares.contention
    note = f", {elsewhere:.0%} of the machine went elsewhere" if elsewhere > CONTENDED else ""
    cores = raw.server_cpu_s / raw.wall_s
    return f"N = {raw.streams}: {verdict.verdict}{why}, {cores:.2f} cores in use{slope}{note}"


def _facts(plan: Plan, taken: _Taken, *, ladder: Ladder, clip: SourceClip, choice: Choice) -> dict[str, Any]:
    today = datetime.datetime.now(datetime.UTC).date()
    return {
        "headroom_bundle": 1,
        "identity": f"quick-{today.isoformat()}-{secrets.token_hex(4)}",
        "date": today,
        "headroom_version": _version(),
        "depth": "quick",
        "machine": machine_facts(),
        "encoder": encoder_facts(backend=choice.backend.name, preset=choice.backend.preset, ladder=ladder),
        "ladders": {LADDER_NAME: ladder},
        "content": (clip.content,),
        "warm_up_segments": plan.warm_up_segments,
        "contended": taken.contended,
    }


def _version() -> str:
    try:
        return metadata.version("headroom")
    except metadata.PackageNotFoundError:
        return "run from its sources, not installed"

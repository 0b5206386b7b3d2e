"""A measurement under way: its runs one after the other, each alone on the machine, within a budget."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pipeline.load.clip import SourceClip
from pipeline.measure.accepted import refused_options
from pipeline.measure.agenda import Agenda
from pipeline.measure.bundle_writer import Tables, packed
from pipeline.measure.host import machine_facts
from pipeline.measure.load_run import RawRun, run_load, wait_until
from pipeline.measure.lock import measuring_alone
from pipeline.measure.plan import AROUND_S, PAUSE_S, Case, Plan, Series
from pipeline.measure.probes.session import run_probes
from pipeline.measure.reference_job import reference_cpu_s
from pipeline.measure.rows import Labels, Rows, rows_of, rows_of_nothing
from pipeline.measure.search import Tried
from pipeline.measure.verdict import Verdict
from scenarios.errors import EncoderUnavailable, NotReady

CONTENDED = 0.10
"""Share of the machine's CPU that may go elsewhere before a run is void, or in a quick measurement marked."""
INTERRUPTED = "interrupted"
CUT_BY_USER = f"cut short: {INTERRUPTED}"

Say = Callable[[str], None]
Progress = Callable[[float, str], None]
"""Called some times a second with the seconds gone by and what is being done."""


@dataclass(frozen=True)
class Taken:
    """A run that was taken.

    Attributes:
        series: name of its series.
        streams: how many at once.
        rows: what the bundle says of it.
        tried: what a search learns from it; None if it is void.
        contended: whether it stands though the machine was shared.
    """

    series: str
    streams: int
    rows: Rows
    tried: Tried | None
    contended: bool

    @property
    def number(self) -> int:
        """Its number in the bundle."""
        number: int = self.rows["runs"][0]["run"]
        return number

    @property
    def void_reason(self) -> str | None:
        """Why it is void, or None."""
        reason: str | None = self.rows["runs"][0]["void_reason"]
        return reason


class Session:
    """The runs of one measurement.

    Attributes:
        tables: of every run, as they are stored, in order.
        void_reasons: of the void ones.
        standing: how many runs are not void.
        contended: a run that stands saw more than `CONTENDED` of the machine go elsewhere.
        stopped: why it ended before its plan did, or None.
        unmet: loads that never stood, as the user reads them.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        backend: str,
        clips: Mapping[Case, SourceClip],
        say: Say,
        progress: Progress,
        keep: Callable[[Taken], None] = lambda taken: None,
    ) -> None:
        self.tables: list[Tables] = []
        self.void_reasons: list[str] = []
        self.standing = 0
        self.contended = False
        self.stopped: str | None = None
        self.unmet: list[str] = []
        self._plan, self._backend, self._clips = plan, backend, clips
        self._say, self._progress, self._keep = say, progress, keep
        self._next_run = 0
        self._noted: list[tuple[str, int, Tried | None, str | None]] = []
        self._repeats: Counter[tuple[object, ...]] = Counter()
        self._cores = machine_facts().cores
        self._zero_s = time.monotonic()
        self._refused: dict[tuple[str, str], str | None] = {}

    def work_off(self, series: Sequence[Series]) -> list[Agenda]:
        """Run every load of every series once, then the repeats in turns; return what was found.

        Runs of them that were restored are not run again.
        """
        agendas = [Agenda(one, cores=self._cores) for one in series]
        for agenda in agendas:
            for name, streams, tried, reason in self._noted:
                # That the user ended it says nothing against the load.
                if name == agenda.series.name and reason != CUT_BY_USER:
                    agenda.took(streams, tried)
        while any([self._first(agenda) for agenda in agendas]):
            pass
        # Repeats of one load lie apart, so that what disturbs the machine for a minute does not hit them all.
        while any([self._step(agenda, agenda.again()) for agenda in agendas]):
            pass
        self.unmet += [f"{a.series.case.label}, N = {n}" for a in agendas for n in sorted(a.unmet)]
        return agendas

    def _first(self, agenda: Agenda) -> bool:
        """Run the loads that were not run yet, up to a void one, and return whether there was one.

        A void load has its next turn after the other series: what disturbed it may be over by then.
        """
        ran = False
        while self._step(agenda, agenda.first()):
            ran = True
            if agenda.last_was_void:
                break
        return ran

    def restore(self, taken: Taken) -> None:
        """Note a run that was taken earlier."""
        run = taken.rows["runs"][0]
        self._repeats[(run["ladder"], run["clip"], run["preset"], run["start"], taken.streams)] += 1
        self._note(taken)

    def probe(self, case: Case) -> None:
        """Measure what loads do not show, with the ladder and the clip of a case."""
        if self.stopped is not None:
            return
        try:
            with self._alone() as waited_s:
                self._zero_s += waited_s
                rows = run_probes(
                    ladder=case.ladder,
                    clip=self._clips[case],
                    backend=self._backend,
                    preset=case.preset,
                    tick=lambda: self.tick("origin, authorisation and restarts"),
                    say=self._say,
                )
            self.tables.append(packed(rows))
        except KeyboardInterrupt:
            self.stopped = INTERRUPTED
        except (NotReady, RuntimeError) as error:  # of a process that died: the loads are measured all the same
            self.unmet.append(f"origin, authorisation and restarts ({_last_line(error)})")

    def tick(self, doing: str) -> None:
        """Tell that something is being done."""
        self._progress(self._gone_s(), doing)

    def _step(self, agenda: Agenda, streams: int | None) -> bool:
        """Run a load and return whether it was run."""
        if streams is None or self.stopped is not None:
            return False
        run_s = self._plan.window(agenda.series.case).run_s(streams)
        if self._gone_s() + run_s + AROUND_S / 2 + self._plan.probes_s > self._plan.budget_s:
            return False
        doing = f"{agenda.series.case.label}, N = {streams}"
        try:
            if self.tables:
                wait_until(time.monotonic() + PAUSE_S, lambda: self.tick(doing))
            with self._alone() as waited_s:
                self._zero_s += waited_s
                self._run(agenda, streams, doing)
        except KeyboardInterrupt:
            self.stopped = INTERRUPTED
        except EncoderUnavailable:
            raise
        except NotReady as error:
            self.stopped = str(error)
        return True

    def _alone(self) -> AbstractContextManager[float]:
        return measuring_alone(say=self._say, tick=lambda: self.tick("waiting for another measurement"))

    def _run(self, agenda: Agenda, streams: int, doing: str) -> None:
        case = agenda.series.case
        clip = self._clips[case]
        names = (case.ladder_name, clip.content.name, case.preset)
        load = (*names, case.start, streams)
        labels = Labels(self._next_run, *names, self._repeats[load], case.start)
        refused = self._refused_options(case)
        taken = self._taken(agenda.series, streams, labels, refused, doing)
        self._repeats[load] += 1
        self._keep(taken)
        self._note(taken)
        agenda.took(streams, taken.tried)
        if refused is not None:
            agenda.give_up(streams)

    def _taken(self, series: Series, streams: int, labels: Labels, refused: str | None, doing: str) -> Taken:
        case, said = series.case, f"N = {streams}" if len(self._plan.series) == 1 else doing
        try:
            reference_s = reference_cpu_s()
            raw = run_load(
                streams,
                window=self._plan.window(case),
                clip=self._clips[case],
                ladder=case.ladder,
                backend=self._backend,
                preset=case.preset,
                tick=lambda: self.tick(doing),
            )
            elsewhere = raw.shares.steal + raw.shares.contention
            rows, verdict = rows_of(
                raw,
                labels,
                fps=case.source.fps,
                segment_s=case.ladder.segment_s,
                reference_cpu_s=reference_s,
                void_reason=refused or self._contention(elsewhere),
            )
        except EncoderUnavailable:
            raise
        except (KeyboardInterrupt, NotReady, RuntimeError) as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            self.stopped = INTERRUPTED if interrupted else None
            reason = CUT_BY_USER if interrupted else f"cut short: {_last_line(error)}"
            self._say(f"{said}: void ({reason})")
            return Taken(series.name, streams, rows_of_nothing(labels, streams=streams, reason=reason), None, False)
        self._say(f"{said}: {_result(raw, verdict)}")
        stands = verdict.verdict != "void"
        tried = Tried(streams, verdict.verdict == "holds", raw.server_cpu_s / raw.wall_s) if stands else None
        return Taken(series.name, streams, rows, tried, stands and elsewhere > CONTENDED)

    def _contention(self, elsewhere: float) -> str | None:
        if elsewhere <= CONTENDED or not self._plan.contention_voids:
            return None
        return f"{elsewhere:.0%} of the machine's CPU went to other programs or machines"

    def _refused_options(self, case: Case) -> str | None:
        key = case.ladder.model_dump_json(), case.preset
        if key not in self._refused:
            self._refused[key] = refused_options(backend=self._backend, preset=case.preset, ladder=case.ladder)
        return self._refused[key]

    def _note(self, taken: Taken) -> None:
        self.tables.append(packed(taken.rows))
        self._next_run = taken.number + 1
        self._noted.append((taken.series, taken.streams, taken.tried, taken.void_reason))
        self.contended |= taken.contended
        if taken.tried is None:
            self.void_reasons.append(taken.void_reason or "")
        else:
            self.standing += 1

    def _gone_s(self) -> float:
        return time.monotonic() - self._zero_s


def _last_line(error: BaseException) -> str:
    """Return what an error comes down to: of a child that died, the end of what it wrote."""
    return str(error).strip().splitlines()[-1]


def _result(raw: RawRun, verdict: Verdict) -> str:
    why = f" ({verdict.void_reason})" if verdict.void_reason else ""
    slope = f", backlog {verdict.slope.middle:+.4f} s/s" if verdict.slope else ""
    elsewhere = raw.shares.steal + raw.shares.contention
    note = f", {elsewhere:.0%} of the machine went elsewhere" if elsewhere > CONTENDED and not why else ""
    cores = raw.server_cpu_s / raw.wall_s
    return f"{verdict.verdict}{why}, {cores:.2f} cores in use{slope}{note}"

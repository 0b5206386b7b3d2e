"""The answer of a run: tidy frames, what they rest on, and a folder on disk that says how to make it again."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.catalogue import load_catalogue
from scenarios.errors import Problem, ScenarioError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.accelerated import encoding_accelerator
from sim.assumed_grounds import assumed_grounds
from sim.blast_radius import failures
from sim.carried import PlanRange
from sim.coverage import extrapolation
from sim.csv_file import write_csv
from sim.fleet_grounds import fleet_grounds, fleet_range
from sim.fleet_plan import kinds_of_nodes
from sim.format import interval_text, range_text
from sim.held_out_text import held_out_text
from sim.metrics import METRICS, summarise
from sim.noise_and_ignorance import COLUMNS_OF_TABLE, half_widths, parts, sentence, split_of
from sim.ranges import COST, ranges
from sim.slo_attainment import Attainment, attainment
from sim.statistics.sequential import Attained, attained
from sim.timeline import Records, timeline_text
from sim.whole_file import write_whole
from sim.whole_folder import made_here, write_whole_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULT_VERSION = 3
MARKER = "run.json"
"""A file that every result folder has."""
FRAMES = ("ticks", "broadcasts", "nodes", "events")


class Texts(NamedTuple):
    """A metric in words; a dash where there is nothing to tell."""

    value: str
    of_mean: str
    noise: str
    ignorance: str
    of_day: str


@dataclass(frozen=True)
class RunResult:
    """What `run` returns.

    Attributes:
        values: one row per replication and metric: replication, component, metric, unit, value.
        ticks: one row per replication and tick; sums over the tick, states at its end.
        broadcasts: one row per replication and broadcast.
        nodes: one row per replication and transcode node.
        events: one row per replication and failure or change of the fleet.
        middle: as `values`, of the same days in the middle world, control plane alone; empty where they were left out.
        precision: what the rule came to that found the number of replications; None where that was given.
    """

    scenario: Scenario
    profile: Profile
    seed: int
    values: pd.DataFrame
    ticks: pd.DataFrame
    broadcasts: pd.DataFrame
    nodes: pd.DataFrame
    events: pd.DataFrame
    middle: pd.DataFrame
    precision: Attained | None = None

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean and 95 % interval of each metric over replications, with the columns of `metrics.summarise`."""
        return summarise(self.values)

    @property
    def replications(self) -> int:
        """Number of independent runs."""
        return int(self.values["replication"].nunique())

    @property
    def is_watched(self) -> bool:
        """Whether viewers were simulated, or the control plane alone."""
        return "viewers_wanted" in self.ticks

    @property
    def precision_text(self) -> str:
        """How precise the mean is that the replications were found for; empty where their number was given."""
        if self.precision is None:
            return ""
        metric = self.precision.rule.metric
        what = "each end of the range" if metric in self.ranges else "the mean"
        return self.precision.text(f"{what} of {METRICS[metric].meaning!r}")

    @property
    def unstable(self) -> str:
        """In how many runs, and from when on, more want a place than the largest fleet has; empty if in none."""
        rows = self.values[self.values["metric"] == "unstable_after_s"]["value"].dropna()
        if rows.empty:
            return ""
        most = self.scenario.platform.transcode.max_nodes
        after_s = rows.median()
        begin = "the start" if after_s <= self.scenario.horizon.tick_s else f"{after_s / 3600:.2g} h after the start"
        return (
            f"UNSTABLE in {len(rows)} of {self.replications} runs: from {begin} on (median) more broadcasts want a "
            f"place than {most:,} nodes (max_nodes) hold; no wait is told there"
        )

    @cached_property
    def promise(self) -> Attainment | None:
        """How well the scenario's promise (`slo`) is kept; None where it makes none."""
        return attainment(self.values, self.scenario.slo) if self.scenario.slo else None

    def failures(self) -> pd.DataFrame:
        """Return what each failure hits and how long it takes until service is back, as `blast_radius.failures`.

        The viewers are NaN where nobody watched.
        """
        found = failures(self.events, self.ticks)
        return found if self.is_watched else found.assign(viewers=math.nan)

    @property
    def binding(self) -> str:
        """The resource of a transcode node that saturates first, by the mean over replications."""
        rows = self.summary[self.summary["metric"].str.startswith("full_node_")]
        return str(rows.loc[rows["mean"].idxmax(), "metric"]).removeprefix("full_node_")

    @cached_property
    def held(self) -> PlanRange | None:
        """The range of broadcasts a transcode node holds, where that was carried over; None where it was measured."""
        return fleet_range(self.scenario, self.profile, load_catalogue())

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Low and high end of each metric that is told as a range and not as one number; empty where none is."""
        least = self.scenario.platform.transcode.min_nodes
        follows = self.scenario.platform.transcode.follows_load
        if self.held is None:
            return {}
        usd_per_hour = float(self.nodes["price_usd_per_hour"].min()) if len(self.nodes) else 0.0
        floor = least * usd_per_hour * self.scenario.prices.hours_per_month
        return ranges(self.values, self.held, min_nodes=least, least_usd_per_month=floor, follows_load=follows)

    def texts(self, metric: str) -> Texts:
        """Return a metric as a reader wants it: value or range, 95 % interval of the mean, 95 % of days."""
        row = self.summary.set_index("metric").loc[metric]
        if metric in self.ranges:
            return Texts(range_text(*self.ranges[metric], row["unit"]), "–", "–", "–", "–")
        value, of_mean = interval_text(row["mean"], row["low"], row["high"], row["unit"])
        _, of_day = interval_text(row["mean"], row["day_low"], row["day_high"], row["unit"])
        return Texts(value, of_mean, *self._part_texts(metric, row["mean"], row["unit"]), of_day)

    @cached_property
    def parts(self) -> pd.DataFrame:
        """How far noise and ignorance each may move the mean, by metric, as `noise_and_ignorance.parts`."""
        return parts(self.values, self.middle).set_index("metric")

    def _part_texts(self, metric: str, mean: float, unit: str) -> tuple[str, str]:
        if metric not in self.parts.index:
            return "–", "–"
        noise, ignorance = self.parts.loc[metric, ["noise", "ignorance"]]
        return half_widths(float(noise), float(ignorance), unit, mean)

    @property
    def split_sentence(self) -> str:
        """Which part of the spread of the fleet's cost is ignorance; empty where that is told as a range."""
        if COST in self.ranges:
            return ""
        return sentence(METRICS[COST].meaning, split_of(self.values, self.middle, COST, self.seed))

    def rests_on(self) -> list[str]:
        """Return, in sentences, what the numbers rest on: the profile, what was carried over, what is assumed."""
        return list(dict.fromkeys(_rests_on(self.scenario, self.profile)))

    def table(self) -> pd.DataFrame:
        """Return the answer as a reader wants it, all as text.

        Columns: what, mean, 95 % interval (of the mean), ± noise, ± ignorance (how far each may move the mean; left out
        where no day was simulated in the middle world), 95 % of days. What rests on figures that nobody measured on the
        machine has a range in the place of its mean.
        """
        rows = [(METRICS[metric].meaning, *self.texts(metric)) for metric in self.summary["metric"]]
        value = "mean, or range" if self.ranges else "mean"
        titles = ["what", value, "95 % interval", *COLUMNS_OF_TABLE, "95 % of days"]
        table = pd.DataFrame(rows, columns=titles)
        return table if len(self.parts) else table.drop(columns=[*COLUMNS_OF_TABLE])

    def document(self) -> dict[str, Any]:
        """Return the answer as plain data: no time, path or host, so equal runs give equal text."""
        return {
            "title": self.scenario.title,
            "question": self.scenario.question,
            "profile": self.profile.name,
            "seed": self.seed,
            "replications": self.replications,
            "engine": "whole" if self.is_watched else "fleet",
            "precision": self.precision.document() if self.precision else None,
            "binding_resource": self.binding,
            "unstable": self.unstable or None,
            "promise": self.promise.document() if self.promise else None,
            "failures": _plain_rows(self.failures()),
            "rests_on": self.rests_on(),
            "ranges": {metric: list(ends) for metric, ends in self.ranges.items()},
            "metrics": _plain_rows(self.summary.merge(self.parts.reset_index(), on="metric", how="left")),
        }

    def plot_fleet(self) -> Figure:
        """Return broadcasts and transcode nodes over the day."""
        from sim import plots

        return plots.fleet(self)

    def plot_full_node(self) -> Figure:
        """Return what fills a transcode node first."""
        from sim import plots

        return plots.full_node(self)

    def plot_cost(self) -> Figure:
        """Return where a month's money goes."""
        from sim import plots

        return plots.cost(self)

    def plot_audience(self) -> Figure:
        """Return viewers and egress over the day."""
        from sim import plots

        return plots.audience(self)

    def plot_hit_ratios(self) -> Figure:
        """Return the hit ratios of segments and playlists over the day."""
        from sim import plots

        return plots.hit_ratios(self)

    def write(self, folder: Path) -> Path:
        """Write the result folder, whole or not at all; an older result at the place is replaced.

        Files: answer.json, summary.csv, metrics|middle.csv, ticks|broadcasts|nodes.parquet, run.json (when, where, with
        which versions, and the scenario and profile as used).

        Raises:
            NotReady: the folder cannot be written, or holds something that is not a result.
        """
        return write_whole_folder(folder, MARKER, "result", self._fill)

    def write_timeline(self, path: Path, replication: int = 0) -> Path:
        """Write one replication as a trace that Perfetto opens (`sim.timeline`).

        Raises:
            NotReady: it cannot be written there.
        """
        ticks, nodes, moments = (
            frame[frame["replication"] == replication].reset_index(drop=True)
            for frame in (self.ticks, self.nodes, self.events)
        )
        horizon = self.scenario.horizon
        about = {
            "title": self.scenario.title,
            "seed": self.seed,
            "replication": replication,
            "start_hour": horizon.start_hour,
        }
        return write_whole(path, timeline_text(Records(ticks, nodes, horizon.horizon_s, moments), about))

    def _fill(self, folder: Path) -> None:
        (folder / "answer.json").write_text(to_json(self.document()), encoding="utf-8")
        write_csv(self.summary, folder / "summary.csv")
        write_csv(self.values, folder / "metrics.csv")
        write_csv(self.middle, folder / "middle.csv")
        for name in FRAMES:
            table = pa.Table.from_pandas(getattr(self, name), preserve_index=False)
            pq.write_table(table, folder / f"{name}.parquet", write_page_checksum=True)
        (folder / MARKER).write_text(to_json(self._provenance()), encoding="utf-8")

    def _provenance(self) -> dict[str, Any]:
        return {
            "headroom_result": RESULT_VERSION,
            **made_here(),
            "seed": self.seed,
            "replications": self.replications,
            "precision": self.precision.document() if self.precision else None,
            "scenario": self.scenario.model_dump(mode="json"),
            "profile": self.profile.model_dump(mode="json"),
        }

    def _repr_html_(self) -> str:
        grounds = "".join(f"<li>{html.escape(line)}</li>" for line in self.rests_on())
        question = html.escape(self.scenario.question)
        return f"<p><b>{question}</b></p><ul>{grounds}</ul>{self.table().to_html(index=False)}"


def _plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain data; what is unknown, or never comes, is null."""
    finite = frame.replace([math.inf, -math.inf], math.nan)
    rows: list[dict[str, Any]] = finite.astype(object).where(finite.notna(), None).to_dict("records")
    return rows


def read_result(folder: Path) -> RunResult:
    """Return a result from its folder.

    Raises:
        ScenarioError: the folder is not a result of this version, or a table is damaged.
    """
    if not folder.is_dir():
        raise ScenarioError([Problem(str(folder), None, None, "", "no such folder", "name what --out was given")])
    try:
        provenance = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        version = provenance.get("headroom_result")
        if version != RESULT_VERSION:
            raise _no_result(folder, f"result version {version!r}, this headroom reads {RESULT_VERSION}")
        frames = {
            name: pq.read_table(folder / f"{name}.parquet", page_checksum_verification=True).to_pandas()
            for name in FRAMES
        }
        values, middle = (pd.read_csv(folder / f"{name}.csv") for name in ("metrics", "middle"))
    except (OSError, ValueError) as error:
        raise _no_result(folder, f"not a result of `headroom run`, or damaged ({error})") from error
    return RunResult(
        scenario=Scenario.model_validate_json(json.dumps(provenance["scenario"])),
        profile=Profile.model_validate_json(json.dumps(provenance["profile"])),
        seed=provenance["seed"],
        values=values,
        middle=middle,
        precision=attained(provenance["precision"]) if provenance.get("precision") else None,
        **frames,
    )


def _no_result(folder: Path, message: str) -> ScenarioError:
    hint = "run the scenario again; a run.json in it holds scenario, profile and seed as they were used"
    return ScenarioError([Problem(str(folder), None, None, "", message, hint)])


def to_json(document: dict[str, Any]) -> str:
    """Return a document as JSON text: keys as they stand, no NaN, one final newline."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rests_on(scenario: Scenario, profile: Profile) -> Iterator[str]:
    on_cpu = [kind for kind in kinds_of_nodes(scenario) if encoding_accelerator(kind, load_catalogue()) is None]
    for kind in on_cpu:
        yield from extrapolation(profile, kind.workload.source, kind.ladder)
    measured, machine = profile.measured, profile.machine
    chief = measured.chief
    holding = "of which none failed" if chief.capacity_streams is None else f"of which {chief.capacity_streams} hold"
    yield (
        f"profile {profile.name}: measured {measured.date} on {machine.cores} cores of {machine.cpu_model}, "
        f"{profile.encoder.backend} {profile.encoder.preset}, {chief.concurrent_streams[0]} to "
        f"{chief.concurrent_streams[-1]} streams of {chief.name} at once, {holding}"
        + ("; other load disturbed it, its intervals are wider" if measured.contended else "")
    )
    for kind in on_cpu:
        yield held_out_text(profile, kind.workload.source, kind.ladder)
    spec = scenario.platform.transcode
    yield from fleet_grounds(scenario, profile, load_catalogue())
    if spec.nic_bps is not None:
        yield f"assumed: {spec.nic_bps / 1e9:g} Gbit/s of network for a {spec.instance} node"
    yield from assumed_grounds(scenario)
    table = load_catalogue().egress[scenario.prices.egress]
    yield f"egress at {table.name} ({table.citation.source}, {table.citation.date})"
    yield "assumed: the rest of the scenario's inputs, unless a comment in it names a source"

"""The answer of a run in sentences, written from its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scenarios.catalogue import load_catalogue
from sim.answer_of_outcomes import outcomes
from sim.assumed_grounds import node_price_text
from sim.fleet_grounds import shares_of_kinds
from sim.format import interval_text
from sim.node_plan import RESOURCE_NAMES
from sim.results import RunResult
from sim.statistics.intervals import quantile_interval

DAY_S = 86_400.0
SUFFICES = 0.9
"""Share of days for which a fleet is told that suffices."""
FEWEST_FOR_A_QUANTILE = 10
"""Days."""
TOO_MANY_REFUSED = 0.01
"""Share of broadcasts refused from which a fleet is not called what is needed."""


def value_text(mean: float, low: float, high: float, unit: str) -> str:
    """Return a value with its unit and, where it has one of some width, its interval in brackets."""
    value, between = interval_text(mean, low, high, unit)
    ends = between.split(" … ")
    return value if ends[0] == ends[-1] else f"{value} ({between})"


def days_text(result: RunResult, metric: str) -> str:
    """Return the range in which 95 % of days lie, in the unit of the mean; empty where there is none to tell."""
    days = result.texts(metric).of_day
    return "" if days == "–" else days


def answer(result: RunResult) -> list[str]:
    """Return the sentences that answer the scenario's question: size, what binds, cost, quality."""
    text = {row.metric: value_text(row.mean, row.low, row.high, row.unit) for row in result.summary.itertuples()}
    text |= {metric: result.texts(metric).value for metric in result.ranges}
    flag = [f"{result.unstable}."] if result.unstable else []
    promise = [f"{result.promise.sentence}."] if result.promise else []
    told = [*flag, _size(result, text), _fullness(result, text), *_cost(result, text), *_quality(result, text)]
    parts = [f"{result.split_sentence}."] if result.split_sentence else []
    return [*told, *promise, *outcomes(result, text), *parts]


def binding_text(result: RunResult) -> str:
    """Return which resource of a transcode node binds; over a range of what is not known there may be several."""
    binds = dict.fromkeys((result.binding, *(result.held.binds if result.held else ())))
    names = " or ".join(RESOURCE_NAMES[resource] for resource in binds)
    return f"{names[0].upper()}{names[1:]} {'bind' if names.endswith('s') else 'binds'}"


FAILURE_TITLES = ("failure", "at", "nodes", "broadcasts", "viewers", "99 % are back after")
"""Of the cells of `failure_rows`."""


def failure_rows(result: RunResult) -> Iterator[tuple[str, ...]]:
    """Yield a row of text for each failure: what, local time, what it hits on average, and when service is back."""
    for row in result.failures().itertuples():
        day, minute = divmod(round(result.scenario.horizon.start_hour * 60 + row.at_s / 60), 24 * 60)
        moment = f"{minute // 60:02d}:{minute % 60:02d}" + (f", day {day + 1}" if day else "")
        back = "not within the run" if math.isinf(row.back_after_s) else f"{row.back_after_s:,.0f} s"
        viewers = f"{row.viewers:,.0f}" if result.is_watched else "–"
        yield row.what, moment, f"{row.nodes:,.0f}", f"{row.broadcasts:,.0f}", viewers, back


def _size(result: RunResult, text: dict[str, str]) -> str:
    workload = result.scenario.workload
    asked = (
        f"{workload.broadcasts.peak_concurrent:,.0f} concurrent broadcasts and their "
        f"{workload.audience.peak_viewers:,.0f} viewers, as expected at the highest moment"
        f"{_of_an_ordinary_day(result)},"
    )
    room = f"of {_node(result)}, each with room for {text['broadcasts_per_node']}"
    most = result.scenario.platform.transcode.max_nodes
    peaks = result.values.loc[result.values["metric"] == "nodes_peak", "value"]
    if peaks.max() >= most:
        return f"{asked} reach the limit of {most:,} nodes (max_nodes) {room}; they may need more."
    if result.summary.set_index("metric")["mean"]["refused_fraction"] > TOO_MANY_REFUSED:
        few = f"of {most:,} allowed (max_nodes), which are too few or come too late"
        return f"{asked} find no more than {text['nodes_peak']} {room}, {few}."
    days = days_text(result, "nodes_peak")
    on_most_days = f"; 95 % of days need {days}" if days else ""
    return f"{asked} need {text['nodes_peak']} {room}{on_most_days}.{_suffices(result)}"


def _of_an_ordinary_day(result: RunResult) -> str:
    """Return that a day has events on top of what is expected of it, and how many are served then."""
    if not result.scenario.workload.events:
        return ""
    text = result.texts("viewers_peak").value if result.is_watched else result.texts("broadcasts_peak").value
    return f" of an ordinary day (with its events {text} at once)"


def _suffices(result: RunResult) -> str:
    """Return how many nodes suffice on nine days of ten, by order statistics; empty where the fleet is a range."""
    if "nodes_peak" in result.ranges or result.replications < FEWEST_FOR_A_QUANTILE:
        return ""
    peaks = result.values.loc[result.values["metric"] == "nodes_peak", "value"].to_numpy(float)
    value, low, high = quantile_interval(peaks, SUFFICES)
    ends = (
        f"{low:,.0f} … {high:,.0f}" if math.isfinite(high) else f"at least {low:,.0f}; so few days bound no upper end"
    )
    return f" On {SUFFICES:.0%} of days {math.ceil(value):,} suffice ({ends})."


def _node(result: RunResult) -> str:
    name, *others = (kind.platform.transcode.instance for kind, _ in shares_of_kinds(result.scenario))
    if others:
        return " and ".join(dict.fromkeys([name, *others]))
    if not load_catalogue().instances[name].is_this_machine:
        return name
    machine = result.profile.machine
    return f"the measured machine ({machine.cores} cores of {machine.cpu_model})"


def _fullness(result: RunResult, text: dict[str, str]) -> str:
    binding = result.binding
    others = [name for name in RESOURCE_NAMES if name != binding and f"full_node_{name}" in text]
    stand = ", ".join(f"{RESOURCE_NAMES[name]} at {text[f'full_node_{name}']}" for name in others)
    binds = binding_text(result)
    it_stands = "they stand" if binds.endswith("bind") else "it stands"
    return f"{binds}: on a full node {it_stands} at {text[f'full_node_{binding}']} of what planning may use, {stand}."


def _cost(result: RunResult, text: dict[str, str]) -> Iterator[str]:
    hour = text["usd_per_stream_hour"]
    an_hour = "" if hour == "–" else f": {_usd(hour, 'USD/h')} for an hour of broadcast"
    month = _usd(text["transcode_usd_per_month"])
    costs = f"costs {month}, at {node_price_text(result.scenario)}{an_hour}"
    horizon_s = result.scenario.horizon.horizon_s
    if horizon_s % DAY_S == 0:
        yield f"A month of the transcode nodes {costs}."
    else:
        yield f"A month of the transcode nodes, if all its hours were like these {horizon_s / 3600:.3g}, {costs}."
    if not result.is_watched:
        yield f"Ingest nodes add {_usd(text['ingest_usd_per_month'])}, at list prices; viewers were not simulated."
        return
    yield (
        f"Ingest nodes add {_usd(text['ingest_usd_per_month'])}, chat nodes {_usd(text['chat_usd_per_month'])}, "
        f"and delivery to viewers {_usd(text['egress_usd_per_month'])}, at list prices."
    )


def _usd(text: str, unit: str = "USD/month") -> str:
    return text.replace(unit, "USD")


def _quality(result: RunResult, text: dict[str, str]) -> Iterator[str]:
    refused = result.summary.set_index("metric")["mean"]["refused_fraction"]
    if refused == 0:
        yield "No broadcast is refused or gives up."
    elif refused > 0:  # NaN where none asked
        yield f"{text['refused_fraction']} of broadcasts are refused or give up."
    if (wait := text["start_wait_p95_s"]) != "–":
        yield f"95 % of those that start have their first segment within {wait}."

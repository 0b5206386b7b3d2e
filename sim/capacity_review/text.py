"""A review in words: its tables as text, and the answer in sentences written from the numbers."""

from __future__ import annotations

import html as markup
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from sim.capacity_review.assumptions import assumptions
from sim.capacity_review.finals import LEAST
from sim.capacity_review.measure_next import Influence
from sim.capacity_review.result import NO_RISK
from sim.capacity_review.screening import values_of
from sim.capacity_review.standings import others_stand_at
from sim.format import interval_text, range_text
from sim.node_plan import RESOURCE_NAMES
from sim.ranges import COST
from sim.sampling import stream
from sim.statistics.intervals import Interval, ratio_interval

if TYPE_CHECKING:
    from sim.capacity_review.result import Review

BEST_TO_SHOW = 5
"""Sources of ignorance in a table."""
NOTHING = "–"
"""Stands where there is no figure."""
EXTRAPOLATED = "EXTRAPOLATED"
"""How `sim.coverage` begins what it says of a profile that is used beyond its range."""
OF_NODE = ["a node holds", "binds", "list price", "rests on"]
"""Columns of `table` that are about one node, where a whole row is too wide."""


def table(review: Review) -> pd.DataFrame:
    """Return a row of text for each type, finalists first."""
    return _told(pd.DataFrame([_type_row(row) for row in review.standings.to_dict("records")]))


def _told(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that tell something of some row."""
    return rows.loc[:, (rows != NOTHING).any()]


def _type_row(row: Mapping[str, Any]) -> dict[str, str]:
    date = row["price_date"] if isinstance(row["price_date"], str) else "assumed"
    return {
        "type": row["instance"],
        "a node holds": _places(row, "…"),
        "binds": f"{RESOURCE_NAMES[row['binding']]}; {others_stand_at(row)}",
        "nodes at the peak": _ends(row, "nodes_peak", "nodes", of_range=row["is_range"]).replace(" nodes", ""),
        "USD/month": _ends(row, COST, "", of_range=row["is_range"]),
        "USD/h of broadcast": _ends(row, "usd_per_stream_hour", "", of_range=row["is_range"]),
        "keeps the promise": f"{row['kept_days']:.0%} ({row['kept_low']:.0%} … {row['kept_high']:.0%})",
        "is cheapest": f"{row['chance']:.0%} ({row['chance_low']:.0%} … {row['chance_high']:.0%})",
        "interrupted": _number(row["interrupted"], "broadcasts"),
        "viewer-hours lost": _number(row["viewer_hours_lost"], ""),
        "list price": f"{row['price_usd_per_hour']:g} USD/h, {date}",
        "rests on": row["rests_on"],
        "days": f"{row['replications']}" + ("" if row["is_finalist"] else ", fleet alone"),
    }


def purchase_table(review: Review) -> pd.DataFrame:
    """Return a row of text for each finalist and way to buy its nodes."""
    rows = []
    for row in review.purchases.to_dict("records"):
        reserved = f", {row['reserved_nodes']:,.0f} reserved" if row["reserved_nodes"] else ""
        name = f"{row['instance']}, {row['way']}"
        rows.append(
            {
                "type": row["instance"],
                "bought": f"{row['way']}{reserved}",
                "USD/month": _ends(row, COST, "", of_range=row["is_range"]),
                "USD/h of broadcast": f"{row['usd_per_stream_hour']:.3g}",
                "keeps the promise": f"{row['kept_days']:.0%}",
                "interrupted": _number(row["interrupted"], "broadcasts"),
                "viewer-hours lost": _number(row["viewer_hours_lost"], ""),
                "viewer-time not served": _risk(row["unserved_viewer_fraction"]),
                "on the front": "yes" if name in review.front else "",
                "days": f"{row['replications']}",
            }
        )
    return _told(pd.DataFrame(rows))


def influence_table(review: Review) -> pd.DataFrame:
    """Return a row of text for each source of ignorance, the most valuable to measure first."""
    return pd.DataFrame([_influence_row(one, review.leader) for one in review.influences])


def _influence_row(one: Influence, leader: str) -> dict[str, str]:
    ends = (one.costly.leader_is_cheapest.value, one.cheap.leader_is_cheapest.value)
    return {
        "what is not known": one.meaning,
        "touches": ", ".join(one.touches),
        "cheapest at its costly end": one.costly.cheapest,
        "cheapest at its cheap end": one.cheap.cheapest,
        f"{leader} is cheapest": " … ".join(f"{end:.0%}" for end in ends),
        "beyond noise": "yes" if one.moves else "no",
        "worth knowing": f"{one.usd_per_month:,.0f} USD/month",
    }


def answer(review: Review) -> Iterator[str]:
    """Yield the sentences that answer which type to take; the first of them alone is the answer."""
    row = review.standings.loc[review.leader]
    yield _verdict(review, row)
    yield from _distance(review)
    yield _size(row)
    yield from _buying(review)
    yield from _next_measurement(review)
    if row["is_range"]:
        yield (
            f"Nobody has measured a {review.leader} here: its fleet and its cost are ranges, and all types share what "
            "is not known of the measured machine, so their order is surer than the size of any fleet."
        )


def _verdict(review: Review, row: pd.Series[Any]) -> str:
    promise = review.promises[review.leader]
    if not review.is_kept:
        fails = "; ".join(missed.text for missed in promise.missed[:2])
        return (
            f"No finalist keeps the promise on {promise.wanted:.0%} of days: the nearest is {review.leader}, on "
            f"{promise.text} ({fails})."
        )
    return (
        f"Of {len(review.candidates)} types {review.leader} carries it at the least cost, "
        f"{_ends(row, COST, 'USD/month', of_range=row['is_range'])}; it keeps the promise on {promise.text}, and "
        f"{_lead(review)}."
    )


def _lead(review: Review) -> str:
    """Return how sure it is that the leader is the cheapest, and among whom."""
    if len(review.finals) == 1:
        return "is the only finalist, as the others were dropped in the screening"
    share = _share_text(review.chances[review.leader], f"{review.finals[review.leader].replications} days")
    if len(review.keeping) == 1:
        return f"no other finalist does; of those that keep it on a single day it is the cheapest in {share}"
    joint = _share_text(review.joint_chances[review.leader], f"{len(review.joint.places):,} joint draws")
    return f"of those that keep it is the cheapest in {share} and in {joint} of what is not known"


def _distance(review: Review) -> Iterator[str]:
    """Yield by how much the other finalists cost more, with paired days."""
    usd = values_of(review.finals[review.leader], COST)
    told = []
    for name in review.standings.index:
        if name == review.leader or name not in review.finals:
            continue
        ratio = ratio_interval(values_of(review.finals[name], COST), usd, stream(review.seed, 0, "bootstrap"))
        misses = name not in review.keeping
        promise = f" but keeps the promise only on {review.promises[name].text}" if misses else ""
        told.append(f"{name} costs {ratio.value:.2f} times ({ratio.low:.2f} … {ratio.high:.2f}) as much{promise}")
    if told:
        yield f"On the same days {', '.join(told)}."


def _size(row: pd.Series[Any]) -> str:
    return (
        f"A node holds {_places(row, 'to')} broadcasts, where {RESOURCE_NAMES[row['binding']]} binds "
        f"({others_stand_at(row)}); the fleet has "
        f"{_ends(row, 'nodes_peak', 'nodes', of_range=row['is_range'])} at its highest moment, and at "
        f"the lowest of the mean day {row['nodes_least'] / row['nodes_most']:.0%} of that day's most."
    )


def _buying(review: Review) -> Iterator[str]:
    rows = review.purchases[review.purchases["instance"] == review.leader].sort_values(COST)
    ways = []
    for row in rows.to_dict("records"):
        reserved = f" ({row['reserved_nodes']:,.0f} nodes reserved)" if row["reserved_nodes"] else ""
        lost = row["interrupted"]
        hits = f", {_number(lost, 'broadcasts')} interrupted" if not math.isnan(lost) else ""
        usd = _ends(row, COST, "USD/month", of_range=row["is_range"])
        is_kept = row["kept_days"] >= review.slo.share_of_days
        promise = "" if is_kept else f", but the promise is kept on {row['kept_days']:.0%} of days only"
        ways.append(f"{row['way']}{reserved} {usd}{hits}{promise}")
    days, whole = int(rows["replications"].min()), review.finals[review.leader].replications
    shorter = "" if days == whole else f", on the first {days} of the {whole} days"
    yield f"By how its nodes are bought{shorter}: {'; '.join(ways)}."


def _next_measurement(review: Review) -> Iterator[str]:
    choice = review.choice
    if review.is_kept and choice.candidate != review.leader:
        less = 1 - choice.usd_per_month / float(review.joint_costs[review.leader].mean())
        yield (
            f"In the mean of the joint draws {choice.candidate} costs {less:.1%} less than {review.leader}, so days "
            "and what is not known disagree on the cheapest."
        )
    everything = choice.perfect_information_usd_per_month
    worth = [one for one in review.influences if one.usd_per_month > 0]
    if worth:
        one = worth[0]
        others = [end.cheapest for end in (one.costly, one.cheap) if end.flips]
        falls = f", as the choice may fall on {others[0]}" if others else ""
        yield (
            f"Measure first: {one.meaning}. It is worth {one.usd_per_month:,.0f} USD/month to know before choosing"
            f"{falls}; knowing everything would be worth {everything:,.0f}."
        )
    elif len(review.keeping) > 1:
        yield (
            "No single measurement changes the choice beyond the noise of the draws; knowing everything would save "
            f"{everything:,.0f} USD/month in the mean."
        )


def notes(review: Review) -> Iterator[str]:
    """Yield in sentences what a reader of the tables must know: who was dropped, what is extrapolated, how it went."""
    for name, why in review.dropped.items():
        yield f"{name} was dropped in the screening: {why}"
    for names, respects in beyond(review):
        told = "; ".join(respects)
        yield f"{EXTRAPOLATED}: {names}, beyond what profile {review.profile.name} was measured for: {told}"
    yield from course(review)


def beyond(review: Review) -> Iterator[tuple[str, list[str]]]:
    """Yield which types are judged beyond what the profile was measured for, the answer's first, and in what."""
    types: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(review.candidates, key=lambda name: name != review.leader):
        lines = [line for line in review.result(name).rests_on() if line.startswith(EXTRAPOLATED)]
        if lines:
            types.setdefault(tuple(line.partition(": ")[2] for line in lines), []).append(name)
    for respects, names in types.items():
        yield " and ".join(names), list(respects)


def course(review: Review) -> Iterator[str]:
    """Yield in sentences how the review went: how many days, and why it ended."""
    days = next(iter(review.finals.values())).replications
    screened = next(iter(review.screened.values())).replications
    left = len(review.finals)
    yield (
        f"{screened} days of the control plane of each type, {days} full days of {left} finalist"
        + ("s" if left > 1 else "")
        + f", {LEAST} of each way to buy; seed {review.seed}: {review.stopped}"
    )
    if left > 3:
        yield f"{left} types went on to the finals, since the screening did not tell them from the third best"
    yield from review.joint.told()


def grounds(review: Review) -> Iterator[str]:
    """Yield what all finalists rest on, what a review assumes, and the range of each type's node."""
    lines = [result.rests_on() for result in review.finals.values()]
    yield from (line for line in lines[0] if all(line in other for other in lines[1:]))
    yield from assumptions(review)
    for name, result in review.finals.items():
        held = result.held
        if held is not None:
            many = f"{held.low} to {held.high} broadcasts, {held.middle} in the middle of all ranges"
            yield f"{name}: a node holds {many}"


def html(review: Review) -> str:
    """Return the review as a notebook shows it: answer, tables, notes; every text escaped."""
    first, *others = (markup.escape(sentence) for sentence in answer(review))
    told = "".join(f"<li>{markup.escape(line)}</li>" for line in notes(review))
    tables = (table(review), purchase_table(review), influence_table(review).head(BEST_TO_SHOW))
    shown = "".join(frame.to_html(index=False) for frame in tables)
    question = markup.escape(review.scenario.question)
    return f"<p>{question}</p><p><b>{first}</b> {' '.join(others)}</p>{shown}<ul>{told}</ul>"


def _places(row: Mapping[str, Any] | pd.Series[Any], between: str) -> str:
    if math.isnan(row["places_low"]):
        return f"{row['places']:.3g}"
    return f"{row['places_low']:g} {between} {row['places_high']:g}"


def _share_text(chance: Interval, of: str) -> str:
    return f"{chance.value:.0%} of {of} ({chance.low:.0%} … {chance.high:.0%})"


def _ends(row: Mapping[str, Any] | pd.Series[Any], metric: str, unit: str, *, of_range: bool) -> str:
    """Return a value with its interval, or its range alone."""
    value, low, high = (float(row[name]) for name in (metric, f"{metric}_low", f"{metric}_high"))
    if of_range:
        return range_text(low, high, unit)
    told, between = interval_text(value, low, high, unit)
    ends = between.split(" … ")
    return told if ends[0] == ends[-1] else f"{told} ({between})"


def _number(value: float, unit: str) -> str:
    return interval_text(value, math.nan, math.nan, unit)[0].removesuffix(f" {unit}")


def _risk(fraction: float) -> str:
    """Return a share of viewer-time, or that it is less than can be told from none."""
    return f"< {100 * NO_RISK:g} %" if 0 < fraction < NO_RISK else _number(fraction, "1")

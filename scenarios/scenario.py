"""The root of the language: one question about one platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from scenarios.base import Name, PositiveSeconds, SpecModel, Text
from scenarios.catalogue import Catalogue
from scenarios.encoding import why_not
from scenarios.failures import Failure, SpotStorm, ZoneLoss
from scenarios.ladder import Ladder
from scenarios.platform import Platform
from scenarios.slo import Slo
from scenarios.workload import Workload
from scenarios.workload_findings import workload_findings


class Horizon(SpecModel):
    """The span of time that is simulated."""

    start_hour: Annotated[float, Field(ge=0, lt=24)]
    """Local time of day at which the simulation starts."""
    horizon_s: PositiveSeconds
    tick_s: PositiveSeconds = 30.0
    """Step of the audience, the caches and the chat."""


class Interval(SpecModel):
    """A range of an assumed input; every value in it is held to be as likely."""

    low: Annotated[float, Field(gt=0, le=1e9)]
    high: Annotated[float, Field(gt=0, le=1e9)]

    @model_validator(mode="after")
    def _ordered(self) -> Interval:
        if self.high < self.low:
            raise ValueError(f"high ({self.high:g}) is below low ({self.low:g})")
        return self


class Prices(SpecModel):
    """How hours and bytes become dollars a month."""

    egress: Name
    """A table of `scenarios/prices`."""
    hours_per_month: Annotated[float, Field(gt=0, le=744)] = 730.0
    """Hours of a month that are like the simulated ones: 730 if all are, 220 for ten hours of 22 working days.

    Only these are paid for; nodes that are reserved, all 730.
    """


class Finding(NamedTuple):
    """Something wrong between parts that are each right: the path of the value, what, and what to do."""

    path: tuple[str | int, ...]
    message: str
    hint: str


class Scenario(SpecModel):
    """One platform, one span of time, one question."""

    headroom: Literal[1]
    """Version of the language."""
    title: Text
    question: Text
    profile: Name
    """Calibration profile of `scenarios/profiles`; `--profile` overrides it."""
    extrapolate: bool = False
    """Use the profile beyond what it was measured for, as `--extrapolate` does; the output says in what respects."""
    horizon: Horizon
    workload: Workload
    ladder: Ladder
    platform: Platform
    failures: Annotated[tuple[Failure, ...], Field(max_length=1000)] = ()
    """What goes wrong or is done at known moments."""
    prices: Prices
    slo: Slo | None = None
    """What the platform promises; a review judges instance types by it."""
    anchor_coremark_per_vcpu: Interval = Interval(low=16_000.0, high=32_000.0)
    """CoreMark per core of the machine the profile was measured on; assumed, since `measure` cannot read it.

    Only used to carry the profile over to another CPU type.
    """
    replications: Annotated[int, Field(ge=2, le=10_000)] | Literal["auto"] = "auto"
    """Independent runs; `auto` takes as many, from 10 on, as make the answer precise."""

    def findings(self, catalogue: Catalogue) -> Iterator[Finding]:
        """Yield what is wrong across parts: dangling names, shares of rungs that do not exist, missing prices."""
        yield from self._rung_findings()
        yield from (Finding(*found) for found in workload_findings(self))
        for part in ("ingest", "transcode", "chat"):
            yield from self._instance_findings(part, catalogue)
        yield from self._pool_findings(catalogue)
        yield from self._failure_findings()
        yield from self._region_findings()
        if self.prices.egress not in catalogue.egress:
            yield Finding(
                ("prices", "egress"),
                f"no price table {self.prices.egress!r}",
                catalogue.suggest(self.prices.egress, catalogue.egress),
            )
        if self.horizon.tick_s > self.horizon.horizon_s:
            yield Finding(("horizon", "tick_s"), "longer than horizon_s", "choose a tick of 10 s to 60 s")

    def _rung_findings(self) -> Iterator[Finding]:
        rungs = {rung.name for rung in self.ladder.rungs}
        shares = self.workload.audience.rung_shares
        for name in sorted(shares.keys() - rungs):
            yield Finding(
                ("workload", "audience", "rung_shares", name),
                f"the ladder has no rung {name!r}",
                f"its rungs are {', '.join(sorted(rungs))}",
            )
        for name in sorted(rungs - shares.keys()):
            yield Finding(
                ("workload", "audience", "rung_shares"),
                f"no share for the rung {name!r}",
                "give every rung a share, 0 for one that nobody watches",
            )
        source = self.workload.source
        yield from self._copied_findings()
        for index, rung in enumerate(self.ladder.rungs):
            if rung.copied:
                continue  # it must equal the source, as was just said
            if rung.exceeds(source):
                yield Finding(
                    ("ladder", "rungs", index),
                    f"rung {rung.name} ({rung.label}) exceeds the source ({source.label})",
                    "a ladder never enlarges; drop the rung or raise workload.source",
                )

    def _copied_findings(self) -> Iterator[Finding]:
        rung, source = self.ladder.copied, self.workload.source
        if rung is None:
            return
        for field in ("width", "height", "fps", "codec", "bitrate_bps"):
            ours, sent = getattr(rung, field), getattr(source, field)
            if ours != sent:
                yield Finding(
                    ("ladder", "rungs", 0, field),
                    f"rung {rung.name} is copied, so its {field} is the source's: {_plain(sent)}, not {_plain(ours)}",
                    f"write {field}: {_plain(sent)}, or leave out copied: true to encode the rung",
                )

    def _pool_findings(self, catalogue: Catalogue) -> Iterator[Finding]:
        for index, pool in enumerate(self.platform.transcode.pools):
            path = ("platform", "transcode", "pools", index)
            if pool.instance is not None and pool.instance not in catalogue.instances:
                yield Finding(
                    (*path, "instance"),
                    f"no instance type {pool.instance!r} in the catalogue",
                    catalogue.suggest(pool.instance, catalogue.instances),
                )
            elif pool.instance is not None and catalogue.instances[pool.instance].is_this_machine:
                if self.platform.transcode.instance != pool.instance:
                    yield Finding(
                        (*path, "instance"),
                        "a pool of this-machine has no price and no rated network of its own",
                        "write instance: this-machine under platform.transcode, and the other type in a pool",
                    )
            else:
                changes = {"instance": pool.instance or self.platform.transcode.instance, "encode_on": pool.encode_on}
                kind = self.platform.transcode.model_copy(
                    update={name: value for name, value in changes.items() if value is not None}
                )
                if pool.instance is not None or pool.encode_on is not None:
                    refusal = why_not(kind, self.workload.source, self.ladder, catalogue)
                    if refusal is not None:
                        yield Finding(path, refusal.message, refusal.hint)

    def _failure_findings(self) -> Iterator[Finding]:
        zones = self.platform.transcode.zones
        yield from self._together_findings()
        for index, failure in enumerate(self.failures):
            path = ("failures", index)
            if failure.at_s >= self.horizon.horizon_s:
                yield Finding(
                    (*path, "at_s"),
                    f"{failure.at_s:g} s is not before the end of the run ({self.horizon.horizon_s:g} s)",
                    "choose an earlier moment, or a longer horizon_s",
                )
            if not isinstance(failure, ZoneLoss | SpotStorm):
                continue
            for zone in sorted(set(failure.zones) - set(zones)):
                yield Finding((*path, "zones"), f"there is no zone {zone!r}", Catalogue.suggest(zone, zones))
            known = self.platform.cdn.cluster_regions or ()
            for region in sorted(set(failure.cdn_regions) - set(known)) if isinstance(failure, ZoneLoss) else ():
                yield Finding(
                    (*path, "cdn_regions"),
                    f"no cluster stands in the region {region!r}",
                    Catalogue.suggest(region, known) if known else "give platform.cdn its cluster_regions",
                )
            if isinstance(failure, ZoneLoss) and known and set(failure.cdn_regions) >= set(known):
                yield Finding((*path, "cdn_regions"), "no cluster is left", "keep one region")
            if isinstance(failure, ZoneLoss) and set(failure.zones) >= set(zones):
                yield Finding((*path, "zones"), "no zone is left", "keep one, or give platform.transcode more zones")
            if isinstance(failure, SpotStorm) and not any(
                pool.purchase in ("spot", "preemptible") for pool in self.platform.transcode.pools
            ):
                yield Finding(path, "there is no spot node for a storm to take", "add a pool with purchase: spot")

    def _together_findings(self) -> Iterator[Finding]:
        """Yield losses of CDN regions that leave no cluster because they overlap."""
        known = set(self.platform.cdn.cluster_regions or ())
        losses = [(index, failure) for index, failure in enumerate(self.failures) if isinstance(failure, ZoneLoss)]
        for index, failure in losses:
            others = [other for _, other in losses if other.at_s <= failure.at_s <= other.at_s + other.duration_s]
            if len(others) > 1 and known and {region for other in others for region in other.cdn_regions} >= known:
                yield Finding(
                    ("failures", index, "cdn_regions"),
                    "no cluster is left while the failures before it last",
                    "keep one region at every moment",
                )

    def _region_findings(self) -> Iterator[Finding]:
        clusters = self.platform.cdn.cluster_regions
        regions = [region.name for region in self.workload.regions]
        if clusters is None or not regions:
            return
        path = ("platform", "cdn", "cluster_regions")
        for name in sorted(set(clusters) - set(regions)):
            yield Finding(path, f"the workload has no region {name!r}", Catalogue.suggest(name, regions))
        for name in sorted(set(regions) - set(clusters)):
            yield Finding(path, f"no cluster stands in the region {name!r}", "give it one")

    def _instance_findings(self, part: str, catalogue: Catalogue) -> Iterator[Finding]:
        spec = getattr(self.platform, part)
        path = ("platform", part, "instance")
        if spec.instance not in catalogue.instances:
            yield Finding(
                path,
                f"no instance type {spec.instance!r} in the catalogue",
                catalogue.suggest(spec.instance, catalogue.instances),
            )
            return
        if part == "transcode":
            refusal = why_not(self.platform.transcode, self.workload.source, self.ladder, catalogue)
            if refusal is not None:
                yield Finding(*refusal)
        if not catalogue.instances[spec.instance].is_this_machine:
            return
        if part != "transcode":
            yield Finding(path, "only the transcode fleet can run on this-machine", "name a catalogue type")
            return
        for field in ("node_price_usd_per_hour", "nic_bps"):
            if getattr(spec, field) is None:
                yield Finding(
                    ("platform", part),
                    f"missing key {field!r}: this-machine has no list price and no rated network",
                    f"add {field} under platform.transcode, as an assumption of yours",
                )


def _plain(value: str | float) -> str:
    """Return a value as a scenario has it: a whole number without its `.0`, never as a power of ten."""
    return value if isinstance(value, str) else f"{value:.15g}"

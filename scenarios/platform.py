"""What the platform is built of: ingest, transcode fleet, CDN and chat."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.accelerator import NvencPreset
from scenarios.admission import Admission, Open
from scenarios.autoscaler import Autoscaler
from scenarios.base import (
    BitsPerSecond,
    ByteCount,
    Name,
    PositiveCount,
    PositivePerSecond,
    PositiveRatio,
    PositiveSeconds,
    Seconds,
    SpecModel,
    UsdPerHour,
)
from scenarios.cache_policy import CachePolicy, Collapsed
from scenarios.law import Constant, DurationLaw
from scenarios.nodes import Drain, Migration, NodePool
from scenarios.retry import Retry


class Ingest(SpecModel):
    """Where broadcasters connect: an auth service in front of nodes that relay the stream."""

    instance: Name
    nodes: PositiveCount
    auth_limit_per_s: PositivePerSecond
    """Publish requests the auth service answers per second; a token bucket."""
    auth_burst: PositiveCount
    """Requests it answers at once after a quiet time."""
    auth_wait_limit_s: Seconds
    """A broadcaster who would wait longer for an answer is refused."""
    planning_utilisation: PositiveRatio = 0.7
    """Share of a node's network that may be used."""
    retry: Retry = Retry()
    """How a publisher comes back whose broadcast was interrupted. One that was refused at first does not."""


class Transcode(SpecModel):
    """The fleet that decodes each source once and encodes its ladder."""

    instance: Name
    """`this-machine` for the machine the profile was measured on, or a type of the catalogue."""
    node_price_usd_per_hour: UsdPerHour | None = None
    """Overrides the catalogue's on-demand price; required for `this-machine`, which has none."""
    nic_bps: BitsPerSecond | None = None
    """Overrides the catalogue's network baseline; required for `this-machine`."""
    encode_on: Literal["accelerator", "cpu"] | None = None
    """What encodes: the accelerator of a type that has one, its CPU otherwise, unless this says which."""
    nvenc_preset: NvencPreset = "p4"
    """Preset of NVENC, low latency, where a GPU encodes; on a CPU the profile names the encoder and its preset."""
    planning_utilisation: PositiveRatio = 0.8
    """Share of the measured capacity that may be used: live video has no time to catch up."""
    min_nodes: PositiveCount
    max_nodes: Annotated[int, Field(ge=1, le=1_000_000)]
    scheduling: DurationLaw = Constant(kind="constant", mean_s=0.0)
    """From the order of a node until the provider starts it."""
    boot: DurationLaw
    """From its start until it runs; with `scheduling` and `image_pull` at 0, until it can take a broadcast."""
    image_pull: DurationLaw = Constant(kind="constant", mean_s=0.0)
    """From then until the container is there and healthy. Assumed; a large GPU image takes up to 600 s."""
    zones: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)] = ("a",)
    """Where its nodes stand; each pool is spread evenly over its zones."""
    pools: Annotated[tuple[NodePool, ...], Field(max_length=100)] = ()
    """Kinds of nodes; if empty, one on demand of `instance`, held at `min_nodes` at least."""
    placement: Literal["best_fit", "spread"] = "best_fit"
    """On the fullest node with room, or on the emptiest one."""
    queue_deadline_s: Seconds
    """A broadcast that finds no place waits this long, then gives up; 0 refuses at once."""
    queue_limit: PositiveCount | None = None
    """Most that may wait; null for no limit."""
    admission: Admission = Open()
    drain: Drain = Drain()
    migration: Migration = Migration()
    drop_after_s: PositiveSeconds = 10.0
    """A node that has fallen so far behind drops pictures instead; assumed, 2 to 30 s."""
    launch_retry_s: PositiveSeconds = 60.0
    """How often nodes that could not be had are asked for again; assumed."""
    autoscaler: Autoscaler

    @property
    def follows_load(self) -> bool:
        """Whether the fleet's size follows from what is asked of it, and is not typed as a number of nodes."""
        return self.autoscaler.kind not in ("fixed", "schedule")

    @model_validator(mode="after")
    def _bounds_ordered(self) -> Transcode:
        if self.max_nodes < self.min_nodes:
            raise ValueError(f"max_nodes ({self.max_nodes}) is below min_nodes ({self.min_nodes})")
        return self

    @model_validator(mode="after")
    def _pools_have_names_and_zones(self) -> Transcode:
        names = [pool.name for pool in self.pools]
        for what, given in (("pool", names), ("zone", list(self.zones))):
            if twice := sorted({name for name in given if given.count(name) > 1}):
                raise ValueError(f"two {what}s are called {', '.join(twice)}; each needs a name of its own")
        for pool in self.pools:
            if unknown := sorted(set(pool.zones) - set(self.zones)):
                raise ValueError(
                    f"pool {pool.name} stands in {', '.join(unknown)}, which is none of the zones "
                    f"({', '.join(self.zones)}); add it to zones, or leave it out"
                )
        held = sum(pool.min_nodes for pool in self.pools)
        if held > self.max_nodes:
            raise ValueError(f"the pools hold {held} nodes at least, max_nodes is {self.max_nodes}")
        return self


class Cdn(SpecModel):
    """Clusters of edges with one cache each, and one shield before the origin."""

    clusters: Annotated[int, Field(ge=1, le=10_000)]
    cluster_exponent: Annotated[float, Field(ge=0, le=5)] = 0.0
    """Viewers fall on clusters in proportion to rank^-exponent; 0 spreads them evenly."""
    shield: bool = True
    """Misses of all clusters meet in one cache before they reach the origin."""
    policy: CachePolicy = Collapsed()
    """What a cache does with requests for an object that it is fetching."""
    playlist_ttl_s: Seconds = 1.0
    """How long a media playlist stays fresh in a cache."""
    fill_latency_s: Seconds = 0.1
    """Time to fetch an object from the next tier. What becomes of requests meanwhile is the policy's."""
    playlist_bytes: ByteCount = 600.0
    cluster_regions: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10_000)] | None = None
    """Region of each cluster; without it every viewer may be served by any cluster."""
    edges_per_cluster: Annotated[float, Field(ge=1, le=10_000)] = 1.0
    """Machines of a cluster, in the mean over clusters: 18.75 for 450 in 24. Each segment is on one of them."""
    edge_nic_bps: BitsPerSecond | None = None
    """Network of an edge; with it the run tells how much of it the busiest edge uses."""
    start_segments: Annotated[int, Field(ge=1, le=100)] = 3
    """Segments that a player asks for at once when it starts; assumed, 1 to 10 (RFC 8216 advises 3 behind the end)."""

    @model_validator(mode="after")
    def _a_region_for_each_cluster(self) -> Cdn:
        if self.cluster_regions is not None and len(self.cluster_regions) != self.clusters:
            raise ValueError(
                f"cluster_regions names {len(self.cluster_regions)} regions for {self.clusters} clusters; "
                "write one for each cluster"
            )
        return self


class Players(SpecModel):
    """How players come back that lost their broadcast, and who lets them in."""

    retry: Retry = Retry()
    auth_limit_per_s: PositivePerSecond | None = None
    """Players that the auth service lets in per second, a token bucket; null for no limit."""
    auth_burst: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """Players it lets in at once after a quiet time."""


class Chat(SpecModel):
    """Chat servers: each message goes to every other viewer of its room."""

    instance: Name
    deliveries_per_vcpu_s: PositivePerSecond
    connections_per_node: PositiveCount
    planning_utilisation: PositiveRatio = 0.6


class Platform(SpecModel):
    """The supply of a scenario."""

    ingest: Ingest
    transcode: Transcode
    cdn: Cdn
    players: Players = Players()
    chat: Chat

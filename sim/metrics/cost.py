"""What a month costs, part by part."""

from __future__ import annotations

from scenarios.nodes import Purchase
from sim.capacity import rated
from sim.cost import egress_usd, node_usd
from sim.metrics.case import Case, Metric, months_of, ratio, seen_months_of, total
from sim.metrics.serving import chat_nodes

PURCHASES: dict[Purchase, str] = {
    "on_demand": "transcode nodes on demand",
    "reserved": "reserved transcode nodes",
    "spot": "spot transcode nodes",
    "preemptible": "preemptible transcode nodes",
}


def transcode_usd_per_month(case: Case) -> float:
    """Return what the transcode nodes cost in a month."""
    return float(node_usd(case.run.nodes, case.run.horizon_s).sum()) * months_of(case)


def usd_per_stream_hour(case: Case) -> float:
    """Return the transcode nodes' price per hour of transcoded broadcast."""
    stream_hours = case.run.tally.service_area_s / 3600.0
    return ratio(transcode_usd_per_month(case) / months_of(case), stream_hours)


def ingest_usd_per_month(case: Case) -> float:
    """Return what the ingest nodes cost in a month."""
    hours = case.scenario.prices.hours_per_month
    return case.scenario.platform.ingest.nodes * case.run.ingest.price_usd_per_hour * hours


def chat_usd_per_month(case: Case) -> float:
    """Return what the chat nodes cost in a month, all of them all the time."""
    node = rated(case.catalogue.instances[case.scenario.platform.chat.instance])
    return chat_nodes(case) * node.price_usd_per_hour * case.scenario.prices.hours_per_month


def egress_usd_per_month(case: Case) -> float:
    """Return what delivery to viewers, chat included, costs in a month."""
    delivered = (total(case, "egress_bytes") + total(case, "chat_delivered_bytes")) * seen_months_of(case)
    return egress_usd(case.catalogue.egress[case.scenario.prices.egress], delivered)


def _bought(purchase: Purchase) -> Metric:
    def usd(case: Case) -> float:
        nodes = case.run.nodes[case.run.nodes["purchase"] == purchase]
        return float(node_usd(nodes, case.run.horizon_s).sum()) * months_of(case)

    def applies(case: Case) -> bool:
        return purchase in {pool.purchase for pool in case.scenario.platform.transcode.pools}

    return Metric("cost", "USD/month", PURCHASES[purchase], usd, applies)


COST: dict[str, Metric] = {
    "transcode_usd_per_month": Metric("cost", "USD/month", "transcode nodes", transcode_usd_per_month),
    "ingest_usd_per_month": Metric("cost", "USD/month", "ingest nodes", ingest_usd_per_month),
    "chat_usd_per_month": Metric("cost", "USD/month", "chat nodes", chat_usd_per_month, of_viewers=True),
    "egress_usd_per_month": Metric("cost", "USD/month", "delivery to viewers", egress_usd_per_month, of_viewers=True),
    "usd_per_stream_hour": Metric("cost", "USD/h", "transcode nodes per hour of broadcast", usd_per_stream_hour),
    **{f"{purchase}_usd_per_month": _bought(purchase) for purchase in PURCHASES},
}

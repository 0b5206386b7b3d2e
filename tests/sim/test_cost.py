import numpy as np
import pandas as pd
import pytest

from scenarios.catalogue import load_catalogue
from sim.cost import egress_usd, months, node_usd

GB = 1024**3


def test_published_price_of_the_first_five_petabytes():
    """facts: the US tiers up to 5,242,880 GB cost 145,582.08 USD, and 0.02 USD/GB after that."""
    table = load_catalogue().egress["cloudfront-us"]
    assert egress_usd(table, 5_242_880 * GB) == pytest.approx(145_582.08, abs=0.005)
    assert egress_usd(table, 5_242_980 * GB) == pytest.approx(145_584.08, abs=0.005)
    assert egress_usd(table, 791 * GB) == pytest.approx(67.24, abs=0.005)
    assert egress_usd(table, 0.0) == 0.0


def test_433_petabytes_reproduce_the_bill_of_the_guide():
    table = load_catalogue().egress["cloudfront-us"]
    assert egress_usd(table, 432.96e6 * GB) == pytest.approx(8.7e6, rel=0.001)


def test_nodes_are_paid_from_the_order_until_gone_or_the_horizon():
    nodes = pd.DataFrame(
        {
            "ordered_s": [0.0, 1800.0, 60.0],
            "ready_s": [0.0, np.nan, np.nan],
            "gone_s": [3600.0, np.nan, 120.0],
            "price_usd_per_hour": [2.0, 0.5, 3.0],
            "reason": ["scaled in", "", "launch failed"],
        }
    )
    assert node_usd(nodes, 7200.0).tolist() == pytest.approx([2.0, 0.75, 0.0])  # an order that failed costs nothing


def test_months():
    assert months(86_400.0, 730.0) == pytest.approx(730 / 24)

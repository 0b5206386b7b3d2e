# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which instance type should carry the evening?
#
# One machine was measured; dozens can be rented. A review carries the measurement over to each type by published
# ratios, lets all of them live through the same days, and says who is cheapest among those that keep the promise, how
# sure that is, and what would be worth measuring before anybody signs.

# %%
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from scenarios import load_catalogue, load_profile, load_scenario
from sim import review, with_values

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

BASELINE = Path("../scenarios/library/baseline.yaml")
TYPES = ["this-machine", "c7g.4xlarge", "g6.xlarge"]

# %% [markdown]
# ## What is promised?
#
# Types are judged by the scenario's `slo`: the most that each figure of a day may be, and on how many of the days all
# of them hold. The three busiest hours of the baseline keep this notebook short.

# %%
evening = with_values(
    load_scenario(BASELINE),
    {"horizon.start_hour": 19, "horizon.horizon_s": "3 h", "platform.transcode.min_nodes": 1},
)
pd.Series(evening.slo.objectives | {"on so many of the days": evening.slo.share_of_days}, name="at most").to_frame()

# %% [markdown]
# ## What is known of the types?
#
# Prices and networks are the catalogue's, each with its source and date. What a node holds of *these* broadcasts stands
# nowhere: it follows from the profile, the CoreMark of the CPUs and the published speed of the engines.

# %%
known = load_catalogue().instances
pd.DataFrame(
    {
        "type": name,
        "vCPUs": known[name].vcpus or "of the profile",
        "accelerator": known[name].accelerator.model if known[name].accelerator else "–",
        "USD/h": known[name].price_usd_per_hour or evening.platform.transcode.node_price_usd_per_hour,
        "price of": known[name].citations["price"].date if "price" in known[name].citations else "the scenario",
    }
    for name in TYPES
).set_index("type")

# %% [markdown]
# ## Who carries it at the least cost?
#
# First the control plane alone, twenty days of each type; then full days of the finalists, until it is told who is
# cheapest; then the same nodes bought in other ways.

# %%
with tqdm(desc="stages") as bar:

    def tell(stage, done, whole):
        bar.set_description(stage)
        bar.total, bar.n = whole, done
        bar.refresh()

    found = review(evening, load_profile(evening.profile), TYPES, progress=tell)
found

# %% [markdown]
# A type that nobody measured has a range where the measured machine has a number with an interval. The ranges overlap,
# and yet the order may be sure: what is not known of the measured machine is drawn once for all types.
#
# ## What does a node hold, and what fills it?

# %%
plots = dict(found.plots())
list(plots)

# %%
plots["node"]

# %% [markdown]
# ## How large is the fleet over the evening?

# %%
plots["fleet"]

# %% [markdown]
# ## What does cheaper cost in risk?
#
# Each point is a type with its nodes bought in one way. On the front nothing is both cheaper and safer.

# %%
plots["pareto"]

# %% [markdown]
# ## What should be measured next?
#
# For each thing that is not known: who would be cheapest at its costly end and at its cheap end, how far the leader's
# chance moves between them, and what it is worth to know it before choosing. What a source without influence would seem
# to be worth by chance counts as nothing.

# %%
plots["sensitivity"]

# %%
found.measure_next().head()

# %% [markdown]
# ## What does the answer rest on?

# %%
for line in found.rests_on():
    print("-", line)

# %% [markdown]
# ## What next?
#
# `headroom review scenarios/library/baseline.yaml --instances this-machine,c7g.4xlarge,g6.xlarge --out my-review`
# does the same for whole days and writes one page that prints. Put your own types into `TYPES`, or promise more in
# `slo`: `with_values(evening, {"slo.start_wait_p95_s": 3})`.

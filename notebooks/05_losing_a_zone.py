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
# # What happens when a zone is lost in the busiest hour?
#
# Three zones carry 1,000 broadcasts. At 21:00 one of them vanishes, with a third of the transcode nodes, of ingest and
# of the broadcasts. What their viewers notice depends on how many places stand ready in the other two.

# %%
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import pandas as pd
from tqdm.auto import tqdm

from scenarios import load_profile, load_scenario
from sim import compare

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

REPLICATIONS = 4  # independent days, the same for both
PLAIN = load_scenario("../scenarios/library/zone_loss.yaml")
SPARE = load_scenario("../scenarios/library/zone_loss_spare.yaml")
NAMES = {"a tenth of the places spare": "#D55E00", "four tenths spare": "#0072B2"}

# %% [markdown]
# ## What is compared?
#
# The same loss, on the same days, with two fleets: the autoscaler of the one aims at 90 % of its places in use, that of
# the other at 60 %, so that two zones could carry what three did.

# %%
with tqdm(total=2 * REPLICATIONS, desc="replications") as bar:
    both = compare(
        PLAIN,
        SPARE,
        load_profile(PLAIN.profile),
        replications=REPLICATIONS,
        split=False,
        progress=lambda done, _: bar.update(done - bar.n),
    )
results = dict(zip(NAMES, (both.first, both.second), strict=True))

# %% [markdown]
# ## Whom does the loss hit, and when are they back?
#
# Back means that 99 % of the broadcasts that were hit are in service again, to a tick of 30 s. Means over the days, in
# brackets their 95 % intervals. How many viewers are hit is the luck of the day: it depends on which channels stood in
# the zone.


# %%
def told(result, metric):
    """Return a metric with the 95 % interval of its mean."""
    text = result.texts(metric)
    return f"{text.value} ({text.of_mean})"


HIT = {
    "broadcasts that lost their node": "blast_radius_broadcasts",
    "their viewers": "blast_radius_viewers",
    "back after": "recovery_s",
    "publishers' mean outage": "outage_mean_s",
}
pd.DataFrame(
    {name: [told(result, metric) for metric in HIT.values()] for name, result in results.items()}, index=HIT.keys()
)

# %% [markdown]
# ## How long are they away, and what do they wait for?
#
# An interrupted publisher comes back with a back-off, and so does everybody else: the storm meets a queue. With places
# spare it passes through at once. Without, it waits for the nodes that were ordered when the zone went, and those boot
# for 90 to 300 s.
#
# A line is the mean over the days, its band reaches from the lowest to the highest of them.


# %%
def draw(axes, column, label):
    """Draw a column of the ticks around 21:00 for both fleets: mean over the days, and their range."""
    for (name, colour), result in zip(NAMES.items(), results.values(), strict=True):
        minute = (result.ticks["t_s"] - 15 * 3600) / 60
        over_days = result.ticks[minute.between(-2, 10)].groupby(minute)[column].agg(["mean", "min", "max"])
        axes.fill_between(over_days.index, over_days["min"], over_days["max"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(over_days.index, over_days["mean"], color=colour, label=name)
    axes.axvline(0, color="#24292f", linewidth=0.8, linestyle=":")
    axes.set_xlim(-2, 10)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes after the loss")
    axes.set_title(label, loc="left", fontsize=10)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", color="#e4e7eb")


figure, (first, second, third) = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
draw(first, "broadcasts_away", "broadcasts away")
draw(second, "viewers_away", "viewers whose player is away")
draw(third, "nodes_ready", "ready nodes")
handles, labels = first.get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False)
figure.suptitle("Who is away, and until when?", x=0.01, ha="left", fontweight="bold")
plt.show()

# %% [markdown]
# ## Is it worth the places?
#
# The difference is taken day by day, so that what both suffer alike falls out of it. Where its interval holds 0, these
# days do not tell the two fleets apart.

# %%
DECISIVE = [
    "recovery_s",
    "refused_fraction",
    "viewer_hours_lost",
    "viewer_hours_away",
    "nodes_peak",
    "transcode_usd_per_month",
]
table = both.table().set_axis(both.differences["metric"]).loc[DECISIVE].set_index("what")
table.rename(columns=dict(zip(["first", "second"], NAMES, strict=True)))

# %% [markdown]
# ## What did one of these days look like, node by node?
#
# `write_timeline` writes a day as a file that [Perfetto](https://ui.perfetto.dev) opens: counters of broadcasts, nodes
# and viewers, a track for each node with what it was when, and marks where something happened. What is in it:

# %%
with TemporaryDirectory() as folder:
    timeline = json.loads(both.first.write_timeline(Path(folder) / "zone_loss.json").read_text(encoding="utf-8"))
kinds = {"C": "counter", "X": "state of a node", "i": "moment"}
pd.Series(
    Counter((kinds[event["ph"]], event["name"]) for event in timeline["traceEvents"] if event["ph"] in kinds),
    name="entries",
).rename_axis(["what", "name"]).sort_index().to_frame()

# %% [markdown]
# ## What next?
#
# Set `failures.zone a lost.at_s` to the quietest hour, or place by `best_fit` in place of `spread`: is a third of the
# broadcasts still hit? `headroom compare scenarios/library/zone_loss.yaml scenarios/library/zone_loss_spare.yaml` runs
# more days, and `headroom run scenarios/library/zone_loss.yaml --timeline zone_loss.json` writes the file.

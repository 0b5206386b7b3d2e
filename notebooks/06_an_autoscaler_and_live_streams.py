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
# # What does a queue's autoscaler do to streams that are live?
#
# Guides for live platforms scale the transcoders by the length of a queue, as one scales workers that turn files over.
# A file that waits is work to do. A broadcast that has found its place is work for hours, and no longer waits.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from tqdm.auto import tqdm

from scenarios import load_profile, load_scenario
from sim import compare

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

REPLICATIONS = 4  # independent days, the same for both
LIBRARY = Path("../scenarios/library")
QUEUE = load_scenario(LIBRARY / "guide_hpa.yaml")
LIVE = load_scenario(LIBRARY / "guide_hpa_live.yaml")
NAMES = {"counts who waits": "#D55E00", "counts who is live, too": "#0072B2"}

# %% [markdown]
# ## What does the autoscaler look at?
#
# The scenario names a Kubernetes manifest, as a cluster has it: five waiting broadcasts a pod, 50 to 5,000 pods. A pod
# is a node here.

# %%
print((LIBRARY / "manifests" / "guide_hpa.yaml").read_text(encoding="utf-8"))

# %% [markdown]
# ## What does it do over an evening?
#
# 370 nodes carry the broadcasts at 18:00, and none waits. An empty queue asks for the least there may be. The
# controller is simulated with its defaults: a look every 15 s, a tolerance of 10 %, and the highest recommendation of
# the last five minutes on the way down. A pod that has to go has 30 s.
#
# Beside it runs the same evening with another metric: it counts those in service as well, and 2.7 a pod are on target.

# %%
old, new = (
    (LIBRARY / "manifests" / name).read_text(encoding="utf-8").splitlines()
    for name in ("guide_hpa.yaml", "guide_hpa_live.yaml")
)
for before, after in zip(old, new, strict=True):
    if before != after:
        print(f"{before.strip()} becomes {after.strip()}")

# %%
with tqdm(total=2 * REPLICATIONS, desc="replications") as bar:
    both = compare(
        QUEUE,
        LIVE,
        load_profile(QUEUE.profile),
        replications=REPLICATIONS,
        split=False,
        progress=lambda done, _: bar.update(done - bar.n),
    )
results = dict(zip(NAMES, (both.first, both.second), strict=True))


def draw(axes, column, label):
    """Draw a column of the ticks in steps of 2 min for both autoscalers: mean over the days, and their range."""
    for (name, colour), result in zip(NAMES.items(), results.values(), strict=True):
        hour = (result.ticks["t_s"] // 120 / 30 + result.scenario.horizon.start_hour).rename("hour")
        by_day = result.ticks.groupby([hour, "replication"])[column].mean()
        over_days = by_day.groupby("hour").agg(["mean", "min", "max"])
        axes.fill_between(over_days.index, over_days["min"], over_days["max"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(over_days.index, over_days["mean"], color=colour, label=name)
    axes.set_xticks(range(18, 24), [f"{hour}:00" for hour in range(18, 24)])
    axes.set_xlim(18, 23)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", color="#e4e7eb")


figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
draw(above, "nodes_ready", "ready nodes")
draw(below, "broadcasts_in_service", "broadcasts in service")
below.set_xlabel("local time of day")
above.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
figure.suptitle("What is left of the fleet, and of the broadcasts?", x=0.01, ha="left", fontweight="bold")
plt.show()

# %% [markdown]
# ## Who is interrupted, and who gets in?
#
# Interrupted are those who are live when the pods go. Their publishers come back and wait, which brings a part of the
# pods back for a while; but five waiting for each pod are on target. The fleet settles at its minimum with people still
# waiting, and asks for nothing more. Who starts anew gives up after a minute.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
draw(left, "broadcasts_away", "broadcasts")
left.set_title("interrupted, and not back", loc="left", fontsize=10)
draw(right, "broadcasts_waiting", "broadcasts")
right.set_title("waiting for a place", loc="left", fontsize=10)
for axes in (left, right):
    axes.set_xlabel("local time of day")
handles, labels = left.get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False)
figure.suptitle("Who is away, and who waits?", x=0.01, ha="left", fontweight="bold")
plt.show()

# %% [markdown]
# ## What does the other metric change?
#
# The difference is taken on the same days. What an hour of broadcast costs does not tell the two apart: the guide's
# fleet is small, and so is what it carries.

# %%
DECISIVE = [
    "start_wait_p95_s",
    "refused_fraction",
    "queued_fraction",
    "interrupted",
    "unserved_viewer_fraction",
    "viewer_hours_lost",
    "viewer_hours_away",
    "usd_per_stream_hour",
]
table = both.table().set_axis(both.differences["metric"]).loc[DECISIVE].set_index("what")
table.rename(columns=dict(zip(["first", "second"], NAMES, strict=True)))

# %% [markdown]
# ## What next?
#
# Put your own cluster's manifest beside a scenario and name it under `platform.transcode.autoscaler.manifest`;
# `metrics` says what each of its metrics counts. `headroom hpa scenarios/library/guide_hpa_live.yaml` prints the
# manifest that a scenario's autoscaler is, for a cluster to apply.

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
# # Does the fleet hold when a final falls on a normal evening?
#
# 1,000 broadcasts and 50,000 viewers are what this platform's evening brings. Then there is a final: 1.7 times the
# viewers, and as many more who go live. New nodes need minutes, so what counts is how many places stand ready.

# %%
from time import process_time

import matplotlib.pyplot as plt
import pandas as pd
from ipywidgets import FloatSlider, IntSlider, interact
from tqdm.auto import tqdm

from scenarios import load_profile, load_scenario
from sim import run, with_values

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

FINAL = load_scenario("../scenarios/library/esports_final.yaml")
PROFILE = load_profile(FINAL.profile)


def chosen(result, metrics):
    """Return the rows of some metrics as the result's table has them."""
    return result.table().set_axis(result.summary["metric"]).loc[metrics].set_index("what")


# %% [markdown]
# ## What does the final bring?
#
# Between 18:00 and 19:00 the level grows to 1.7 times the ordinary, holds for two hours, and falls within 45 minutes. A
# third of the viewers gather at one broadcast, the stage; when it is over, it sends 10,000 of them to another at once.
# One evening of Twitch in June 2018 had such an uplift over the three days before it; the other figures are assumed.

# %%
with tqdm(total=4, desc="replications") as bar:
    result = run(FINAL, PROFILE, replications=4, progress=lambda done, _: bar.update(done - bar.n))
result.plot_fleet()

# %% [markdown]
# ## What do viewers ask of the platform meanwhile?

# %%
result.plot_audience()

# %% [markdown]
# ## Does the fleet hold?
#
# It does, and has nothing to spare: few wait, nobody is refused, but at the tightest moment the ready places would
# not outlast the three minutes and more that a node takes to boot. What saves the evening is that broadcasts last for
# hours: even a rate of going live that jumps moves the number live slowly.

# %%
ANSWER = [
    "nodes_peak",
    "broadcasts_peak",
    "viewers_peak",
    "queued_fraction",
    "refused_fraction",
    "places_used_p95",
    "exhausted_in_s",
]
chosen(result, ANSWER)

# %% [markdown]
# ## What if the final is larger, comes faster, or finds more places spare?
#
# One function answers any of these. The engine `fleet` simulates broadcasts and nodes without viewers, caches and chat:
# the same numbers, several times sooner, so that the answer is there within two seconds of moving a slider. For the
# same reason the interval is not split into noise and ignorance.
#
# `target_utilisation` is the share of places that the autoscaler wants in use: 0.7 keeps 30 % spare. `image_pull_min`
# is how long a new node fetches its container image, on top of a boot of 90 to 300 s.

# %%
REPLICATIONS, ENGINE = 5, "fleet"


def what_if(uplift, ramp_min, target_utilisation, image_pull_min=0, *, final=FINAL, replications=REPLICATIONS):
    """Return the result of the evening with such a final."""
    scenario = with_values(
        final,
        {
            "workload.events.final.uplift": uplift,
            "workload.events.final.ramp_s": f"{ramp_min} min",
            "platform.transcode.autoscaler.target_utilisation": target_utilisation,
            "platform.transcode.image_pull.mean_s": f"{image_pull_min} min",
        },
    )
    return run(scenario, PROFILE, replications=replications, engine=ENGINE, split=False)


def told(result, metric):
    """Return a metric with the 95 % interval of its mean."""
    text = result.texts(metric)
    return f"{text.value} ({text.of_mean})"


def draw(axes, result):
    """Draw the share of ready places in use: its mean over the days, the range of the days, and what is aimed at."""
    hour = result.scenario.horizon.start_hour + result.ticks["t_s"] / 3600
    used = (100 * (1 - result.ticks["room_free"])).groupby(hour).agg(["mean", "min", "max"])
    axes.fill_between(
        used.index, used["min"], used["max"], color="#0072B2", alpha=0.22, linewidth=0, label="range of days"
    )
    axes.plot(used.index, used["mean"], color="#0072B2", linewidth=1.3, label="mean")
    target = result.scenario.platform.transcode.autoscaler.target_utilisation
    axes.axhline(100 * target, color="#24292f", linewidth=0.8, linestyle=":", label="target")
    axes.set_xticks(range(16, 26, 3), ["16:00", "19:00", "22:00", "01:00"])
    axes.set_xlim(16, 25)
    axes.set_ylim(50, 101)


def show(uplift, ramp_min, target_utilisation, image_pull_min):
    """Show one what-if: how full the ready places are, and what broadcasters notice of it."""
    result = what_if(uplift, ramp_min, target_utilisation, image_pull_min)
    _, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    draw(axes, result)
    axes.set(xlabel="local time of day", ylabel="ready places in use, %")
    axes.legend(loc="lower right", frameon=False)
    axes.set_title(
        f"wait for a place: {told(result, 'queued_fraction')}\nrefused, or give up: {told(result, 'refused_fraction')}",
        loc="left",
        fontsize=10,
    )
    plt.show()


_ = interact(
    show,
    uplift=FloatSlider(value=1.7, min=1.0, max=3.0, step=0.1, continuous_update=False),
    ramp_min=IntSlider(value=60, min=0, max=90, step=10, continuous_update=False),
    target_utilisation=FloatSlider(value=0.9, min=0.5, max=1.0, step=0.05, continuous_update=False),
    image_pull_min=IntSlider(value=0, min=0, max=10, continuous_update=False),
)
# %% [markdown]
# ## What do the sliders show where none can be moved?
#
# A page or a preview shows no sliders: here are some of their positions side by side. Where a day touches 100 %,
# whoever goes live then has to wait.

# %%
UPLIFTS, TARGETS = (1.3, 1.7, 2.3), (0.9, 0.7)
spared = {
    (target, uplift): what_if(uplift, 60, target)
    for target, uplift in tqdm([(target, uplift) for target in TARGETS for uplift in UPLIFTS], desc="what-ifs")
}
figure, grid = plt.subplots(len(TARGETS), len(UPLIFTS), figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
for axes, (target, uplift) in zip(grid.flat, spared, strict=True):
    draw(axes, spared[target, uplift])
    axes.set_title(f"{uplift:g} ×, {100 * (1 - target):.0f} % spare", loc="left", fontsize=10)
for axes in grid[:, 0]:
    axes.set_ylabel("ready places in use, %")
for axes in grid[-1]:
    axes.set_xlabel("local time of day")
grid[0, 0].legend(loc="lower right", frameon=False)
figure.suptitle("How full are the ready places, by uplift and places spare?", x=0.01, ha="left", fontweight="bold")
plt.show()

# %% [markdown]
# ## What do more spare places buy, and what do they cost?
#
# Node-hours are those of the nine hours; one costs 0.085 USD (assumed).

# %%
pd.DataFrame(
    {
        "uplift": f"{uplift:g} ×",
        "places spare": f"{100 * (1 - target):.0f} %",
        "nodes at the highest moment": told(result, "nodes_peak"),
        "broadcasts that waited": told(result, "queued_fraction"),
        "places full at 1.7 times the load an hour, after": told(result, "exhausted_in_s"),
        "ready beyond what was needed": told(result, "spare_node_hours"),
    }
    for (target, uplift), result in spared.items()
).set_index(["uplift", "places spare"]).sort_index()

# %% [markdown]
# ## Is it the ramp that decides?
#
# Hardly: a final that jumps is survived as one that takes an hour to come. It is how long a node takes until it can be
# used. The share of broadcasts that are refused, or whose owners give up:

# %%
RAMPS, PULLS = (1, 60), (0, 3, 6)
slowed = {
    (ramp, pull): told(what_if(1.7, ramp, 0.9, pull), "refused_fraction")
    for ramp, pull in tqdm([(ramp, pull) for ramp in RAMPS for pull in PULLS], desc="what-ifs")
}
pd.DataFrame(
    [[slowed[ramp, pull] for pull in PULLS] for ramp in RAMPS],
    index=pd.Index([f"{ramp} min" for ramp in RAMPS], name="ramp"),
    columns=pd.Index([f"{pull} min" for pull in PULLS], name="image pull"),
)

# %% [markdown]
# ## Does an answer for 5,000 broadcasts come as quickly?
#
# Five times the platform, one what-if by the engine `fleet`. Beside it stands the mean of the simulation of everything,
# viewers, caches and chat included, over the same days: it should lie inside the interval, and in fact be the same.

# %%
LARGE = with_values(
    FINAL,
    {
        "workload.broadcasts.peak_concurrent": 5_000,
        "workload.audience.peak_viewers": 250_000,
        "platform.ingest.nodes": 40,
        "platform.transcode.max_nodes": 10_000,
    },
)
began_s = process_time()
quick = what_if(1.7, 60, 0.9, final=LARGE, replications=3)
took_s = process_time() - began_s
with tqdm(total=3, desc="replications") as bar:
    whole = run(LARGE, PROFILE, replications=3, split=False, progress=lambda done, _: bar.update(done - bar.n))
quickly = "yes" if took_s < 2 else "no"
print(f"{quick.replications} replications by the engine {ENGINE} in under 2 s of one core: {quickly}")
FLEET = [
    "nodes_peak",
    "broadcasts_peak",
    "start_wait_p95_s",
    "queued_fraction",
    "refused_fraction",
    "exhausted_in_s",
    "usd_per_stream_hour",
]
interval, means = quick.summary.set_index("metric"), whole.summary.set_index("metric")["mean"]
inside = [interval.loc[name, "low"] <= means[name] <= interval.loc[name, "high"] for name in FLEET]
chosen(quick, FLEET).iloc[:, :2].assign(
    **{"everything simulated": chosen(whole, FLEET)["mean"], "inside": ["yes" if each else "no" for each in inside]}
)

# %% [markdown]
# ## What next?
#
# `headroom run scenarios/library/esports_final.yaml --flip 'platform.transcode.image_pull.mean_s=0..30 min' --by
# refused_fraction --below 0.001` searches for the image pull at which the evening is lost. Give `what_if` the input
# that decides your own evening; any path that `headroom resolve` prints can have a slider.

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
# # What does a stream cost on this machine, and how well is that known?
#
# A machine was measured once: real video through a real RTMP → transcode → HLS pipeline, with one stream, then two,
# then more, until it could not keep up. This notebook turns such a measurement into coefficients, holds what they
# foresee against what was measured, and carries them to a platform.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from tqdm.auto import tqdm

from scenarios import load_profile, load_scenario
from sim import compare, fit, replay

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

BUNDLE = Path("../scenarios/bundles/epyc-2c-x264-ultrafast")
REPEAT = Path("../scenarios/bundles/epyc-2c-x264-ultrafast-repeat")

# %% [markdown]
# ## How is one's own machine measured?
#
# ```
# headroom measure --quick --out my-bundle
# ```
#
# takes about two minutes, makes its own test clip and needs no network. What it writes is a bundle: a folder with the
# arrival of every frame, the CPU time of every segment, and what the machine is. Some come with this repository. With
# two of your own as `BUNDLE` and `REPEAT` above, the rest of the notebook is about your machine.
#
# ## What was measured?

# %%
# The node model is run at the measured machine's 2 cores only; `headroom fit` also runs it at 4, 8 and 16.
with tqdm(desc="loads") as bar:
    profile = fit(
        [BUNDLE], name=BUNDLE.name, node_cores=(2,), workers=2, progress=lambda done, _: bar.update(done - bar.n)
    )
measured, machine, encoder = profile.measured, profile.machine, profile.encoder
chief = measured.chief
pd.Series(
    {
        "machine": f"{machine.cores} cores of {machine.cpu_model}",
        "encoder": f"{encoder.backend}, preset {encoder.preset}",
        "source": f"{chief.source.label}, {chief.source.bitrate_bps / 1e6:g} Mbit/s",
        "ladder": ", ".join(f"{rung.name} at {rung.bitrate_bps / 1e6:g} Mbit/s" for rung in chief.ladder.rungs),
        "streams at once": ", ".join(map(str, chief.concurrent_streams)),
        "of which hold": f"{chief.capacity_streams}",
        "segments behind the figures": f"{measured.segments}",
        "disturbed by other load": "yes, intervals are wider" if measured.contended else "no",
    },
    name=f"measured {measured.date}",
).to_frame()

# %% [markdown]
# ## What does a stream cost?
#
# Every coefficient has an interval: 95 % of what a bootstrap over segments gives. The simulator never uses the
# middle alone: each of its replications takes one row of the joint draws.

# %%
pd.DataFrame(
    {
        "coefficient": coefficient.name,
        "of": coefficient.of,
        "value": f"{coefficient.middle:.4g}",
        "95 % interval": f"{coefficient.low:.4g} … {coefficient.high:.4g}",
        "unit": coefficient.unit,
        "rests on": coefficient.provenance.kind,
    }
    for coefficient in profile.coefficients
).set_index(["coefficient", "of"])

# %% [markdown]
# ## Does the model get back what was measured?
#
# The simulator plays the measured load again. Of the bundle it reads the arrival of each frame and the configuration,
# nothing of what came out. It does so for the bundle that was fitted, and for a second one: the same loads, measured
# minutes later, which the fit has not seen. What differs between the two measurements is the noise of the machine.
#
# Beside the simulator stands the simplest model there is: whatever was measured with one stream holds for any number.
# If that does as well, the simulator is not worth its trouble.

# %%
seen, unseen = (replay(bundle, profile).metrics for bundle in tqdm((BUNDLE, REPEAT), desc="bundles"))
FIGURES = {
    "segment_publish_mean": ("closing frame → segment, mean, ms", 1000),
    "frame_p95": ("frame → all rungs, 95th percentile, ms", 1000),
    "cpu": ("CPU a stream, core-s/s", 1),
}
figure, row = plt.subplots(1, len(FIGURES), figsize=(10, 3.4), layout="constrained")
for axes, (name, (label, scale)) in zip(row, FIGURES.items(), strict=True):
    for metrics, column, style, text in (
        (seen, "measured", {"marker": "o", "color": "#24292f", "linestyle": ""}, "measured, fitted"),
        (unseen, "measured", {"marker": "o", "color": "#24292f", "linestyle": "", "mfc": "white"}, "measured again"),
        (seen, "predicted", {"marker": "_", "color": "#0072B2", "linestyle": "-"}, "simulated"),
        (seen, "as_at_one", {"color": "#D55E00", "linestyle": ":"}, "as with one stream"),
    ):
        rows = metrics[(metrics["metric"] == name) & metrics["measured"].notna()]
        axes.plot(rows["load"].astype(int), rows[column] * scale, label=text, **style)
    axes.set(xlabel="streams at once", ylim=(0, 1.08 * axes.get_ylim()[1]))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(label, loc="left", fontsize=10)
handles, labels = row[0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False)
figure.suptitle("Does it foresee what more streams do?", x=0.01, ha="left", fontweight="bold")
plt.show()

# %% [markdown]
# ## How large are the errors?
#
# In percent of what was measured, up to 0.8 of what the node holds; above that only whether it keeps up is compared.
# *Fitted* errors say how well the model fits, no more. What counts is the second bundle. Where two measurements of one
# load differ by as much as the model and one of them, no model can do better, and a longer measurement is needed.


# %%
def error(value, truth):
    """Return a signed error in percent of the truth."""
    return f"{value / truth - 1:+.1%}"


rows = []
for name, (label, _) in FIGURES.items():
    at = {
        which: metrics[(metrics["metric"] == name) & metrics["measured"].notna()].set_index("load")
        for which, metrics in (("seen", seen), ("unseen", unseen))
    }
    for load in [load for load in at["seen"].index if load in at["unseen"].index]:
        before, again = at["seen"].loc[load], at["unseen"].loc[load]
        rows.append(
            {
                "figure": label,
                "streams at once": load,
                "simulated against fitted": error(before["predicted"], before["measured"]),
                "against measured again": error(again["predicted"], again["measured"]),
                "first measurement against second": error(before["measured"], again["measured"]),
            }
        )
pd.DataFrame(rows).set_index(["figure", "streams at once"])

# %% [markdown]
# ## How many streams does the node hold?

# %%
holds = {"fitted": seen, "measured again": unseen}
pd.DataFrame(
    {
        name: metrics[metrics["metric"] == "n_max"].iloc[0][["measured", "predicted", "division"]]
        for name, metrics in holds.items()
    }
).rename(index={"predicted": "simulated", "division": "cores ÷ CPU of one stream"}).astype(int).rename_axis("streams")

# %% [markdown]
# ## How far is a profile off that was measured for longer?
#
# Each load was run once here. The profile that the library's scenarios name was measured for longer. It carries its
# errors on ladders and a clip that its fit has not seen, each load run six times. Its noise floor is how far two halves
# of these runs differ; beside it stand the simplest models. Where one of those is closer, as for CPU and startup, the
# simulator has nothing to add; where streams wait for each other, and for how many a node holds, it has.

# %%
baseline = load_scenario("../scenarios/library/baseline.yaml")
shipped = load_profile(baseline.profile)
NAMES = {"as_at_one": "as with one stream", "mdc": "M/D/c queue", "division": "cores ÷ CPU"}
pd.DataFrame(
    {
        "figure": figure.figure,
        "loads": figure.loads,
        "median error": f"{figure.error:.1%}",
        "worst": f"{figure.worst:.1%}",
        "noise floor": "–" if figure.noise_floor is None else f"{figure.noise_floor:.1%}",
        "verdict": figure.verdict or "no target",
        **{NAMES[name]: "–" if of is None else f"{of:.1%}" for name, of in figure.null_models.items()},
    }
    for figure in shipped.held_out.figures
).set_index("figure")

# %% [markdown]
# ## What does it change for a platform?
#
# The same evening of 1,000 broadcasts, once on nodes like this machine and once on those of the shipped profile. The
# engine `fleet` leaves viewers and caches out; of nodes it tells the same.

# %%
with tqdm(total=20, desc="replications") as bar:
    both = compare(
        baseline,
        baseline,
        profile,
        second_profile=shipped,
        replications=10,
        engine="fleet",
        split=False,
        progress=lambda done, _: bar.update(done - bar.n),
    )
table = both.table().set_axis(both.differences["metric"])
table = table.rename(columns={"first": "this machine", "second": "shipped profile"})
table.loc[["broadcasts_per_node", "full_node_cpu", "nodes_peak", "usd_per_stream_hour"]].set_index("what")

# %% [markdown]
# ## What next?
#
# Measure your own machine, or one that you rent for an hour. `headroom fit my-bundle --out my-machine.yaml` writes the
# profile, `headroom replay my-bundle --profile my-machine.yaml` replays a bundle with every figure at every load, and
# `headroom run scenarios/library/baseline.yaml --profile my-machine.yaml` answers for a platform of such machines.

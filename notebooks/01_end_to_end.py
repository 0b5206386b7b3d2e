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
# # How many of these machines does an evening need?
#
# One machine was measured once: real video through a real RTMP → transcode → HLS pipeline, with one stream, then
# two, then more, until it could not keep up. This notebook turns that measurement into coefficients, checks them
# against it, and carries them to a platform of 1,000 concurrent broadcasts and 50,000 viewers.

# %%
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from scenarios import load_profile, load_scenario
from sim import fit, replay, run

# %matplotlib inline

BUNDLE = Path("../scenarios/bundles/epyc-2c-x264-ultrafast")
REPEAT = Path("../scenarios/bundles/epyc-2c-x264-ultrafast-repeat")
BASELINE = Path("../scenarios/library/baseline.yaml")

# %% [markdown]
# ## What was measured?

# %%
# The node model is run at this machine's cores only; `headroom fit` also runs it at 4, 8 and 16.
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
# The simulator now plays the measured load again. Of the bundle it reads the arrival of each frame and the
# configuration, nothing of what came out. Beside it stand models that know less: if they do as well, the simulator
# is not worth its trouble.

# %%
replay(BUNDLE, profile)

# %% [markdown]
# The same loads were measured a second time, minutes later. The fit has not seen that bundle, and what differs
# between its measured column and the one above is the noise of the machine.

# %%
replay(REPEAT, profile)

# %% [markdown]
# Each load was run once here, so nothing says how far two measurements of one load differ. The profile that the
# baseline names was measured for longer. It carries its errors on ladders and a clip that its fit has not seen, each
# load run six times: median error, noise floor, and the errors of the simplest models.

# %%
shipped = load_profile(load_scenario(BASELINE).profile)
pd.DataFrame(
    {
        "figure": figure.figure,
        "loads": figure.loads,
        "error": f"{figure.error:.1%}",
        "worst": f"{figure.worst:.1%}",
        "noise floor": "–" if figure.noise_floor is None else f"{figure.noise_floor:.1%}",
        "verdict": figure.verdict or "no target",
        **{name: "–" if error is None else f"{error:.1%}" for name, error in figure.null_models.items()},
    }
    for figure in shipped.held_out.figures
).set_index("figure")

# %% [markdown]
# ## What does the evening need, and what does it cost?
#
# Six replications keep this notebook short; the scenario's own number gives narrower intervals.

# %%
baseline = load_scenario(BASELINE)
with tqdm(total=6, desc="replications") as bar:
    result = run(baseline, profile, replications=6, progress=lambda done, _: bar.update(done - bar.n))
result

# %% [markdown]
# In a band around a line lie 95 % of days: it holds the noise of the day and what the measurement left open.

# %%
result.plot_fleet()

# %% [markdown]
# A node is full when the first of its resources is. The others stand idle beside it: that is what another instance
# type could sell for less.

# %%
result.plot_full_node()

# %% [markdown]
# Delivery outweighs the machines by far, at list prices. That is why hit ratios and bitrates belong into the same
# question as nodes.

# %%
result.plot_cost()

# %% [markdown]
# ## And with your machine?
#
# The same three steps from a shell. `measure` takes about two minutes, makes its own test clip and needs no
# network.
#
# ```
# headroom measure --quick --out my-bundle
# headroom fit my-bundle --out my-machine.yaml
# headroom run scenarios/library/baseline.yaml --profile my-machine.yaml --out my-result
# headroom report my-result
# ```
#
# Or point `BUNDLE` above at `my-bundle` and run this notebook again.

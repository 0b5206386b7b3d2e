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
# # How does a question about a platform become an answer?
#
# A scenario is a text: what the platform is, who comes, and what is asked. Nobody writes one from an empty page. A
# library of scenarios is there, and a new one says what it changes of another.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from tqdm.auto import tqdm

from scenarios import ScenarioError, load_profile, load_scenario
from sim import run, with_values

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

REPLICATIONS = 4  # independent days; more of them narrow the interval of a mean


def opened(text):
    """Return the scenario of a text, as if it stood in a file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "my_scenario.yaml"
        file.write_text(text, encoding="utf-8")
        return load_scenario(file)


# %% [markdown]
# ## What is there to begin with?
#
# The baseline is a regional platform. The first lines of its file:

# %%
lines = Path("../scenarios/library/baseline.yaml").read_text(encoding="utf-8").splitlines()
print("\n".join(lines[1:18]))

# %% [markdown]
# ## How is another platform written?
#
# `extends` names the scenario to begin with, `set` the values that differ, each by its path. Times, rates and sizes
# carry their unit.

# %%
MINE = """\
extends: baseline
title: A platform of 300 broadcasts
question: How many nodes do 300 concurrent broadcasts need with a fifth of the places spare, and does anybody wait?
set:
  workload.broadcasts.peak_concurrent: 300
  workload.audience.peak_viewers: 12000
  platform.transcode.queue_deadline_s: 20 s
  platform.transcode.autoscaler.target_utilisation: 0.8
"""
scenario = opened(MINE)
scenario.question

# %% [markdown]
# ## What if something in it is wrong?
#
# Every fault is found at once, before anything runs, each with its line, its column and what to do.

# %%
WRONG = MINE.replace("queue_deadline_s: 20 s", "queue_deadlin_s: 20 s").replace("12000", "12000 viewers")
try:
    opened(WRONG)
except ScenarioError as error:
    faults = pd.DataFrame(
        {"line": fault.line, "column": fault.column, "where": fault.field, "what": fault.message, "hint": fault.hint}
        for fault in error.problems
    )
faults.set_index(["line", "column"])

# %% [markdown]
# ## Can the same be said in Python?
#
# `with_values` is `set` for a scenario that is loaded already: handy where a value is to take many.

# %%
baseline = load_scenario("../scenarios/library/baseline.yaml")
same_scenario = with_values(
    baseline,
    {
        "title": scenario.title,
        "question": scenario.question,
        "workload.broadcasts.peak_concurrent": 300,
        "workload.audience.peak_viewers": 12_000,
        "platform.transcode.queue_deadline_s": "20 s",
        "platform.transcode.autoscaler.target_utilisation": 0.8,
    },
)
is_same = same_scenario == scenario
is_same

# %% [markdown]
# ## How many nodes are needed, and how sure is that?
#
# The profile holds what a stream costs on a node, as it was measured once on a real pipeline. Each replication is
# another day, with other broadcasters and other coefficients from within the measurement's intervals.
#
# The list above the table says what the answer rests on. *Mean* is over the days, with its *95 % interval*. Of that,
# *± noise* is what more replications would shrink, and *± ignorance* what only another measurement would. Between
# *95 % of days* lies the next single day.

# %%
with tqdm(total=REPLICATIONS, desc="replications") as bar:
    result = run(
        scenario,
        load_profile(scenario.profile),
        replications=REPLICATIONS,
        progress=lambda done, _: bar.update(done - bar.n),
    )
result

# %% [markdown]
# ## When are they needed?
#
# The band around a line holds 95 % of days.

# %%
result.plot_fleet()

# %% [markdown]
# ## What is full first on a node?

# %%
result.plot_full_node()

# %% [markdown]
# ## What is the money spent on?
#
# List prices, the nodes' at an assumed price an hour: where nobody has measured or looked up a figure, it is told as
# assumed in the list above the table.

# %%
result.plot_cost()

# %% [markdown]
# ## What does the table not tell?
#
# Behind it lie frames with a row a tick, a broadcast, a node or an event. What each is asked is up to the reader, such
# as how a node's places fill over the day: mean over the days, and in brackets the lowest and highest of them.

# %%
hour = (result.ticks["t_s"] // 3600 + scenario.horizon.start_hour).astype(int) % 24
by_hour = result.ticks.groupby(["replication", hour.rename("hour")], sort=False).mean()
figures = pd.DataFrame(
    {
        "broadcasts in service": by_hour["broadcasts_in_service"],
        "nodes paid for": by_hour[["nodes_booting", "nodes_ready", "nodes_draining"]].sum(axis=1),
        "broadcasts a node": by_hour["broadcasts_in_service"] / by_hour["nodes_ready"],
        "viewers a broadcast": by_hour["viewers_served"] / by_hour["broadcasts_in_service"],
    }
)
over_days = figures.groupby("hour", sort=False).agg(["mean", "min", "max"])
pd.DataFrame(
    {
        name: [f"{mean:,.3g} ({low:,.3g} … {high:,.3g})" for mean, low, high in over_days[name].to_numpy()]
        for name in figures
    },
    index=[f"{hour:02d}:00 to {(hour + 1) % 24:02d}:00" for hour in over_days.index],
).iloc[::3]

# %% [markdown]
# ## What next?
#
# Change a value in `MINE` and run the notebook again: `platform.transcode.boot.high_s: 15 min`, or `0.95` as
# `target_utilisation`. The same from a shell is `headroom run my_scenario.yaml`; `headroom resolve my_scenario.yaml`
# prints every key that can be set, and `02_the_final` asks what happens when more come than on an ordinary evening.

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
# # Would last week's viewers have foreseen this week's?
#
# Whoever runs a platform has a count of its viewers over time. It holds the shape of a day, how far days wander from
# it, and the evenings that were no ordinary ones. This notebook fits the first days of such a trace, judges the fit on
# the later ones, and takes it into a scenario.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from scenarios import load_profile, load_scenario, read_trace
from sim import report_trace, run, with_values

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## Where does the trace come from?
#
# Yours comes from monitoring: a CSV file with a head line, times in the first column (ISO, or seconds) and counts in
# the others. The one below is made up, so that the notebook runs without one: a week in steps of 15 minutes, with the
# hourly shape of the ten largest Twitch categories in June 2018, and days that wander about it as those did (standard
# deviation 0.10 of the logarithm, correlation time 2.7 h). On the sixth evening there is a final.

# %%
SEED, DAYS, STEP_S = 7, 7, 900
SHAPE = [1.176, 1.093, 0.950, 0.909, 0.836, 0.707, 0.656, 0.619, 0.615, 0.642, 0.668, 0.759]
SHAPE += [0.884, 0.913, 0.928, 1.112, 1.241, 1.301, 1.274, 1.286, 1.392, 1.405, 1.360, 1.275]
SD, CORRELATION_S, MEAN_VIEWERS, UPLIFT = 0.10, 9_720.0, 30_000, 1.7


def made_up_week(seed):
    """Return a week of viewers as a frame of times and counts."""
    at_s = np.arange(0, DAYS * 86_400, STEP_S)
    ordinary = np.interp(at_s % 86_400 / 3600, range(24), SHAPE, period=24)
    kept = np.exp(-STEP_S / CORRELATION_S)
    noise = np.zeros(at_s.size)
    for step, shock in enumerate(np.random.default_rng(seed).normal(scale=SD, size=at_s.size)):
        noise[step] = shock if step == 0 else kept * noise[step - 1] + np.sqrt(1 - kept**2) * shock
    final_h = at_s / 3600 - 5 * 24  # hours of the sixth day
    lift = np.interp(final_h, [18.5, 19.5, 22.0, 22.75], [0.0, np.log(UPLIFT), np.log(UPLIFT), 0.0])
    viewers = MEAN_VIEWERS * ordinary * np.exp(noise + lift)
    time = pd.Timestamp("2026-03-02") + pd.to_timedelta(at_s, unit="s")
    return pd.DataFrame({"time": time.strftime("%Y-%m-%dT%H:%M"), "viewers": viewers.round().astype(int)})


with TemporaryDirectory() as folder:
    file = Path(folder) / "viewers.csv"
    made_up_week(SEED).to_csv(file, index=False)
    print("\n".join(file.read_text(encoding="utf-8").splitlines()[:4]))
    trace = read_trace(file)

# %% [markdown]
# ## What was an ordinary day like?
#
# The first four days are fitted: the median of each time of day, smoothed, and how each of these days differs from the
# others. The final is named, and thereby left out of what is called ordinary.

# %%
report = report_trace(trace, train_days=4, events=["2026-03-07T18:30/2026-03-07T22:45"])
report.plot()

# %% [markdown]
# ## Are the later days foreseen?
#
# The fit has not seen them. Of ordinary moments nine in ten should lie in the band, and the error should be below that
# of the plain median. No curve of a day knows of a final; an event with its default ramp, uplift and decay, laid over
# the day, should bring it into the band. An hour above the band alone is no event yet: days wander for hours, so that
# the one moment in twenty that lies above it seldom comes by itself.

# %%
print("\n".join(report.lines()))

# %% [markdown]
# ## Did the fit find what was put in?
#
# Here it is known what the days were drawn from. Four days tell how much they wander, but not exactly: the noise is
# counted against days that are noisy themselves.

# %%
hourly = report.fit.hourly()
off = np.abs(hourly / hourly.mean() / (np.array(SHAPE) / np.mean(SHAPE)) - 1)
pd.DataFrame(
    {
        "put in": [f"{SD}", f"{CORRELATION_S / 3600:.2g} h", f"{MEAN_VIEWERS * max(SHAPE):,.0f} viewers", ""],
        "found": [
            f"{report.fit.noise.sd:.3f}",
            f"{report.fit.noise.correlation_s / 3600:.2g} h",
            f"{hourly.max():,.0f} viewers",
            f"{off.mean():.1%} off on average, {off.max():.1%} at worst",
        ],
    },
    index=["standard deviation of the logarithm", "correlation time", "highest hour", "the 24 hourly levels"],
)

# %% [markdown]
# ## How does it become a scenario?
#
# The last lines of the report are keys of `workload.audience`. Under `set` each gets its path before it.

# %%
keys = [line if line.startswith(" ") else f"workload.audience.{line}" for line in report.scenario_lines()]
MINE = "\n".join(["extends: baseline", "title: Our platform", "question: How far do our days differ?", "set:"])
MINE += "".join(f"\n  {line}" for line in keys) + "\n"
with TemporaryDirectory() as folder:
    file = Path(folder) / "ours.yaml"
    file.write_text(MINE, encoding="utf-8")
    ours = load_scenario(file)
print(MINE)

# %% [markdown]
# ## What does it change that days wander?
#
# The mean hardly moves. What moves is how far apart two days may lie, and that is what capacity is kept for: on every
# other day more come than the curve says. Four days each, with the same broadcasters.

# %%
REPLICATIONS = 4
calm = with_values(ours, {"workload.audience.noise.sd": 0})
results = {}
with tqdm(total=2 * REPLICATIONS, desc="replications") as bar:
    for name, scenario in {"the curve alone": calm, "with its noise": ours}.items():
        results[name] = run(
            scenario,
            load_profile(scenario.profile),
            replications=REPLICATIONS,
            split=False,
            progress=lambda *_: bar.update(),
        )
AUDIENCE = ["viewers_peak", "egress_peak_bps", "origin_egress_peak_bps", "egress_usd_per_month"]
tables = {
    name: result.table().set_axis(result.summary["metric"]).loc[AUDIENCE].set_index("what")
    for name, result in results.items()
}
pd.concat(tables, axis=1)

# %% [markdown]
# ## Do simulated days look like counted ones?
#
# Grey are the ordinary days of the trace, without that of the final; blue are those of the simulation, each from 6:00
# on.

# %%
figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
counted = pd.Series(trace.levels, index=np.array(trace.at_s) / 3600)
for day in (0, 1, 2, 3, 4, 6):
    one = counted[(counted.index >= 24 * day) & (counted.index < 24 * (day + 1))]
    axes.plot(one.index - 24 * day, one, color="#8a8f98", linewidth=0.9, label="counted" if day == 0 else None)
for number, ticks in results["with its noise"].ticks.groupby("replication"):
    hour = (ticks["t_s"] / 3600 + ours.horizon.start_hour) % 24
    one = pd.Series(ticks["viewers_wanted"].to_numpy(), index=hour).sort_index()
    axes.plot(one.index, one, color="#0072B2", linewidth=0.9, label="simulated" if number == 0 else None)
axes.set(xlim=(0, 24), ylim=(0, None), xlabel="local time of day", ylabel="viewers")
axes.set_xticks(range(0, 25, 3), [f"{hour % 24:02d}:00" for hour in range(0, 25, 3)])
axes.yaxis.set_major_formatter("{x:,.0f}")
axes.legend(loc="upper left", frameon=False)
figure.suptitle("Do the simulated days lie among the counted ones?", x=0.01, ha="left", fontweight="bold")
plt.show()

# %% [markdown]
# ## What next?
#
# Point `read_trace` at a file of your own. From a shell that is
# `headroom trace viewers.csv --train-days 4 --event 2026-03-07T18:30/2026-03-07T22:45 --plot trace.svg`. A scenario can
# also be given the trace itself, as `curve: {kind: trace, file: viewers.csv}`, and then plays those days and no others.
# An evening like the final of this week is what `02_the_final` asks about.

"""Arguments and flags that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

ScenarioFile = Annotated[Path, typer.Argument(metavar="FILE", help="a scenario")]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="P", help="a profile by name or file, instead of the scenario's"),
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="no progress")]
Extrapolate = Annotated[
    bool, typer.Option("--extrapolate", help="go on beyond what the profile was measured for; the output says so")
]
Force = Annotated[bool, typer.Option("--force", help="run even what is estimated to be very large")]
Seed = Annotated[int, typer.Option(min=0, help="the only seed")]
Flip = Annotated[
    str | None,
    typer.Option(metavar="PATH=LOW..HIGH", help="also tell at which value of this input, as under set, it flips"),
]
ReplicationsFlag = Annotated[
    str | None,
    typer.Option(
        "--replications", metavar="N|auto", help="runs of each, instead of the scenario's own; auto finds how many"
    ),
]
PrecisionFlag = Annotated[
    str | None,
    typer.Option("--precision", metavar="SHARE", help="of auto: half the interval of --by's mean, such as 5%"),
]
By = Annotated[
    str, typer.Option(metavar="METRIC", help="what --flip looks at and auto makes precise, by its name in --json")
]
Below = Annotated[
    float | None, typer.Option(metavar="VALUE", help="of --by, up to which the scenario holds; goes with --flip")
]
EngineOption = Annotated[
    Literal["whole", "fleet"],  # `sim.assembly.Engine`, which takes a while to import
    typer.Option("--engine", help="fleet: the control plane alone, several times quicker; nothing of viewers"),
]
BY = "transcode_usd_per_month"

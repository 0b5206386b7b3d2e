"""Takes the benchmarks and writes `docs/performance.md` from what they printed.

`python docs/performance.py NAME ...` runs those benchmarks and keeps their JSON beside this file, in `measured/`;
without names it only writes the page anew. No figure of the page is typed by hand.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
MEASURED = DOCS / "measured"
PAGE = DOCS / "performance.md"
COMMANDS: dict[str, list[str]] = {
    "ladder": ["-m", "benchmarks.ladder", "--rounds", "7"],
    "ladder_of_the_guide": ["-m", "benchmarks.ladder", "--ladder", "guide", "--rounds", "7", "--seconds", "6"],
    "x264_builds": ["-m", "benchmarks.x264_builds", "--rounds", "9"],
    "ingest": ["-m", "benchmarks.ingest"],
    "latency": ["-m", "benchmarks.latency"],
    "workers": ["-m", "benchmarks.workers"],
    "twitch_day": ["-m", "benchmarks.twitch_day"],
}
"""What is run for each file of `measured/`."""
TARGETS = {
    ("ladder", "ratio_to_ffmpeg"): "≤ 1.0, upper end ≤ 1.05",
    ("ladder_of_the_guide", "ratio_to_ffmpeg"): "≤ 1.0, upper end ≤ 1.05",
    ("ladder", "ratio_to_three_processes"): "≤ 0.75",
    ("ladder_of_the_guide", "ratio_to_three_processes"): "≤ 0.75",
    ("ingest", "ratio_to_nginx_rtmp"): "≤ 4",
    ("latency", "frame_p50_ms"): "≤ 25",
    ("latency", "segment_p50_ms"): "≤ 60",
    ("twitch_day", "cpu_s"): "≤ 30",
    ("twitch_day", "peak_rss_mb"): "≤ 600",
    ("twitch_day", "life_cycles_per_cpu_s"): "≥ 60,000",
    ("twitch_day", "slope"): "0.9 to 1.1",
}
"""What we set out to reach."""
HEAD = """# Performance of pipeline and simulator

Every figure is printed by the command above its table; the page is written from that output by
`python docs/performance.py`, and a test holds it to it. Ratios are taken within rounds in which the rivals ran side by
side: median (lowest … highest). `noise_floor` is a rival against itself; `ratio_of_builds` is what the two libx264
differ by, which no ladder of ours can change.
"""


def measure(name: str) -> None:
    """Run one benchmark and keep what it printed."""
    command = [sys.executable, *COMMANDS[name], "--json"]
    printed = subprocess.run(command, cwd=DOCS.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    MEASURED.mkdir(exist_ok=True)
    text = json.dumps({"date": today} | json.loads(printed), indent=2, ensure_ascii=False)
    (MEASURED / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def page() -> str:
    """Return the page as the kept output makes it."""
    parts = [HEAD]
    for name, command in COMMANDS.items():
        path = MEASURED / f"{name}.json"
        if path.is_file():
            parts.append(_section(name, command, json.loads(path.read_text(encoding="utf-8"))))
    return "\n".join(parts)


def _section(name: str, command: list[str], measured: dict[str, Any]) -> str:
    machine = measured["machine"]
    lines = [f"## {name.replace('_', ' ')}", "", "```", "python " + " ".join(command), "```", ""]
    lines.append(f"{measured['date']}, {machine['cores']} cores of {machine['cpu']}.")
    lines += ["", "| what | measured | target |", "|---|---|---|"]
    for key, value in measured.items():
        if key not in ("date", "machine"):
            lines.append(f"| `{key}` | {_shown(value)} | {TARGETS.get((name, key), '')} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"median", "low", "high"}:
        return f"{value['median']:.3g} ({value['low']:.3g} … {value['high']:.3g})"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(part) for part in value)
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1e4 else f"{value:,.0f}"
    return str(value)


def main() -> None:
    """Measure what was asked for, then write the page."""
    for name in sys.argv[1:]:
        measure(name)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""A scenario whose ladder two shared cores encode beside a browser."""

from __future__ import annotations

from live_pipeline import ROOT

FPS = 30
SEGMENT_S = 1
SCENARIO = f"""
extends: {ROOT}/scenarios/library/baseline.yaml
set:
  ladder.segment_s: {SEGMENT_S} s
  ladder.rungs:
    - {{name: 180p30, width: 320, height: 180, fps: {FPS}, bitrate_bps: 300 kbit/s}}
    - {{name: 90p30, width: 160, height: 90, fps: {FPS}, bitrate_bps: 150 kbit/s}}
  workload.audience.rung_shares: {{180p30: 0.75, 90p30: 0.25}}
"""

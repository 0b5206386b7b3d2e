"""The command from outside: exit codes, one clear message, nothing half-written."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "scenarios" / "bundles" / "epyc-2c-x264-ultrafast"
OTHER_RUNG = "extends: baseline\nset:\n  ladder.rungs.480p30.width: 320\n  ladder.rungs.480p30.height: 180\n"


def headroom(folder: Path, *arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a folder; `without` names a package that is then not installed."""
    hide = f"import sys; sys.modules[{without!r}] = None; " if without else ""
    command = [sys.executable, "-c", hide + "import headroom; headroom.main()", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check an exit code, and that the message is a few lines that say what and what to do."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_help_names_every_verb(tmp_path):
    done = headroom(tmp_path, "--help")
    verbs = (
        "doctor",
        "validate",
        "resolve",
        "run",
        "compare",
        "report",
        "serve",
        "measure",
        "load",
        "fit",
        "replay",
        "trace",
    )
    assert done.returncode == 0
    assert all(f"  {verb} " in done.stdout for verb in verbs)


def test_run_prints_one_json_object_and_nothing_else(tmp_path):
    (tmp_path / "hour.yaml").write_text("extends: baseline\nset:\n  horizon.horizon_s: 1 h\n")
    done = headroom(tmp_path, "run", "hour.yaml", "--replications", "1", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert answer["profile"] == "xeon-2c-x264-ultrafast"
    assert {row["metric"] for row in answer["metrics"]} >= {"nodes_peak", "segment_hit_ratio", "egress_usd_per_month"}
    assert not [place for place in (ROOT, tmp_path) if str(place) in done.stdout]


def test_resolve_prints_a_scenario_that_loads_again(tmp_path):
    (tmp_path / "whatif.yaml").write_text("extends: baseline\nset:\n  platform.cdn.clusters: 12\n")
    done = headroom(tmp_path, "resolve", "whatif.yaml")
    (tmp_path / "resolved.yaml").write_text(done.stdout)
    assert "whatif.yaml:3 (set)" in done.stdout
    assert headroom(tmp_path, "validate", "resolved.yaml").stdout == "resolved.yaml: valid\n"


def test_a_profile_without_a_rung_of_the_ladder(tmp_path):
    (tmp_path / "other.yaml").write_text(OTHER_RUNG)
    done = headroom(tmp_path, "run", "other.yaml", "--out", "result")
    refused(done, 2, "rung 480p30 of 320x180@30", "102,240 to 921,600 pixels", "headroom measure", "--extrapolate")
    assert not (tmp_path / "result").exists()


@pytest.mark.parametrize("verb", ["measure", "serve", "load"])
def test_without_pyav(tmp_path, verb):
    options = ["--out", "bundle"] if verb == "measure" else []
    refused(headroom(tmp_path, verb, *options, without="av"), 1, "PyAV is not installed", "pip install")
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = headroom(ROOT, "serve", "--encoder", "x264", "--rtmp-port", port, "--http-port", "0")
    refused(done, 1, f"port {port} on 127.0.0.1 is in use", "--rtmp-port")


def test_an_encoder_that_is_not_built_and_one_that_does_not_exist(tmp_path):
    refused(headroom(tmp_path, "measure", "--out", "bundle", "--encoder", "nvenc"), 1, "nvenc")
    refused(headroom(tmp_path, "measure", "--out", "bundle", "--encoder", "x265"), 2, "x265")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requires_ffmpeg
def test_an_encoder_that_cannot_be_measured(tmp_path):
    done = headroom(tmp_path, "measure", "--out", "bundle", "--encoder", "ffmpeg")
    refused(done, 1, "--encoder ffmpeg cannot be measured", "measure with --encoder x264")
    assert list(tmp_path.iterdir()) == []


def copied(tmp_path: Path, change: str, to: str) -> Path:
    bundle = shutil.copytree(BUNDLE, tmp_path / "bundle")
    meta = (bundle / "meta.json").read_text(encoding="utf-8")
    assert change in meta
    (bundle / "meta.json").write_text(meta.replace(change, to), encoding="utf-8")
    return bundle


@pytest.mark.parametrize("verb", ["fit", "replay"])
def test_a_bundle_of_another_version(tmp_path, verb):
    copied(tmp_path, '"headroom_bundle": 3', '"headroom_bundle": 4')
    options = ["--out", "p.yaml"] if verb == "fit" else ["--profile", "xeon-2c-x264-ultrafast"]
    refused(headroom(tmp_path, verb, "bundle", *options), 2, "bundle schema 4, this headroom reads 3", "measure again")
    assert not (tmp_path / "p.yaml").exists()


def test_a_damaged_bundle_and_an_empty_folder(tmp_path):
    copied(tmp_path, "}", "}")
    with (tmp_path / "bundle" / "frames.parquet").open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    refused(headroom(tmp_path, "fit", "bundle", "--out", "p.yaml"), 2, "frames.parquet: damaged")
    (tmp_path / "empty").mkdir()
    refused(headroom(tmp_path, "fit", "empty", "--out", "p.yaml"), 2, "not a measurement bundle", "headroom measure")


def test_places_that_cannot_be_written_or_are_taken(tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(headroom(tmp_path, "fit", str(BUNDLE), "--out", "file/p.yaml"), 1, "cannot be written", "--out")
    refused(headroom(tmp_path, "measure", "--out", "file"), 1, "exists already", "--out")
    refused(headroom(tmp_path, "report", "."), 2, "not a result of `headroom run`", "run the scenario again")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

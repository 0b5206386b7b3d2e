"""A manifest in a scenario, and a scenario's manifest: read strictly with places, written so that it reads the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios import load_scenario
from scenarios.errors import ScenarioError
from scenarios.hpa import HpaManifest
from scenarios.hpa_text import manifest_text
from scenarios.reading.load import load, resolve_text
from scenarios.scenario_file import open_scenario

MANIFEST = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: transcoder-hpa
  namespace: video
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: transcoder
  minReplicas: 50
  maxReplicas: 500
  metrics:
    - type: External
      external:
        metric:
          name: sqs_queue_depth
          selector:
            matchLabels:
              queue: live
        target:
          type: AverageValue
          averageValue: "5"
  behavior:
    scaleDown:
      tolerance: 50m
      policies:
        - {type: Percent, value: 10, periodSeconds: 60}
"""
BY_FILE = """\
extends: baseline
set:
  platform.transcode.autoscaler:
    kind: hpa
    manifest: hpa.yaml
    metrics: {sqs_queue_depth: waiting}
"""


def written(tmp_path: Path, scenario: str = BY_FILE, manifest: str | None = MANIFEST) -> Path:
    if manifest is not None:
        (tmp_path / "hpa.yaml").write_text(manifest)
    file = tmp_path / "what_if.yaml"
    file.write_text(scenario)
    return file


def inline(spec: str) -> str:
    autoscaler = "    kind: hpa\n    metrics: {sqs_queue_depth: in_service}\n    spec:\n"
    body = "".join(f"      {line}\n" for line in spec.splitlines())
    return f"extends: baseline\nset:\n  platform.transcode.autoscaler:\n{autoscaler}{body}"


def test_a_manifest_beside_the_scenario_is_a_part_of_it(tmp_path):
    autoscaler = load_scenario(written(tmp_path)).platform.transcode.autoscaler
    assert autoscaler.replicas.min_replicas == 50
    assert autoscaler.replicas.behavior.scale_down.tolerance == 0.05
    assert autoscaler.replicas.behavior.scale_down.stabilization_window_seconds == 300


def test_the_scenario_as_understood_names_the_manifest_and_reads_the_same(tmp_path):
    loaded = open_scenario(written(tmp_path))
    text = resolve_text(loaded)
    assert "minReplicas: 50" in text
    assert "# hpa.yaml:11" in text
    assert [file.name for file in loaded.files] == ["what_if.yaml", "baseline.yaml", "hpa.yaml"]
    again = tmp_path / "again.yaml"
    again.write_text(text)
    assert load_scenario(again) == loaded.value


@pytest.mark.parametrize("manifest", [MANIFEST, MANIFEST.split("  behavior:")[0]])
def test_what_is_written_is_the_manifest_that_was_read(tmp_path, manifest):
    loaded = open_scenario(written(tmp_path, manifest=manifest))
    text = manifest_text(loaded)
    (tmp_path / "out.yaml").write_text(text)
    assert (
        load(tmp_path / "out.yaml", HpaManifest, library=None).value
        == loaded.value.platform.transcode.autoscaler.manifest
    )
    assert ("behavior" in text) == ("behavior" in manifest)  # none is not the same as the defaults of one


def test_a_bare_spec_is_written_as_the_manifest_of_a_deployment(tmp_path):
    spec = MANIFEST.split("spec:\n")[1].split("  behavior:")[0].replace("\n  ", "\n")[2:]
    loaded = open_scenario(written(tmp_path, inline(spec), None))
    text = manifest_text(loaded)
    assert "name: transcoder" in text
    whole = written(tmp_path, BY_FILE, text)
    found = load_scenario(whole).platform.transcode.autoscaler.replicas
    assert found == loaded.value.platform.transcode.autoscaler.replicas


def test_what_the_api_server_adds_is_read_over(tmp_path):
    live = (
        MANIFEST.replace(
            "  name: transcoder-hpa\n",
            "  name: transcoder-hpa\n  uid: 0f17a814\n  resourceVersion: '12'\n  generation: 3\n"
            "  creationTimestamp: '2026-11-22T10:00:00Z'\n",
        )
        + "status:\n  currentReplicas: 50\n  conditions: [{type: AbleToScale, status: 'True'}]\n"
    )
    loaded = open_scenario(written(tmp_path, manifest=live))
    assert "status" not in manifest_text(loaded)


def test_other_kinds_have_no_manifest(tmp_path):
    file = written(tmp_path, "extends: baseline\n", None)
    with pytest.raises(
        ScenarioError, match=r"autoscaler: an autoscaler of kind 'queue' is no Horiz.*write 'kind: hpa'"
    ):
        manifest_text(open_scenario(file))


def refusals(file: Path) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        open_scenario(file)
    return [str(problem).removeprefix(f"{file.parent}/") for problem in caught.value.problems]


def test_a_misspelt_key_of_the_manifest_is_named_in_its_file(tmp_path):
    wrong = MANIFEST.replace("minReplicas", "minReplica").replace("periodSeconds: 60", "periodSeconds: 6000")
    found = refusals(written(tmp_path, manifest=wrong))
    assert len(found) == 2
    assert found[0].startswith("hpa.yaml:11:3: platform.transcode.autoscaler.manifest.spec.minReplica: unknown key")
    assert "did you mean 'minReplicas'?" in found[0]
    assert found[1].startswith("hpa.yaml:28:53: ")
    assert "at most 1800" in found[1]


def test_keys_in_python_spelling_are_refused_with_those_of_the_api(tmp_path):
    found = refusals(written(tmp_path, inline("min_replicas: 5\nmaxReplicas: 20"), None))
    assert found[0].startswith("what_if.yaml:7:7: ")
    assert "did you mean 'minReplicas'?" in found[0]


@pytest.mark.parametrize(
    ("scenario", "manifest", "start", "words"),
    [
        (BY_FILE.replace("hpa.yaml", "hpe.yaml"), MANIFEST, "what_if.yaml:5:15: ", "did you mean 'hpa.yaml'?"),
        (BY_FILE.replace("hpa.yaml", "../hpa.yaml"), None, "what_if.yaml:5:15: ", "leads out of the folder"),
        (BY_FILE.replace("hpa.yaml", "/etc/passwd"), None, "what_if.yaml:5:15: ", "leads out of the folder"),
        (BY_FILE.replace("hpa.yaml", "''"), None, "what_if.yaml:5:15: ", "must be the name of a file"),
        (BY_FILE, "- 1\n", "hpa.yaml:1:1: ", "the top level is a list"),
        (BY_FILE, MANIFEST + "---\nkind: Deployment\n", "hpa.yaml:29:1: ", "a second document starts here"),
        (BY_FILE, MANIFEST + "kind: HorizontalPodAutoscaler\n", "hpa.yaml:29:1: ", "duplicate key 'kind'"),
        (BY_FILE, MANIFEST.replace("autoscaling/v2", "autoscaling/v1"), "hpa.yaml:1:13: ", "autoscaling/v2"),
        (BY_FILE, MANIFEST.replace('"5"', "five"), "hpa.yaml:23:25: ", "is no quantity"),
        (BY_FILE, MANIFEST.replace("type: External", "type: Object"), "hpa.yaml:14:13: ", "'External'"),
        (BY_FILE.replace("sqs_queue", "sqs_que"), MANIFEST, "what_if.yaml:6:5: ", "add {sqs_queue_depth: waiting}"),
        (
            BY_FILE.replace("    metrics: {sqs_queue_depth: waiting}\n", ""),
            MANIFEST,
            "what_if.yaml:3:3: ",
            "add {sqs_queue_depth: waiting}",
        ),
        (BY_FILE.replace("manifest: hpa.yaml", "manifest: 5"), MANIFEST, "what_if.yaml:5:15: ", "a mapping of keys"),
        (BY_FILE.replace("kind: hpa", "kind: hpb"), MANIFEST, "what_if.yaml:4:11: ", "'hpa'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, scenario, manifest, start, words):
    found = refusals(written(tmp_path, scenario, manifest))
    assert len(found) == 1, found
    assert found[0].startswith(start)
    assert words in found[0]


def test_a_what_if_may_extend_a_scenario_with_a_manifest_from_below(tmp_path):
    (tmp_path / "below").mkdir()
    written(tmp_path / "below")
    file = tmp_path / "more.yaml"
    file.write_text("extends: below/what_if.yaml\nset:\n  platform.transcode.autoscaler.scrape_delay_s: 60 s\n")
    autoscaler = load_scenario(file).platform.transcode.autoscaler
    assert (autoscaler.scrape_delay_s, autoscaler.replicas.min_replicas) == (60.0, 50)
    (tmp_path / "below" / "hpa.yaml").write_text(MANIFEST.replace("minReplicas: 50", "minReplicas: 5000"))
    assert refusals(file)[0].startswith("below/hpa.yaml:6:1: ")

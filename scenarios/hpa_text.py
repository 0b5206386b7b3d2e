"""Write the HPA of a scenario as the manifest that it is."""

from __future__ import annotations

from scenarios.errors import ScenarioError
from scenarios.hpa_autoscaler import HpaAutoscaler
from scenarios.reading.load import Loaded
from scenarios.reading.resolve import yaml_text
from scenarios.scenario import Scenario

_WHERE = ("platform", "transcode", "autoscaler")


def manifest_text(loaded: Loaded[Scenario]) -> str:
    """Return the manifest of autoscaling/v2 that a scenario's autoscaler is, as YAML for `kubectl apply`.

    What the API server fills in is written out, but for `behavior` where the manifest has none: without it the
    controller keeps its older rules.

    Raises:
        ScenarioError: the autoscaler is of another kind.
    """
    autoscaler = loaded.value.platform.transcode.autoscaler
    if not isinstance(autoscaler, HpaAutoscaler):
        message = f"an autoscaler of kind {autoscaler.kind!r} is no HorizontalPodAutoscaler"
        hint = "write 'kind: hpa' with a spec, or with the file of a manifest"
        raise ScenarioError([loaded.problem(_WHERE, message, hint)])
    return yaml_text(autoscaler.as_manifest().model_dump(mode="json", exclude_none=True, exclude={"status"}))

"""What a bundle says of the encoder: its options as they were handed over, its libraries, its limits."""

from __future__ import annotations

import pytest
from clips import ladder
from gpu_stand_ins import Gpu, stand_in_gpu

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.nvenc_options import nvenc_options
from pipeline.ladders.x264 import x264_options
from pipeline.measure import encoder
from pipeline.measure.encoder import RUNG_OPTIONS, encoder_facts, require_measurable
from scenarios.errors import EncoderUnavailable

RUNGS = ladder((320, 192, 60), (160, 96, 30))


@pytest.fixture
def gpu(monkeypatch) -> Gpu:
    return stand_in_gpu(monkeypatch)


def test_every_backend_can_be_measured_but_the_one_in_a_process_of_its_own():
    assert LADDER_BACKENDS.keys() - RUNG_OPTIONS.keys() == {"ffmpeg"}
    for backend in RUNG_OPTIONS:
        require_measurable(backend, RUNGS)
    with pytest.raises(EncoderUnavailable, match="cannot be measured"):
        require_measurable("ffmpeg", RUNGS)


@pytest.mark.parametrize("backend", ["nvenc", "nvenc-hybrid"])
def test_nvencs_options_are_those_that_the_rungs_are_given(gpu, monkeypatch, backend):
    monkeypatch.setattr(encoder, "driver_version", lambda: "570.133.20")
    facts = encoder_facts(backend=backend, preset="p4", ladders={"ladder": RUNGS})
    assert (facts.backend, facts.preset) == (backend, "p4")
    for rung in RUNGS.rungs:
        own = nvenc_options(rung, preset="p4", declared_fps=rung.fps)
        assert {name: facts.options.get(f"{rung.name}.{name}", facts.options.get(name)) for name in own} == own
    assert facts.options["96p30.maxrate"] == "250000"
    assert facts.libraries["driver"] == "570.133.20"
    assert "x264" not in facts.libraries
    assert facts.limits == {}


def test_the_cap_on_sessions_is_a_limit_once_one_was_refused(gpu):
    refused = ["OpenEncodeSessionEx failed: out of memory (10): (no details)\n"]
    gpu.fail = lambda name, call, before: refused if call == "open" and before >= 5 else None
    assert encoder_facts(backend="nvenc", preset="p4", ladders={"ladder": RUNGS}).limits == {"sessions": 5.0}


def test_x264_has_its_version_and_no_limits():
    facts = encoder_facts(backend="x264", preset="ultrafast", ladders={"ladder": RUNGS})
    assert facts.libraries["x264"].startswith("core ")
    assert "driver" not in facts.libraries
    assert facts.limits == {}
    assert facts.options["96p30.maxrate"] == x264_options(RUNGS.rungs[1], preset="ultrafast")["maxrate"]

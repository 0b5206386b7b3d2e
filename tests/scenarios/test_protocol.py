"""The protocol of what is held out: read strictly, hashed as it stands on disk."""

from __future__ import annotations

import hashlib

import pytest

from scenarios.errors import ScenarioError
from scenarios.protocol import HELD_OUT, held_out_protocol


def test_the_committed_protocol_is_read_and_hashed():
    protocol, sha256 = held_out_protocol()
    assert sha256 == hashlib.sha256(HELD_OUT.read_bytes()).hexdigest()
    assert protocol.ladders["H3"].ladder.rungs[0].bitrate_bps == 1.8e6


def test_loads_are_fractions_of_the_largest_that_holds_each_once_and_at_least_one_stream():
    protocol, _ = held_out_protocol()
    assert protocol.loads(20) == (6, 10, 14)
    assert protocol.loads(7) == (2, 4, 5)
    assert protocol.loads(2) == (1,)


def test_a_changed_file_has_another_hash_and_a_wrong_one_is_refused_with_its_place(tmp_path):
    text = HELD_OUT.read_text(encoding="utf-8")
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace("repeats: 6", "repeats: 5"), encoding="utf-8")
    assert held_out_protocol(changed).sha256 != held_out_protocol().sha256
    assert held_out_protocol(changed).protocol.repeats == 5
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text.replace("  game:\n", "  H1:\n"), encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"wrong.yaml:.*'H1' names both a ladder and a clip"):
        held_out_protocol(wrong)
    wrong.write_text(text.replace("[0.3, 0.5, 0.7]", "[0.3, 0.5, 1.7]"), encoding="utf-8")
    held_out_protocol.cache_clear()
    with pytest.raises(ScenarioError, match=r"wrong.yaml:\d+:\d+: fractions_of_n_max"):
        held_out_protocol(wrong)

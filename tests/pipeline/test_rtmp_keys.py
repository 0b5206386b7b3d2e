"""Stream keys: who may publish what, and key files that are wrong."""

from __future__ import annotations

import hashlib

import pytest

from pipeline.rtmp.keys import StreamKeys, is_stream_name, key_digest
from scenarios.errors import ScenarioError


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


BAD_NAMES = ["", "../../x", "%2e%2e", "a/b", "a\0b", "n" * 65, "-i", "%d", "a．b", "a b", "é", "cam\n"]


@pytest.mark.parametrize("name", ["cam", "C-1_x", "_", "n" * 64, "0"])
def test_names_that_may_stand_in_a_path(name):
    assert is_stream_name(name)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_may_not(name):
    assert not is_stream_name(name)
    with pytest.raises(ValueError, match="no stream name"):
        StreamKeys({name: b""})


def test_a_file_of_keys(tmp_path):
    file = tmp_path / "keys.txt"
    file.write_text(f"# who may publish\n\ncam-1 {digest('alpha')}\n  cam-2\t{digest('beta')}  \n")
    keys = StreamKeys.read(file)
    assert [keys.name_of(key) for key in ("alpha", "beta", "gamma", "")] == ["cam-1", "cam-2", None, None]
    assert keys.name_of(digest("alpha")) is None, "the hash itself opens nothing"
    assert keys.authorise("live", "beta", "127.0.0.1:5") == "cam-2"
    assert keys.authorise("other", "beta", "127.0.0.1:5") is None


def test_a_generated_key_opens_its_stream_only():
    keys, key = StreamKeys.generate("cam")
    assert keys.name_of(key) == "cam"
    assert len(key) >= 32
    other, other_key = StreamKeys.generate("cam")
    assert key != other_key
    assert other.name_of(key) is None
    assert key not in repr(keys.__dict__)


def test_every_wrong_line_is_told_with_its_place_and_without_its_words(tmp_path):
    file = tmp_path / "keys.txt"
    file.write_text(
        f"cam {digest('alpha')}\n-oops {digest('b')}\ncam2 clear-text-key\ncam {digest('c')}\n"
        f"cam3 {digest('alpha')}\nlonely\ncam4 {digest('d').upper()}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        StreamKeys.read(file)
    told = [(problem.line, problem.message) for problem in caught.value.problems]
    assert [line for line, _ in told] == [2, 3, 4, 5, 6, 7]
    parts = ["no stream name", "64 lower-case", "twice", "another stream", "1 words", "64 lower-case"]
    for (_, message), part in zip(told, parts, strict=True):
        assert part in message
    assert f"{file}:3: the hash is not" in str(caught.value)
    for secret in ("clear-text-key", "-oops", "lonely"):
        assert secret not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ScenarioError, match="No such file"):
        StreamKeys.read(tmp_path / "missing.txt")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        StreamKeys.read(binary)


def test_the_keys_of_the_environment():
    keys = StreamKeys.of_variable(f"cam-1={digest('alpha')}, cam-2={digest('beta')}\n")
    assert [keys.name_of(key) for key in ("alpha", "beta", digest("alpha"), "")] == ["cam-1", "cam-2", None, None]
    assert key_digest("alpha").hex() == digest("alpha")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (f"-oops={digest('b')}", "the first word is no stream name; use 1 to 64 of"),
        ("cam2=clear-text-key", "the hash is not 64 lower-case hexadecimal digits; make it with `printf"),
        (f"cam={digest('c')}", "the stream stands twice; keep one entry for each stream"),
        (f"cam3={digest('alpha')}", "the key of another stream; give each stream its own key"),
        ("lonely", "1 words where a name and a hash belong; write `NAME=SHA256HEX`"),
        (f"cam4 {digest('d')}", "1 words where a name and a hash belong; write `NAME=SHA256HEX`"),
        ("", "0 words where a name and a hash belong; write `NAME=SHA256HEX`"),
    ],
)
def test_a_wrong_entry_of_the_environment_is_told_with_its_place_and_without_its_words(entry, told):
    with pytest.raises(ScenarioError) as caught:
        StreamKeys.of_variable(f"cam={digest('alpha')},{entry},cam9={digest('z').upper()}")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"HEADROOM_STREAM_KEYS: entry 2: {told}")
    assert lines[1].startswith("HEADROOM_STREAM_KEYS: entry 3: the hash is not")
    assert len(lines) == 2
    for secret in ("clear-text-key", "-oops", "lonely", digest("d")):
        assert secret not in str(caught.value)


def test_an_empty_variable_is_no_wish_for_a_fresh_key():
    with pytest.raises(ScenarioError, match=r"^HEADROOM_STREAM_KEYS: is set but holds no key; write .* or unset it$"):
        StreamKeys.of_variable(" ")

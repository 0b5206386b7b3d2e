"""Who may publish what: the stream keys, of which only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from scenarios.errors import Problem, ScenarioError

APP = "live"
"""The one application name: publishers use `rtmp://HOST/live` as server and the key as stream key."""
KEYS_VARIABLE = "HEADROOM_STREAM_KEYS"
"""The environment variable that may hold the keys instead of a file: `NAME=SHA256HEX,NAME2=SHA256HEX`."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY_BYTES = 24
_NAME_RULE = "1 to 64 of A-Z a-z 0-9 _ and -, not starting with -"


def is_stream_name(name: str) -> bool:
    """Return whether the public name is safe in a path, a URL and a command line."""
    return _NAME.fullmatch(name) is not None


def key_digest(key: str) -> bytes:
    """Return the SHA-256 hash of a stream key: all that is ever kept of it."""
    return hashlib.sha256(key.encode()).digest()


class StreamKeys:
    """SHA-256 hashes of the stream keys, by the public name of the stream each one may publish."""

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        """Keep the hashes; ValueError for a name that `is_stream_name` refuses."""
        for name in digests:
            if not is_stream_name(name):
                raise ValueError(f"{name!r} is no stream name: {_NAME_RULE}")
        self._digests = dict(digests)

    @classmethod
    def generate(cls, name: str) -> tuple[StreamKeys, str]:
        """Return keys for one stream, and its fresh key: the only place where it is ever in clear."""
        key = secrets.token_urlsafe(_KEY_BYTES)
        return cls({name: key_digest(key)}), key

    @classmethod
    def read(cls, path: Path) -> StreamKeys:
        """Return the keys of a text file of lines `NAME SHA256HEX`; `#` starts a comment line.

        Raises:
            ScenarioError: every line that is wrong, or the file that cannot be read.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            hint = "write one line `NAME SHA256HEX` for each stream"
            raise ScenarioError([Problem(str(path), None, None, "", f"cannot be read: {reason}", hint)]) from None
        numbered = enumerate((line.split() for line in lines), start=1)
        entries = [(number, words) for number, words in numbered if words and not words[0].startswith("#")]
        digests, faults = _read(entries, "NAME SHA256HEX")
        if faults:
            raise ScenarioError([Problem(str(path), number, None, "", *fault) for number, fault in faults])
        return cls(digests)

    @classmethod
    def of_variable(cls, text: str) -> StreamKeys:
        """Return the keys of `KEYS_VARIABLE`'s value, entries `NAME=SHA256HEX` with commas between them.

        Raises:
            ScenarioError: every entry that is wrong, by its number from 1; or the value has none.
        """
        if not text.strip():
            hint = "write NAME=SHA256HEX,NAME2=SHA256HEX or unset it"
            raise ScenarioError([Problem(KEYS_VARIABLE, None, None, "", "is set but holds no key", hint)])
        entries = [(number, _words(entry)) for number, entry in enumerate(text.split(","), start=1)]
        digests, faults = _read(entries, "NAME=SHA256HEX")
        if faults:
            raise ScenarioError([Problem(KEYS_VARIABLE, None, None, f"entry {n}", *fault) for n, fault in faults])
        return cls(digests)

    def name_of(self, key: str) -> str | None:
        """Return the public name that this key may publish, or None; takes the same time for every key."""
        asked = key_digest(key)
        found = None
        for name, digest in self._digests.items():
            if hmac.compare_digest(digest, asked):
                found = name
        return found

    def authorise(self, app: str, key: str, peer: str) -> str | None:
        """Return the public name, or None for another app or an unknown key; an `RtmpServer` authoriser."""
        del peer  # a key is good from anywhere
        return self.name_of(key) if app == APP else None


def _words(entry: str) -> list[str]:
    """Return the name and the hash of one entry of the variable, or however many words stand there."""
    return [word.strip() for word in entry.split("=")] if entry.strip() else []


def _read(
    entries: Iterable[tuple[int, list[str]]], form: str
) -> tuple[dict[str, bytes], list[tuple[int, tuple[str, str]]]]:
    """Return the hashes by name, and what is wrong with which entry."""
    digests: dict[str, bytes] = {}
    faults = []
    for number, words in entries:
        fault = _fault(words, digests, form)
        if fault is None:
            digests[words[0]] = bytes.fromhex(words[1])
        else:
            faults.append((number, fault))
    return digests, faults


def _fault(words: list[str], known: Mapping[str, bytes], form: str) -> tuple[str, str] | None:
    """Return what is wrong with one entry and what to do; quotes no word that could be a key by mistake."""
    if len(words) != 2:
        return f"{len(words)} words where a name and a hash belong", f"write `{form}`"
    name, digest = words
    if not is_stream_name(name):
        return "the first word is no stream name", f"use {_NAME_RULE}"
    if not _DIGEST.fullmatch(digest):
        return "the hash is not 64 lower-case hexadecimal digits", "make it with `printf %s KEY | sha256sum`"
    if name in known:
        return "the stream stands twice", "keep one entry for each stream"
    if bytes.fromhex(digest) in known.values():
        return "the key of another stream", "give each stream its own key"
    return None

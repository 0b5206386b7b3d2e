"""What the checker finds in files that a test holds, and files with a fault planted in them."""

from __future__ import annotations

import asyncio

from pipeline.hls.checker import Answer, StreamChecker, Violation


def names(violations: list[Violation]) -> set[str]:
    return {violation.rule.partition(",")[0] for violation in violations}


def check_files(files: dict[str, bytes]) -> list[Violation]:
    """Return what one reading of these files as a stream finds."""

    async def fetch(path: str) -> Answer:
        return Answer(files[path]) if path in files else Answer(refusal="404 Not Found")

    return asyncio.run(StreamChecker("/live/index.m3u8", fetch).poll(0.0))


def replaced(files: dict[str, bytes], path: str, part: bytes, wrong: bytes) -> dict[str, bytes]:
    assert part in files[path]
    return files | {path: files[path].replace(part, wrong, 1)}


def without(files: dict[str, bytes], path: str) -> dict[str, bytes]:
    return {each: data for each, data in files.items() if each != path}

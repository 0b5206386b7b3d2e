"""The part of a file that a request asks for (RFC 9110, 14)."""

from __future__ import annotations

import re

from aiohttp import web

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII | re.IGNORECASE)


def requested_span(request: web.Request, size: int) -> tuple[int, int] | None:
    """Return first byte and end (exclusive) of the asked part of `size` bytes, or None for all of it.

    A range that is malformed, in another unit than bytes, or one of several is ignored, as RFC 9110, 14.2 allows;
    so is one with `If-Range`, as nothing here has a validator it could match (13.1.5).

    Raises:
        HTTPRequestRangeNotSatisfiable: no byte of it exists.
    """
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if request.method != "GET" or asked is None or "If-Range" in request.headers:
        return None
    first, last = (int(digits) if digits else None for digits in asked.groups())
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        return None
    if first is None:
        first, last = max(0, size - (last or 0)), None  # the last so many bytes
    if first >= size:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return first, size if last is None else min(size, last + 1)

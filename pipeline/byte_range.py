"""The part of a file that a request asks for (RFC 9110, 14)."""

from __future__ import annotations

from aiohttp import web


def requested_span(request: web.Request, size: int) -> tuple[int, int] | None:
    """Return first byte and end (exclusive) of the asked part of `size` bytes, or None for all of it.

    A range that is malformed, in another unit than bytes, or one of several is ignored, as RFC 9110, 14.2 allows;
    so is one with `If-Range`, as nothing here has a validator it could match (13.1.5).

    Raises:
        HTTPRequestRangeNotSatisfiable: no byte of it exists.
    """
    if request.method != "GET" or "If-Range" in request.headers:
        return None
    try:
        asked = request.http_range
    except ValueError:
        return None
    if asked.start is None:
        return None
    first, end, _ = asked.indices(size)
    if first >= end:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return first, end

"""Asking who may publish what: whatever goes wrong with the answer is a no."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from pipeline.rtmp.errors import PublishRefused

log = logging.getLogger(__name__)

Authoriser: TypeAlias = Callable[[str, str, str], str | Awaitable[str | None] | None]
"""From app, stream key and peer address to the public stream name, or None for no."""


async def authorised_name(authorise: Authoriser, app: str, stream_key: str, peer: str) -> str | None:
    """Return the authoriser's answer; PublishRefused if it fails."""
    try:
        answer = authorise(app, stream_key, peer)
        return await answer if inspect.isawaitable(answer) else answer
    except Exception as error:
        # Fail closed. The error's text may quote the key, so only its type and its frames are logged.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("the authoriser failed with %s; refused %s\n%s", type(error).__name__, peer, frames)
        raise PublishRefused("the publish could not be authorised") from None

"""How a child process (`pipeline.measure.child`) speaks with the one that started it: in lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from scenarios.errors import HeadroomError

Serve: TypeAlias = Callable[[dict[str, Any]], Coroutine[Any, Any, Mapping[str, Any] | None]]
"""What a child does: from the configuration that it is told to its last words, if it has any."""


def say(document: Mapping[str, Any]) -> None:
    """Tell the parent one object."""
    print(json.dumps(document), flush=True)


async def read() -> Any:
    """Return the next object that the parent tells; EOFError when it has gone, or has no more to say."""
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if not line:
        raise EOFError("the measuring process is gone")
    return json.loads(line)


def obey(serve: Serve) -> None:
    """Read the configuration, serve, and end this process; errors meant for the user are told to the parent."""
    config = json.loads(sys.stdin.readline())
    try:
        last_words = asyncio.run(serve(config))
        if last_words is not None:
            say(last_words)
    except HeadroomError as error:
        say({"error": str(error), "kind": type(error).__name__})
    except EOFError:
        pass  # nobody is left to tell
    # Not sys.exit: a daemon thread inside FFmpeg must not meet a dying interpreter.
    sys.stdout.flush()
    os._exit(0)

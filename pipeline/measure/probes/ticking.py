"""Showing that a probe is at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

TICK_S = 0.25

Tick: TypeAlias = Callable[[], None]


@asynccontextmanager
async def ticking(tick: Tick) -> AsyncIterator[None]:
    """Call `tick` some times a second for as long as the context lasts."""

    async def beat() -> None:
        while True:
            tick()
            await asyncio.sleep(TICK_S)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()

"""Message timestamps, which count modulo 2**32 milliseconds, as a time that never wraps."""

from __future__ import annotations


class UnwrappedTime:
    """Continues a 32-bit clock beyond its 49.7 days, forwards and backwards."""

    def __init__(self) -> None:
        self._latest_ms: int | None = None

    def unwrap(self, timestamp_ms: int) -> int:
        """Return the time nearest to the last one among those that are equal modulo 2**32; the first is kept."""
        if self._latest_ms is None:
            self._latest_ms = timestamp_ms
        self._latest_ms += (timestamp_ms - self._latest_ms + 2**31) % 2**32 - 2**31
        return self._latest_ms

"""What `/healthz` says: parts register a check and facts, and one alert makes it 503."""

from __future__ import annotations

from collections.abc import Callable


class Health:
    """The checks of all parts, each under its name.

    Checks are called on the event loop and must not wait.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._facts: dict[str, Callable[[], object]] = {}

    def register(
        self, name: str, *, check: Callable[[], str | None] = lambda: None, facts: Callable[[], object] | None = None
    ) -> None:
        """Add a part.

        Args:
            name: its key in the answer; ValueError if it is taken.
            check: returns None while all is well, else a sentence for whoever is on call.
            facts: returns what stands under the part's name, as JSON can hold it.
        """
        if name in self._checks:
            raise ValueError(f"a part named {name!r} is registered already")
        self._checks[name] = check
        if facts is not None:
            self._facts[name] = facts

    def alerts(self) -> dict[str, str]:
        """Return the sentences of the parts that are not well."""
        sentences = {name: check() for name, check in self._checks.items()}
        return {name: sentence for name, sentence in sentences.items() if sentence is not None}

    def document(self) -> dict[str, object]:
        """Return the whole answer: `status` is `ok`, or `alert` if there is one."""
        alerts = self.alerts()
        facts = {name: tell() for name, tell in self._facts.items()}
        return {"status": "alert" if alerts else "ok", "alerts": alerts, **facts}

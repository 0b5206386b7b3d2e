"""What a browser would see of a page, for tests that need none."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = ("meta", "img", "br")
BLOCKS = ("script", "iframe", "object", "embed", "link", "form", "svg", "base")
"""Tags that none of our pages has."""


class Reader(HTMLParser):
    """Tags with their attributes, and the text of each element by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.texts[self._open[-1]][-1] += data

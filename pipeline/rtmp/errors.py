"""What can go wrong with one peer; neither error ever reaches beyond its connection's owner."""

from __future__ import annotations


class RtmpError(Exception):
    """The peer broke the protocol or asked for what is not offered: its connection is closed, no other.

    The text names the rule that was broken and never repeats what the peer sent as a stream key.
    """


class PublishRefused(Exception):  # noqa: N818 - an answer, not a fault: the server said no
    """A publish was answered with no; the text is the reason."""

"""The server's side of one broadcast in one worker, from its opening to its last word or the worker's death."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import fields, replace

from pipeline.ladders.backend import LadderCounters, RungPacket, SourcePacket
from pipeline.marks import DecodedMark, DroppedMark, EncodedMark, Marks
from pipeline.workers.protocol import Ended, Message, OpenSession, ProtocolError, encode, messages

UNANSWERED_PACKETS = 32
"""Packets beyond which silence is suspicious: a worker that is fed answers twice a second."""
STALL_S = 10.0
"""A session that has taken packets and given nothing for so long stands still."""
START_S = 30.0
"""The same before its first answer, as interpreter, libraries and encoders take their time to start."""


class Link:
    """Sends one session's packets on the caller's thread, receives on one of its own.

    Every broadcast has a socket of its own, so that one whose packets the server does not take holds up nobody else:
    its socket fills, then its worker's session stops, then the backlog before it drops and counts.

    Attributes:
        ended: the session's last word; None as long as there is none, for ever if the worker died.
        error: what went wrong in receiving: no protocol, or an error of `deliver`.
        sent: packets sent.
        reported: the session's counters as last told.
        delivered: packets received and passed on.
        is_stuck: whether the worker was killed because this session stood still.
    """

    def __init__(
        self,
        link: socket.socket,
        opening: OpenSession,
        *,
        deliver: Callable[[RungPacket], None],
        marks: Marks,
        stall_s: float = STALL_S,
    ) -> None:
        self.ended: Ended | None = None
        self.error: Exception | None = None
        self.sent = self.delivered = 0
        self.is_stuck = False
        self.reported = LadderCounters()
        self._link, self._deliver, self._marks, self._stall_s = link, deliver, marks, stall_s
        self._avcc = opening.avcc
        self._unanswered = 0
        self._opened_s = self._asked_s = self._heard_s = time.monotonic()
        self._delivering = self._flushing = False
        self._receiver = threading.Thread(target=self._receive, name=f"{opening.stream}/receive", daemon=True)
        self._receiver.start()
        self._send(opening)

    def send(self, packet: SourcePacket) -> bool:
        """Send a packet; blocks while the worker takes nothing. Returns False if it is gone, or has given up."""
        if self.ended is not None:
            return False
        same = packet.avcc == self._avcc
        self._avcc = packet.avcc
        if self._unanswered == 0:
            self._asked_s = time.monotonic()
        self._unanswered += 1
        if not self._send(replace(packet, avcc=b"") if same else packet):
            return False
        self.sent += 1
        return True

    def _send(self, message: Message) -> bool:
        try:
            self._link.sendall(encode(message))
        except ConnectionError:
            return False
        return True

    def finish(self) -> None:
        """Say that no more comes, and wait until everything was received, or the worker is gone."""
        self._asked_s = time.monotonic()
        self._flushing = True
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)
        self._receiver.join()
        self._link.close()

    def stands_still(self, now_s: float) -> bool:
        """Return whether packets went in and nothing came back for too long.

        A few unanswered packets prove nothing, as the publisher may pause after them; nor does silence while the
        server itself does not take what came.
        """
        if self._delivering or not (self._flushing or self._unanswered > UNANSWERED_PACKETS):
            return False
        limit_s = self._stall_s if self._heard_s > self._opened_s else max(START_S, self._stall_s)
        return now_s - max(self._heard_s, self._asked_s) > limit_s

    def tally(self) -> LadderCounters:
        """Return what became of the packets sent: as reported, and once it is over the rest as lost."""
        told = self.reported
        accounted = told.decoded + told.dropped + told.undecodable + told.out_of_order
        lost = 0 if self._receiver.is_alive() else max(0, self.sent - accounted)
        return replace(told, fed=self.sent, lost=lost, encoded={})

    def _receive(self) -> None:
        try:
            with self._link.makefile("rb") as file:
                for message in messages(file):
                    self._take(message)
        except ConnectionError:
            pass  # the same as its end
        except Exception as error:  # for the session to raise: this thread has no caller
            self.error = error
            with contextlib.suppress(OSError):
                self._link.shutdown(socket.SHUT_RDWR)  # so that `send` ends as well

    def _take(self, message: Message) -> None:
        if not isinstance(message, DroppedMark):
            self._unanswered, self._heard_s = 0, time.monotonic()
        match message:
            case RungPacket():
                self._delivering = True
                self._deliver(message)
                self.delivered += 1
                self._heard_s = time.monotonic()
                self._delivering = False
            case LadderCounters():
                self.reported = message
            case Ended():
                self.ended = message
            case DecodedMark():
                self._marks.decoded(message)
            case EncodedMark():
                self._marks.encoded(message)
            case DroppedMark():
                self._marks.dropped(message)
            case _:
                raise ProtocolError(f"a worker does not say {type(message).__name__}")


def total(parts: list[LadderCounters]) -> LadderCounters:
    """Return the sum of the counts of frames; packets by rung are not among them."""
    names = [field.name for field in fields(LadderCounters) if field.name != "encoded"]
    return LadderCounters(**{name: sum(getattr(part, name) for part in parts) for name in names})

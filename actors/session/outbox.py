"""What one session has been told reliably and has not acknowledged yet (rows 1.7 and 2.5).

Plain data; times are seconds on one clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cluster.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Body:
    """A notification; `params_json` is a serialised JSON object. Shared by all sessions that get it. `trace`: its context."""

    method: str
    params_json: bytes
    trace: str = ""

    @property
    def size(self) -> int:
        return len(self.method) + len(self.params_json)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an outbox keeps at most."""

    count: int
    bytes: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Numbered:
    seq: int
    at: float
    body: Body


class Outbox:
    """Numbers begin at 1 and never skip.

    `numbered`: the newest number given out; `logged`: the newest that the log has, and that may be sent; `delivered`: the newest
    that was written to the present socket; `acked`: the newest that the client has seen.
    """

    __slots__ = ("_bytes", "_kept", "acked", "delivered", "logged", "numbered")

    def __init__(self, newest: int = 0) -> None:
        self.numbered = self.logged = newest
        self.delivered = 0
        self.acked = 0
        self._kept: deque[Numbered] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """What is kept."""
        return self._bytes

    def number(self, count: int) -> int:
        """Give out `count` numbers. Returns the first."""
        first = self.numbered + 1
        self.numbered += count
        return first

    def keep(self, first: int, bodies: Sequence[Body], at: float, limits: Limits) -> None:
        """These are in the log now. What the log holds twice is taken once."""
        for seq, body in enumerate(bodies, first):
            if seq <= self.logged and self._kept and seq <= self._kept[-1].seq:
                continue
            if self._kept and seq != self._kept[-1].seq + 1:
                self._clear()  # a hole: what is before it could not be recovered in one piece
            self._kept.append(Numbered(seq, at, body))
            self._bytes += body.size
        self.logged = max(self.logged, first + len(bodies) - 1)
        self.numbered = max(self.numbered, self.logged)
        while self._kept and (len(self._kept) > limits.count or self._bytes > limits.bytes):
            self._drop()

    def ack(self, seq: int) -> None:
        """The client has seen everything up to `seq`. Raises InvalidInput for a number that was never sent."""
        if seq > self.logged:
            raise InvalidInput([("seq", "was not sent")])
        self.acked = max(self.acked, seq)
        while self._kept and self._kept[0].seq <= self.acked:
            self._drop()

    def expire(self, now: float, limits: Limits) -> None:
        """Drop what is too old."""
        while self._kept and now - self._kept[0].at > limits.age_s:
            self._drop()

    def after(self, seq: int) -> list[Numbered] | None:
        """Everything that was sent after `seq`; None if some of it is not here any more, or nothing so new was ever sent."""
        if seq > self.logged:
            return None
        missed = [entry for entry in self._kept if entry.seq > seq]
        return missed if len(missed) == self.logged - seq else None

    def _drop(self) -> None:
        self._bytes -= self._kept.popleft().body.size

    def _clear(self) -> None:
        self._kept.clear()
        self._bytes = 0

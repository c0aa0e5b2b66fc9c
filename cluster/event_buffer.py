"""Events that JetStream has not acknowledged yet: bounded, repeated a few times, then given up (row 4.3). Plain Python."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from cluster.ports.events import StreamKind


@dataclass(slots=True)
class Waiting:
    """An event. Times are seconds on the caller's clock: it is worth nothing from `expires_at` on; `due_at`: to be sent again."""

    stream: StreamKind
    subject: str
    data: bytes
    event_id: str
    expires_at: float
    attempts: int = 0
    due_at: float = 0.0
    token: str = ""  # of the request on its way


@dataclass(frozen=True, slots=True)
class Limits:
    """`events` and `size` (bytes): what may wait, the newest stay. `window`: how many are on their way at a time. `ack_s`: how long
    to wait for an acknowledgement; twice as long after each attempt, and up to twice that for jitter.
    """

    events: int = 4_096
    size: int = 8 * 1024 * 1024
    window: int = 256
    attempts: int = 5
    ack_s: float = 1.0


class EventBuffer:
    """First in, first out. What is given up comes back to the caller, who counts it."""

    def __init__(self, rng: random.Random, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._rng = rng
        self._fresh: deque[Waiting] = deque()
        self._sent: dict[int, Waiting] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._sent)

    def add(self, event: Waiting) -> list[Waiting]:
        """Returns those that had to make room: the oldest that nobody has sent yet, and the new one itself if it is too big."""
        if len(event.data) > self.limits.size:
            return [event]
        self._fresh.append(event)
        self._size += len(event.data)
        given_up = []
        while self._fresh and (len(self) > self.limits.events or self._size > self.limits.size):
            given_up.append(self._pop())
        return given_up

    def _pop(self) -> Waiting:
        event = self._fresh.popleft()
        self._size -= len(event.data)
        return event

    def next(self, now: float) -> Waiting | None:
        """The next one to be sent for the first time, or again after an outage; it is on its way then."""
        if not self._fresh or len(self._sent) >= self.limits.window:
            return None
        event = self._fresh.popleft()
        self._send(event, now)
        return event

    def again(self, now: float) -> tuple[list[Waiting], list[Waiting]]:
        """Those to be sent once more, because no acknowledgement came in time; and those that are given up."""
        repeated, given_up = [], []
        for event in [event for event in self._sent.values() if event.due_at <= now]:
            if event.attempts >= self.limits.attempts or event.expires_at <= now:
                self.done(event)
                given_up.append(event)
            else:
                self._send(event, now)
                repeated.append(event)
        while self._fresh and self._fresh[0].expires_at <= now:
            given_up.append(self._pop())
        return repeated, given_up

    def _send(self, event: Waiting, now: float) -> None:
        event.due_at = now + self.limits.ack_s * 2.0**event.attempts * self._rng.uniform(1.0, 2.0)
        event.attempts += 1
        self._sent[id(event)] = event

    def done(self, event: Waiting) -> bool:
        """Acknowledged, or not worth another try. Whether it was on its way."""
        if self._sent.pop(id(event), None) is None:
            return False
        self._size -= len(event.data)
        return True

    def start_over(self) -> None:
        """The connection was lost, with all that was on its way: it goes first, and counts as not tried yet."""
        for event in reversed(list(self._sent.values())):
            event.attempts = 0
            self._fresh.appendleft(event)
        self._sent.clear()

    def clear(self) -> Iterator[Waiting]:
        """Empty it: all that was in it."""
        self.start_over()
        while self._fresh:
            yield self._pop()

"""Giving up all sockets of a gateway in good time (row 1.9): who is told when, and when the rest is closed. Pure rules.

First the proxies before it get the time to notice that it takes nobody any more: told sooner, clients would be sent to whatever
else drains, which has the fewest sockets, be refused there, and wait. Then clients are told in batches up to half of the time,
so that the other gateways take them at a steady rate and not as a storm. Each reconnects within a short while of being told
(PROTOCOL.md, `session.reconnect`). Who is still there shortly before the end is closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

NOTICE_S = 2.5  # two health checks in a row that fail (cluster/rayenv.py), and what they may be late
NOTICE = 1 / 8  # of the whole time, at most
TELLING = 1 / 2  # of the whole time
WITHIN = 1 / 4  # of the whole time, at most
WITHIN_BATCHES = 2.0  # two batches overlap: reconnects come evenly, not in steps
CLOSING_S = 3.0  # a close frame is heard out for up to 2 s (picows_app)
CLOSING = 1 / 5  # of the whole time, at most
SLACK = 1e-6  # of an interval: sums of floats that fall short of it by rounding are due


@dataclass(frozen=True, slots=True)
class DrainStep:
    """`tell`: sessions to be told `session.reconnect` with `within_s`. `close`: close whoever is attached, with 1012.

    `done`: nobody is left, or the time is over.
    """

    tell: tuple[str, ...] = ()
    within_s: float = 0.0
    close: bool = False
    done: bool = False


class Drain:
    """One draining, begun at `now`. Times are seconds on the gateway's clock; without a `deadline_s` all are closed at once."""

    def __init__(self, now: float, deadline_s: float, batch_s: float) -> None:
        self._batch_s = batch_s
        self._told: set[str] = set()
        self._began = now
        self._next_batch = math.inf
        self._plan(now, deadline_s)

    def hasten(self, now: float, deadline_s: float) -> None:
        """Asked again: the earlier deadline counts, and a later one changes nothing."""
        if now + deadline_s < self.deadline:
            self._plan(now, deadline_s)

    def _plan(self, now: float, deadline_s: float) -> None:
        whole = max(0.0, deadline_s)
        self.deadline = now + whole
        self.close_at = self.deadline - min(CLOSING_S, whole * CLOSING)
        self.within_s = min(self._batch_s * WITHIN_BATCHES, whole * WITHIN)
        self._tell_until = now + whole * TELLING
        self._next_batch = min(self._next_batch, max(now, self._began + min(NOTICE_S, whole * NOTICE)))

    def step(self, now: float, attached: Iterable[str]) -> DrainStep:
        """What to do now; `attached` are the sessions with an open socket. To be called several times per `batch_s`, or more often.

        Every session is told once. How many a batch has is counted anew from those that are left: a late step makes up for it.
        """
        here = list(attached)
        self._told.intersection_update(here)
        if not here or now >= self.deadline:
            return DrainStep(close=bool(here), done=True)
        if now >= self.close_at:
            return DrainStep(close=True)
        slack = SLACK * self._batch_s
        if now < self._next_batch - slack:
            return DrainStep()
        self._next_batch = max(self._next_batch + self._batch_s, now)
        waiting = [session for session in here if session not in self._told]
        batches = max(1, math.ceil((self._tell_until - now - slack) / self._batch_s))
        tell = tuple(waiting[: math.ceil(len(waiting) / batches)])
        self._told.update(tell)
        return DrainStep(tell, min(self.within_s, self.close_at - now))

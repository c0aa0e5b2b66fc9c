"""Whether the parts of the realm that a gateway needs answer it: probes go THROUGH them and back. Plain rules.

A connection that is open says little: a server may take everything and deliver nothing. So each probe takes the way of the traffic:
a script in Redis, a message to oneself over the bus, a message to a zone that answers after a tick.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

SLOW_S = 0.4
SLOW_PROBES = 3  # in a row
FORGET_S = 30.0  # a part that is asked no more: nobody here needs it


@dataclass(slots=True)
class _Part:
    answered_at: float
    asked: dict[int, float] = field(default_factory=dict)  # number -> when
    asked_at: float = 0.0
    waited_for: bool = False  # it was asked since it last answered
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=SLOW_PROBES))


class Health:
    """Times are seconds on the gateway's clock. A part is degraded when it has not answered for `after_s`, or always slowly.

    `measured(part, seconds)` is told of each round trip.
    """

    def __init__(self, after_s: float, measured: Callable[[str, float], None] = lambda part, seconds: None) -> None:
        self._after_s = after_s
        self._measured = measured
        self._parts: dict[str, _Part] = {}

    def asked(self, part: str, number: int, now: float) -> None:
        """A probe is on its way. Numbers grow."""
        known = self._parts.setdefault(part, _Part(now))
        quiet_s = now - known.asked_at
        if quiet_s > FORGET_S or (quiet_s > self._after_s and not known.waited_for):
            # A zone that had no players of this gateway: its silence begins now.
            known.answered_at = now
            known.round_trips.clear()
        known.asked_at, known.waited_for = now, True
        known.asked[number] = now
        while len(known.asked) > 2 * self._after_s + SLOW_PROBES:
            del known.asked[min(known.asked)]

    def answered(self, part: str, number: int, now: float) -> None:
        """It came back. An answer to what was not asked, or is forgotten, counts as a sign of life only."""
        known = self._parts.get(part)
        if known is None:
            return
        known.answered_at, known.waited_for = now, False
        sent = known.asked.pop(number, None)
        if sent is not None:
            known.round_trips.append(now - sent)
            self._measured(part, now - sent)

    def round_trip_s(self, part: str) -> float:
        """The newest, 0 before the first."""
        known = self._parts.get(part)
        return known.round_trips[-1] if known is not None and known.round_trips else 0.0

    def degraded(self, now: float) -> tuple[str, ...]:
        """The parts that are not well, sorted. Those that nobody has asked for a while are left out."""
        gone = [name for name, part in self._parts.items() if now - part.asked_at > FORGET_S]
        for name in gone:
            del self._parts[name]
        return tuple(sorted(name for name, part in self._parts.items() if self._ill(part, now)))

    def _ill(self, part: _Part, now: float) -> bool:
        slow = len(part.round_trips) == SLOW_PROBES and min(part.round_trips) > SLOW_S
        return slow or (part.waited_for and now - part.answered_at > self._after_s)

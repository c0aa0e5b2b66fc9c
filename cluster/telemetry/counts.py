"""What hot paths count: plain integers that are read when somebody scrapes (row 5.4), without a lock.

`collectors.py` turns them into metrics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OTHER = "other"
MOST_VALUES = 64


class Tally(dict[str, int]):
    """Counts by a label's value, with a bound on how many values there can be.

    With `known`, any other value is counted as `other`; without, the 65th new one and later ones are.
    """

    def __init__(self, known: Iterable[str] | None = None, other: str = OTHER) -> None:
        super().__init__({} if known is None else dict.fromkeys(known, 0))
        self._most = MOST_VALUES if known is None else 0
        self._other = other

    def add(self, value: str, amount: int = 1) -> None:
        if value in self:
            self[value] += amount
            return
        key = value if len(self) < self._most else self._other
        self[key] = self.get(key, 0) + amount


class PlainHistogram:
    """Buckets with the upper bounds `bounds`, ascending, and one for all above."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Prometheus's form: (upper bound, how many were at most that), up to +Inf."""
        buckets: list[tuple[str, float]] = []
        so_far = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), so_far))
        return buckets


class HistogramsByLabel(dict[str, PlainHistogram]):
    """One histogram for each of the `known` label values, and one for all others once there are any."""

    def __init__(self, known: Iterable[str], bounds: Sequence[float], other: str = OTHER) -> None:
        super().__init__((value, PlainHistogram(bounds)) for value in known)
        self._bounds = tuple(bounds)
        self._other = other

    def observe(self, value: str, amount: float) -> None:
        histogram = self.get(value)
        if histogram is None:
            histogram = self.setdefault(self._other, PlainHistogram(self._bounds))
        histogram.observe(amount)


def exponential(start: float, factor: float, count: int) -> tuple[float, ...]:
    """`count` bucket bounds, each `factor` times the one before (as Prometheus's own clients define them)."""
    return tuple(start * factor**power for power in range(count))


@dataclass(slots=True)
class BusCounts:
    """One process's bus, since it started. Messages, unless said otherwise."""

    published: int = 0
    published_bytes: int = 0
    dropped: int = 0  # never sent: the buffer was full, or the bus was away for too long
    received: int = 0
    received_bytes: int = 0
    handler_errors: int = 0  # handlers and responders that raised
    unanswered: int = 0  # requests from others that came while too many were being answered
    connects: int = 0  # the first one included


@dataclass(slots=True)
class ViewCounts:
    """The hot lane of a gateway, outward."""

    sent: int = 0
    merged: int = 0  # into a later one, for a client that did not read
    dropped: int = 0  # for a viewer that is not here (any more)
    bytes: int = 0


# Calls of `redis`, `ray` or `nats` that failed or came too late. One per process: those who count into it are made in
# many places and know nothing of metrics.
DEPENDENCY_ERRORS = Tally()

# How long calls of `redis`, `nats` and `ray` took, those that failed included; one per process, for the same reason.
ROUND_TRIPS = HistogramsByLabel(("nats", "ray", "redis"), exponential(0.000_1, 2, 17))
# Compressed to original size of what was compressed for clients; one per process, as a process has one gateway.
RATIO = tuple(step / 10 for step in range(1, 11))
COMPRESSION = PlainHistogram(RATIO)

# Circuit breakers (cluster/breaker.py) of `redis`, `nats` and `actor`, one per process: how often each opened, how many calls were
# refused because one was open, and how many are open now.
DEPENDENCIES = ("actor", "nats", "redis")
BREAKER_TRIPS = Tally(DEPENDENCIES)
BREAKER_REFUSED = Tally(DEPENDENCIES)
BREAKERS_OPEN = Tally(DEPENDENCIES)

# Spans of traces (cluster/adapters/otlp.py): ended; of those sent, not sent (`failed`), or never taken by a full queue (`dropped`).
SPANS = Tally(("ended", "sent", "failed", "dropped"))

# Log lines (cluster/telemetry/log_tap.py): published; or over the bound and only written.
LOG_LINES = Tally(("published", "over"))

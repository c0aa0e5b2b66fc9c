"""How long one player was without a view. Plain: times are arguments, in seconds."""

from __future__ import annotations

from collections import deque

KEPT = 4_096  # three minutes of views, twenty a second


class ViewGaps:
    """A gap is from one view to the next, and from the last one until now."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._gaps: deque[tuple[float, float]] = deque(maxlen=KEPT)

    def saw(self, now: float) -> None:
        if self._last is not None:
            self._gaps.append((self._last, now))
        self._last = now

    def pause(self) -> None:
        """The player left the world by its own will: none is due until the next one comes."""
        self._last = None

    def longest(self, since: float, now: float) -> float:
        """Of those that ended after `since`, and the one that has not ended; 0 without any."""
        lengths = [end - start for start, end in self._gaps if end > since]
        if self._last is not None:
            lengths.append(now - self._last)
        return max(lengths, default=0.0)

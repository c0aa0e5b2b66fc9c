"""How often something happened within a window: refusals of one user's sockets (row 5.3). Time is an argument, in seconds."""

from __future__ import annotations


class Strikes:
    """A window begins with the first strike after the former one ended: by its time, or by the strike that was one too many."""

    __slots__ = ("_count", "_most", "_since", "_window_s")

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._since = float("-inf")
        self._count = 0

    def add(self, now: float) -> bool:
        """True: that was the `most`th within `window_s`. The next ones are counted anew."""
        if self.over(now):
            self._since, self._count = now, 0
        self._count += 1
        if self._count < self._most:
            return False
        self._since = float("-inf")
        return True

    def over(self, now: float) -> bool:
        """Whether nothing that was counted matters any more."""
        return now - self._since > self._window_s

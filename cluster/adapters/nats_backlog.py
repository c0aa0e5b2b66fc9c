"""What the bus holds while it has no server."""

from __future__ import annotations

from collections import deque

Headers = dict[str, str] | None


class Backlog:
    """What was published while the bus was away: the newest, `max_bytes` of data and `max_age_s` at most."""

    def __init__(self, max_bytes: int, max_age_s: float) -> None:
        self.size = 0
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._messages: deque[tuple[float, str, bytes, Headers]] = deque()

    def add(self, now: float, subject: str, data: bytes, headers: Headers = None) -> int:
        """How many messages it had to give up."""
        self._messages.append((now, subject, data, headers))
        self.size += len(data)
        given_up = 0
        while self.size > self._max_bytes or (self._messages and self._messages[0][0] < now - self._max_age_s):
            self.size -= len(self._messages.popleft()[2])
            given_up += 1
        return given_up

    def take(self, now: float) -> tuple[list[tuple[str, bytes, Headers]], int]:
        """Empty it: the messages, oldest first, and how many were too old."""
        kept = [message[1:] for message in self._messages if message[0] >= now - self._max_age_s]
        too_old = len(self._messages) - len(kept)
        self._messages.clear()
        self.size = 0
        return kept, too_old

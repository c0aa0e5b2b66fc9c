"""The port to limits that hold over all processes: how often somebody may do something (row 3.3)."""

from __future__ import annotations

from typing import Protocol


class Limiter(Protocol):
    """The generic cell rate algorithm (ITU-T I.371): a bucket of `burst` that fills by `per_s`, for each key."""

    async def take(self, key: str, per_s: float, burst: int) -> float:
        """0.0: it is allowed, and was counted. Else the seconds until it will be; refused ones use nothing up.

        `per_s` > 0, `burst` >= 1. The caller names who and what in `key`: "friends/usr_1". A call that is sent again over a
        broken connection may count twice. Raises Unavailable.
        """

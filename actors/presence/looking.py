"""Looking ties and choices up again, should word of a change have been lost (rows 3.2 and 3.3). Plain Python; time is an argument.

All users at once would be a burst on the store, so a round is spread over its time. Nothing waits for it: changes go on being taken
in while the store is asked, and what they brought is newer than what was asked for before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from actors.presence.index import PresenceIndex
from actors.presence.privacy import Circle
from cluster.errors import Unavailable

AT_ONCE = 500  # users


class TiesAgain:
    """`ask(user_ids)` is the store; `changed()` is called after each part that was taken into the index."""

    def __init__(
        self,
        index: PresenceIndex,
        ask: Callable[[Sequence[str]], Awaitable[Mapping[str, Circle]]],
        changed: Callable[[], None],
    ) -> None:
        self._index = index
        self._ask = ask
        self._changed = changed
        self._newer: set[str] = set()  # users whose circles came from elsewhere since the store was asked

    def came(self, user_ids: Iterable[str]) -> None:
        """The circles of these were taken in just now."""
        self._newer.update(user_ids)

    async def look(
        self, period_s: float, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """One round over those who are there when it begins, AT_ONCE at a time, evenly over the period in seconds.

        A part for which the store is away waits for the next round. Raises Unavailable at the end, if there was one.
        """
        began, users = clock(), self._index.users()
        parts = [users[start : start + AT_ONCE] for start in range(0, len(users), AT_ONCE)] or [[]]
        failed: Unavailable | None = None
        for number, part in enumerate(parts, 1):
            await sleep(max(0.0, began + period_s * number / len(parts) - clock()))
            try:
                await self._take(part)
            except Unavailable as error:
                failed = error
        if failed is not None:
            raise failed

    async def _take(self, user_ids: Sequence[str]) -> None:
        if not user_ids:
            return
        self._newer.clear()
        circles = await self._ask(user_ids)
        self._index.refresh({user_id: circle for user_id, circle in circles.items() if user_id not in self._newer})
        self._changed()

"""What session actors have numbered, in this process, with the same rules as the Lua scripts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.errors import Fenced
from cluster.ports.epochs import EpochStore
from cluster.ports.outbox import Logged
from cluster.ports.sessions import Fence

KEPT_WHILE_CLOCK_IS_BEHIND = 10_000


class MemoryOutboxLog:
    """Implements `cluster.ports.outbox.OutboxLog`. `sessions` holds the records that `append` numbers."""

    def __init__(self, epochs: EpochStore, sessions: MemorySessionStore) -> None:
        self._epochs = epochs
        self._sessions = sessions
        self._batches: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self._cursors: defaultdict[str, dict[str, str]] = defaultdict(dict)

    async def append(
        self, fence: Fence, data: bytes, seqs: Mapping[str, int], cursors: Mapping[str, str], now: float, keep_s: float
    ) -> None:
        await self._check(fence)
        batches = self._batches[fence.actor]
        at, newest = _milliseconds(now), batches[-1][0] if batches else 0
        batches.append((max(at, newest), data))
        if at >= newest:
            oldest = _milliseconds(now - keep_s)
            batches[:] = [batch for batch in batches if batch[0] >= oldest]
        else:
            del batches[:-KEPT_WHILE_CLOCK_IS_BEHIND]
        for session_id, seq in seqs.items():
            self._sessions.raise_seq(session_id, fence.actor, seq)
        places = self._cursors[fence.actor]
        for topic, place in cursors.items():
            if topic in places and _order(place) > _order(places[topic]):
                places[topic] = place

    async def follow(self, fence: Fence, cursors: Mapping[str, str]) -> None:
        await self._check(fence)
        places = self._cursors[fence.actor]
        for topic, place in cursors.items():
            if topic not in places or _order(place) > _order(places[topic]):
                places[topic] = place

    async def unfollow(self, fence: Fence, topics: list[str]) -> None:
        await self._check(fence)
        for topic in topics:
            self._cursors[fence.actor].pop(topic, None)

    async def load(self, actor: str, since: float) -> list[Logged]:
        return [Logged(at / 1000, data) for at, data in self._batches[actor] if at >= _milliseconds(since)]

    async def cursors(self, actor: str) -> dict[str, str]:
        return dict(self._cursors[actor])

    async def _check(self, fence: Fence) -> None:
        if await self._epochs.current("sessions", fence.actor) != fence.epoch:
            raise Fenced("a newer session actor holds these sessions")


def _milliseconds(seconds: float) -> int:
    return max(0, int(seconds * 1000))


def _order(message_id: str) -> tuple[int, int]:
    """`<milliseconds>-<count>`; "" comes before all."""
    if not message_id:
        return (-1, -1)
    milliseconds, _, count = message_id.partition("-")
    return int(milliseconds), int(count)

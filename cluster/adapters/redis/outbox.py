"""What session actors have numbered, in Redis (row 2.5).

`{ns}:outbox:{actor}` stream, one entry a batch, its id the time in milliseconds; it ends when nothing was appended for as long as
batches are kept. `{ns}:outbox:{actor}:cursors` hash, topic -> id of the newest message numbered. The newest number of a session is
the field `seq` of `{ns}:session:{id}`.
"""

from __future__ import annotations

from collections.abc import Mapping

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard, texts
from cluster.errors import Fenced
from cluster.ports.outbox import Logged
from cluster.ports.sessions import Fence

APPEND = Script(__file__, "outbox_append.lua")
FOLLOW = Script(__file__, "outbox_follow.lua")
UNFOLLOW = Script(__file__, "outbox_unfollow.lua")

# An actor writes some 50 batches a second at most: more than settings.session.outbox_age_s of them.
KEPT_WHILE_CLOCK_IS_BEHIND = 10_000
LOADED_AT_ONCE = 500


class RedisOutboxLog:
    """Implements `cluster.ports.outbox.OutboxLog`. Old batches go in blocks: some stay for longer than they must."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def append(
        self, fence: Fence, data: bytes, seqs: Mapping[str, int], cursors: Mapping[str, str], now: float, keep_s: float
    ) -> None:
        args: list[str | bytes | int | float] = [
            self._ns, fence.actor, fence.epoch, data, milliseconds(now), milliseconds(now - keep_s),
            max(1, milliseconds(keep_s)), KEPT_WHILE_CLOCK_IS_BEHIND, len(seqs),
        ]  # fmt: skip
        for session_id, seq in seqs.items():
            args += (session_id, seq)
        for topic, place in cursors.items():
            args += (topic, place)
        _check(await APPEND(self._client, [], args))

    @guard()
    async def follow(self, fence: Fence, cursors: Mapping[str, str]) -> None:
        places = [part for pair in cursors.items() for part in pair]
        _check(await FOLLOW(self._client, [], [self._ns, fence.actor, fence.epoch, *places]))

    @guard()
    async def unfollow(self, fence: Fence, topics: list[str]) -> None:
        _check(await UNFOLLOW(self._client, [], [self._ns, fence.actor, fence.epoch, *topics]))

    async def load(self, actor: str, since: float) -> list[Logged]:
        """In pages, so that no reply is larger than the deadline of a command allows."""
        found: list[Logged] = []
        start = str(milliseconds(since))
        while page := await self._page(actor, start):
            found += (Logged(int(entry.partition(b"-")[0]) / 1000, fields[b"batch"]) for entry, fields in page)
            start = f"({page[-1][0].decode()}"
        return found

    @guard()
    async def _page(self, actor: str, start: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        # The client decodes nothing (connection.py), its stubs do not know.
        page: list[tuple[bytes, dict[bytes, bytes]]] = await self._client.xrange(  # type: ignore[assignment]
            f"{self._ns}:outbox:{actor}", start, "+", LOADED_AT_ONCE
        )
        return page

    @guard()
    async def cursors(self, actor: str) -> dict[str, str]:
        return texts(await self._client.hgetall(f"{self._ns}:outbox:{actor}:cursors"))


def milliseconds(seconds: float) -> int:
    """Rounded down, as the time of a batch and a time to compare it with must be alike."""
    return max(0, int(seconds * 1000))


def _check(answer: bytes) -> None:
    if answer == b"fenced":
        raise Fenced("a newer session actor holds these sessions")

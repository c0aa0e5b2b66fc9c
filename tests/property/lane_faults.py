"""What goes wrong around the reliable lane: stores that fail or act late, a bus that loses, repeats and reorders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from cluster.adapters.memory.outbox import MemoryOutboxLog
from cluster.errors import Fenced, Unavailable
from cluster.ports.sessions import Fence
from realm_proto import internal_pb2

if TYPE_CHECKING:
    from tests.property.lane_world import World

WALL = 1_800_000_000.0


class Rough:
    """Stands before a store: a call may take several turns, fail before it acts, or after, and some act late."""

    def __init__(self, world: World, inner: Any, late: frozenset[str] = frozenset()) -> None:
        self._world = world
        self._inner = inner
        self._late = late

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method, world = getattr(self._inner, name), self._world

        async def call(*args: Any, **named: Any) -> Any:
            await world.turns(3)
            if world.fails():
                if name in self._late and world.rng.random() < 0.3:
                    world.spawn(self._act_late(method, args))
                raise Unavailable("test")
            result = await method(*args, **named)
            await world.turns(2)
            if world.fails():
                raise Unavailable("test")
            return result

        return call

    async def _act_late(self, method: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        """The server got the command, and took its time. It has checked the fence at that time, too."""
        await self._world.turns(40)
        try:
            await method(*args)
        except Fenced:
            self._world.counts["fenced late"] += 1


class Bus:
    """At most once, more or less: losses, repeats, and a little disorder."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._handlers: defaultdict[str, list[Callable[[bytes], None]]] = defaultdict(list)
        self._queue: list[tuple[str, bytes]] = []

    def __len__(self) -> int:
        return len(self._queue)

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        assert len(data) < 1024 * 1024
        assert all(subject.split(".")), subject
        self._queue.append((subject, data))

    async def subscribe(self, subject: str, handler: Callable[[bytes], None]) -> Subscribed:
        await self._world.turns(2)
        self._handlers[subject].append(handler)
        return Subscribed(self._handlers[subject], handler)

    def lose(self) -> None:
        """All that is on its way."""
        self._queue.clear()

    def deliver(self, count: int) -> None:
        world, queue = self._world, self._queue
        for _ in range(min(count, len(queue))):
            at = world.rng.randrange(min(4, len(queue))) if world.rough else 0
            subject, data = queue.pop(at)
            if world.rough:
                fate = world.rng.random()
                if fate < 0.15:
                    world.counts["lost on the bus"] += 1
                    continue
                if fate < 0.25:
                    queue.append((subject, data))
            for handler in list(self._handlers[subject]):
                handler(data)


class Subscribed:
    def __init__(self, handlers: list[Callable[[bytes], None]], handler: Callable[[bytes], None]) -> None:
        self._handlers = handlers
        self._handler = handler

    async def unsubscribe(self) -> None:
        if self._handler in self._handlers:
            self._handlers.remove(self._handler)


class Told:
    """The outbox log, and what it was told so far: the truth that clients are held against."""

    def __init__(self, inner: MemoryOutboxLog) -> None:
        self._inner = inner
        self.entries: defaultdict[str, dict[int, tuple[str, bytes, float]]] = defaultdict(dict)  # method, params, when

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(self, fence: Fence, data: bytes, seqs: Any, cursors: Any, now: float, keep_s: float) -> None:
        await self._inner.append(fence, data, seqs, cursors, now, keep_s)
        batch = internal_pb2.ReliableBatch.FromString(data)
        for target in batch.targets:
            known = self.entries[target.session_id]
            for seq, index in enumerate(target.bodies, target.first_seq):
                body = batch.bodies[index]
                old = known.get(seq)
                assert seq == len(known) + 1 or old is not None, "numbers begin at 1 and never skip"
                assert old is None or old[:2] == (body.method, body.params_json), "a number means one thing for ever"
                at = now - WALL if old is None else min(old[2], now - WALL)
                known[seq] = (body.method, body.params_json, at)

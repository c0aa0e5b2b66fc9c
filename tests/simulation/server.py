"""The store that simulated processes share: real in-memory adapters behind a server that takes time, fails and goes away.

A request may be lost before it acts, or its answer after; it may act seconds later, when whoever asked has given up. All of this
happens to requests of processes, too, that are dead or stopped by then. What zones' writes change is told to `watch`.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.outbox import MemoryOutboxLog
from cluster.adapters.memory.parties import MemoryPartyStore
from cluster.adapters.memory.protection import MemoryProtection
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.memory.social import MemorySocialStore
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.adapters.memory.world import MemoryWorldStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.errors import RealmError, Unavailable
from cluster.ports.zones import StoredZone
from tests.simulation.virtual_time import Process

TIMEOUT_S = 2.0
THE_STORE = "redis"
WRITES = frozenset({"commit", "hand_over", "claim", "save_places", "discard"})

Kept = dict[str, StoredZone]


@dataclass(slots=True)
class Fates:
    """Shares of requests."""

    lost: float = 0.0
    answer_lost: float = 0.0
    late: float = 0.0
    least_s: float = 0.0003
    most_s: float = 0.003


class Watch:
    """Told of what the zones' store did, as it does it."""

    def taken(self, process: int, zone_id: str, slot: int, epoch: int) -> None: ...

    def wrote(self, process: int, what: str, zone_id: str, epoch: int, before: Kept, after: Kept) -> None: ...


class _Lost(Exception):
    """Nobody will ever answer this."""


REQUEST: contextvars.ContextVar[_Request] = contextvars.ContextVar("REQUEST")


class Server:
    """`away`: "" or how it fails: "refuse" (at once) or "hang" (requests wait for its return, as after SIGSTOP, or are lost)."""

    def __init__(self, rng: random.Random, fates: Fates, watch: Watch) -> None:
        self.rng = rng
        self.fates = fates
        self.watch = watch
        self.away = ""
        self.back = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.epochs = MemoryEpochStore()
        self.sessions = MemorySessionStore(self.epochs)
        self.zones = MemoryZoneStore(self.epochs, _on_the_way)
        self.world = MemoryWorldStore(self.epochs, _on_the_way)
        self.accounts = MemoryAccounts()
        self.characters = MemoryCharacters(lambda session_id: session_id in self.sessions._records)
        self.outbox = MemoryOutboxLog(self.epochs, self.sessions)
        self.topics = MemoryTopicLog()
        self.social = MemorySocialStore()
        self.parties = MemoryPartyStore()
        self.protection = MemoryProtection(time.time)
        self.bans = MemoryBans(time.time)
        self.values = Values()
        self.bugs: list[Exception] = []
        self.numbers = itertools.count(1)
        self.written: dict[tuple[int, str], int] = {}  # (process, session) -> the newest write of its record

    def go(self, how: str) -> None:
        self.away = how
        self.back.clear()

    def come_back(self) -> None:
        self.away = ""
        self.back.set()

    async def kept(self, zone_id: str) -> StoredZone:
        return await self.zones.load(zone_id)


class Values:
    """Redis as such, as far as the actors' shells use it."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        return self._values.get(key)

    async def set(self, key: str, value: Any, **_: Any) -> None:
        self._values[key] = value


class _Request:
    """`travels`: the adapter says itself when it is on the way."""

    def __init__(self, server: Server, process: Process, what: str, args: tuple[Any, ...], *, travels: bool) -> None:
        self.number = next(server.numbers)
        self.server = server
        self.process = process.number
        self.what = what
        self.args = args
        self.travels = travels
        self._trips = 0
        self._before: Kept = {}
        self._answer_lost = False

    @property
    def bears_lateness(self) -> bool:
        """Whether one that was given up may still act: others than these have no number in Redis either (ARCHITECTURE.md)."""
        return self.travels or self.what == "write"

    def in_order(self) -> None:
        """A session's record: one that is late changes nothing (session_write.lua)."""
        if self.what == "write":
            key = (self.process, self.args[0].session_id)
            if self.server.written.get(key, 0) > self.number:
                raise Unavailable(THE_STORE)
            self.server.written[key] = self.number

    async def trip(self) -> None:
        self._trips += 1
        if self._trips == 1:
            await self.there()
            self._before = await self._look()
        else:
            await self.acted()
            self._before = await self._look()
            await self.home()

    async def there(self) -> None:
        server, fates = self.server, self.server.fates
        rng = server.rng
        await asyncio.sleep(rng.uniform(fates.least_s, fates.most_s))
        if server.away == "refuse":
            raise Unavailable(THE_STORE)
        if server.away:
            await server.back.wait()
            server.counts["held"] += 1
            if rng.random() < 0.5 or not self.bears_lateness:
                raise _Lost
            await asyncio.sleep(rng.uniform(0.0, 0.2))
            return
        luck = rng.random()
        if luck < fates.lost:
            server.counts["lost"] += 1
            if rng.random() < 0.5:
                raise Unavailable(THE_STORE)
            raise _Lost
        luck -= fates.lost
        if luck < fates.answer_lost:
            server.counts["answer lost"] += 1
            self._answer_lost = True
        elif luck - fates.answer_lost < fates.late and self.bears_lateness:
            server.counts["late"] += 1
            await asyncio.sleep(rng.uniform(TIMEOUT_S, 3 * TIMEOUT_S))

    async def home(self) -> None:
        server = self.server
        await asyncio.sleep(server.rng.uniform(server.fates.least_s, server.fates.most_s))
        if self._answer_lost or server.away:
            if server.away == "refuse" or server.rng.random() < 0.5:
                raise Unavailable(THE_STORE)
            raise _Lost

    async def acted(self) -> None:
        """A write of a zone has just been done, in this turn of the loop."""
        server, what = self.server, self.what
        if what == "take":
            zone_id, slot = self.args[0], self.args[1]
            server.watch.taken(self.process, zone_id, slot, await server.epochs.current("zone", zone_id))
        elif what in WRITES:
            zone_id, epoch = self.args[0], self.args[1]
            server.watch.wrote(self.process, what, zone_id, epoch, self._before, await self._look())

    async def _look(self) -> Kept:
        if self.what not in WRITES or self.what == "save_places":
            return {}
        zones = {self.args[0], self.args[2]} if self.what == "hand_over" else {self.args[0]}
        return {zone_id: await self.server.zones.load(zone_id) for zone_id in sorted(zones)}


async def _on_the_way() -> None:
    await REQUEST.get().trip()


class Remote:
    """A store's object in one process: every method is a request to the server."""

    def __init__(self, server: Server, process: Process, name: str, *, travels: bool) -> None:
        self._server = server
        self._process = process
        self._name = name
        self._travels = travels

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        target: Callable[..., Awaitable[Any]] = getattr(getattr(self._server, self._name), method)
        travels = self._travels and method in TRAVELLING

        async def call(*args: Any, **named: Any) -> Any:
            return await ask(self._server, self._process, method, target, args, named, travels=travels)

        return call


TRAVELLING = WRITES | {"take", "save"}


class SimRedis:
    """What `Runtime.redis` is here: the adapters of one process, and the few commands that are used without one."""

    def __init__(self, server: Server, process: Process) -> None:
        def remote(name: str, *, travels: bool = False) -> Remote:
            return Remote(server, process, name, travels=travels)

        self.zones = remote("zones", travels=True)
        self.world = remote("world", travels=True)
        self.epochs, self.sessions = remote("epochs"), remote("sessions")
        self.accounts = remote("accounts")
        self.characters, self.outbox, self.topics = remote("characters"), remote("outbox"), remote("topics")
        self.social, self.parties = remote("social"), remote("parties")
        self.protection, self.bans = remote("protection"), remote("bans")
        values = remote("values")
        self.get, self.set = values.get, values.set

    async def aclose(self) -> None:
        return None


async def ask(
    server: Server,
    process: Process,
    what: str,
    target: Callable[..., Awaitable[Any]],
    args: tuple[Any, ...],
    named: dict[str, Any],
    *,
    travels: bool,
) -> Any:
    """Raises what the adapter raises; Unavailable when no answer comes in time."""
    if not process.alive:
        raise asyncio.CancelledError(f"{process!r} is dead")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()
    request = _Request(server, process, what, (*args, *named.values()), travels=travels)
    context = contextvars.Context()
    context.run(REQUEST.set, request)
    work = asyncio.create_task(_serve(request, target, args, named, answer), context=context)
    server_tasks.add(work)
    work.add_done_callback(server_tasks.discard)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await answer
    except TimeoutError:
        raise Unavailable(THE_STORE) from None


server_tasks: set[asyncio.Task[None]] = set()


async def _serve(
    request: _Request,
    target: Callable[..., Awaitable[Any]],
    args: tuple[Any, ...],
    named: dict[str, Any],
    answer: asyncio.Future[Any],
) -> None:
    try:
        if request.travels:
            result = await target(*args, **named)
        else:
            await request.there()
            request.in_order()
            result = await target(*args, **named)
            await request.home()
    except _Lost:
        return
    except RealmError as error:
        if not answer.done():
            answer.set_exception(error)
        return
    except Exception as error:  # a bug of the store's: whoever asked waits in vain
        request.server.bugs.append(error)
        return
    if not answer.done():
        answer.set_result(result)

"""The newest bans and revocations in one process, and whether the realm is closed (rows 4.1, 6.1, 7.8): asked for now and then, and
at once when the bus tells.

A look brings what has changed since the one before, in pages, so that it costs what is new and not what there is: all there is can
be 10,000 bans and 100,000 revocations. While the store is away the last copy holds: bans and revocations outlast an outage, and new
ones wait for its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import structlog

from cluster.errors import Unavailable
from cluster.ports.bus import Bus
from cluster.ports.protection import PAGE, Maintenance, NetworkBan, Protection, ProtectionStore
from cluster.security.revocations import Revoked
from cluster.subjects import Subjects

LOAD_S = 5.0  # for one answer of the store, whatever it does, and for whoever waits for a look
PAUSE_S = 0.1  # between two looks: many changes at once are one
JITTER = 0.1  # of the period: processes do not all ask at once

log = structlog.get_logger(__name__)

Listener = Callable[[Protection], object]


class Banned:
    """Bans, made ready for looking up. Times are Unix seconds."""

    def __init__(self) -> None:
        self.bans: dict[str, NetworkBan] = {}
        # (IP version, length of the prefix) -> prefix as a number -> the ban; long prefixes first.
        self._index: dict[tuple[int, int], dict[int, NetworkBan]] = {}
        self._ends: list[tuple[float, str]] = []  # a heap

    def find(self, address: str, now: float) -> NetworkBan | None:
        """The narrowest ban that holds for the address at `now`. One look-up for each length of a prefix in use."""
        if not self._index:
            return None
        parsed = _parsed(address)
        if parsed is None:
            return None
        version, bits, value = parsed.version, parsed.max_prefixlen, int(parsed)
        for (of, length), bans in self._index.items():  # the longest first
            if of != version:
                continue
            ban = bans.get(value >> (bits - length))
            if ban is not None and (ban.until is None or ban.until > now):
                return ban
        return None

    def add(self, bans: Iterable[NetworkBan]) -> None:
        """One of the same network is replaced."""
        for ban in bans:
            try:
                of, prefix = _place(ban.network)
            except ValueError:
                log.error("ban_unreadable", network=ban.network[:100])
                continue
            if of not in self._index:
                self._index[of] = {}
                self._index = dict(sorted(self._index.items(), key=lambda item: -item[0][1]))
            self._index[of][prefix] = self.bans[ban.network] = ban
            if ban.until is not None:
                heapq.heappush(self._ends, (ban.until, ban.network))

    def remove(self, networks: Iterable[str]) -> None:
        for network in networks:
            if self.bans.pop(network, None) is None:
                continue
            of, prefix = _place(network)
            del self._index[of][prefix]
            if not self._index[of]:
                del self._index[of]

    def forget(self, now: float, most: int) -> None:
        """Those that are over at `now`, at most so many."""
        for _ in range(most):
            if not self._ends or self._ends[0][0] > now:
                return
            until, network = heapq.heappop(self._ends)
            ban = self.bans.get(network)
            if ban is not None and ban.until is not None and ban.until <= until:
                self.remove([network])


class Guarding:
    """`listeners` are called with each change, on the event loop; they return at once. `clock`: Unix seconds.

    `maintenance`: None while the realm is open.
    """

    def __init__(self, store: ProtectionStore, refresh_s: float, clock: Callable[[], float] = time.time) -> None:
        self.listeners: list[Listener] = []
        self._store = store
        self._refresh_s = refresh_s
        self._clock = clock
        self._known = -1  # no version is known
        self._keys = ""
        self.maintenance: Maintenance | None = None
        self._bans = Banned()
        self._revoked = Revoked()
        self._changed = asyncio.Event()
        self._look: asyncio.Task[None] | None = None  # the one that has begun
        self._next: asyncio.Task[None] | None = None  # the one after it, if anybody waits for it
        self._away = False

    @property
    def current(self) -> Protection:
        """All there is, for who comes late. It costs what there is."""
        bans, revocations = tuple(self._bans.bans.values()), self._revoked.all()
        return Protection(max(self._known, 0), bans, revocations, self._keys, maintenance=self.maintenance)

    def banned(self, address: str, now: float) -> NetworkBan | None:
        """The narrowest ban that holds for the address at `now` (Unix seconds)."""
        return self._bans.find(address, now)

    async def refresh(self) -> None:
        """Ask the store; all who ask before a look begins share it. Raises Unavailable; what was known still holds then."""
        try:
            async with asyncio.timeout(LOAD_S):
                await asyncio.shield(self._coming())  # others wait for it, too
        except TimeoutError:
            raise Unavailable("redis") from None

    def _coming(self) -> asyncio.Task[None]:
        """The next look to begin. One at a time: an older answer must not come after a newer one."""
        if self._next is None:
            self._next = asyncio.create_task(self._look_after(self._look))
            self._next.add_done_callback(_seen)
        return self._next

    async def _look_after(self, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            await asyncio.wait([former])
        self._look, self._next = self._next, None
        await self._ask()

    async def _ask(self) -> None:
        cursor, fresh, more = -1, None, True
        while more:
            try:
                async with asyncio.timeout(LOAD_S):
                    page = await self._store.changes(self._known, cursor)
            except TimeoutError:
                raise Unavailable("redis") from None
            if page is None:
                return
            if page.since == -1:
                fresh = Banned()  # until it is whole, what was known holds
            cursor, more = page.version, page.more
            self._take(page, fresh)
            if more:
                await asyncio.sleep(0)

    def _take(self, page: Protection, fresh: Banned | None) -> None:
        """Bans of a whole load are collected in `fresh`. A revocation is never taken back: one that the store lost still ends."""
        bans, now = self._bans if fresh is None else fresh, self._clock()
        bans.add(page.bans)
        bans.remove(page.lifted)
        bans.forget(now, 2 * PAGE)  # more than came: what is over does not pile up
        self._revoked.add(page.revocations)
        self._revoked.forget(now, 2 * PAGE)
        self._keys = page.keys
        self.maintenance = page.maintenance
        change = replace(page, since=max(page.since, self._known, 0))
        if not page.more:
            self._bans, self._known = bans, page.version
        for listener in self.listeners:
            try:
                listener(change)
            except Exception:
                log.exception("listener_failed", what="protection")

    def told(self, _data: bytes = b"") -> None:
        """A change was made somewhere: look at once."""
        self._changed.set()

    async def run(self) -> None:
        """Refresh for as long as the process lives; cancel it to stop. An outage is logged as it begins and as it ends."""
        while True:
            wait_s = random.uniform(1.0 - JITTER, 1.0) * self._refresh_s  # noqa: S311 - jitter
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.refresh()
            except Unavailable as error:
                if not self._away:
                    log.warning("protection_held", what=str(error), version=self._known)
                self._away = True
            except Exception:
                log.exception("protection_failed")
            else:
                if self._away:
                    log.info("protection_back", version=self._known)
                self._away = False
            await asyncio.sleep(PAUSE_S)


def tell_change(bus: Bus, subjects: Subjects) -> None:
    """To every process that guards: the store has something new. Whoever is not reached finds it within `firewall.refresh_s`."""
    bus.publish(subjects.protection(), b"")


async def start_guarding(
    store: ProtectionStore,
    bus: Bus,
    subjects: Subjects,
    refresh_s: float,
    first: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
) -> tuple[Guarding, asyncio.Task[None]]:
    """A Guarding that has looked once, and the task that keeps it fresh. `first` repeats a step until the store answers."""
    guarding = Guarding(store, refresh_s)
    await bus.subscribe(subjects.protection(), guarding.told)
    await first(guarding.refresh)
    return guarding, asyncio.create_task(guarding.run())


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _place(network: str) -> tuple[tuple[int, int], int]:
    """(IP version, length of the prefix), and the prefix as a number. Raises ValueError."""
    parsed = ip_network(network)
    length = parsed.prefixlen
    return (parsed.version, length), int(parsed.network_address) >> (parsed.max_prefixlen - length)


def _seen(look: asyncio.Task[None]) -> None:
    """Whoever waited for it may have gone; then nobody asks how it ended."""
    if not look.cancelled():
        look.exception()

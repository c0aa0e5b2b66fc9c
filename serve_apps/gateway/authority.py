"""Whether open sockets may stay open (row 4.1): their tokens end, are revoked, lose their key; their users are banned.

Each client has one next moment, in a heap: to be reminded, to be looked at again, to be closed. A revocation does not wait for it.
An entry that counts no more is emptied, so that it keeps no client alive, and lies in the heap until its time or the next clearing.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from cluster.ports.bans import Bans
from cluster.security.checking import TokenChecker
from cluster.security_settings import IdentitySettings
from cluster.telemetry.gateway_metrics import GatewayMetrics
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.outgoing import Priority

Notify = Callable[[Client, str, bytes, Priority], None]
CloseSocket = Callable[[Client, Close, str], None]
Spawn = Callable[[Coroutine[Any, Any, None]], bool]

REMIND_AT = 0.5  # of a token's life, at the earliest: short tokens would be renewed over and over
EMPTIED = 1_000  # entries that count no more, and as many as there are clients: then the heap is cleared


@dataclass(order=True, slots=True)
class _Due:
    """The next moment of a client; None: of none any more."""

    at: float
    number: int  # heaps compare what follows when times are equal
    client: Client | None = field(compare=False)


class Authority:
    """A `watcher.Watcher`. `wall_clock` is in Unix seconds, and so are all times here; `spawn` runs something in the background."""

    def __init__(
        self,
        settings: IdentitySettings,
        checker: TokenChecker,
        bans: Bans,
        notify: Notify,
        close: CloseSocket,
        spawn: Spawn,
        wall_clock: Callable[[], float],
        metrics: GatewayMetrics,
    ) -> None:
        self.checker = checker
        self._settings = settings
        self._bans = bans
        self._notify = notify
        self._close = close
        self._spawn = spawn
        self._wall_clock = wall_clock
        self._metrics = metrics
        self._heap: list[_Due] = []
        self._due: dict[Client, _Due] = {}  # the one that counts
        self._numbers = itertools.count()
        self._reminded: dict[Client, Identity] = {}
        self._looked_at: dict[Client, float] = {}

    # --- what a Watcher is told ----------------------------------------------------------------------------------

    def opened(self, client: Client, now: float) -> None:
        wall = self._wall_clock()
        self._looked_at[client] = wall
        # At the next sweep, not now: what its token said may have changed while it was attached.
        self._put(client, wall)

    def gone(self, client: Client, now: float) -> None:
        self._reminded.pop(client, None)
        self._looked_at.pop(client, None)
        due = self._due.pop(client, None)
        if due is not None:
            due.client = None

    def sweep(self, clients: Collection[Client], now: float) -> None:
        wall = self._wall_clock()
        while self._heap and self._heap[0].at <= wall:
            client = heapq.heappop(self._heap).client
            if client is None:
                continue
            del self._due[client]
            if not client.closed:
                self._act(client, wall)

    # --- what changes --------------------------------------------------------------------------------------------

    def renewed(self, client: Client, identity: Identity) -> None:
        """The client has shown a newer token."""
        client.identity = identity
        if identity.role:
            client.role = identity.role
        self._metrics.authority("renewed")
        if client in self._looked_at:
            self._plan(client, self._wall_clock())

    def changed(self, clients: Iterable[Client]) -> None:
        """Revocations or keys have changed: whom it concerns is closed now."""
        wall = self._wall_clock()
        for client in list(clients):
            if not client.closed:
                self._judged(client, wall)

    def refused(self, reason: str) -> None:
        """A newer token that was no better."""
        self._metrics.authority(f"refused_{reason}")

    # --- inside --------------------------------------------------------------------------------------------------

    def _plan(self, client: Client, wall: float) -> None:
        who, settings = client.identity, self._settings
        due = self._looked_at[client] + settings.revalidate_s
        if self._reminded.get(client) is not who:
            due = min(due, self._remind_at(who))
        self._put(client, max(wall, min(due, who.expires_at + settings.grace_s)))

    def _put(self, client: Client, at: float) -> None:
        """In place of the one before."""
        former = self._due.get(client)
        if former is not None:
            former.client = None
        due = self._due[client] = _Due(at, next(self._numbers), client)
        heapq.heappush(self._heap, due)
        if len(self._heap) > 2 * len(self._due) + EMPTIED:
            self._heap = list(self._due.values())
            heapq.heapify(self._heap)

    def _remind_at(self, who: Identity) -> float:
        life_s = who.expires_at - who.issued_at
        return who.expires_at - min(self._settings.remind_s, life_s * REMIND_AT)

    def _act(self, client: Client, wall: float) -> None:
        who, settings = client.identity, self._settings
        if not self._judged(client, wall):
            return
        if wall >= who.expires_at + settings.grace_s:
            self._end(client, "token_expired")
            return
        if wall >= self._remind_at(who) and self._reminded.get(client) is not who:
            self._reminded[client] = who
            self._metrics.authority("reminded")
            left_s = round(max(0.0, who.expires_at - wall), 3)
            self._notify(client, "auth.expiring", orjson.dumps({"expires_in": left_s}), Priority.IMMEDIATE)
        if wall >= self._looked_at[client] + settings.revalidate_s:
            self._looked_at[client] = wall
            self._spawn(self._look_for_ban(client))
        if not client.closed:  # it may have been one notification too many
            self._plan(client, wall)

    def _judged(self, client: Client, wall: float) -> bool:
        """Whether its token still counts; if not, its socket is closed."""
        who, checker = client.identity, self.checker
        if checker.revoked.fits(who.user_id, who.token_id, who.issued_at, wall):
            self._end(client, "token_revoked")
        elif not checker.key_counts(who.issuer, who.key_id, wall):
            self._end(client, "key_gone")
        return not client.closed

    async def _look_for_ban(self, client: Client) -> None:
        if await self._bans.banned(client.user_id) is not None and not client.closed:
            self._metrics.authority("banned")
            self._close(client, Close.KICKED, "banned")

    def _end(self, client: Client, why: str) -> None:
        self._metrics.authority(why)
        self._close(client, Close.AUTH_EXPIRED, why)

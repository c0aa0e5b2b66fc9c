"""One session in its actor's memory: the record, and what need not be stored."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from actors.session.outbox import Outbox
from actors.session.states import SessionState
from cluster.errors import Conflict, SubscriptionLimit
from cluster.ports.sessions import SessionRecord


@dataclass(slots=True)
class Session:
    """`detached_at` and `attached_at` are on the actor's monotonic clock; the former is None while a socket holds the session.

    `heard`: the attach whose socket the client is known to have; stored with the next change, as no `recovered_from`. `unlisted`:
    how often its gateway did not name it. `lock` serialises what changes it.
    """

    record: SessionRecord
    outbox: Outbox = field(default_factory=Outbox)
    detached_at: float | None = None
    attached_at: float = float("-inf")
    heard: int = 0
    unlisted: int = 0
    attach_key: str = ""
    last_enter: tuple[str, dict[str, Any]] | None = None  # idempotency key and result
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def state(self) -> SessionState:
        return SessionState(self.record.state)

    def check_attach(self, attach_epoch: int) -> None:
        """A gateway that lost the session may not act for it any more (fencing of sockets)."""
        if attach_epoch != self.record.attach_epoch:
            raise Conflict("newer_attach")

    def with_subscriptions(self, added: list[str], removed: list[str], limit: int) -> SessionRecord:
        """The record with topics added and removed, order kept. Raises SubscriptionLimit and changes nothing."""
        topics = [topic for topic in self.record.subscriptions if topic not in removed]
        topics += [topic for topic in dict.fromkeys(added) if topic not in topics]
        if len(topics) > limit:
            raise SubscriptionLimit(limit)
        return replace(self.record, subscriptions=tuple(topics))

    def with_watching(self, added: list[str], removed: list[str], limit: int) -> SessionRecord:
        """The same for the users whose presence the session watches."""
        users = [user for user in self.record.watching if user not in removed]
        users += [user for user in dict.fromkeys(added) if user not in users]
        if len(users) > limit:
            raise SubscriptionLimit(limit)
        return replace(self.record, watching=tuple(users))

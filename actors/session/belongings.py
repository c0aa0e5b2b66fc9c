"""What a session has besides its place in the world: topics, attributes, a status, and whom it watches (rows 1.5 and 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from actors.presence.changes import SessionPresence, presence_of
from actors.session.following import Following
from actors.session.session import Session
from actors.session.table import SessionTable
from cluster.errors import Fenced, InvalidInput, RealmError

MAX_WATCHED = 200
MAX_ATTRIBUTES = 32
MAX_ATTRIBUTE_BYTES = 1024
STATUSES = ("online", "away", "busy", "invisible")


class Belongings:
    """Every change is in the store before it is acknowledged, and is refused to any attach but the present one."""

    def __init__(
        self, table: SessionTable, following: Following, announce: Callable[[Session], None], max_subscriptions: int
    ) -> None:
        self._table = table
        self._following = following
        self._announce = announce
        self._max_subscriptions = max_subscriptions

    async def subscribe(self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]) -> tuple[str, ...]:
        """Change the session's topics (row 1.5). Returns all of them: what is published from now on comes."""
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            old = session.record.subscriptions
            new = session.with_subscriptions(add, remove, self._max_subscriptions)
            try:
                for topic in new.subscriptions:
                    await self._following.join(topic, session_id)
                await self._table.write(session, new)
            except Fenced:
                raise
            except RealmError:
                await self._leave(session_id, [topic for topic in new.subscriptions if topic not in old])
                raise
            await self._leave(session_id, [topic for topic in remove if topic not in new.subscriptions])
            return new.subscriptions

    async def _leave(self, session_id: str, topics: list[str]) -> None:
        for topic in topics:
            await self._following.leave(topic, session_id)

    async def set_status(self, session_id: str, attach_epoch: int, status: str) -> str:
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            if status not in STATUSES:
                raise InvalidInput([("status", "one of " + ", ".join(STATUSES))])
            await self._table.write(session, replace(session.record, status=status))
            self._announce(session)
            return status

    async def watch(
        self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]
    ) -> tuple[SessionPresence, int]:
        """Change whose presence the session watches. Returns what to tell the presence index, and how many it watches now."""
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            await self._table.write(session, session.with_watching(add, remove, MAX_WATCHED))
            return presence_of(session.record), len(session.record.watching)

    async def set_attribute(self, session_id: str, attach_epoch: int, name: str, value: Any) -> dict[str, Any]:
        """Keep a small value with the session; None removes it (row 1.5). Returns all of them. Raises InvalidInput."""
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            attributes = {k: v for k, v in {**session.record.attributes, name: value}.items() if v is not None}
            if len(attributes) > MAX_ATTRIBUTES:
                raise InvalidInput([("name", f"more than {MAX_ATTRIBUTES} attributes")])
            try:
                size = len(orjson.dumps(value))
            except orjson.JSONEncodeError:
                raise InvalidInput([("value", "nested too deeply, or no JSON")]) from None
            if size > MAX_ATTRIBUTE_BYTES:
                raise InvalidInput([("value", f"more than {MAX_ATTRIBUTE_BYTES} bytes")])
            await self._table.write(session, replace(session.record, attributes=attributes))
            return attributes

    async def attributes(self, session_id: str, attach_epoch: int) -> dict[str, Any]:
        """All attributes of the session."""
        session = await self._table.find(session_id)
        session.check_attach(attach_epoch)
        return session.record.attributes

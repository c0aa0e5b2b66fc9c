"""What a session has besides its place in the world: topics, attributes, presence, and whom it watches (rows 1.5 and 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from actors.presence import statuses
from actors.presence.changes import SessionPresence, presence_of
from actors.presence.saying import said_metadata, said_text
from actors.session.hearing import Hearing
from actors.session.session import Session
from actors.session.table import SessionTable
from cluster.errors import Fenced, InvalidInput, RealmError
from cluster.social_settings import PresenceSettings

MAX_ATTRIBUTES = 32
MAX_ATTRIBUTE_BYTES = 1024


class Belongings:
    """Every change is in the store before it is acknowledged, and is refused to any attach but the present one."""

    def __init__(
        self,
        table: SessionTable,
        hearing: Hearing,
        announce: Callable[[Session], None],
        max_subscriptions: int,
        presence: PresenceSettings,
    ) -> None:
        self._table = table
        self._hearing = hearing
        self._announce = announce
        self._max_subscriptions = max_subscriptions
        self._presence = presence

    async def subscribe(self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]) -> tuple[str, ...]:
        """Change the session's topics (row 1.5). Returns all of them: what is published from now on comes."""
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            new = session.with_subscriptions(add, remove, self._max_subscriptions)
            try:
                await self._hearing.tune(session, new)
                await self._table.write(session, new)
            except Fenced:
                raise
            except RealmError:
                await self._hearing.retune(session)
                raise
            await self._hearing.retune(session)
            return new.subscriptions

    async def set_presence(
        self,
        session_id: str,
        attach_epoch: int,
        status: str | None,
        text: str | None,
        metadata: dict[str, str] | None,
    ) -> dict[str, Any]:
        """Change what is given: "" takes the text away, {} the metadata. Returns all three as they are then.

        Raises InvalidState for a status that may not follow on the present one, InvalidInput.
        """
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            new = session.record
            if status is not None:
                statuses.check(new.status, status, "chosen")
                new = replace(new, status=status)
            if text is not None:
                new = replace(new, status_text=said_text(text, self._presence))
            if metadata is not None:
                new = replace(new, status_metadata=said_metadata(metadata, self._presence))
            if new != session.record:
                await self._table.write(session, new)
                self._announce(session)
            return {"status": new.status, "text": new.status_text, "metadata": new.status_metadata}

    async def set_idle(self, session_id: str, attach_epoch: int, idle: bool) -> None:
        """The client has done nothing for a while, or does something again."""
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            if session.record.idle != idle:
                await self._table.write(session, replace(session.record, idle=idle))
                self._announce(session)

    async def watch(
        self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]
    ) -> tuple[SessionPresence, int]:
        """Change whose presence the session watches. Returns what to tell the presence index, and how many it watches now."""
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            await self._table.write(session, session.with_watching(add, remove, self._presence.watched))
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

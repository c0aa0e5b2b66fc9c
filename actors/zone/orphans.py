"""Entities that nobody speaks for any more: their session ended while the zone was away, or an entry failed half way. And those
whose sessions were not told that they are here. Plain asyncio.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from actors.zone.arrivals import Standing
from actors.zone.entities import Entity
from actors.zone.zone import Zone
from cluster.errors import Elsewhere, NotFound
from cluster.ports.accounts import CharacterStore
from cluster.ports.sessions import SessionStore
from cluster.ports.zones import ZoneStore

EVERY_S = 10.0

log = structlog.get_logger(__name__)


class Orphans:
    """`leave(session_id)` takes an entity out for good, `tell(session_ids)` says that they are here. Whoever looks lost must look
    so twice.
    """

    def __init__(
        self,
        zone: Zone,
        store: ZoneStore,
        sessions: SessionStore,
        characters: CharacterStore,
        leave: Callable[[str], Awaitable[Standing | None]],
        tell: Callable[[Sequence[str]], None],
    ) -> None:
        self._zone = zone
        self._store = store
        self._sessions = sessions
        self._characters = characters
        self._leave = leave
        self._tell = tell
        self._strays: set[tuple[str, int]] = set()
        self._misplaced: set[tuple[str, int]] = set()

    async def sweep(self) -> None:
        entities = dict(self._zone.table.by_session)
        named = await self._sessions.zones_of(list(entities))
        kept = await self._store.zones_of(list(entities))
        suspects, misplaced = set(), set()
        for session_id, entity in entities.items():
            if self._zone.table.by_session.get(session_id) is not entity:
                continue  # it went while the stores were asked
            if session_id not in named:
                await self._remove(entity)
            elif not named[session_id] or kept.get(session_id, self._zone.id) != self._zone.id:
                # The record is written after the entry: only who is a stray twice is one.
                suspects.add((session_id, entity.incarnation))
            elif named[session_id] != self._zone.id:
                # The message that it walked here may still be on its way, or was lost.
                misplaced.add((session_id, entity.incarnation))
        if again := sorted(session_id for session_id, _ in misplaced & self._misplaced):
            log.info("move_told_again", zone=self._zone.id, sessions=len(again))
            self._tell(again)
        self._misplaced = misplaced
        for session_id, _ in suspects & self._strays:
            log.info("stray_removed", zone=self._zone.id, entity=entities[session_id].entity_id)
            await self._out(session_id)
        self._strays = suspects

    async def _remove(self, entity: Entity) -> None:
        """Nobody else will: keep where it stood, take it out, and let its character go."""
        log.info("orphan_removed", zone=self._zone.id, entity=entity.entity_id)
        at = self._zone.standing(entity)
        try:
            await self._characters.save_place(entity.character_id, self._zone.id, at.x, at.y, at.z, at.yaw)
        except NotFound:
            log.warning("character_gone", character=entity.character_id)
        if await self._out(entity.session_id):
            await self._characters.release(entity.character_id, entity.session_id)

    async def _out(self, session_id: str) -> bool:
        try:
            await self._leave(session_id)
        except Elsewhere:
            return False  # it is being handed over: the next owner's sweep finds it
        return True

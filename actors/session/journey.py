"""A session's character in the world: how it comes in, comes back to its views, and goes out. Plain asyncio over ports."""

from __future__ import annotations

import random
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import structlog

from actors.session.whereabouts import Whereabouts
from actors.session.world_info import arrival, spawn_place, world_result
from actors.zone.arrivals import Standing
from cluster.errors import InvalidState, NotFound, RealmError
from cluster.mapwatch import MapWatch
from cluster.ports.accounts import Character, CharacterStore
from cluster.ports.sessions import SessionRecord
from cluster.settings import Settings

UNDO_DEADLINE_S = 1.0

log = structlog.get_logger(__name__)


class Journey:
    """Nothing here writes session records: the caller does, with the zone that the answer names."""

    def __init__(
        self, settings: Settings, watch: MapWatch, where: Whereabouts, characters: CharacterStore, rng: random.Random
    ) -> None:
        self.watch = watch
        self._settings = settings
        self._where = where
        self._characters = characters
        self._rng = rng

    def spawn_zone(self, character: Character, wanted: str) -> tuple[str, float, float, float, float]:
        """(zone, x, y, z, yaw) where the character comes in."""
        return spawn_place(self.watch.map, self._settings.world.spawn_zone, character, wanted, self._rng)

    async def enter(self, record: SessionRecord, place: tuple[str, float, float, float, float]) -> dict[str, Any]:
        """The result of world.enter: it is in the zone, durably."""
        zone_id, x, y, z, yaw = place
        record = replace(record, zone_id=zone_id)
        who = arrival(record, x, y, z, yaw)
        zone_id, standing = await self._ask(record, "enter", who)
        return self._world(record, zone_id, standing)

    async def rejoin(self, record: SessionRecord) -> dict[str, Any]:
        """The entity gets its views at the record's gateway; if the zone lost it, it enters again where it was last stored."""
        session_id = record.session_id
        try:
            zone_id, standing = await self._ask(record, "attach", session_id, record.gateway_id, record.attach_epoch)
        except InvalidState:
            character = await self._characters.claim(record.character_id, record.user_id, session_id)
            return await self.enter(record, self.spawn_zone(character, ""))
        return self._world(record, zone_id, standing)

    async def attach_again(self, old: SessionRecord, instead_of: int) -> None:
        """Take back an attach that failed elsewhere: the record's own holds again."""
        if old.gateway_id:
            args = (old.session_id, old.gateway_id, old.attach_epoch, instead_of)
            await self._undo(self._ask(old, "attach", *args, deadline_s=UNDO_DEADLINE_S))
        else:
            await self._undo(
                self._ask(old, "detach", old.session_id, old.attach_epoch, instead_of, deadline_s=UNDO_DEADLINE_S)
            )

    async def detach(self, record: SessionRecord) -> None:
        """No views any more; it stays in the world."""
        session_id = record.session_id
        zone_id, found = await self._ask(record, "detach", session_id, record.attach_epoch)
        other = "" if found else await self._where.last(session_id, zone_id)
        if other:
            await self._ask(replace(record, zone_id=other), "detach", session_id, record.attach_epoch)

    async def take_back(self, record: SessionRecord) -> None:
        """Undo an entry."""
        await self._undo(self._ask(record, "leave", record.session_id, deadline_s=UNDO_DEADLINE_S))

    async def leave(self, record: SessionRecord) -> None:
        """Take the entity out of its zone and keep where it stood. Repeatable: a leave that found nothing saves nothing."""
        session_id = record.session_id
        zone_id, standing = await self._ask(record, "leave", session_id)
        if standing is None:
            other = await self._where.last(session_id, zone_id)
            if other:
                zone_id, standing = await self._ask(replace(record, zone_id=other), "leave", session_id)
        if standing is not None:
            try:
                await self._characters.save_place(
                    record.character_id, zone_id, standing.x, standing.y, standing.z, standing.yaw
                )
            except NotFound:
                log.warning("character_gone", character=record.character_id, session=session_id)
        await self._characters.release(record.character_id, session_id)

    async def _ask(self, record: SessionRecord, method: str, *args: Any, deadline_s: float = 0.0) -> tuple[str, Any]:
        deadline_s = deadline_s or self._settings.gateway.call_deadline_s * 0.8
        return await self._where.ask(record.session_id, record.zone_id, method, *args, deadline_s=deadline_s)

    def _world(self, record: SessionRecord, zone_id: str, standing: Standing) -> dict[str, Any]:
        world, character = self._settings.world, record.character_id
        return world_result(world, self.watch.map, zone_id, character, record.character_name, standing)

    async def _undo(self, step: Awaitable[object]) -> None:
        """Take back a part of a change that failed; zones' sweeps find what stays."""
        try:
            await step
        except RealmError as error:
            log.warning("undo_failed", what=str(error))

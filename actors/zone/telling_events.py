"""What a zone tells other services (row 4.3): property changes once they are in the store, and about once a second where all are.

Plain; nothing of it happens in a tick. What the bodies are is in docs/events.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np
import structlog

from actors.zone.entities import Entity
from actors.zone.zone import Zone
from cluster.periodic import every
from cluster.ports.events import EventSink
from cluster.social_settings import EventSettings

ENTITIES_A_PART = 500  # of a message on places: some 60 KB, where NATS takes 1 MiB unless configured
AGAIN_A_TURN, AGAIN_EVERY_S = 50, 0.05  # of what is told again after a start

Body = dict[str, Any]

log = structlog.get_logger(__name__)


class TellingEvents:
    """`wall_clock`: Unix seconds. What is told was acknowledged by the store; an event has the newest version that was."""

    def __init__(self, zone: Zone, events: EventSink, settings: EventSettings, wall_clock: Callable[[], float]) -> None:
        self._zone = zone
        self._events = events
        self._settings = settings
        self._wall_clock = wall_clock
        self._changed: dict[str, set[str]] = {}  # entity id -> names of properties that no record was made of since
        self._recorded: dict[
            str, tuple[str, Body]
        ] = {}  # entity id -> event id and event, for when the record is in the store
        self._again: list[tuple[str, Body]] = []

    # --- properties --------------------------------------------------------------------------------------------

    def changed(self, entity: Entity, names: Iterable[str]) -> None:
        """These properties of an own entity are others now, or gone."""
        if self._settings.enabled:
            self._changed.setdefault(entity.entity_id, set()).update(names)

    def recorded(self, entity: Entity) -> None:
        """Its record is made, and about to be written; again if the writing failed."""
        names = self._changed.pop(entity.entity_id, None)
        before = self._recorded.get(entity.entity_id)
        if names is None and before is None:
            return
        told = (names or set()) | (before[1]["properties"].keys() if before is not None else set())
        self._recorded[entity.entity_id] = self._event(
            entity, {name: entity.properties.get(name) for name in sorted(told)}
        )

    def forget(self, entity_id: str) -> None:
        """It is gone for good."""
        self._changed.pop(entity_id, None)
        self._recorded.pop(entity_id, None)

    def committed(self, entity_ids: Collection[str]) -> None:
        """The last records of these are in the store."""
        if not self._recorded:
            return
        recorded, self._recorded = self._recorded, {}
        try:
            for entity_id, (event_id, body) in recorded.items():
                if entity_id in entity_ids:
                    self._events.publish("state", self._zone.id, body, event_id)
        except Exception:  # the writer must go on
            log.exception("events_not_told", zone=self._zone.id)

    def begun(self) -> None:
        """The zone has its entities back from the store, and nothing has changed yet.

        The incarnation before may have ended between a commit and its event, so all of them are told once more. Those of the last
        two minutes have the ids of the events that told them: the stream keeps one of each.
        """
        if not self._settings.enabled or self._zone.epoch <= 1:
            return
        table = self._zone.table
        entities = [table.by_number[number] for number in np.flatnonzero(table.mine).tolist()]
        self._again = [self._event(entity, dict(entity.properties)) for entity in entities if entity.properties]

    def _event(self, entity: Entity, properties: dict[str, Any]) -> tuple[str, Body]:
        zone = self._zone
        # A character that leaves and comes back begins with version 1 again, as another incarnation.
        event_id = f"{zone.id}.{entity.incarnation}.{entity.entity_id}.{entity.version}"
        return event_id, {
            "zone": zone.id,
            "epoch": zone.epoch,
            "entity_id": entity.entity_id,
            "entity_type": entity.entity_type,
            "version": entity.version,
            "properties": properties,
            "tick": zone.ticks,
            "at": self._wall_clock(),
        }

    # --- places ------------------------------------------------------------------------------------------------

    def _places(self) -> Iterator[Body]:
        """Where everybody is at this moment, in parts; nothing of a zone without entities. Metres to the centimetre, radians."""
        zone = self._zone
        table = zone.table
        numbers = np.flatnonzero(table.mine)
        places = np.round(table.position[numbers].astype(np.float64), 2)
        yaws = np.round(table.yaw[numbers].astype(np.float64), 3)
        entities = [table.by_number[number] for number in numbers.tolist()]
        moment = {"zone": zone.id, "epoch": zone.epoch, "tick": zone.ticks, "at": self._wall_clock()}
        parts = -(-len(entities) // ENTITIES_A_PART)
        for part in range(parts):
            these = slice(part * ENTITIES_A_PART, (part + 1) * ENTITIES_A_PART)
            yield {
                **moment,
                "part": part,
                "parts": parts,
                "entities": [
                    {"entity_id": e.entity_id, "entity_type": e.entity_type, "x": x, "y": y, "z": z, "yaw": yaw}
                    for e, (x, y, z), yaw in zip(
                        entities[these], places[these].tolist(), yaws[these].tolist(), strict=True
                    )
                ],
            }

    async def _tell_places(self) -> None:
        for body in self._places():
            event_id = f"{self._zone.id}.{body['epoch']}.{body['tick']}.{body['part']}"
            self._events.publish("position", self._zone.id, body, event_id)
            await asyncio.sleep(0)  # a tick may be due

    async def run(self) -> None:
        """For as long as the zone lives."""
        if not self._settings.enabled:
            return
        again, self._again = self._again, []
        for start in range(0, len(again), AGAIN_A_TURN):
            for event_id, body in again[start : start + AGAIN_A_TURN]:
                self._events.publish("state", self._zone.id, body, event_id)
            await asyncio.sleep(AGAIN_EVERY_S)
        await every(self._settings.position_every_s, self._tell_places, "places", lambda _: None)

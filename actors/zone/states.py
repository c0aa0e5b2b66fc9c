"""What viewers are told of an entity's properties (row 3.4): each its own audience, each audience's bytes encoded once.

The audiences of a property are `owner` (only the viewer whose entity it is), `near` and `all`, by the type of the entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

import numpy as np
import orjson

from actors.zone.entities import Entity, EntityTable
from cluster.world_settings import EntityTypeSettings
from realm_proto import realtime_pb2


class Audience(IntEnum):
    """Who looks, by how much they may see."""

    ALL = 0
    NEAR = 1
    OWNER = 2


WIDTH = 4  # a power of two over the audiences: entity number * WIDTH + audience is one int
EVERYTHING: frozenset[str] = frozenset()


class States:
    """`banded`: a mask by entity number of those that say more to who is near; `told_apart`: of those that have any audiences."""

    def __init__(self, table: EntityTable, types: Mapping[str, EntityTypeSettings]) -> None:
        self.banded = np.zeros(table.capacity, bool)
        self.told_apart = np.zeros(table.capacity, bool)
        self.pending: dict[
            int, set[str] | None
        ] = {}  # number -> properties that changed since the last flush; None: all of it
        self._table = table
        self._hidden = {name: _hidden(settings) for name, settings in types.items()}
        self._whole: dict[int, bytes] = {}
        self._changes: dict[int, bytes] = {}

    def changed(self, number: int, names: Iterable[str] | None) -> None:
        """These properties changed; None: viewers are to get all of it again."""
        self._forget_whole(number)
        if names is None:
            self.pending[number] = None
            return
        before = self.pending.setdefault(number, set())
        if before is not None:
            before.update(names)

    def forget(self, number: int) -> None:
        """The entity is gone."""
        self._forget_whole(number)
        self.pending.pop(number, None)

    def flush(self) -> None:
        """Everybody has been told."""
        self.pending = {}
        self._changes.clear()

    def learn(self, numbers: Iterable[int]) -> None:
        """Entities that come into somebody's view: the masks are right for them from now on."""
        if not self._hidden:
            return
        for number in numbers:
            hidden = self._hidden.get(self._table.by_number[number].entity_type)
            self.told_apart[number] = hidden is not None and bool(hidden[Audience.ALL])
            self.banded[number] = hidden is not None and hidden[Audience.ALL] != hidden[Audience.NEAR]

    def visible(self, entity: Entity, audience: Audience) -> dict[str, Any]:
        """The properties that the audience may see."""
        hidden = self._hidden_from(entity, audience)
        if not hidden:
            return dict(entity.properties)
        return {name: value for name, value in entity.properties.items() if name not in hidden}

    def whole(self, key: int) -> bytes:
        """A serialised EntityState with all that an audience may see. `key`: number * WIDTH + audience."""
        made = self._whole.get(key)
        if made is None:
            e = self._table.by_number[key // WIDTH]
            properties = self.visible(e, Audience(key % WIDTH))
            made = self._whole[key] = realtime_pb2.EntityState(
                number=e.number,
                entity_id=e.entity_id,
                entity_type=e.entity_type,
                name=e.name,
                version=e.version,
                properties_json=orjson.dumps(properties).decode() if properties else "",
                link_dead=e.link_dead,
            ).SerializeToString()
        return made

    def change(self, key: int) -> bytes:
        """A serialised EntityState with what changed since the last flush, of what the audience may see; `key` as for `whole`.

        It is sent also if the audience may see nothing of it: the version is everybody's.
        """
        made = self._changes.get(key)
        if made is None:
            e = self._table.by_number[key // WIDTH]
            hidden = self._hidden_from(e, Audience(key % WIDTH))
            names = self.pending[e.number] or EVERYTHING
            changed = {name: e.properties.get(name) for name in sorted(names) if name not in hidden}
            made = self._changes[key] = realtime_pb2.EntityState(
                number=e.number,
                version=e.version,
                properties_json=orjson.dumps(changed).decode() if changed else "",
                link_dead=e.link_dead,
                change=True,
            ).SerializeToString()
        return made

    def _hidden_from(self, entity: Entity, audience: Audience) -> frozenset[str]:
        hidden = self._hidden.get(entity.entity_type)
        return hidden[audience] if hidden is not None else EVERYTHING

    def _forget_whole(self, number: int) -> None:
        for audience in Audience:
            self._whole.pop(number * WIDTH + audience, None)


def _hidden(settings: EntityTypeSettings) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The names of the properties hidden from each audience."""
    owners = frozenset(name for name, who in settings.visibility.items() if who == "owner")
    nears = frozenset(name for name, who in settings.visibility.items() if who == "near")
    return owners | nears, owners, frozenset()

"""What a game is made of (row 7.6): a class with hooks that the zone calls. docs/games.md is the guide.

A zone has one object of the game's class for as long as its process lives. All hooks are called one at a time, on the zone's tick,
and must return at once. What a game must not forget it keeps in entities' properties: the object dies with the zone's process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from cluster.errors import InvalidState
from cluster.world_settings import EntityTypeSettings

if TYPE_CHECKING:
    from actors.zone.game_entity import GameEntity
    from actors.zone.game_zone import GameZone


class Refused(InvalidState):
    """For `on_message`: the player may not do that now. `reason` is a stable word, as `too_far`; the client gets -32003 with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "in_world")


class Behaviour(Protocol):
    """What one kind of entity does by itself. One object serves all of them."""

    def tick(self, zone: GameZone, entity: GameEntity, dt: float) -> None:
        """Each tick (`dt` seconds) in which somebody sees the entity; otherwise it sleeps."""


class Game:
    """The hooks, which do nothing here. An exception in one is logged and counted, and the zone goes on; what it had changed
    before stays changed.
    """

    types: ClassVar[Mapping[str, EntityTypeSettings]] = {}
    """Limits and visibility of the game's entity types; realm.toml's `[world.types]` goes before."""

    guarded: ClassVar[frozenset[str]] = frozenset()
    """Properties that only the game changes: `state.sync.delta` refuses them."""

    behaviours: ClassVar[Mapping[str, type[Behaviour]]] = {}
    """By entity type, or by entity id, which goes before."""

    def on_start(self, zone: GameZone) -> None:
        """Once, before the first tick of a zone's process, when its entities are there again."""

    def on_enter(self, zone: GameZone, entity: GameEntity, reason: str) -> None:
        """An entity is here now. `reason`: `enter` (a player came), `crossing` (from another zone), `restore` (new process)."""

    def on_leave(self, zone: GameZone, entity: GameEntity, reason: str) -> None:
        """... and is not any more; it stands as it last did. `reason`: `leave` (the world), `crossing` (to another zone)."""

    def on_tick(self, zone: GameZone, dt: float) -> None:
        """Every tick, `dt` seconds."""

    def on_message(self, zone: GameZone, entity: GameEntity, kind: str, data: Any, seen_tick: float) -> Any:
        """A player's `game.message`. What it returns, JSON as Python has it, is the answer, given once what changed is durable.

        `seen_tick`: the tick of the view that the player acted on, 0 if not said. Raise Refused, or another of cluster.errors.
        """
        raise Refused("not_understood")

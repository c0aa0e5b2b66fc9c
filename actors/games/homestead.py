"""Homestead, the example: gather wood and stone, build with them, and talk to a baker (row 7.6; docs/games.md goes through it).

Messages, with their `data`: `gather` {"target"}, `talk` {"target"}, `build` {"what"}. A player's `bag` is seen by nobody else.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from actors.games.api import Behaviour, Game, Refused
from actors.games.baker import NPC, Baker
from actors.games.homestead_plan import COSTS, SOURCES, Plan, plan_of
from actors.zone.game_entity import GameEntity
from actors.zone.game_zone import GameZone
from cluster.errors import InvalidInput, RateLimited
from cluster.world_settings import EntityTypeSettings

ITEM = "item"
POUCH = "pouch"
REACH_M = 3.0
GATHER_PAUSE_S = 0.4
REGROWS_S = (20.0, 40.0)
MOST_OF_A_KIND = 99  # in a bag
BUILD_AHEAD_M = 2.0
BUILD_ROOM_M = 1.5
MOST_BUILT = 20  # by one player, on a zone's ground
MOST_MET = 16
NEWS_M = 40.0

Handler = Callable[[GameZone, GameEntity, Mapping[str, Any]], dict[str, Any]]


class Homestead(Game):
    types: ClassVar[Mapping[str, EntityTypeSettings]] = {
        "player": EntityTypeSettings(visibility={"bag": "owner", "met": "owner"}),
        ITEM: EntityTypeSettings(visibility={"bag": "owner", "met": "owner"}),
        NPC: EntityTypeSettings(max_speed=2.0),
    }
    guarded: ClassVar[frozenset[str]] = frozenset({"bag", "met"})
    behaviours: ClassVar[Mapping[str, type[Behaviour]]] = {NPC: Baker}

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {"gather": self._gather, "talk": self._talk, "build": self._build}
        self._plan: Plan | None = None  # to be planted when the store is there
        self._regrowing: list[tuple[float, str]] = []  # a heap of (Unix seconds, entity id)
        self._gathered_at: dict[str, float] = {}  # player -> Unix seconds
        self._said: dict[tuple[str, str], int] = {}  # (player, npc) -> how many lines

    # --- the land -----------------------------------------------------------------------------------------------

    def on_start(self, zone: GameZone) -> None:
        """Plant a zone that has never been. What has been split off keeps what stands there: only the operator's zone with all its
        ground plants, and only if nothing of it is here. Parts are wider than the gaps between trees, so something always is.
        """
        plan = plan_of(zone.id, zone.bounds)
        if zone.whole and not any(zone.entity(node.id) for node in plan.nodes):
            self._plan = plan
            self._plant(zone)

    def _plant(self, zone: GameZone) -> None:
        """All of it goes into one commit of the store."""
        plan = self._plan
        if plan is None or not zone.writable:
            return
        self._plan = None
        for node in plan.nodes:
            properties = {"kind": node.kind, "left": SOURCES[node.kind].pieces, "most": SOURCES[node.kind].pieces}
            zone.spawn(ITEM, node.x, node.z, name=node.kind.capitalize(), properties=properties, entity_id=node.id)
        properties = {"kind": "baker", "home": [plan.home_x, plan.home_z]}
        zone.spawn(NPC, plan.home_x, plan.home_z, name=plan.baker, properties=properties, entity_id=plan.baker_id)

    def on_tick(self, zone: GameZone, dt: float) -> None:
        if not zone.writable:
            return
        if self._plan is not None:
            self._plant(zone)
        while self._regrowing and self._regrowing[0][0] <= zone.now:
            _, entity_id = heapq.heappop(self._regrowing)
            node = zone.entity(entity_id)
            due = node.properties.get("grows_at") if node is not None else None
            if node is not None and isinstance(due, int | float) and due <= zone.now:
                zone.set(node, left=node.properties["most"], grows_at=None)

    # --- who comes and goes -------------------------------------------------------------------------------------

    def on_enter(self, zone: GameZone, entity: GameEntity, reason: str) -> None:
        due = entity.properties.get("grows_at")
        if isinstance(due, int | float):
            heapq.heappush(self._regrowing, (float(due), entity.id))
        if entity.is_player and reason == "enter":
            for pouch in zone.entities(ITEM):
                if pouch.properties.get("kind") == POUCH and pouch.properties.get("owner") == entity.id:
                    self._take(zone, entity, pouch)

    def on_leave(self, zone: GameZone, entity: GameEntity, reason: str) -> None:
        """Who leaves the world leaves a pouch with what it had: an entity ends with its player's stay."""
        self._gathered_at.pop(entity.id, None)
        self._said = {key: lines for key, lines in self._said.items() if entity.id not in key}
        kept = {name: entity.properties[name] for name in ("bag", "met") if entity.properties.get(name)}
        if entity.is_player and reason == "leave" and kept:
            properties = {"kind": POUCH, "owner": entity.id, **kept}
            zone.spawn(ITEM, entity.x, entity.z, name=f"{entity.name}'s pouch", properties=properties)

    # --- what players do ----------------------------------------------------------------------------------------

    def on_message(self, zone: GameZone, entity: GameEntity, kind: str, data: Any, seen_tick: float) -> dict[str, Any]:
        handler = self._handlers.get(kind)
        if handler is None:
            raise Refused("not_understood")
        if not isinstance(data, dict):
            raise InvalidInput([("data", "an object is needed")])
        return handler(zone, entity, data)

    def _gather(self, zone: GameZone, player: GameEntity, data: Mapping[str, Any]) -> dict[str, Any]:
        node = _in_reach(zone, player, data, ITEM)
        kind, owner = node.properties.get("kind"), node.properties.get("owner")
        if kind == POUCH:
            if owner != player.id:
                raise Refused("not_yours")
            bag = self._take(zone, player, node)
            return {"bag": bag, "text": "Your pouch is yours again."}
        if kind not in SOURCES:
            raise Refused("nothing_to_gather")
        since = zone.now - self._gathered_at.get(player.id, -math.inf)
        if 0 <= since < GATHER_PAUSE_S:
            raise RateLimited("too_soon", GATHER_PAUSE_S - since)
        left, what = _left(node, zone.now), SOURCES[kind].gives
        if left < 1:
            raise Refused("nothing_left")
        bag = _bag(player)
        if bag.get(what, 0) >= MOST_OF_A_KIND:
            raise Refused("bag_full")
        bag[what] = bag.get(what, 0) + 1
        zone.set(player, bag=bag)
        if left > 1:
            zone.set(node, left=left - 1, grows_at=None)
        else:
            due = zone.now + zone.rng.uniform(*REGROWS_S)
            zone.set(node, left=0, grows_at=due)
            heapq.heappush(self._regrowing, (due, node.id))
        self._gathered_at[player.id] = zone.now
        return {"bag": bag, "left": left - 1, "text": f"1 {what}"}

    def _take(self, zone: GameZone, player: GameEntity, pouch: GameEntity) -> dict[str, int]:
        """What is in the pouch goes to the player, and the pouch goes."""
        bag = _bag(player)
        for what, count in pouch.properties.get("bag", {}).items():
            bag[what] = min(MOST_OF_A_KIND, bag.get(what, 0) + count)
        met = dict.fromkeys([*player.properties.get("met", []), *pouch.properties.get("met", [])])
        zone.set(player, bag=bag, met=list(met)[-MOST_MET:] or None)
        zone.despawn(pouch)
        return bag

    def _build(self, zone: GameZone, player: GameEntity, data: Mapping[str, Any]) -> dict[str, Any]:
        what = data.get("what")
        cost = COSTS.get(what) if isinstance(what, str) else None
        if cost is None or not isinstance(what, str):
            raise InvalidInput([("data.what", f"one of {', '.join(sorted(COSTS))}")])
        bag = _bag(player)
        if any(bag.get(each, 0) < count for each, count in cost.items()):
            raise Refused("too_little")
        x = player.x + math.sin(player.yaw) * BUILD_AHEAD_M
        z = player.z + math.cos(player.yaw) * BUILD_AHEAD_M
        b = zone.bounds
        outside = not (b.min_x <= x <= b.max_x and b.min_z <= z <= b.max_z)
        if outside or zone.near(x, z, BUILD_ROOM_M, ITEM):
            raise Refused("no_room")
        if sum(each.properties.get("owner") == player.id for each in zone.entities(ITEM)) >= MOST_BUILT:
            raise Refused("too_many")
        properties = {"kind": what, "owner": player.id, "by": player.name}
        built = zone.spawn(ITEM, x, z, yaw=player.yaw, name=f"{player.name}'s {what}", properties=properties)
        bag = {each: count - cost.get(each, 0) for each, count in bag.items() if count > cost.get(each, 0)}
        zone.set(player, bag=bag)
        zone.tell_near(
            x, z, NEWS_M, "built", {"by": player.name, "what": what, "text": f"{player.name} built a {what}."}
        )
        return {"bag": bag, "built": built.id, "text": f"You built a {what}."}

    def _talk(self, zone: GameZone, player: GameEntity, data: Mapping[str, Any]) -> dict[str, Any]:
        npc = _in_reach(zone, player, data, NPC)
        said = self._said.get((player.id, npc.id), 0)
        self._said[player.id, npc.id] = said + 1
        met = player.properties.get("met", [])
        answer: dict[str, Any] = {"from": npc.name, "text": Baker.line(player.name, said)}
        if npc.id not in met:
            bag = _bag(player)
            bag["bread"] = min(MOST_OF_A_KIND, bag.get("bread", 0) + 1)
            zone.set(player, bag=bag, met=[*met, npc.id][-MOST_MET:])
            answer |= {"bag": bag, "gave": "bread", "text": Baker.welcome(player.name)}
        return answer


def _bag(player: GameEntity) -> dict[str, int]:
    """A copy."""
    return dict(player.properties.get("bag", {}))


def _left(node: GameEntity, now: float) -> int:
    """How often it can be gathered from. What is due has grown, whether or not somebody has noted it."""
    due = node.properties.get("grows_at")
    grown = isinstance(due, int | float) and due <= now
    return int(node.properties["most"] if grown else node.properties.get("left", 0))


def _in_reach(zone: GameZone, player: GameEntity, data: Mapping[str, Any], kind: str) -> GameEntity:
    target = data.get("target")
    if not isinstance(target, str):
        raise InvalidInput([("data.target", "an entity's id")])
    found = zone.entity(target)
    if found is None or found.type != kind:
        raise Refused("not_here")
    if player.distance(found) > REACH_M:
        raise Refused("too_far")
    return found

"""Which actors the zones should have, and where (rows 7.3 to 7.5): what is, goes in, and what to do about it comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.world.seen import fit
from cluster.ports.actors import ANYWHERE, Node, Place
from cluster.ports.calls import zone_actor
from cluster.worldmap import MapZone, WorldMap

UNANSWERED = 3  # checks in a row after which an actor is made again, in case it does not exist
REPLACE_AFTER_S = 60.0  # a standby in the wrong place is moved no more often

Info = Mapping[str, Any]
Infos = Mapping[str, Info]  # what the actors that answered say, by name


@dataclass(frozen=True, slots=True)
class Change:
    """Make that actor, or end it if `place` is None."""

    name: str
    place: Place | None


@dataclass(slots=True)
class Staff:
    """`made`: actors of zones that were made and should be there. `now` is seconds of any clock.

    The owner's actor of each zone, and with a standby the other one, on another node if there is one.
    """

    made: set[str] = field(default_factory=set)
    _swept: set[str] = field(default_factory=set)
    _unanswered: Counter[str] = field(default_factory=Counter)
    _placed_at: dict[str, float] = field(default_factory=dict)

    def changes(
        self,
        now: float,
        world: WorldMap,
        owners: Mapping[str, int],
        infos: Infos,
        nodes: Sequence[Node],
        hands_off: Collection[str] = (),
    ) -> list[Change]:
        """`owners`: the slot that owns each zone, as the store has it. `hands_off`: zones that a plan works on: their owners are
        made, and nothing else.

        What is returned counts as done; `failed` takes it back.
        """
        self._count(infos)
        load = Counter({node.id: 0 for node in fit(nodes)})
        load.update(str(info["node"]) for info in infos.values() if info["node"] in load)
        found: list[Change] = []
        for zone in world:
            if zone.id not in owners:
                continue
            owner, other = zone_actor(zone.id, owners[zone.id]), zone_actor(zone.id, 1 - owners[zone.id])
            if owner not in self.made:
                found.append(self._make(owner, _for_owner(zone, load, nodes)))
            if zone.id in hands_off:
                continue
            if zone.standby and not zone.into:
                found += self._standby(now, owner, other, infos, nodes)
            elif other in self.made or other not in self._swept:
                self.made.discard(other)
                self._swept.add(other)
                found.append(Change(other, None))
        return found

    def failed(self, change: Change) -> None:
        if change.place is None:
            self._swept.discard(change.name)
        else:
            self.made.discard(change.name)

    def forget(self, zones: Collection[str]) -> None:
        """A plan has worked on them: what was known of their actors does not hold any more."""
        names = {zone_actor(zone_id, slot) for zone_id in zones for slot in (0, 1)}
        self.made -= names
        self._swept -= names

    def _make(self, name: str, place: Place) -> Change:
        self.made.add(name)
        self._swept.discard(name)
        return Change(name, place)

    def _count(self, infos: Infos) -> None:
        self._unanswered = Counter({name: self._unanswered[name] + 1 for name in self.made if name not in infos})
        for name, times in self._unanswered.items():
            if times % UNANSWERED == 0:
                self.made.discard(name)

    def _standby(self, now: float, owner: str, other: str, infos: Infos, nodes: Sequence[Node]) -> list[Change]:
        """Made once its owner says where it is; moved when it is on a bad node and there is a better one."""
        known = infos.get(owner)
        if known is None or known["role"] != "owner":
            return []
        better = {node.id for node in fit(nodes)} - {str(known["node"])}
        bad = {node.id for node in nodes} - better
        place = Place(avoid=tuple(sorted(bad))) if better else ANYWHERE
        if other not in self.made:
            self._placed_at[other] = now
            return [self._make(other, place)]
        there = infos.get(other)
        lately = now - self._placed_at.get(other, float("-inf")) < REPLACE_AFTER_S
        if there is None or there["role"] == "owner" or there["node"] not in bad or not better or lately:
            return []
        self._placed_at[other] = now
        return [Change(other, None), Change(other, place)]


def _for_owner(zone: MapZone, load: Counter[str], nodes: Sequence[Node]) -> Place:
    """Where the map wants it; else on the node with the fewest, if there is a choice."""
    if any(node.id == zone.node for node in nodes if not node.draining):
        return Place(zone.node)
    if len(load) < 2:
        return ANYWHERE
    node = min(load, key=lambda node: (load[node], node))
    load[node] += 1
    return Place(node)

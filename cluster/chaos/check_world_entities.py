"""No entity lost or doubled, every acknowledged change present: at each write and in each sample (rows 3.7 and 7.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation
from cluster.chaos.world_history import Trouble, gone, puts

SETTLE_S = 3.0
"""So long after a fault its effects are no wonder."""
LIMBO_S = 5.0
"""So long may an entity that is in the world be simulated by nobody: its owner restarts, or it is handed over."""
LONG_LIMBO_S = 120.0
"""The same with all the trouble there may be."""
STRAY_S = 40.0
"""So long may what an entry or a leave of unknown outcome left behind stay: owners look for it every ten seconds, and twice."""

Place = tuple[str, str]  # zone, and in or arriving


@dataclass(slots=True)
class _Entity:
    """`wanted`: whether it is in the world; None while its player asks for a change of that, and when nobody heard the outcome.

    `before`: what it was when that was asked. `asked`: some player ever did; who comes unasked is the realm's own, and stays.
    `doubt_s`: so long there may be something left of a request without an outcome.
    """

    wanted: bool | None = False
    before: bool | None = False
    asked: bool = False
    doubt_s: float = 0.0
    places: dict[Place, tuple[int, int, dict[str, Any]]] = field(default_factory=dict)
    """Place -> version, transfer, values."""
    newest: int = 0
    """The highest version of this life: since it was in no place."""
    values: dict[str, Any] = field(default_factory=dict)
    limbo_s: float = 0.0
    long_limbo_s: float = 0.0
    double_s: float = 0.0

    @property
    def doubtful(self) -> bool:
        return self.wanted is None or self.doubt_s > 0


class EntityCheck:
    """Feed it all events in order, then take `violations`."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._trouble = Trouble(SETTLE_S)
        self._entities: dict[str, _Entity] = {}
        self._ops: dict[int, Event] = {}
        self._epochs: dict[str, int] = {}
        self._sampled_at: float | None = None
        self._told: set[tuple[str, str, str]] = set()

    def wanted(self, entity_id: str) -> bool | None:
        """Whether it is in the world; None: nobody can know."""
        entity = self._entities.get(entity_id)
        return None if entity is not None and entity.doubtful else entity is not None and entity.wanted

    @property
    def known(self) -> list[str]:
        """Every entity that was ever heard of."""
        return list(self._entities)

    def feed(self, event: Event) -> None:
        self._trouble.feed(event)
        match event["k"]:
            case "taken":
                self._epochs[event["zone"]] = max(event["epoch"], self._epochs.get(event["zone"], 0))
            case "wrote":
                self._wrote(event)
            case "sample":
                self._sample(event)
            case "invoked":
                self._invoked(event)
            case "acknowledged" | "failed" | "unknown":
                self._ended(self._ops.pop(event["op"]), event)

    # --- what players ask --------------------------------------------------------------------------------------

    def _of(self, entity_id: str) -> _Entity:
        return self._entities.setdefault(entity_id, _Entity())

    def _invoked(self, event: Event) -> None:
        self._ops[event["op"]] = event
        if event["do"] in ("enter", "leave"):
            entity = self._of(event["entity"])
            entity.before, entity.wanted, entity.asked = entity.wanted, None, True

    def _ended(self, asked: Event, outcome: Event) -> None:
        entity, name, t = self._of(asked["entity"]), asked["entity"], outcome["t"]
        done, do = outcome["k"] == "acknowledged", asked["do"]
        if do == "state":
            if done:
                self._changed(entity, asked, outcome)
            return
        if outcome["k"] == "unknown":
            entity.doubt_s = STRAY_S
        elif not done:
            entity.wanted = entity.before
        elif do == "enter":
            entity.wanted = True
            if not entity.places:
                self._found("lost_acks", t, name, "its entry was acknowledged, and is not in the store")
        else:
            entity.wanted = False
            entity.limbo_s = entity.long_limbo_s = 0.0
            if entity.places and not entity.doubtful:
                self._found("lost_acks", t, name, f"its leave was acknowledged, and the store has it: {_where(entity)}")

    def _changed(self, entity: _Entity, asked: Event, outcome: Event) -> None:
        version, name, t = outcome["version"], asked["entity"], outcome["t"]
        if entity.newest < version:
            what = f"version {version} was acknowledged, and the store has {entity.newest}"
            self._found("lost_acks", t, name, what)
        elif entity.newest == version:
            wrong = {key: value for key, value in asked["values"].items() if entity.values.get(key) != value}
            if wrong:
                self._found("lost_acks", t, name, f"version {version} was acknowledged with {wrong}: {entity.values}")

    # --- what the store has ------------------------------------------------------------------------------------

    def _wrote(self, event: Event) -> None:
        t, touched = event["t"], set()
        what = f"{event['what']} of {event['zone']}, epoch {event['epoch']}"
        for left in gone(event):
            self._of(left.entity).places.pop((left.zone, left.place), None)
            touched.add(left.entity)
        for put in puts(event):
            entity = self._of(put.entity)
            touched.add(put.entity)
            if not entity.places and put.entity not in {left.entity for left in gone(event)}:
                entity.newest, entity.values = 0, {}  # another life
            if not entity.asked:
                entity.wanted = True
            elif entity.wanted is False and not entity.doubtful:
                self._found("came_back", t, put.entity, f"it left, and {what} stored it")
            self._version(entity, put.entity, put.version, put.values, t, what)
            entity.places[put.zone, put.place] = put.version, put.transfer, put.values
        for name in touched:
            entity = self._entities[name]
            if entity.wanted and not entity.places:
                self._found("lost_entities", t, name, f"after {what} the store does not have it")
            if len(entity.places) > 1 and not entity.doubtful:
                self._found("doubled_entities", t, name, f"after {what} the store has it twice: {_where(entity)}")

    def _version(self, entity: _Entity, name: str, version: int, values: dict[str, Any], t: float, what: str) -> None:
        if version < entity.newest:
            self._found("turned_back", t, name, f"{what} stored version {version} after {entity.newest}")
        elif version == entity.newest and values != entity.values:
            self._found("turned_back", t, name, f"{what} made version {version} {values}; it was {entity.values}")
        if version >= entity.newest:
            entity.newest, entity.values = version, values

    # --- what owners have --------------------------------------------------------------------------------------

    def _sample(self, event: Event) -> None:
        t = event["t"]
        since = 0.0 if self._sampled_at is None else t - self._sampled_at
        passed = 0.0 if self._trouble.at(t) else since
        self._sampled_at = t
        where: dict[str, list[str]] = {}
        for owner in event["owners"]:
            if owner["epoch"] < self._epochs.get(owner["zone"], 0):
                continue  # it was replaced, and what it does has no effect
            for name, version in owner["own"].items():
                where.setdefault(name, []).append(owner["zone"])
                self._sighted(name, version, owner["zone"], t)
        for name, entity in self._entities.items():
            if entity.wanted is not None:
                entity.doubt_s = max(0.0, entity.doubt_s - passed)
            zones = where.get(name, [])
            self._twice(name, entity, zones, t, passed)
            self._nowhere(name, entity, zones, t, passed, since)

    def _sighted(self, name: str, version: int, zone: str, t: float) -> None:
        entity = self._of(name)
        if entity.asked and entity.wanted is False and not entity.doubtful:
            self._found("came_back", t, name, f"it left, and {zone} has it")
        if (
            entity.wanted
            and entity.places
            and not entity.doubtful
            and version < min(known[0] for known in entity.places.values())
        ):
            self._found("turned_back", t, name, f"{zone} has version {version}, and the store has {entity.newest}")

    def _twice(self, name: str, entity: _Entity, zones: list[str], t: float, passed: float) -> None:
        if len(zones) < 2 and len(entity.places) < 2:
            entity.double_s = 0.0
            return
        entity.double_s += passed
        if len(zones) > 1 and not entity.doubtful:
            self._found("doubled_entities", t, name, f"simulated by {' and '.join(sorted(zones))}")
        elif entity.double_s > STRAY_S:
            self._found("doubled_entities", t, name, f"it is in two places since {entity.double_s:.0f} s")

    def _nowhere(self, name: str, entity: _Entity, zones: list[str], t: float, passed: float, since: float) -> None:
        if zones or not entity.wanted:
            entity.limbo_s = entity.long_limbo_s = 0.0
            return
        entity.limbo_s += passed
        entity.long_limbo_s += since
        if entity.limbo_s > LIMBO_S or entity.long_limbo_s > LONG_LIMBO_S:
            self._found("lost_entities", t, name, "nobody simulates it any more")

    def _found(self, name: str, t: float, who: str, what: str) -> None:
        if (name, who, what) not in self._told:
            self._told.add((name, who, what))
            self.violations.append(Violation(name, t, who, what))


def _where(entity: _Entity) -> str:
    return ", ".join(f"{place} {zone}" for zone, place in entity.places)

"""When everyone rests, everything agrees: the store, the owners, and what players see (rows 3.4, 3.5, 3.7 and 7.2)."""

from __future__ import annotations

import math
from typing import Any, Protocol

from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation
from cluster.chaos.world_history import Trouble

GAP_S = 4.0
"""So long may a player in the world see nothing when nothing is wrong: a request to the store may be lost, and is repeated."""
SETTLE_S = 3.0
"""So long after a fault its effects are no wonder."""

Seen = list[Any]  # x, y, z, version, values


class Wanted(Protocol):
    """What is known of who is in the world (`check_world_entities.EntityCheck`)."""

    @property
    def known(self) -> list[str]: ...

    def wanted(self, entity_id: str) -> bool | None: ...


class CalmCheck:
    """Feed it all events in order, after `entities`; then take `violations`."""

    def __init__(self, entities: Wanted) -> None:
        self.violations: list[Violation] = []
        self._entities = entities
        self._trouble = Trouble(SETTLE_S)
        self._radius = self._hysteresis = self._reach = 0.0
        self._truth: list[Event] = []
        self._stored: list[Event] = []
        self._sees: list[Event] = []

    def feed(self, event: Event) -> None:
        self._trouble.feed(event)
        match event["k"]:
            case "world":
                self._radius, self._hysteresis = event["radius"], event["hysteresis"]
                self._reach = event["reach"]
            case "truth":
                self._truth.append(event)
            case "stored":
                self._stored.append(event)
            case "sees":
                self._sees.append(event)
            case "gap" if event["s"] > GAP_S and not self._trouble.within(event["t"] - event["s"], event["t"]):
                self._found(
                    "gaps", event["t"], event["bot"], f"saw nothing for {event['s']:.1f} s, and nothing was wrong"
                )
            case "broken":
                self._found("wrong_views", event["t"], event["bot"], f"was sent what it cannot apply: {event['why']}")
            case "calm":
                self._judge(event["t"])
                self._truth, self._stored, self._sees = [], [], []

    def _judge(self, t: float) -> None:
        everyone: dict[str, Seen] = {}
        homes: dict[str, str] = {}
        for truth in self._truth:
            for name, seen in truth["entities"].items():
                if name in homes:
                    self._found("doubled_entities", t, name, f"{homes[name]} and {truth['zone']} have it, and all rest")
                homes[name] = truth["zone"]
                everyone[name] = seen
        self._compare_stores(t, everyone, homes)
        for name in self._entities.known:
            wanted = self._entities.wanted(name)
            if wanted and name not in everyone:
                self._found("lost_entities", t, name, "it is in the world, and no zone has it, and all rest")
            elif wanted is False and name in everyone:
                self._found("came_back", t, name, f"it left, and {homes[name]} has it, and all rest")
        for sees in self._sees:
            self._compare_views(t, sees, everyone)

    def _compare_stores(self, t: float, everyone: dict[str, Seen], homes: dict[str, str]) -> None:
        stored: set[str] = set()
        for said in self._stored:
            zone = said["zone"]
            for name in said["arriving"]:
                self._found("lost_entities", t, name, f"it never arrived in {zone}, and all rest")
            for name, (version, values) in said["entities"].items():
                stored.add(name)
                if homes.get(name) != zone:
                    self._found("doubled_entities", t, name, f"{zone} stores it, and {homes.get(name)} has it")
                elif everyone[name][3:] != [version, values]:
                    what = f"{zone} stores {version} {values}, and has {everyone[name][3]} {everyone[name][4]}"
                    self._found("lost_acks", t, name, what)
        for name in homes.keys() - stored:
            self._found("lost_acks", t, name, f"{homes[name]} has it, and the store does not")

    def _compare_views(self, t: float, sees: Event, everyone: dict[str, Seen]) -> None:
        bot, me, seen = sees["bot"], sees["entity"], sees["entities"]
        wanted = self._entities.wanted(me)
        if seen is None or me not in everyone:
            if wanted and seen is None:
                self._found("wrong_views", t, bot, "it is in the world, and sees nothing")
            elif wanted is False and seen is not None:
                self._found("wrong_views", t, bot, "it left the world, and sees it")
            return
        mine = everyone[me]
        for name, there in everyone.items():
            far = math.hypot(there[0] - mine[0], there[2] - mine[2])
            if name == me or far <= self._radius - self._reach:
                if name not in seen:
                    self._found("wrong_views", t, bot, f"does not see {name}, {far:.1f} m away")
                    continue
            elif name in seen and far > self._radius + self._hysteresis + self._reach:
                self._found("wrong_views", t, bot, f"sees {name}, {far:.1f} m away")
            if name in seen:
                self._compare(t, bot, me, name, seen[name], there)
        for name in seen.keys() - everyone.keys():
            self._found("wrong_views", t, bot, f"sees {name}, who is in no zone")

    def _compare(self, t: float, bot: str, me: str, name: str, seen: Seen, there: Seen) -> None:
        if None not in seen[:3] and (off := math.dist(seen[:3], there[:3])) > self._reach:
            self._found("wrong_views", t, bot, f"sees {name} {off:.2f} m from where it is")
        elif None in seen[:3] and name != me:
            self._found("wrong_views", t, bot, f"sees {name} nowhere")
        if seen[3:] != there[3:]:
            self._found("wrong_views", t, bot, f"sees {name} as {seen[3]} {seen[4]}; it is {there[3]} {there[4]}")

    def _found(self, name: str, t: float, who: str, what: str) -> None:
        self.violations.append(Violation(name, t, who, what))

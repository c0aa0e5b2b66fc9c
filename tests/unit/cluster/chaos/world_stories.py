"""Histories of a small world, written by hand: two zones, one after the other of their owners, and a few players."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from cluster.chaos.check_world import WorldVerdict, check

A, B = "zon_a", "zon_b"


class WorldStory:
    """Each method adds what would be seen. `t` goes on by 0.1 s with each, and by what tests add to it."""

    def __init__(self) -> None:
        self.t = 10.0
        self.events: list[dict[str, Any]] = []
        self._ops = 0
        self._faults = 0
        self._calms = 0
        self.add("world", radius=50.0, hysteresis=5.0, reach=0.05)

    def add(self, kind: str, **more: Any) -> None:
        self.t += 0.1
        self.events.append({"k": kind, "t": self.t, **more})

    def verdict(self) -> WorldVerdict:
        """As if it had been in a file."""
        return check(orjson.loads(orjson.dumps(event)) for event in self.events)

    def found(self) -> dict[str, int]:
        return dict(Counter(violation.name for violation in self.verdict().violations))

    # --- the realm ---------------------------------------------------------------------------------------------

    def taken(self, zone: str, epoch: int, by: int, slot: int = 0) -> None:
        self.add("taken", zone=zone, epoch=epoch, slot=slot, by=by)

    def wrote(
        self,
        zone: str,
        epoch: int,
        by: int,
        *put: tuple[str, str, str, int, dict[str, Any]],
        gone: tuple[tuple[str, str, str], ...] = (),
        what: str = "commit",
    ) -> None:
        """`put`: entity, zone, place, version, values."""
        puts = [[entity, where, place, version, 0, values] for entity, where, place, version, values in put]
        self.add("wrote", zone=zone, epoch=epoch, by=by, what=what, put=puts, gone=gone)

    def sample(self, *owners: tuple[str, int, int, dict[str, int]]) -> None:
        """`owners`: zone, epoch, process, entity -> version. One each second."""
        self.t += 0.9
        said = [{"zone": zone, "epoch": epoch, "by": by, "own": own, "leaving": []} for zone, epoch, by, own in owners]
        self.add("sample", owners=said)

    def fault(self, what: str = "kill") -> int:
        self._faults += 1
        self.add("fault", n=self._faults, what=what, on=A)
        return self._faults

    def back(self, fault: int) -> None:
        self.add("back", n=fault)

    # --- players -----------------------------------------------------------------------------------------------

    def asked(self, do: str, entity: str, **more: Any) -> int:
        self._ops += 1
        self.add("invoked", op=self._ops, bot=entity, do=do, entity=entity, **more)
        return self._ops

    def heard(self, op: int, outcome: str = "acknowledged", **more: Any) -> None:
        self.add(outcome, op=op, **more)

    # --- a calm ------------------------------------------------------------------------------------------------

    def calm(
        self,
        truth: dict[str, dict[str, list[Any]]],
        stored: dict[str, dict[str, list[Any]]] | None = None,
        sees: dict[str, dict[str, list[Any]] | None] | None = None,
        arriving: tuple[str, ...] = (),
    ) -> None:
        """`truth`: zone -> entity -> x, z, version, values. What is not given agrees with it."""
        self._calms += 1
        whole = {z: {name: _place(seen) for name, seen in seens.items()} for z, seens in truth.items()}
        for zone, entities in whole.items():
            self.add("truth", calm=self._calms, zone=zone, epoch=1, entities=entities)
        kept = stored or {zone: {name: seen[2:] for name, seen in seens.items()} for zone, seens in truth.items()}
        for zone, entities in kept.items():
            arrived = arriving if zone == A else ()
            self.add("stored", calm=self._calms, zone=zone, entities=entities, arriving=arrived)
        everyone = {name: seen for entities in whole.values() for name, seen in entities.items()}
        for name, said in (sees if sees is not None else {}).items():
            seen = None if said is None else {other: _place(place) for other, place in said.items()}
            self.add("sees", calm=self._calms, bot=name, entity=name, zone=A, epoch=1, entities=seen)
        if sees is None:
            for name in everyone:
                self.add("sees", calm=self._calms, bot=name, entity=name, zone=A, epoch=1, entities=everyone)
        self.add("calm", calm=self._calms)


def _place(seen: list[Any]) -> list[Any]:
    x, z, version, values = seen
    return [x, 0.0, z, version, values]


def a_world() -> WorldStory:
    """Ann is in zone A, at version 1; both zones have an owner."""
    story = WorldStory()
    story.taken(A, 1, 1)
    story.taken(B, 1, 2)
    op = story.asked("enter", "ann")
    story.wrote(A, 1, 1, ("ann", A, "in", 1, {}))
    story.heard(op)
    story.sample((A, 1, 1, {"ann": 1}), (B, 1, 2, {}))
    return story

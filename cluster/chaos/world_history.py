"""The history of a world as it was observed from outside (rows 3.7, 7.2, 7.3, 7.5): at the store, at the players, and by looking into owners.

One JSON object a line, in the order in which things happened; written with `history.History`, judged by `check_world.py`. Every event
has `k`, its kind, and `t`, seconds on one clock. `by` is a process: whoever holds an epoch is one process and no other.

| k | more | means |
|---|---|---|
| world | radius, hysteresis, reach | the settings that say who sees whom, in metres; `reach`: how far a view's places may be off |
| taken | zone, epoch, slot, by | the store gave out an epoch |
| wrote | zone, epoch, by, what, put, gone | the store accepted a write: what it changed. `put`: [entity, zone, place, version, transfer, values], `gone`: [entity, zone, place]; `place` is "in" or "arriving" |
| refused | zone, epoch, by, what | the store did not accept it: there is a newer epoch |
| died | by, why | a process is gone |
| fault, back | n, what, on | something was done to the realm, and it is as before |
| sample | owners | what every process that takes itself for an owner has: [{by, zone, epoch, own: {entity: version}, leaving: [entity]}]; who is stopped is not asked |
| invoked | op, bot, do, entity, ... | a player asks: enter, leave, state (version, values) |
| acknowledged, failed, unknown | op, ... | as in `history.py`: state (version) |
| reset | bot, zone, epoch | a player's views begin anew |
| broken | bot, why | a player was sent a view that makes no sense to it |
| gap | bot, s | a player who is in the world had no view for so long |
| truth | calm, zone, epoch, entities | everyone rests: what the owner has, {entity: [x, y, z, version, values]} |
| stored | calm, zone, entities, arriving | and the store, {entity: [version, values]} each |
| sees | calm, bot, entity, zone, epoch, entities | and a player, {entity: [x, y, z, version, values]}, itself among them, where places may be null; all null: it is not in the world |
| calm | calm | all of the above was said |
"""  # noqa: E501 - a table

from __future__ import annotations

from typing import Any, NamedTuple

from cluster.chaos.history import Event

IN, ARRIVING = "in", "arriving"


class Put(NamedTuple):
    """What the store has of an entity after a write."""

    entity: str
    zone: str
    place: str
    version: int
    transfer: int
    values: dict[str, Any]


class Gone(NamedTuple):
    """What it has no more."""

    entity: str
    zone: str
    place: str


def puts(event: Event) -> list[Put]:
    return [Put(*said) for said in event["put"]]


def gone(event: Event) -> list[Gone]:
    return [Gone(*said) for said in event["gone"]]


class Trouble:
    """When something is being done to the realm, or was a moment ago. Feed it all events in order."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._open: set[int] = set()
        self._until = float("-inf")

    def feed(self, event: Event) -> None:
        if event["k"] == "fault":
            self._open.add(event["n"])
        elif event["k"] == "back":
            self._open.discard(event["n"])
            self._until = max(self._until, event["t"] + self._settle_s)

    def at(self, t: float) -> bool:
        return bool(self._open) or t < self._until

    def within(self, since: float, t: float) -> bool:
        """Whether there was any between then and `t`, which is now."""
        return bool(self._open) or since < self._until

"""The port to what a zone keeps beyond its process (rows 1.9 and 3.7): its entities, where they were, and who owns what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredZone:
    """`entities`, `arrivals`: records by entity id, the latter handed over and not claimed yet; `places`: PLACE rows of
    actors/zone/rows.py taken at `places_at` (Unix seconds)."""

    entities: dict[str, bytes]
    places: bytes
    places_at: float
    arrivals: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parcel:
    """An entity on its way to another zone. `session_id` is empty for who has no session; `transfer` grows with every hand-over."""

    entity_id: str
    session_id: str
    transfer: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Owner:
    """Which of a zone's two actors owns it (0 or 1), and its epoch; epoch 0: nobody has yet."""

    slot: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """Records by entity id. `number` names the claim."""

    number: int
    records: dict[str, bytes]


class ZoneStore(Protocol):
    """Every write carries the zone's epoch and raises Fenced unless that is the newest; all raise Unavailable.

    Writes of one incarnation are numbered as they are called, by the store object: one that was given up and runs late changes
    nothing (and raises Unavailable, if anybody still waits for it). So an incarnation uses one store object, one write at a time;
    places may be saved beside them. All are idempotent: after Unavailable, which may mean done or not, the caller repeats them.
    """

    async def owner(self, zone_id: str) -> Owner: ...

    async def take(self, zone_id: str, slot: int, expected: int | None = None) -> int:
        """Own the zone: a new epoch, higher than all before. With `expected`: only if that is the present epoch, else Fenced.

        The one call that is not idempotent: repeated after Unavailable it may be Fenced by itself; `owner` tells.
        """

    async def load(self, zone_id: str) -> StoredZone:
        """Entities and arrivals of one moment."""

    async def commit(
        self, zone_id: str, epoch: int, puts: Mapping[str, tuple[str, bytes]], drops: Mapping[str, str]
    ) -> None:
        """A group commit: entity id -> (session id, record), entity id -> session id. All of it, or nothing.

        A session's zone (`zones_of`) becomes this one with a put, and none with a drop if it was this one. Drops come first.
        Session ids may be empty.
        """

    async def hand_over(self, zone_id: str, epoch: int, to_zone: str, parcels: Sequence[Parcel]) -> None:
        """From this zone's entities to the other's arrivals, in one step; the sessions' zone is the other one from now on.

        A parcel whose entity is not among this zone's entities, or came there by the same transfer or a later one, is left as it
        is: it was handed over before. An arrival of the same entity with a lower transfer is replaced. Raises NotFound, and hands
        nothing over, if the other zone was discarded.
        """

    async def claim(self, zone_id: str, epoch: int, after: int = 0) -> Claimed:
        """From the zone's arrivals to its entities, all of them in one step. Returns what was claimed.

        `after`: the number of the incarnation's last claim whose answer arrived, 0 for none. What later ones took comes again.
        """

    async def save_places(self, zone_id: str, epoch: int, places: bytes, now: float) -> None: ...

    async def zones_of(self, session_ids: Sequence[str]) -> dict[str, str]:
        """Session -> the zone that has its entity; without those that have none."""

    async def discard(self, zone_id: str, epoch: int) -> bool:
        """Delete what a zone without ground kept, if it has neither entities nor arrivals. Returns whether it did; its epoch stays.

        After that nothing is written or handed over to it, until somebody takes it anew.
        """


class WorldStore(Protocol):
    """The map and the plan that is being carried out; both JSON. One supervisor at a time writes (fenced by its epoch)."""

    async def load(self) -> tuple[bytes, bytes]:
        """(map, plan); empty if there is none."""

    async def save(self, epoch: int, world_map: bytes, plan: bytes) -> None:
        """Both in one step. Raises Fenced, Unavailable; one that was given up and runs late changes nothing."""

"""What zones keep in Redis (rows 1.9 and 3.7).

`{ns}:zone:{id}:entities` records by entity id, `...:arrivals` those handed over and not claimed yet (`transfer:record`),
`...:places` one value, `...:owner` (slot). `{ns}:zone-of` zones by session id. `...:transfers` the transfer that brought an entity
here, `...:claimed` the write that claimed it. `...:written` the newest write of entities and of places, as `epoch.number`: a
delayed one cannot undo a later one.
"""

from __future__ import annotations

import itertools
import secrets
import struct
from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Fenced, NotFound, Unavailable
from cluster.ports.zones import Claimed, Owner, Parcel, StoredZone

TAKE = Script(__file__, "zone_take.lua")
COMMIT = Script(__file__, "zone_commit.lua")
HAND_OVER = Script(__file__, "zone_hand_over.lua")
CLAIM = Script(__file__, "zone_claim.lua")
PLACES = Script(__file__, "zone_places.lua")
DISCARD = Script(__file__, "zone_discard.lua")
TAKEN_AT = struct.Struct("<d")

Args = list[str | bytes | int | float]


class RedisZoneStore:
    """Implements `cluster.ports.zones.ZoneStore`. A commit keeps the server busy for some 0.6 us for each entity of 300 bytes."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace
        self._numbers = itertools.count(1)  # orders the writes of one incarnation

    @guard()
    async def owner(self, zone_id: str) -> Owner:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.get(self._epoch(zone_id))
            pipe.hget(self._key(zone_id, "owner"), "slot")
            epoch, slot = await pipe.execute()
        return Owner(int(slot or 0), int(epoch or 0))

    @guard()
    async def take(self, zone_id: str, slot: int, expected: int | None = None) -> int:
        keys = [self._epoch(zone_id), self._key(zone_id, "owner")]
        args: Args = [slot, "" if expected is None else expected, secrets.token_hex(8)]
        answer = await TAKE(self._client, keys, args)
        _check(answer, zone_id)
        return int(answer)

    @guard()
    async def load(self, zone_id: str) -> StoredZone:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._key(zone_id, "entities"))
            pipe.hgetall(self._key(zone_id, "arrivals"))
            pipe.get(self._key(zone_id, "places"))
            entities, arrivals, places = await pipe.execute()
        return StoredZone(
            {name.decode(): record for name, record in entities.items()},
            (places or b"")[TAKEN_AT.size :],
            TAKEN_AT.unpack_from(places)[0] if places else 0.0,
            {name.decode(): parcel.partition(b":")[2] for name, parcel in arrivals.items()},
        )

    @guard()
    async def commit(
        self, zone_id: str, epoch: int, puts: Mapping[str, tuple[str, bytes]], drops: Mapping[str, str]
    ) -> None:
        dropped = [session_id for session_id in drops.values() if session_id]
        records: Args = [part for entity_id, (_, record) in puts.items() for part in (entity_id, record)]
        sessions = [part for session_id, _ in puts.values() if session_id for part in (session_id, zone_id)]
        args: Args = [
            epoch, next(self._numbers), zone_id, len(drops), len(dropped), len(records), len(sessions),
            *drops, *dropped, *records, *sessions,
        ]  # fmt: skip
        _check(await COMMIT(self._client, [*self._entities(zone_id), f"{self._ns}:zone-of"], args), zone_id)

    @guard()
    async def hand_over(self, zone_id: str, epoch: int, to_zone: str, parcels: Sequence[Parcel]) -> None:
        keys = [
            *self._entities(zone_id), f"{self._ns}:zone-of",
            self._epoch(to_zone), self._key(to_zone, "written"), self._key(to_zone, "arrivals"),
        ]  # fmt: skip
        args: Args = [epoch, next(self._numbers), to_zone]
        for parcel in parcels:
            args += (parcel.entity_id, parcel.session_id, parcel.transfer, parcel.record)
        answer = await HAND_OVER(self._client, keys, args)
        if answer == b"discarded":
            raise NotFound("zone_discarded")
        _check(answer, zone_id)

    @guard()
    async def claim(self, zone_id: str, epoch: int, after: int = 0) -> Claimed:
        keys = [*self._entities(zone_id), self._key(zone_id, "arrivals"), self._key(zone_id, "claimed")]
        number = next(self._numbers)
        answer = await CLAIM(self._client, keys, [epoch, number, after])
        if isinstance(answer, bytes):
            _check(answer, zone_id)
        records = {name.decode(): record for name, record in zip(answer[::2], answer[1::2], strict=True)}
        return Claimed(number, records)

    @guard()
    async def save_places(self, zone_id: str, epoch: int, places: bytes, now: float) -> None:
        keys = [self._epoch(zone_id), self._key(zone_id, "written"), self._key(zone_id, "places")]
        args: Args = [epoch, next(self._numbers), TAKEN_AT.pack(now) + places]
        _check(await PLACES(self._client, keys, args), zone_id)

    @guard()
    async def zones_of(self, session_ids: Sequence[str]) -> dict[str, str]:
        if not session_ids:
            return {}
        # The client decodes nothing (connection.py), its stubs do not know.
        zones: list[bytes | None] = await self._client.hmget(f"{self._ns}:zone-of", list(session_ids))  # type: ignore[assignment]
        return {session_id: zone.decode() for session_id, zone in zip(session_ids, zones, strict=True) if zone}

    @guard()
    async def discard(self, zone_id: str, epoch: int) -> bool:
        names = ("written", "entities", "arrivals", "places", "transfers", "claimed", "owner")
        keys = [self._epoch(zone_id), *(self._key(zone_id, name) for name in names)]
        answer = await DISCARD(self._client, keys, [epoch])
        _check(answer, zone_id)
        return bool(answer == b"ok")

    def _epoch(self, zone_id: str) -> str:
        return f"{self._ns}:epoch:zone:{zone_id}"

    def _key(self, zone_id: str, name: str) -> str:
        return f"{self._ns}:zone:{zone_id}:{name}"

    def _entities(self, zone_id: str) -> list[str]:
        """What every write of entities looks at."""
        return [self._epoch(zone_id), *(self._key(zone_id, name) for name in ("written", "entities", "transfers"))]


def _check(answer: bytes, zone_id: str) -> None:
    if answer == b"fenced":
        raise Fenced(f"a newer incarnation of {zone_id} exists")
    if answer == b"late":
        raise Unavailable("redis")

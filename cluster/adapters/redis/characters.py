"""Characters in Redis.

Hash `{ns}:character:{id}`, index `{ns}:character-name:{name_key}` -> id, set `{ns}:user:{id}:characters`.
A session is alive as long as `{ns}:session:{id}` exists.
"""

from __future__ import annotations

from collections.abc import Mapping

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard, text, texts
from cluster.errors import Conflict, NotFound
from cluster.ports.accounts import Character, name_key

_CREATE = Script(__file__, "character_create.lua")
_DELETE = Script(__file__, "character_delete.lua")
_CLAIM = Script(__file__, "character_claim.lua")
_RELEASE = Script(__file__, "character_release.lua")
_SAVE_PLACE = Script(__file__, "character_save_place.lua")


class RedisCharacters:
    """CharacterStore."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    @guard()
    async def get(self, character_id: str) -> Character | None:
        stored = await self._client.hgetall(self._character(character_id))
        return _read(texts(stored)) if stored else None

    @guard()
    async def by_name(self, name: str) -> Character | None:
        # A name that goes between the two reads belonged to nobody for a moment: None is true then.
        character_id = await self._client.get(self._name(name))
        return None if character_id is None else await self.get(text(character_id))

    @guard()
    async def list(self, user_id: str) -> list[Character]:
        ids = await self._client.smembers(self._owned(user_id))
        async with self._client.pipeline(transaction=False) as pipe:
            for character_id in ids:
                pipe.hgetall(self._character(text(character_id)))
            found = [_read(texts(stored)) for stored in await pipe.execute() if stored]
        return sorted(found, key=lambda character: (character.created_at, character.character_id))

    @guard()
    async def create(self, character: Character, limit: int) -> None:
        keys = [
            self._character(character.character_id),
            self._name(character.name),
            self._owned(character.user_id),
        ]
        outcome = await _CREATE(self._client, keys, [character.character_id, limit, *_flat(character)])
        if outcome != b"ok":
            raise Conflict(outcome.decode())

    @guard()
    async def delete(self, user_id: str, character_id: str) -> None:
        # A name never changes, so what is read here still holds when the script runs.
        name = await self._client.hget(self._character(character_id), "name")
        if name is None:
            raise NotFound("not_found")
        keys = [self._character(character_id), self._name(text(name)), self._owned(user_id)]
        outcome = await _DELETE(self._client, keys, [character_id, user_id, self._session("")])
        if outcome == b"in_world":
            raise Conflict("in_world")
        if outcome != b"ok":
            raise NotFound("not_found")

    @guard()
    async def claim(self, character_id: str, user_id: str, session_id: str) -> Character:
        keys, args = [self._character(character_id)], [user_id, session_id, self._session("")]
        outcome = await _CLAIM(self._client, keys, args)
        if outcome == b"in_world":
            raise Conflict("in_world")
        if outcome == b"not_found":
            raise NotFound("not_found")
        return _read(texts(dict(zip(outcome[::2], outcome[1::2], strict=True))))

    @guard()
    async def release(self, character_id: str, session_id: str) -> None:
        await _RELEASE(self._client, [self._character(character_id)], [session_id])

    @guard()
    async def save_place(self, character_id: str, zone: str, x: float, y: float, z: float, yaw: float) -> None:
        place = {"x": x, "y": y, "z": z, "yaw": yaw}
        # float() first: the repr of a numpy scalar names its type.
        flat = ["zone", zone, *(part for key, value in place.items() for part in (key, repr(float(value))))]
        if await _SAVE_PLACE(self._client, [self._character(character_id)], flat) != b"ok":
            raise NotFound("not_found")

    def _character(self, character_id: str) -> str:
        return f"{self._namespace}:character:{character_id}"

    def _name(self, name: str) -> str:
        return f"{self._namespace}:character-name:{name_key(name)}"

    def _owned(self, user_id: str) -> str:
        return f"{self._namespace}:user:{user_id}:characters"

    def _session(self, session_id: str) -> str:
        return f"{self._namespace}:session:{session_id}"


def _flat(character: Character) -> list[str]:
    """Field, value, field, value: in the order of the record."""
    fields = {
        "character_id": character.character_id,
        "user_id": character.user_id,
        "name": character.name,
        "zone": character.zone,
        "x": repr(float(character.x)),
        "y": repr(float(character.y)),
        "z": repr(float(character.z)),
        "yaw": repr(float(character.yaw)),
        "created_at": repr(float(character.created_at)),
        "session": character.session,
        "session_epoch": str(character.session_epoch),
    }
    return [part for pair in fields.items() for part in pair]


def _read(stored: Mapping[str, str]) -> Character:
    return Character(
        character_id=stored["character_id"],
        user_id=stored["user_id"],
        name=stored["name"],
        zone=stored["zone"],
        x=float(stored["x"]),
        y=float(stored["y"]),
        z=float(stored["z"]),
        yaw=float(stored["yaw"]),
        created_at=float(stored["created_at"]),
        session=stored["session"],
        session_epoch=int(stored["session_epoch"]),
    )

"""Parties in Redis.

`{ns}:party:{id}` hash: leader, version. `{ns}:party:{id}:members` list of user ids in the order of joining,
`{ns}:party:{id}:people` hash of JSON by user id, `{ns}:party:{id}:invited` user ids sorted by the time when their invitation ends,
`{ns}:party:{id}:called` hash of what those are called who were not invited by id.
`{ns}:user:{id}:party` the id. `{ns}:user:{id}:invitations` party ids sorted by that time; it expires with the last one.
`{ns}:invitation:{party}:{user}` JSON; it expires.
A party and what says who is in it end together, PARTY_TTL_S after somebody did something with it or looked at it last.
`{ns}:party-call:{call}`: the party of a call, for as long as it may be repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import DEADLINE_S, Script, guard
from cluster.adapters.redis.sessions import milliseconds
from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound, Theirs
from cluster.ports.parties import MOST_RECEIVED, Invitation, Member, Party

STEP = Script(__file__, "party_step.lua")

CALL_TTL_S = 4 * DEADLINE_S
PARTY_TTL_S = 90 * 86_400.0


@dataclass(frozen=True, slots=True)
class _Change:
    """What a step of the script needs; each needs only some of it. `about`: JSON, to be kept."""

    party_id: str = ""
    user_id: str = ""
    other_id: str = ""
    now: float = 0.0
    about: bytes = b""
    most_members: int = 0
    most_invited: int = 0
    expires_at: float = 0.0
    other_name: str = ""


class RedisPartyStore:
    """Implements `cluster.ports.parties.PartyStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    async def get(self, party_id: str) -> Party | None:
        return _known(await self._step("get", _Change(party_id)))

    async def of_user(self, user_id: str) -> Party | None:
        return _known(await self._step("of_user", _Change(user_id=user_id)))

    @guard()
    async def parties_of(self, user_ids: list[str]) -> dict[str, str]:
        found = await self._texts([f"{self._ns}:user:{user_id}:party" for user_id in user_ids])
        return {user_id: party_id for user_id, party_id in zip(user_ids, found, strict=True) if party_id}

    @guard()
    async def invitations(self, user_id: str, now: float) -> list[Invitation]:
        key = f"{self._ns}:user:{user_id}:invitations"
        found: list[bytes] = await self._client.zrangebyscore(key, f"({float(now)!r}", "+inf")  # type: ignore[assignment]
        party_ids = [party_id.decode() for party_id in found]
        kept = await self._texts([f"{self._ns}:invitation:{party_id}:{user_id}" for party_id in party_ids])
        # One that went between the two reads was declined or taken, or has ended.
        open_ones = [(party_id, orjson.loads(about)) for party_id, about in zip(party_ids, kept, strict=True) if about]
        return [
            Invitation(party_id, about["user_id"], about["name"], about["expires_at"]) for party_id, about in open_ones
        ]

    async def create(self, party_id: str, user_id: str, name: str, now: float) -> Party:
        change = _Change(party_id, user_id, about=_about_member(name, now))
        return await self._step("create", change)

    async def invite(
        self,
        user_id: str,
        name: str,
        other_id: str,
        most_members: int,
        most_invited: int,
        expires_at: float,
        now: float,
        other_name: str = "",
    ) -> Party:
        about = orjson.dumps({"user_id": user_id, "name": name, "expires_at": float(expires_at)})
        change = _Change("", user_id, other_id, now, about, most_members, most_invited, expires_at, other_name)
        return await self._step("invite", change)

    async def accept(self, party_id: str, user_id: str, name: str, most_members: int, now: float) -> Party:
        change = _Change(party_id, user_id, "", now, _about_member(name, now), most_members)
        return await self._step("accept", change)

    async def decline(self, party_id: str, user_id: str) -> Party | None:
        return _known(await self._step("decline", _Change(party_id, user_id)))

    async def leave(self, user_id: str) -> Party | None:
        return _known(await self._step("leave", _Change(user_id=user_id)))

    async def kick(self, leader_id: str, user_id: str) -> Party:
        return await self._step("kick", _Change(user_id=leader_id, other_id=user_id))

    async def lead(self, leader_id: str, user_id: str) -> Party:
        return await self._step("lead", _Change(user_id=leader_id, other_id=user_id))

    async def _texts(self, keys: Sequence[str]) -> list[str]:
        """ "" for what is not there."""
        found: list[bytes | None] = await self._client.mget(keys) if keys else []  # type: ignore[assignment]
        return [(value or b"").decode() for value in found]

    @guard()
    async def _step(self, step: str, change: _Change) -> Party:
        args: list[str | bytes | int | float] = [
            self._ns, secrets.token_hex(8), milliseconds(CALL_TTL_S), step,
            change.party_id, change.user_id, change.other_id, repr(float(change.now)), change.about,
            change.most_members, change.most_invited, repr(float(change.expires_at)),
            milliseconds(change.expires_at - change.now), MOST_RECEIVED, change.other_name,
            milliseconds(PARTY_TTL_S),
        ]  # fmt: skip
        word, *found = await STEP(self._client, [], args)
        if word != b"ok":
            raise _refusal(word.decode())
        return _read(*found)


def _about_member(name: str, now: float) -> bytes:
    return orjson.dumps({"name": name, "joined_at": float(now)})


def _read(
    party_id: bytes,
    leader: bytes,
    version: bytes,
    members: list[bytes],
    people: list[bytes],
    invited: list[bytes],
    called: list[bytes],
) -> Party:
    known = [orjson.loads(about) for about in people]
    return Party(
        party_id.decode(),
        leader.decode(),
        tuple(
            Member(user_id.decode(), about["name"], about["joined_at"])
            for user_id, about in zip(members, known, strict=True)
        ),
        tuple(user_id.decode() for user_id in invited),
        int(version),
        tuple(name.decode() for name in called),
    )


def _known(party: Party) -> Party | None:
    """The script answers with version 0 for what never was."""
    return party if party.version else None


def _refusal(word: str) -> Theirs:
    match word:
        case "not_in_party":
            return InvalidState(word, "no_party")
        case "not_leader":
            return InvalidState(word, "member")
        case "no_such_invitation" | "no_such_member":
            return NotFound(word)
        case "oneself":
            return InvalidInput([("user_id", "is your own")])
    return Conflict(word)

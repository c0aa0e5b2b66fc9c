"""How operations reach users, their session actors and their zones (row 7.8). Plain Python over the desk."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.errors import InvalidState, NotFound, RealmError, Unavailable
from cluster.operations.desk import Desk
from cluster.ports.calls import zone_actor
from cluster.ports.sessions import SessionRecord
from cluster.world_control import ask

ANSWER_S = 2.0  # of an actor that answers from memory
TELL_S = 6.0  # of one that writes first
ZONES_TRIED = 3  # of a player who walks from zone to zone
USER_ID = re.compile(r"usr_[A-Za-z0-9_.:-]{1,120}")


@dataclass(frozen=True, slots=True)
class Known:
    """A user. `username` is "" for one of an outside issuer, who has no account here."""

    user_id: str
    username: str

    def __str__(self) -> str:
        return f"{self.username} ({self.user_id})" if self.username else self.user_id


@dataclass(frozen=True, slots=True)
class Answers:
    """What session actors said, by name, and those that have sessions and did not answer in time."""

    said: Mapping[str, Any]
    silent: tuple[str, ...]


async def find_user(desk: Desk, user: str) -> Known:
    """By id or name. Ids first: anybody may choose a name that looks like another's id. An id without an account counts if it has
    a session or a ban. Raises NotFound.
    """
    if user.isascii() and user.isprintable():
        account = await desk.accounts.get(user) or await desk.accounts.by_username(user.lower())
        if account is not None:
            return Known(account.user_id, account.username)
        if USER_ID.fullmatch(user) and (await desk.sessions.of_user(user) or await desk.bans.banned(user)):
            return Known(user, "")
    raise NotFound("not_found", f"no such user: {user!a}")


async def ask_actors(desk: Desk, method: str, params: Mapping[str, Any], timeout_s: float = ANSWER_S) -> Answers:
    """All session actors at once."""
    loads = await desk.sessions.actors()
    return await _ask_each(desk, method, dict.fromkeys(loads, params), timeout_s, loads)


async def ask_some(desk: Desk, method: str, params: Mapping[str, Mapping[str, Any]]) -> Answers:
    """Those session actors, each with params of its own."""
    return await _ask_each(desk, method, params, ANSWER_S, dict.fromkeys(params, 1))


async def _ask_each(
    desk: Desk, method: str, params: Mapping[str, Mapping[str, Any]], timeout_s: float, loads: Mapping[str, int]
) -> Answers:
    async def one(actor: str) -> Any:
        return await ask(desk.bus, desk.subjects.actor_control(actor), method, params[actor], timeout_s)

    found = await asyncio.gather(*(one(actor) for actor in params), return_exceptions=True)
    said, silent = {}, []
    for actor, answer in zip(params, found, strict=True):
        if isinstance(answer, Unavailable):
            silent += [actor] if loads[actor] else []
        elif isinstance(answer, BaseException):
            raise answer
        else:
            said[actor] = answer
    return Answers(said, tuple(silent))


async def find_session(desk: Desk, session: str) -> SessionRecord:
    """Raises NotFound."""
    record = await desk.sessions.get(session)
    if record is None:
        raise NotFound("no_such_session", f"no such session: {session!a}")
    return record


async def ask_zone(desk: Desk, session: str) -> dict[str, Any] | None:
    """What the session's entity sees (actors/zone/asked.py); None if it is in no zone. Raises Unavailable."""
    for _ in range(ZONES_TRIED):
        record = await find_session(desk, session)
        if not record.zone_id:
            return None
        try:
            return await _ask_owner(desk, record.zone_id, session)
        except NotFound:  # it has just crossed a border: its session is told of it in a moment
            await desk.pause(0.1)
    raise Unavailable(f"the zone of {session}")


async def _ask_owner(desk: Desk, zone: str, session: str) -> dict[str, Any]:
    """Of the zone's two actors the one that owns it: first as its beats say, then the other one."""
    owners = {beat.name for beat in desk.beats.living("zone") if beat.values.get("role") == "owner"}
    actors = sorted((zone_actor(zone, slot) for slot in (0, 1)), key=lambda actor: actor not in owners)
    failed: RealmError = Unavailable(f"zone:{zone}")
    for actor in actors:
        try:
            seen: dict[str, Any] = await ask(
                desk.bus, desk.subjects.actor_control(actor), "view", {"session": session}, ANSWER_S
            )
        except InvalidState:
            continue
        except Unavailable as error:
            failed = error
            continue
        return seen
    raise failed

"""friends.*: who is a friend, who asks to be one, and who is blocked (row 3.3).

Every change is told to both sides on all devices (`friends.changed`), and no answer tells who exists or who blocks whom.

| `kind` | what became of the two, for the one who is told |
|---|---|
| asked | the user asked `user_id` |
| request | `user_id` asks the user |
| friends | they are friends |
| cancelled, declined | there is no request any more: the one who asked took it back, the other one declined |
| removed | they are friends no more |
| blocked, unblocked | the user blocks `user_id`, or does so no more; only the user's own devices are told |
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cluster.ports.calls import presence_actor
from cluster.ports.social import Limits, Link, Profile
from serve_apps.gateway.client import Client
from serve_apps.gateway.consequences import Step, see_to
from serve_apps.gateway.people import (
    Person,
    UserParams,
    count_change,
    count_request,
    find_other,
    name_for,
    name_of,
    not_oneself,
    presences_for,
)
from serve_apps.gateway.router import NoParams, Router
from serve_apps.gateway.services import Services

REFRESH_DEADLINE_S = 1.0


async def listed(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    """All of one's own. The lists are bounded by the limits of settings.social."""
    mine = await services.social.relations(client.user_id)
    friend_ids = [link.user_id for link in mine.friends]
    links = (*mine.friends, *mine.incoming, *mine.outgoing, *mine.blocked)
    profiles = await services.social.profiles(list(dict.fromkeys(link.user_id for link in links)))
    presences = await presences_for(services, client, friend_ids)
    friends = [
        {**_known(link, name_for(profiles[link.user_id], friend=True)), "presence": presences[link.user_id]}
        for link in mine.friends
    ]
    return {
        "friends": friends,
        # Who asks says who it is.
        "incoming": [_known(link, profiles[link.user_id].name) for link in mine.incoming],
        "outgoing": _strangers(mine.outgoing, profiles),
        "blocked": _strangers(mine.blocked, profiles),
    }


def _strangers(links: Sequence[Link], profiles: dict[str, Profile]) -> list[dict[str, Any]]:
    return [_known(link, name_for(profiles[link.user_id], friend=False)) for link in links]


def _known(link: Link, name: str) -> dict[str, Any]:
    return {"user_id": link.user_id, "name": name, "at": link.at}


async def request(services: Services, client: Client, params: Person) -> dict[str, Any]:
    await count_request(services, client)
    pair = await _pair(services, client, await find_other(services, client, params))
    asked = await services.social.request(client.user_id, pair.other, _limits(services), pair.now)
    if asked == "friends":
        await _tell(services, pair, "friends", "friends")
    elif asked in ("requested", "hidden"):
        await _tell(services, pair, "asked", "request" if asked == "requested" else "")
    return {"user_id": pair.other, "result": "requested" if asked == "hidden" else asked}


async def accept(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    pair = await _known_pair(services, client, params)
    changed = await services.social.accept(client.user_id, pair.other, _limits(services), pair.now)
    return await _result(services, pair, changed, "friends", "friends")


async def decline(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    pair = await _known_pair(services, client, params)
    changed = await services.social.decline(client.user_id, pair.other)
    return await _result(services, pair, changed, "declined", "declined")


async def cancel(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    pair = await _known_pair(services, client, params)
    theirs = "cancelled" if await _was_seen(services, pair) else ""
    changed = await services.social.cancel(client.user_id, pair.other)
    return await _result(services, pair, changed, "cancelled", theirs)


async def remove(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    pair = await _known_pair(services, client, params)
    changed = await services.social.remove(client.user_id, pair.other)
    return await _result(services, pair, changed, "removed", "removed")


async def block(services: Services, client: Client, params: Person) -> dict[str, Any]:
    await count_change(services, client)
    pair = await _pair(services, client, await find_other(services, client, params))
    theirs = await _what_ends(services, pair)
    changed = await services.social.block(client.user_id, pair.other, _limits(services), pair.now)
    return await _result(services, pair, changed, "blocked", theirs)


async def unblock(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    pair = await _known_pair(services, client, params)
    changed = await services.social.unblock(client.user_id, pair.other)
    return await _result(services, pair, changed, "unblocked", "")


@dataclass(frozen=True, slots=True)
class _Pair:
    """The user who asks, what it is called, and another one; at one moment."""

    user: str
    user_name: str
    other: str
    other_profile: Profile
    now: float


async def _known_pair(services: Services, client: Client, params: UserParams) -> _Pair:
    await count_change(services, client)
    return await _pair(services, client, not_oneself(client, params.user_id))


async def _pair(services: Services, client: Client, other: str) -> _Pair:
    """Before anything is changed: what is needed to tell of it must not be missing then."""
    me = client.user_id
    profiles = await services.social.profiles([me, other])
    return _Pair(me, name_of(client, profiles[me]), other, profiles[other], services.wall_clock())


async def _was_seen(services: Services, pair: _Pair) -> bool:
    """Whether the other one has the user's request: not if it blocks the user, or had too many."""
    return any(link.user_id == pair.user for link in (await services.social.relations(pair.other)).incoming)


async def _what_ends(services: Services, pair: _Pair) -> str:
    """What the other one sees of being blocked: what there was between the two ends, as if it had been ended in its own way."""
    mine = await services.social.relations(pair.user)
    ends = ((mine.friends, "removed"), (mine.incoming, "declined"), (mine.outgoing, "cancelled"))
    kind = next((kind for links, kind in ends if any(link.user_id == pair.other for link in links)), "")
    return "" if kind == "cancelled" and not await _was_seen(services, pair) else kind


def _limits(services: Services) -> Limits:
    s = services.settings.social
    return Limits(s.max_friends, s.max_outgoing, s.max_incoming, s.max_blocked)


async def _result(services: Services, pair: _Pair, changed: bool, mine: str, theirs: str) -> dict[str, Any]:
    if changed:
        await _tell(services, pair, mine, theirs)
    return {"user_id": pair.other, "changed": changed}


async def _tell(services: Services, pair: _Pair, mine: str, theirs: str) -> None:
    """Tell both sides, and the presence index. `theirs` empty: nothing that the other one may see has changed."""
    key = f"friends:{secrets.token_hex(8)}:"

    def tell(user_id: str, kind: str, about: str, name: str) -> Step:
        said = {"kind": kind, "user_id": about, "name": name, "at": pair.now}
        return partial(services.tell, user_id, "friends.changed", said, key + user_id, refresh="ties")

    steps: list[Step] = [
        tell(pair.user, mine, pair.other, name_for(pair.other_profile, friend=mine == "friends")),
        partial(_refresh, services, pair.user, pair.other),
    ]
    if theirs:
        steps.append(tell(pair.other, theirs, pair.user, pair.user_name))
    await see_to(services, f"friends of {pair.user}: {mine}", *steps)


async def _refresh(services: Services, *user_ids: str) -> None:
    """The presence index looks up who may see whom."""
    await services.calls.call(
        presence_actor(), "refresh_users", list(user_ids), deadline_s=REFRESH_DEADLINE_S, idempotent=True
    )


def add_to(router: Router) -> None:
    router.add("friends.list", NoParams, listed)
    router.add("friends.request", Person, request)
    router.add("friends.accept", UserParams, accept)
    router.add("friends.decline", UserParams, decline)
    router.add("friends.cancel", UserParams, cancel)
    router.add("friends.remove", UserParams, remove)
    router.add("friends.block", Person, block)
    router.add("friends.unblock", UserParams, unblock)

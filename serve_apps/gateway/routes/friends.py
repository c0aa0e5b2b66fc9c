"""friends.*: who is a friend, who asks to be one, and who is blocked (row 3.3).

Every change is told to both sides on all devices (`friends.changed`), and no answer tells who exists or who blocks whom. A call
that finds its change made makes the user's own sessions look their ties up again, silently: what went wrong in telling of the
change is healed by repeating it.

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

from actors.presence.privacy import may_see
from cluster.ports.calls import presence_actor
from cluster.ports.social import Asked, Limits, Link, Profile, Relations
from serve_apps.gateway.client import Client
from serve_apps.gateway.consequences import Step, see_to
from serve_apps.gateway.people import (
    Person,
    UserParams,
    count_change,
    count_request,
    find_named,
    friend_name,
    name_of,
    not_oneself,
    presences_for,
)
from serve_apps.gateway.router import NoParams, Router
from serve_apps.gateway.services import Services

REFRESH_DEADLINE_S = 1.0

# What the asker and the other are told of a request; and how its result looks to the asker, who must not learn what the other sees.
TOLD: dict[Asked, tuple[str, str]] = {
    "friends": ("friends", "friends"),
    "requested": ("asked", "request"),
    "hidden": ("asked", ""),
    "shown": ("", "request"),
}
LOOKS_LIKE: dict[Asked, Asked] = {"hidden": "requested", "shown": "already_requested"}


async def listed(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    """All of one's own. The lists are bounded by the limits of settings.social."""
    mine = await services.social.relations(client.user_id)
    friend_ids = [link.user_id for link in mine.friends]
    profiles = await services.social.profiles([link.user_id for link in (*mine.friends, *mine.incoming)])
    presences = await presences_for(services, client, friend_ids)
    friends = [
        {**_known(link, friend_name(profiles[link.user_id])), "presence": presences[link.user_id]}
        for link in mine.friends
    ]
    return {
        "friends": friends,
        # Who asks says who it is.
        "incoming": [_known(link, profiles[link.user_id].name) for link in mine.incoming],
        "outgoing": [_known(link, link.name) for link in mine.outgoing],
        "blocked": [_known(link, link.name) for link in mine.blocked],
    }


def _known(link: Link, name: str) -> dict[str, Any]:
    return {"user_id": link.user_id, "name": name, "at": link.at}


async def request(services: Services, client: Client, params: Person) -> dict[str, Any]:
    await count_request(services, client)
    pair = await _pair(services, client, *await find_named(services, client, params))
    asked = await services.social.request(client.user_id, pair.other, _limits(services), pair.now, pair.other_name)
    mine, theirs = TOLD.get(asked, ("", ""))
    await _tell(services, pair, mine, theirs)
    return {"user_id": pair.other, "result": LOOKS_LIKE.get(asked, asked)}


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
    theirs = "cancelled" if pair.was_seen else ""
    changed = await services.social.cancel(client.user_id, pair.other)
    return await _result(services, pair, changed, "cancelled", theirs)


async def remove(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    pair = await _known_pair(services, client, params)
    changed = await services.social.remove(client.user_id, pair.other)
    return await _result(services, pair, changed, "removed", "removed")


async def block(services: Services, client: Client, params: Person) -> dict[str, Any]:
    await count_change(services, client)
    pair = await _pair(services, client, *await find_named(services, client, params))
    theirs = _what_ends(pair)
    changed = await services.social.block(client.user_id, pair.other, _limits(services), pair.now, pair.other_name)
    return await _result(services, pair, changed, "blocked", theirs)


async def unblock(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    pair = await _known_pair(services, client, params)
    changed = await services.social.unblock(client.user_id, pair.other)
    return await _result(services, pair, changed, "unblocked", "")


@dataclass(frozen=True, slots=True)
class _Pair:
    """The user who asks and another one, and what they are to each other; at one moment.

    `user_name`: of the character that the user plays, or played last. `other_name`: what the user knows the other as.
    """

    user: str
    user_name: str
    profile: Profile
    other: str
    other_name: str
    other_profile: Profile
    mine: Relations
    theirs: Relations
    now: float

    @property
    def was_seen(self) -> bool:
        """Whether the other one has the user's request: not if it blocks the user, or had too many."""
        return _link(self.theirs.incoming, self.user) is not None

    def name_for_user(self, kind: str) -> str:
        """Of the other."""
        return friend_name(self.other_profile) if kind == "friends" else self.other_name

    def name_for_other(self, kind: str) -> str:
        """Of the user. Who asks says who it is; who declines does not."""
        if kind == "declined":
            asked = _link(self.theirs.outgoing, self.user)
            return "" if asked is None else asked.name
        if kind in ("friends", "removed"):
            return self.user_name if may_see(self.profile.show_character, "friend") else ""
        return self.user_name

    def requested_at(self) -> float:
        """When the user asked the other: now, if it had not before."""
        asked = _link(self.mine.outgoing, self.other)
        return self.now if asked is None else asked.at


def _link(links: Sequence[Link], user_id: str) -> Link | None:
    return next((link for link in links if link.user_id == user_id), None)


async def _known_pair(services: Services, client: Client, params: UserParams) -> _Pair:
    await count_change(services, client)
    return await _pair(services, client, not_oneself(client, params.user_id), "")


async def _pair(services: Services, client: Client, other: str, named: str) -> _Pair:
    """Before anything is changed: what is needed to tell of it must not be missing then, and what ends is not there any more."""
    me = client.user_id
    profiles = await services.social.profiles([me, other])
    mine, theirs = await services.social.relations(me), await services.social.relations(other)
    known_as = named or _known_as(mine, other, profiles[other])
    user_name = name_of(client, profiles[me])
    return _Pair(me, user_name, profiles[me], other, known_as, profiles[other], mine, theirs, services.wall_clock())


def _known_as(mine: Relations, other: str, profile: Profile) -> str:
    """What the lists of a user call another one, who may be nobody at all. Of strangers the profile tells nothing."""
    named = _link((*mine.outgoing, *mine.blocked), other)
    if named is not None:
        return named.name
    if _link(mine.friends, other) is not None:
        return friend_name(profile)
    return profile.name if _link(mine.incoming, other) is not None else ""


def _what_ends(pair: _Pair) -> str:
    """What the other one sees of being blocked: what there was between the two ends, as if it had been ended in its own way."""
    ends = ((pair.mine.friends, "removed"), (pair.mine.incoming, "declined"), (pair.mine.outgoing, "cancelled"))
    kind = next((kind for links, kind in ends if _link(links, pair.other) is not None), "")
    return "" if kind == "cancelled" and not pair.was_seen else kind


def _limits(services: Services) -> Limits:
    s = services.settings.social
    return Limits(s.max_friends, s.max_outgoing, s.max_incoming, s.max_blocked)


async def _result(services: Services, pair: _Pair, changed: bool, mine: str, theirs: str) -> dict[str, Any]:
    await _tell(services, pair, mine if changed else "", theirs if changed else "")
    return {"user_id": pair.other, "changed": changed}


async def _tell(services: Services, pair: _Pair, mine: str, theirs: str) -> None:
    """Tell both sides, and the presence index. `mine` empty: the user's sessions look their ties up, and clients see nothing of it;
    `theirs` empty: nothing that the other one may see has changed."""
    key = f"friends:{secrets.token_hex(8)}:"

    def tell(user_id: str, kind: str, about: str, name: str, at: float) -> Step:
        said = {"kind": kind, "user_id": about, "name": name, "at": at}
        return partial(services.tell, user_id, "friends.changed", said, key + user_id, refresh="ties")

    if mine:
        own = tell(pair.user, mine, pair.other, pair.name_for_user(mine), pair.now)
    else:
        own = partial(services.tell, pair.user, "", {}, key + pair.user, refresh="ties")
    steps: list[Step] = [own, partial(_refresh, services, pair.user, pair.other)]
    if theirs:
        at = pair.requested_at() if theirs == "request" else pair.now
        steps.append(tell(pair.other, theirs, pair.user, pair.name_for_other(theirs), at))
    await see_to(services, f"friends of {pair.user}: {mine or 'again'}", *steps)


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

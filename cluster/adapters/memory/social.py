"""Friends, blocks and profiles in this process, by the rules of social_step.lua."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from cluster.errors import Conflict, InvalidState, NotFound
from cluster.ports.social import Asked, Limits, Link, Profile, Relations, Ties, check_choices, check_others

Lists = defaultdict[str, dict[str, Link]]  # user -> other


class MemorySocialStore:
    """Implements `cluster.ports.social.SocialStore`."""

    def __init__(self) -> None:
        self._friends: Lists = defaultdict(dict)
        self._incoming: Lists = defaultdict(dict)
        self._outgoing: Lists = defaultdict(dict)
        self._blocked: Lists = defaultdict(dict)
        self._blocked_by: Lists = defaultdict(dict)
        self._profiles: dict[str, Profile] = {}

    async def request(self, user_id: str, other_id: str, limits: Limits, now: float, name: str = "") -> Asked:
        check_others(user_id, other_id)
        if other_id in self._blocked[user_id]:
            raise InvalidState("blocked", "blocked")
        if other_id in self._friends[user_id]:
            return "already_friends"
        hidden = other_id in self._blocked_by[user_id] or len(self._incoming[other_id]) >= limits.incoming
        before = self._outgoing[user_id].get(other_id)
        if before is not None:
            if hidden or user_id in self._incoming[other_id]:
                return "already_requested"
            _add(self._incoming, other_id, user_id, before.at)
            return "shown"
        if len(self._friends[user_id]) >= limits.friends:
            raise Conflict("too_many_friends")
        if user_id in self._outgoing[other_id]:
            self._befriend(user_id, other_id, limits, now)
            return "friends"
        if len(self._outgoing[user_id]) >= limits.outgoing:
            raise Conflict("too_many_requests")
        _add(self._outgoing, user_id, other_id, now, name)
        if hidden:
            return "hidden"
        _add(self._incoming, other_id, user_id, now)
        return "requested"

    async def accept(self, user_id: str, other_id: str, limits: Limits, now: float) -> bool:
        if other_id in self._friends[user_id]:
            return False
        if other_id not in self._incoming[user_id]:
            raise NotFound("no_such_request")
        self._befriend(user_id, other_id, limits, now)
        return True

    async def decline(self, user_id: str, other_id: str) -> bool:
        if self._incoming[user_id].pop(other_id, None) is None:
            return False
        self._outgoing[other_id].pop(user_id, None)
        return True

    async def cancel(self, user_id: str, other_id: str) -> bool:
        if self._outgoing[user_id].pop(other_id, None) is None:
            return False
        self._incoming[other_id].pop(user_id, None)
        return True

    async def remove(self, user_id: str, other_id: str) -> bool:
        if self._friends[user_id].pop(other_id, None) is None:
            return False
        self._friends[other_id].pop(user_id, None)
        return True

    async def block(self, user_id: str, other_id: str, limits: Limits, now: float, name: str = "") -> bool:
        check_others(user_id, other_id)
        if other_id in self._blocked[user_id]:
            return False
        if len(self._blocked[user_id]) >= limits.blocked:
            raise Conflict("too_many_blocked")
        self._part(user_id, other_id, self._friends, self._incoming, self._outgoing)
        _add(self._blocked, user_id, other_id, now, name)
        _add(self._blocked_by, other_id, user_id, now)
        return True

    async def unblock(self, user_id: str, other_id: str) -> bool:
        if self._blocked[user_id].pop(other_id, None) is None:
            return False
        self._blocked_by[other_id].pop(user_id, None)
        return True

    async def relations(self, user_id: str) -> Relations:
        lists = (self._friends, self._incoming, self._outgoing, self._blocked)
        friends, incoming, outgoing, blocked = (_links(found[user_id]) for found in lists)
        return Relations(friends, incoming, outgoing, blocked, frozenset(self._blocked_by[user_id]))

    async def ties(self, user_ids: Sequence[str]) -> dict[str, Ties]:
        lists = (self._friends, self._blocked, self._blocked_by)
        return {user_id: Ties(*(frozenset(found[user_id]) for found in lists)) for user_id in user_ids}

    async def profiles(self, user_ids: Sequence[str]) -> dict[str, Profile]:
        return {user_id: self._profiles.get(user_id, Profile()) for user_id in user_ids}

    async def choose(self, user_id: str, changes: Mapping[str, object]) -> Profile:
        check_choices(changes)
        profile = replace(self._profiles.get(user_id, Profile()), **cast(dict[str, Any], changes))
        self._profiles[user_id] = profile
        return profile

    async def seen(self, user_id: str, now: float, name: str) -> None:
        profile = self._profiles.get(user_id, Profile())
        if now >= profile.last_online:
            self._profiles[user_id] = replace(profile, last_online=now, name=name or profile.name)

    def _befriend(self, user_id: str, other_id: str, limits: Limits, now: float) -> None:
        if max(len(self._friends[user_id]), len(self._friends[other_id])) >= limits.friends:
            raise Conflict("too_many_friends")
        self._part(user_id, other_id, self._incoming, self._outgoing)
        _add(self._friends, user_id, other_id, now)
        _add(self._friends, other_id, user_id, now)

    def _part(self, user_id: str, other_id: str, *lists: Lists) -> None:
        for found in lists:
            found[user_id].pop(other_id, None)
            found[other_id].pop(user_id, None)


def _add(lists: Lists, user_id: str, other_id: str, at: float, name: str = "") -> None:
    lists[user_id][other_id] = Link(other_id, at, name)


def _links(found: Mapping[str, Link]) -> tuple[Link, ...]:
    return tuple(sorted(found.values(), key=lambda link: (link.at, link.user_id)))

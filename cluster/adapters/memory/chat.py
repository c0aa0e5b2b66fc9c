"""What chat keeps beside its messages, in this process, with the same rules as the Lua scripts."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.errors import Conflict, InvalidState, NotFound, RateLimited
from cluster.ports.chat import Channel, Gate, Passed, Presence, Waiting

KEY_TTL_S = 600.0


@dataclass(slots=True)
class _Record:
    channel: Channel
    until: float
    invited: set[str] = field(default_factory=set)


class MemoryChatStore:
    """Implements `cluster.ports.chat.ChatStore`.

    `topics`: where messages are published. `status_of(session_id)`: None for a session that is gone. `clock`: Unix seconds.
    """

    def __init__(
        self, topics: MemoryTopicLog, status_of: Callable[[str], str | None], clock: Callable[[], float]
    ) -> None:
        self._topics = topics
        self._status_of = status_of
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self._said: dict[str, tuple[str, float]] = {}  # key -> message id, until
        self._gates: dict[tuple[str, str], tuple[float, float]] = {}  # tokens, and when
        self._opened: dict[str, tuple[float, float]] = {}
        self._muted: dict[tuple[str, str], float] = {}
        self._deleted: defaultdict[str, dict[str, float]] = defaultdict(dict)  # message id -> until
        self._members: defaultdict[str, dict[str, Presence]] = defaultdict(dict)
        self._inbox: defaultdict[str, dict[str, tuple[Waiting, float, int]]] = defaultdict(dict)
        self._places = itertools.count(1)

    def _record(self, name: str) -> _Record | None:
        found = self._records.get(name)
        return found if found is not None and found.until > self._clock() else None

    async def channel(self, name: str) -> Channel | None:
        found = self._record(name)
        return found.channel if found else None

    async def create(self, channel: Channel, most_of_owner: int, keep_s: float) -> None:
        known = self._record(channel.name)
        if known is not None:
            if known.channel != channel:
                raise Conflict("channel_taken")
            return
        if channel.owner and any(self._status_of(session) is not None for session in self._members[channel.name]):
            raise Conflict("channel_taken")
        records = [self._record(name) for name in self._records]
        own = sum(1 for each in records if each and each.channel.owner == channel.owner)
        if channel.owner and own >= most_of_owner:
            raise Conflict("too_many_channels")
        self._records[channel.name] = _Record(channel, self._clock() + keep_s)

    async def change(self, name: str, private: bool | None, slow_s: float | None, most_invited: int) -> Channel:
        known = self._record(name)
        if known is None:
            raise NotFound("no_such_channel")
        old = known.channel
        if private and not old.private:
            listening = {
                who.user_id for who in self._members[name].values() if self._status_of(who.session_id) is not None
            }
            invited = known.invited | (listening - {old.owner})
            if len(invited) > max(most_invited, len(known.invited)):
                raise Conflict("too_many_invited")
            known.invited = invited
        known.channel = replace(
            old,
            private=old.private if private is None else private,
            slow_s=old.slow_s if slow_s is None else slow_s,
        )
        return known.channel

    async def invite(self, name: str, user_id: str, most: int) -> None:
        known = self._record(name)
        if known is None:
            raise NotFound("no_such_channel")
        if user_id not in known.invited and len(known.invited) >= most:
            raise Conflict("too_many_invited")
        known.invited.add(user_id)

    async def invited(self, name: str, user_id: str) -> bool:
        known = self._record(name)
        return known is not None and user_id in known.invited

    # --- who may speak -----------------------------------------------------------------------------------------

    async def pass_gate(self, channel: str, user_id: str, gate: Gate, key: str, message_id: str) -> Passed:
        now = self._clock()
        done = self._topics.result(key)
        if done is not None:
            return Passed(done, True)
        before = self._said.get(key)
        if before is not None and before[1] > now:
            return Passed(before[0], False)
        if not gate.moderator and self._muted.get((channel, user_id), 0.0) > now:
            raise InvalidState("muted", "muted")
        known = self._record(channel)
        free = gate.moderator or (known is not None and known.channel.owner == user_id)
        if known is not None and known.channel.private and not free and user_id not in known.invited:
            raise InvalidState("not_invited", "not_invited")
        slow_s = known.channel.slow_s if known is not None and not free else 0.0
        kept = self._gates.get((channel, user_id))
        if kept is not None and now - kept[1] < slow_s:
            raise RateLimited("slow_mode", slow_s - max(0.0, now - kept[1]))
        tokens = _filled(kept, gate.rate_per_s, gate.burst, now)
        if tokens < 1.0:
            raise RateLimited("chat", (1.0 - tokens) / gate.rate_per_s)
        if gate.topic and not (await self._topics.newest([gate.topic]))[gate.topic]:
            per_s = gate.new_per_minute / 60.0
            left = _filled(self._opened.get(user_id), per_s, gate.new_per_minute, now)
            if left < 1.0:
                raise RateLimited("new_channels", (1.0 - left) / per_s)
            self._opened[user_id] = left - 1.0, now
        self._gates[channel, user_id] = tokens - 1.0, now
        self._said[key] = message_id, now + KEY_TTL_S
        if known is not None:
            known.until = max(known.until, now + gate.keep_s)
        return Passed(message_id, False)

    async def mute(self, channel: str, user_id: str, until: float) -> None:
        self._muted[channel, user_id] = until

    async def delete(self, topic: str, message_id: str, most: int, keep_s: float) -> bool:
        deleted, until = self._deleted[topic], self._clock() + keep_s
        new = deleted.get(message_id, 0.0) <= self._clock()
        for each in (*deleted, message_id):
            deleted[each] = until
        for oldest in list(deleted)[:-most]:
            del deleted[oldest]
        return new

    async def deleted(self, topic: str, message_ids: Sequence[str]) -> set[str]:
        return {each for each in message_ids if self._deleted[topic].get(each, 0.0) > self._clock()}

    # --- who listens -------------------------------------------------------------------------------------------

    async def joined(self, channel: str, who: Presence) -> None:
        self._members[channel][who.session_id] = who

    async def left(self, channel: str, session_id: str) -> None:
        self._members[channel].pop(session_id, None)

    async def members(self, channel: str, cursor: int, limit: int) -> tuple[list[Presence], int]:
        members = self._members[channel]
        for session_id in [each for each in members if self._status_of(each) is None]:
            del members[session_id]
        page = list(members.values())[cursor : cursor + limit]
        after = cursor + len(page)
        told = [each for each in page if self._status_of(each.session_id) != "invisible"]
        return told, after if after < len(members) else 0

    # --- direct messages ---------------------------------------------------------------------------------------

    async def keep(self, user_id: str, waiting: Waiting, most: int, keep_s: float) -> None:
        inbox = self._inbox[user_id]
        if waiting.message_id not in inbox:
            inbox[waiting.message_id] = waiting, self._clock() + keep_s, next(self._places)
        for oldest in list(inbox)[:-most]:
            del inbox[oldest]

    async def unread(self, user_id: str, limit: int, after: int = 0) -> tuple[list[Waiting], int]:
        now, inbox = self._clock(), self._inbox[user_id]
        for message_id in [each for each, (_, until, _) in inbox.items() if until <= now]:
            del inbox[message_id]
        found = [(waiting, place) for waiting, _, place in inbox.values() if place > after]
        page = found[:limit]
        return [waiting for waiting, _ in page], page[-1][1] if page and len(found) > limit else 0

    async def read(self, user_id: str, message_ids: Sequence[str]) -> int:
        inbox = self._inbox[user_id]
        return sum(1 for each in message_ids if inbox.pop(each, None) is not None)


def _filled(kept: tuple[float, float] | None, per_s: float, size: int, now: float) -> float:
    """The tokens of a bucket that fills with time; full if it was never used."""
    return float(size) if kept is None else min(float(size), kept[0] + max(0.0, now - kept[1]) * per_s)

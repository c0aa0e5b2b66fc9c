"""`client.party`: groups of players that stay together across zones and reconnects."""

from __future__ import annotations

from collections.abc import Callable

from rayrealm_client.anys import Json
from rayrealm_client.asking import Asking, object_of, whom
from rayrealm_client.buffers import NoticeBuffer
from rayrealm_client.feed import Feed, Remove
from rayrealm_client.people import Invitation, Party, PartyChange, PartyState, Whereabouts, whereabouts

REMEMBERED = 64
"""Parties whose newest change is known."""


class Parties:
    """A user is in one party at most. Its members talk in the chat channel `party`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._changes = Feed("party.changed", PartyChange.of)
        self._invitations = Feed("party.invited", Invitation.of)
        self._positions = Feed("party.positions", whereabouts)
        self._newest: dict[str, int] = {}  # party -> version, of the changes that came

    async def get(self) -> PartyState:
        return PartyState.of(object_of(await self._asking.request("party.get")))

    async def create(self) -> Party | None:
        """Raises Conflict (`in_a_party`)."""
        return await self._ask("party.create", {})

    async def invite(self, user_id: str | None = None, *, name: str | None = None) -> Party | None:
        """Raises InvalidState (`not_in_party`), Conflict (`party_full`, `too_many_invitations`, `already_member`)."""
        return await self._ask("party.invite", whom(user_id, name))

    async def accept(self, party_id: str) -> Party | None:
        """Raises InvalidParams (`no_such_invitation`), Conflict (`in_a_party`, `party_full`)."""
        return await self._ask("party.accept", {"party_id": party_id})

    async def decline(self, party_id: str) -> None:
        await self._asking.request("party.decline", {"party_id": party_id})

    async def leave(self) -> None:
        """The longest member leads when the leader goes."""
        await self._asking.request("party.leave")

    async def kick(self, user_id: str) -> Party | None:
        """For the leader. Raises InvalidState (`not_leader`)."""
        return await self._ask("party.kick", {"user_id": user_id})

    async def lead(self, user_id: str) -> Party | None:
        """The leader hands over."""
        return await self._ask("party.lead", {"user_id": user_id})

    def on_change(self, callback: Callable[[PartyChange], object]) -> Remove:
        """In the order of their versions: one that a newer one of the same party has overtaken is not told."""
        return self._changes.on(callback)

    def on_invitation(self, callback: Callable[[Invitation], object]) -> Remove:
        return self._invitations.on(callback)

    def on_positions(self, callback: Callable[[tuple[Whereabouts, ...]], object]) -> Remove:
        """Where the members are, the newest only."""
        return self._positions.on(callback)

    def changes(self, limit: int = 256) -> NoticeBuffer[PartyChange]:
        return self._changes.stream(limit)

    def invitations(self, limit: int = 256) -> NoticeBuffer[Invitation]:
        return self._invitations.stream(limit)

    def take_change(self, params: object) -> None:
        """Each change is told once it is kept, and may come after a newer one: what it says is over then, so it is passed over."""
        change = self._changes.read(params)
        if change is None or not self._is_news(change):
            return
        self._changes.tell(change)

    def _is_news(self, change: PartyChange) -> bool:
        versions = {change.party_id: change.version}
        if change.party is not None:  # of who declines, the party that it is in is another one
            versions[change.party.party_id] = max(change.party.version, versions.get(change.party.party_id, 0))
        if any(version < self._newest.get(party_id, 0) for party_id, version in versions.items()):
            return False
        for party_id, version in versions.items():
            self._newest.pop(party_id, None)
            self._newest[party_id] = version
        while len(self._newest) > REMEMBERED:
            del self._newest[next(iter(self._newest))]
        return True

    def take_invitation(self, params: object) -> None:
        self._invitations.take(params)

    def take_positions(self, params: object) -> None:
        self._positions.take(params)

    def close(self) -> None:
        for feed in (self._changes, self._invitations, self._positions):
            feed.close()

    async def _ask(self, method: str, params: dict[str, Json]) -> Party | None:
        """The party that the realm answers with, if it does."""
        body = object_of(await self._asking.request(method, params))
        return Party.or_none(body.get("party"))

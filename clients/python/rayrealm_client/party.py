"""`client.party`: groups of players that stay together across zones and reconnects."""

from __future__ import annotations

from collections.abc import Callable

from rayrealm_client.anys import Json
from rayrealm_client.asking import Asking, object_of, whom
from rayrealm_client.buffers import NoticeBuffer
from rayrealm_client.feed import Feed, Remove
from rayrealm_client.people import Invitation, Party, PartyChange, PartyState, Whereabouts, whereabouts


class Parties:
    """A user is in one party at most. Its members talk in the chat channel `party`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._changes = Feed("party.changed", PartyChange.of)
        self._invitations = Feed("party.invited", Invitation.of)
        self._positions = Feed("party.positions", whereabouts)

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
        self._changes.take(params)

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

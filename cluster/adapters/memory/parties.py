"""Parties in this process, by the rules of party_step.lua."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound
from cluster.ports.parties import MOST_RECEIVED, Invitation, Member, Party


class MemoryPartyStore:
    """Implements `cluster.ports.parties.PartyStore`. Invitations end by the `now` of the calls that carry one, and by `expire`.

    Parties whose members never return stay: what lives no longer than its process has no need of the time after which they end in
    Redis.
    """

    def __init__(self) -> None:
        self._parties: dict[str, Party] = {}  # `invited` and `invited_as` are empty in these
        self._party_of: dict[str, str] = {}
        self._invitations: dict[tuple[str, str], Invitation] = {}  # (party, user)
        self._called: dict[tuple[str, str], str] = {}  # as these

    def expire(self, party_id: str, user_id: str) -> None:
        """What the TTL of an invitation does in Redis."""
        self._invitations.pop((party_id, user_id), None)
        self._called.pop((party_id, user_id), None)

    async def get(self, party_id: str) -> Party | None:
        party = self._parties.get(party_id)
        return None if party is None else self._shown(party)

    async def of_user(self, user_id: str) -> Party | None:
        return await self.get(self._party_of.get(user_id, ""))

    async def parties_of(self, user_ids: list[str]) -> dict[str, str]:
        return {user_id: self._party_of[user_id] for user_id in user_ids if user_id in self._party_of}

    async def invitations(self, user_id: str, now: float) -> list[Invitation]:
        return [invitation for invitation in self._received(user_id) if invitation.expires_at > now]

    async def create(self, party_id: str, user_id: str, name: str, now: float) -> Party:
        current = self._party_of.get(user_id)
        if current == party_id:
            return self._shown(self._parties[party_id])
        if current is not None:
            raise Conflict("in_a_party")
        if party_id in self._parties:
            raise Conflict("party_exists")
        self._party_of[user_id] = party_id
        return self._keep(Party(party_id, user_id, (Member(user_id, name, now),), (), 0))

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
        party = self._parties.get(self._party_of.get(user_id, ""))
        if party is None:
            raise InvalidState("not_in_party", "no_party")
        if _is_member(party, other_id):
            raise Conflict("already_member")
        if len(party.members) >= most_members:
            raise Conflict("party_full")
        for invited, invitation in list(self._sent(party.party_id)):
            if invitation.expires_at <= now:
                self.expire(party.party_id, invited)
        again = (party.party_id, other_id) in self._invitations
        if not again and len(list(self._sent(party.party_id))) >= most_invited:
            raise Conflict("too_many_invitations")
        self._invitations[party.party_id, other_id] = Invitation(party.party_id, user_id, name, expires_at)
        self._called.setdefault((party.party_id, other_id), other_name)
        for first in self._received(other_id)[:-MOST_RECEIVED]:
            self.expire(first.party_id, other_id)
        return self._shown(party) if again else self._keep(party)

    async def accept(self, party_id: str, user_id: str, name: str, most_members: int, now: float) -> Party:
        current = self._party_of.get(user_id)
        if current == party_id:
            return self._shown(self._parties[party_id])
        invitation = self._invitations.get((party_id, user_id))
        if invitation is None or invitation.expires_at <= now:
            raise NotFound("no_such_invitation")
        if current is not None:
            raise Conflict("in_a_party")
        party = self._parties[party_id]
        if len(party.members) >= most_members:
            raise Conflict("party_full")
        self.expire(party_id, user_id)
        self._party_of[user_id] = party_id
        return self._keep(replace(party, members=(*party.members, Member(user_id, name, now))))

    async def decline(self, party_id: str, user_id: str) -> Party | None:
        if (party_id, user_id) not in self._invitations:
            return None
        self.expire(party_id, user_id)
        return self._keep(self._parties[party_id])

    async def leave(self, user_id: str) -> Party | None:
        party = self._parties.get(self._party_of.get(user_id, ""))
        if party is None:
            return None
        left = self._without(party, user_id)
        if left.members:
            leader = left.members[0].user_id if left.leader == user_id else left.leader
            return self._keep(replace(left, leader=leader))
        for invited, _ in list(self._sent(party.party_id)):
            self.expire(party.party_id, invited)
        del self._parties[party.party_id]
        return replace(left, leader="", version=left.version + 1)

    async def kick(self, leader_id: str, user_id: str) -> Party:
        party = self._led(leader_id, user_id)
        if user_id == leader_id:
            raise InvalidInput([("user_id", "is your own")])
        return self._keep(self._without(party, user_id))

    async def lead(self, leader_id: str, user_id: str) -> Party:
        party = self._led(leader_id, user_id)
        return self._shown(party) if user_id == leader_id else self._keep(replace(party, leader=user_id))

    def _led(self, leader_id: str, user_id: str) -> Party:
        party = self._parties.get(self._party_of.get(leader_id, ""))
        if party is None:
            raise InvalidState("not_in_party", "no_party")
        if party.leader != leader_id:
            raise InvalidState("not_leader", "member")
        if not _is_member(party, user_id):
            raise NotFound("no_such_member")
        return party

    def _without(self, party: Party, user_id: str) -> Party:
        del self._party_of[user_id]
        return replace(party, members=tuple(member for member in party.members if member.user_id != user_id))

    def _keep(self, party: Party) -> Party:
        party = replace(party, version=party.version + 1)
        self._parties[party.party_id] = party
        return self._shown(party)

    def _shown(self, party: Party) -> Party:
        sent = sorted(self._sent(party.party_id), key=lambda item: (item[1].expires_at, item[0]))
        invited = tuple(user_id for user_id, _ in sent)
        return replace(party, invited=invited, invited_as=tuple(self._called[party.party_id, user] for user in invited))

    def _sent(self, party_id: str) -> Iterator[tuple[str, Invitation]]:
        return ((user, kept) for (party, user), kept in self._invitations.items() if party == party_id)

    def _received(self, user_id: str) -> list[Invitation]:
        mine = [kept for (_, user), kept in self._invitations.items() if user == user_id]
        return sorted(mine, key=lambda kept: (kept.expires_at, kept.party_id))


def _is_member(party: Party, user_id: str) -> bool:
    return any(member.user_id == user_id for member in party.members)

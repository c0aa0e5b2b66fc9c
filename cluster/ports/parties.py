"""The port to parties: groups of players that stay together across zones and reconnects. Each method is one atomic step.

Every method may raise Unavailable. Times are Unix seconds. A user is in one party at most. Invitations end by themselves, and so
do parties that nobody has used or looked at for months. The
adapter may have to repeat a call over a broken connection: it is then answered as the first time, with the party as it is by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Member:
    user_id: str
    name: str
    joined_at: float


@dataclass(frozen=True, slots=True)
class Invitation:
    party_id: str
    from_user: str
    from_name: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Party:
    """`members` in the order in which they joined; `invited`: user ids, the invitation that ends first is the first. `version`
    grows with every change but the end of an invitation's time. A party that has ended has no leader and no members.

    `invited_as`: what the member who invited called each of `invited`; empty if by id. It says nothing of them that was not known.
    """

    party_id: str
    leader: str
    members: tuple[Member, ...]
    invited: tuple[str, ...]
    version: int
    invited_as: tuple[str, ...] = ()


MOST_RECEIVED = 50  # invitations that a user can have at once


class PartyStore(Protocol):
    async def get(self, party_id: str) -> Party | None: ...

    async def of_user(self, user_id: str) -> Party | None: ...

    async def parties_of(self, user_ids: list[str]) -> dict[str, str]:
        """User -> party id, without those who are in none; one round trip."""

    async def invitations(self, user_id: str, now: float) -> list[Invitation]:
        """To the user, those that end first are the first; MOST_RECEIVED at most."""

    async def create(self, party_id: str, user_id: str, name: str, now: float) -> Party:
        """Raises Conflict("in_a_party"), Conflict("party_exists") for an id that others use. A member's call changes nothing."""

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
        """Any member may. `name` is the user's, `other_name` as in `Party.invited_as`. Inviting again prolongs, and is the newer
        one's invitation, but keeps the first `other_name`. Who is invited by too many loses the invitations that end first.

        Raises InvalidState("not_in_party"), Conflict("already_member"), Conflict("party_full"), Conflict("too_many_invitations") of
        the party.
        """

    async def accept(self, party_id: str, user_id: str, name: str, most_members: int, now: float) -> Party:
        """Raises NotFound("no_such_invitation") (also when it or the party has ended), Conflict("in_a_party"),
        Conflict("party_full").

        A member that accepts again changes nothing.
        """

    async def decline(self, party_id: str, user_id: str) -> Party | None:
        """The party, if there was an invitation whose time had not ended."""

    async def leave(self, user_id: str) -> Party | None:
        """The party as it is without the user, None if the user was in none. The longest member leads when the leader goes; the
        last one's leaving ends it: then it has no members."""

    async def kick(self, leader_id: str, user_id: str) -> Party:
        """Raises InvalidState("not_in_party"), InvalidState("not_leader"), NotFound("no_such_member"), InvalidInput for oneself."""

    async def lead(self, leader_id: str, user_id: str) -> Party:
        """Another member leads; oneself changes nothing. Raises as `kick` else."""

"""What every adapter of parties does (cluster/ports/parties.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound
from cluster.ports.parties import MOST_RECEIVED, Invitation, Member, Party
from tests.contract.outbox_logs import connected
from tests.contract.party_stores import (
    LATER,
    MEMBERS,
    NOW,
    A,
    B,
    C,
    D,
    E,
    P,
    Q,
    Rig,
    members,
    memory_rig,
    name,
    redis_rig,
)


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
    else:
        async with connected(request.getfixturevalue("valkey_url")) as client:
            yield redis_rig(client, namespace)


class TestCreate:
    async def test_none_yet(self, rig: Rig) -> None:
        assert await rig.store.get(P) is None
        assert await rig.store.of_user(A) is None
        assert await rig.store.parties_of([A, B]) == {}
        assert await rig.store.parties_of([]) == {}
        assert await rig.store.invitations(A, NOW) == []

    async def test_who_makes_it_leads(self, rig: Rig) -> None:
        party = await rig.create()
        assert party == Party(P, A, (Member(A, name(A), NOW),), (), 1)
        assert await rig.store.get(P) == await rig.store.of_user(A) == party
        assert await rig.store.parties_of([B, A]) == {A: P}

    async def test_again(self, rig: Rig) -> None:
        party = await rig.create()
        assert await rig.create(now=NOW + 9) == party

    async def test_in_another_party(self, rig: Rig) -> None:
        await rig.party(A, B)
        for user_id in (A, B):
            with pytest.raises(Conflict) as refused:
                await rig.create(Q, user_id)
            assert refused.value.reason == "in_a_party"
        assert await rig.store.get(Q) is None

    async def test_an_id_that_others_use(self, rig: Rig) -> None:
        party = await rig.create()
        with pytest.raises(Conflict) as refused:
            await rig.create(P, B)
        assert refused.value.reason == "party_exists"
        assert await rig.store.get(P) == party
        assert await rig.store.of_user(B) is None

    async def test_of_many_at_once_one_is_made(self, rig: Rig) -> None:
        results = await asyncio.gather(
            *(rig.create(f"pty_{n}") for n in range(10)),
            return_exceptions=True,
        )
        (party,) = [result for result in results if isinstance(result, Party)]
        assert await rig.store.of_user(A) == party
        assert sum(isinstance(result, Conflict) for result in results) == 9


class TestInvite:
    async def test_invited(self, rig: Rig) -> None:
        before = await rig.create()
        party = await rig.invite(A, B)
        assert party.invited == (B,)
        assert party.version > before.version
        assert await rig.store.get(P) == party
        assert await rig.store.invitations(B, NOW) == [Invitation(P, A, name(A), LATER)]
        assert await rig.store.of_user(B) is None

    async def test_any_member_may(self, rig: Rig) -> None:
        await rig.party(A, B)
        assert (await rig.invite(B, C)).invited == (C,)
        assert await rig.store.invitations(C, NOW) == [Invitation(P, B, name(B), LATER)]

    async def test_without_a_party(self, rig: Rig) -> None:
        await rig.create()
        for other_id in (A, C):
            with pytest.raises(InvalidState) as refused:
                await rig.invite(B, other_id)
            assert refused.value.reason == "not_in_party"

    async def test_members(self, rig: Rig) -> None:
        await rig.party(A, B)
        for other_id in (A, B):
            with pytest.raises(Conflict) as refused:
                await rig.invite(A, other_id)
            assert refused.value.reason == "already_member"

    async def test_into_a_full_party(self, rig: Rig) -> None:
        await rig.party(A, B, C)
        with pytest.raises(Conflict) as refused:
            await rig.invite(A, D)
        assert refused.value.reason == "party_full"
        assert await rig.store.invitations(D, NOW) == []

    async def test_too_many(self, rig: Rig) -> None:
        await rig.create()
        for other_id in (B, C):
            await rig.invite(A, other_id)
        with pytest.raises(Conflict) as refused:
            await rig.invite(A, D)
        assert refused.value.reason == "too_many_invitations"
        assert (await rig.invite(A, B)).invited == (B, C), "again is no new one"
        await rig.store.decline(P, B)
        assert (await rig.invite(A, D)).invited == (C, D)

    async def test_again_prolongs(self, rig: Rig) -> None:
        await rig.party(A, B)
        first = await rig.invite(A, C)
        assert await rig.invite(B, C, LATER + 60, NOW + 60) == first
        assert await rig.store.invitations(C, LATER) == [Invitation(P, B, name(B), LATER + 60)]
        assert members(await rig.accept(C, now=LATER)) == [A, B, C]

    async def test_it_ends_by_its_time(self, rig: Rig) -> None:
        await rig.create()
        await rig.invite(A, B)
        assert len(await rig.store.invitations(B, LATER - 0.001)) == 1
        assert await rig.store.invitations(B, LATER) == []
        with pytest.raises(NotFound) as refused:
            await rig.accept(B, now=LATER)
        assert refused.value.reason == "no_such_invitation"

    async def test_it_ends_by_itself(self, rig: Rig) -> None:
        await rig.create()
        await rig.invite(A, B)
        await rig.expire(P, B)
        assert await rig.store.invitations(B, NOW) == []
        party = await rig.store.get(P)
        assert party is not None
        assert party.invited == ()
        assert await rig.store.decline(P, B) is None
        with pytest.raises(NotFound):
            await rig.accept(B)

    async def test_those_that_ended_make_room(self, rig: Rig) -> None:
        await rig.create()
        await rig.invite(A, B, NOW + 10)
        await rig.invite(A, C)
        await rig.expire(P, C)
        assert (await rig.invite(A, D)).invited == (B, D)
        with pytest.raises(Conflict):
            await rig.invite(A, E)
        party = await rig.invite(A, E, now=NOW + 10)
        assert party.invited == (D, E)
        again = await rig.invite(A, D, now=LATER, expires_at=LATER + 1)
        assert again.invited == (D,), "one that ended is a new one"
        assert again.version > party.version

    async def test_from_several_parties(self, rig: Rig) -> None:
        await rig.create(P, A)
        await rig.create(Q, B)
        await rig.invite(A, C, LATER + 1)
        await rig.invite(B, C)
        invitations = [Invitation(Q, B, name(B), LATER), Invitation(P, A, name(A), LATER + 1)]
        assert await rig.store.invitations(C, NOW) == invitations
        await rig.accept(C, Q)
        assert await rig.store.invitations(C, NOW) == invitations[1:]

    async def test_by_too_many(self, rig: Rig) -> None:
        for n in range(MOST_RECEIVED + 2):
            await rig.create(f"pty_{n:03}", f"usr_{n}")
            await rig.invite(f"usr_{n}", A, LATER + n)
        left = await rig.store.invitations(A, NOW)
        assert [invitation.party_id for invitation in left] == [f"pty_{n:03}" for n in range(2, MOST_RECEIVED + 2)]
        first = await rig.store.get("pty_000")
        assert first is not None
        assert first.invited == ()
        with pytest.raises(NotFound):
            await rig.accept(A, "pty_001")
        assert members(await rig.accept(A, "pty_002")) == ["usr_2", A]


class TestAccept:
    async def test_joined(self, rig: Rig) -> None:
        await rig.create()
        before = await rig.invite(A, B)
        party = await rig.accept(B, now=NOW + 1)
        assert party.members == (Member(A, name(A), NOW), Member(B, name(B), NOW + 1))
        assert (party.leader, party.invited) == (A, ())
        assert party.version > before.version
        assert await rig.store.get(P) == await rig.store.of_user(A) == await rig.store.of_user(B) == party
        assert await rig.store.parties_of([A, B, C]) == {A: P, B: P}
        assert await rig.store.invitations(B, NOW) == []

    async def test_again(self, rig: Rig) -> None:
        party = await rig.party(A, B)
        assert await rig.accept(B, now=NOW + 9) == party
        assert await rig.accept(A, now=NOW + 9) == party

    async def test_without_an_invitation(self, rig: Rig) -> None:
        await rig.create()
        await rig.invite(A, B)
        for user_id, party_id in ((C, P), (B, Q), (B, "")):
            with pytest.raises(NotFound) as refused:
                await rig.accept(user_id, party_id)
            assert refused.value.reason == "no_such_invitation"
        assert await rig.store.of_user(C) is None

    async def test_an_invitation_is_used_up(self, rig: Rig) -> None:
        await rig.party(A, B)
        await rig.store.leave(B)
        with pytest.raises(NotFound):
            await rig.accept(B)

    async def test_in_another_party(self, rig: Rig) -> None:
        await rig.create(P, A)
        await rig.create(Q, B)
        await rig.invite(A, B)
        with pytest.raises(Conflict) as refused:
            await rig.accept(B)
        assert refused.value.reason == "in_a_party"
        await rig.store.leave(B)
        assert members(await rig.accept(B)) == [A, B]

    async def test_a_party_that_is_full_by_now(self, rig: Rig) -> None:
        await rig.create()
        for other_id in (B, C):
            await rig.invite(A, other_id)
        await rig.accept(B)
        await rig.invite(A, D)
        await rig.accept(C)
        with pytest.raises(Conflict) as refused:
            await rig.accept(D)
        assert refused.value.reason == "party_full"
        await rig.store.leave(C)
        assert members(await rig.accept(D)) == [A, B, D]

    async def test_a_party_that_has_ended(self, rig: Rig) -> None:
        await rig.create()
        await rig.invite(A, B)
        await rig.store.leave(A)
        assert await rig.store.invitations(B, NOW) == []
        with pytest.raises(NotFound):
            await rig.accept(B)
        await rig.create(P, C)
        with pytest.raises(NotFound):
            await rig.accept(B)

    async def test_many_at_once_stay_within_the_size(self, rig: Rig) -> None:
        await rig.create()
        others = [f"usr_{n}" for n in range(10)]
        for other_id in others:
            await rig.store.invite(A, "a", other_id, MEMBERS, 10, LATER, NOW)
        results = await asyncio.gather(*map(rig.accept, others), return_exceptions=True)
        assert sum(isinstance(result, Party) for result in results) == MEMBERS - 1
        assert sum(isinstance(result, Conflict) for result in results) == 10 - (MEMBERS - 1)
        assert len(members(await rig.store.get(P))) == MEMBERS


class TestDecline:
    async def test_declined(self, rig: Rig) -> None:
        await rig.create()
        before = await rig.invite(A, B)
        party = await rig.store.decline(P, B)
        assert party is not None
        assert (party.party_id, party.invited) == (P, ())
        assert party.version > before.version
        assert await rig.store.get(P) == party
        assert await rig.store.invitations(B, NOW) == []
        assert await rig.store.decline(P, B) is None
        with pytest.raises(NotFound):
            await rig.accept(B)

    async def test_nothing_to_decline(self, rig: Rig) -> None:
        party = await rig.party(A, B)
        for user_id, party_id in ((A, P), (B, P), (C, P), (C, Q)):
            assert await rig.store.decline(party_id, user_id) is None
        assert await rig.store.get(P) == party


class TestLeave:
    async def test_a_member(self, rig: Rig) -> None:
        before = await rig.party(A, B)
        party = await rig.store.leave(B)
        assert party is not None
        assert (party.leader, members(party)) == (A, [A])
        assert party.version > before.version
        assert await rig.store.get(P) == party
        assert await rig.store.parties_of([A, B]) == {A: P}
        assert await rig.store.leave(B) is None

    async def test_the_longest_member_leads_when_the_leader_goes(self, rig: Rig) -> None:
        await rig.party(A, B, C)
        party = await rig.store.leave(A)
        assert party is not None
        assert (party.leader, members(party)) == (B, [B, C])
        await rig.store.lead(B, C)
        party = await rig.store.leave(C)
        assert party is not None
        assert (party.leader, members(party)) == (B, [B])

    async def test_who_comes_back_is_the_newest(self, rig: Rig) -> None:
        await rig.party(A, B)
        await rig.store.leave(A)
        await rig.invite(B, A)
        party = await rig.accept(A, now=NOW - 99)
        assert members(party) == [B, A]

    async def test_the_last_one_ends_it(self, rig: Rig) -> None:
        await rig.create()
        before = await rig.invite(A, B)
        party = await rig.store.leave(A)
        assert party is not None
        assert (party.party_id, party.members, party.invited) == (P, (), ())
        assert party.version > before.version
        assert await rig.store.get(P) is None
        assert await rig.store.of_user(A) is None
        assert await rig.store.leave(A) is None
        assert (await rig.create(Q)).members == (Member(A, name(A), NOW),)

    async def test_all_at_once(self, rig: Rig) -> None:
        await rig.party(A, B, C)
        left = await asyncio.gather(*map(rig.store.leave, (A, B, C)))
        sizes = sorted(len(members(party)) for party in left if party is not None)
        assert sizes == [0, 1, 2]
        assert await rig.store.get(P) is None
        assert await rig.store.parties_of([A, B, C]) == {}


class TestLead:
    async def test_kick(self, rig: Rig) -> None:
        before = await rig.party(A, B, C)
        party = await rig.store.kick(A, B)
        assert (party.leader, members(party)) == (A, [A, C])
        assert party.version > before.version
        assert await rig.store.get(P) == party
        assert await rig.store.of_user(B) is None
        assert await rig.store.parties_of([A, B, C]) == {A: P, C: P}

    async def test_lead(self, rig: Rig) -> None:
        before = await rig.party(A, B, C)
        party = await rig.store.lead(A, C)
        assert (party.leader, members(party)) == (C, [A, B, C])
        assert party.version > before.version
        assert await rig.store.get(P) == party
        assert members(await rig.store.kick(C, A)) == [B, C]

    async def test_oneself(self, rig: Rig) -> None:
        party = await rig.party(A, B)
        assert await rig.store.lead(A, A) == party
        with pytest.raises(InvalidInput):
            await rig.store.kick(A, A)
        assert await rig.store.get(P) == party

    @pytest.mark.parametrize("step", ["kick", "lead"])
    async def test_who_may_not(self, rig: Rig, step: str) -> None:
        party = await rig.party(A, B)
        await rig.create(Q, D)
        await rig.invite(A, E)
        act = rig.store.kick if step == "kick" else rig.store.lead
        for user_id, other_id, reason in (
            (C, A, "not_in_party"),
            (C, C, "not_in_party"),
            (B, A, "not_leader"),
            (B, B, "not_leader"),
            (B, D, "not_leader"),
        ):
            with pytest.raises(InvalidState) as refused:
                await act(user_id, other_id)
            assert refused.value.reason == reason
        for other_id in (C, D, E, ""):
            with pytest.raises(NotFound) as missing:
                await act(A, other_id)
            assert missing.value.reason == "no_such_member"
        assert members(await rig.store.get(P)) == members(party)

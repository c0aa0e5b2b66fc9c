"""Any sequence of steps keeps parties whole: led by a member, never empty, within their size, one for each user."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cluster.adapters.memory.parties import MemoryPartyStore
from cluster.errors import Theirs
from cluster.ports.parties import Party, PartyStore

USERS = [f"usr_{letter}" for letter in "abcde"]
PARTIES = ["pty_p", "pty_q", "pty_r"]
MEMBERS, INVITED = 3, 2
NOW = 1_800_000_000.0

users, parties = st.sampled_from(USERS), st.sampled_from(PARTIES)
joining = st.one_of(
    st.tuples(st.just("create"), users, parties),
    st.tuples(st.just("invite"), users, users, st.sampled_from([2.0, 20.0])),
    st.tuples(st.just("accept"), users, parties),
)
steps = st.one_of(
    joining,
    joining,
    st.tuples(st.just("decline"), users, parties),
    st.tuples(st.just("leave"), users),
    st.tuples(st.sampled_from(["kick", "lead"]), users, users),
)


async def do(store: PartyStore, step: tuple[object, ...], now: float) -> Party | str | None:
    """What came of it; a refusal is its reason."""
    try:
        match step:
            case ("create", str(user_id), str(party_id)):
                return await store.create(party_id, user_id, "", now)
            case ("invite", str(user_id), str(other_id), float(for_s)):
                return await store.invite(user_id, "", other_id, MEMBERS, INVITED, now + for_s, now)
            case ("accept", str(user_id), str(party_id)):
                return await store.accept(party_id, user_id, "", MEMBERS, now)
            case ("decline", str(user_id), str(party_id)):
                return await store.decline(party_id, user_id)
            case ("leave", str(user_id)):
                return await store.leave(user_id)
            case ("kick", str(user_id), str(other_id)):
                return await store.kick(user_id, other_id)
            case ("lead", str(user_id), str(other_id)):
                return await store.lead(user_id, other_id)
    except Theirs as refused:
        return refused.reason
    raise AssertionError(step)


async def all_parties(store: PartyStore) -> dict[str, Party]:
    found = [await store.get(party_id) for party_id in PARTIES]
    return {party.party_id: party for party in found if party is not None}


async def check_whole(store: PartyStore, found: dict[str, Party], now: float) -> None:
    memberships = Counter(member.user_id for party in found.values() for member in party.members)
    assert all(count == 1 for count in memberships.values()), "in one party at most"
    for party_id, party in found.items():
        members = [member.user_id for member in party.members]
        assert 1 <= len(members) <= MEMBERS
        assert party.leader in members
        assert len(party.invited) <= INVITED
        assert not set(party.invited) & set(members), "who is in it is not invited"
        assert [await store.of_user(user_id) for user_id in members] == [party] * len(members)
        assert await store.parties_of(members) == dict.fromkeys(members, party_id)
    assert await store.parties_of(USERS) == {
        member.user_id: party_id for party_id, party in found.items() for member in party.members
    }
    for user_id in USERS:
        for invitation in await store.invitations(user_id, now):
            assert invitation.expires_at > now
            assert user_id in found[invitation.party_id].invited, "nobody is invited to a party that has ended"


def check_change(
    step: tuple[object, ...], answer: Party | str | None, before: Party | None, after: Party | None
) -> None:
    """Of one party. Only what the step was about changes, and every change makes the version grow."""
    if before is None or after is None or before == after:
        return
    assert isinstance(answer, Party), "what is refused changes nothing"
    old, new = ([member.user_id for member in party.members] for party in (before, after))
    if step[0] == "invite":
        assert replace(after, invited=before.invited, invited_as=before.invited_as, version=before.version) == before
        # To invite again is no change, unless the invitation had ended; the party shows it until somebody is invited again.
        assert after.version >= before.version + (step[2] not in before.invited)
        return
    assert after.version > before.version
    match step[0]:
        case "accept":
            assert new == [*old, step[1]]
        case "leave":
            assert new == [user_id for user_id in old if user_id != step[1]]
        case "kick":
            assert step[1] == before.leader
            assert new == [user_id for user_id in old if user_id != step[2]]
        case _:
            assert new == old
    if step[0] == "lead":
        assert (before.leader, after.leader) == step[1:3]
    elif step[0] == "leave" and before.leader == step[1]:
        assert after.leader == new[0], "the longest member"
    else:
        assert after.leader == before.leader


@given(story=st.lists(steps, max_size=50))
def test_any_sequence_keeps_parties_whole(story: list[tuple[object, ...]]) -> None:
    async def run() -> None:
        store = MemoryPartyStore()
        before: dict[str, Party] = {}
        for n, step in enumerate(story):
            answer = await do(store, step, NOW + n)
            after = await all_parties(store)
            await check_whole(store, after, NOW + n)
            for party_id in PARTIES:
                check_change(step, answer, before.get(party_id), after.get(party_id))
            if isinstance(answer, Party):
                assert after.get(answer.party_id, replace(answer, members=())) == answer
                assert bool(answer.members) == (answer.party_id in after)
            else:
                assert before == after
            before = after

    asyncio.run(run())

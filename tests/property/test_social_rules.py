"""Any sequence of requests, answers and blocks keeps what users are to each other whole, on both sides (row 3.3)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from cluster.adapters.memory.social import MemorySocialStore
from cluster.errors import Theirs
from cluster.ports.social import Limits, Link, Relations, SocialStore

USERS = ["usr_a", "usr_b", "usr_c", "usr_d", "usr_e"]
LIMITS = Limits(friends=2, outgoing=2, incoming=2, blocked=2)
NOW = 1_800_000_000.0

steps = st.tuples(
    st.sampled_from(["request", "request", "accept", "decline", "cancel", "remove", "block", "unblock"]),
    st.sampled_from(USERS),
    st.sampled_from(USERS),
)


async def do(store: SocialStore, step: str, user_id: str, other_id: str, now: float) -> object:
    """What came of it; a refusal is its reason."""
    try:
        match step:
            case "request":
                return await store.request(user_id, other_id, LIMITS, now)
            case "accept":
                return await store.accept(user_id, other_id, LIMITS, now)
            case "block":
                return await store.block(user_id, other_id, LIMITS, now)
        return await getattr(store, step)(user_id, other_id)
    except Theirs as refused:
        return f"refused: {refused.reason}"


async def everybody(store: SocialStore) -> dict[str, Relations]:
    return {user_id: await store.relations(user_id) for user_id in USERS}


def since(links: tuple[Link, ...]) -> dict[str, float]:
    return {link.user_id: link.at for link in links}


def check_whole(found: Mapping[str, Relations], hidden: set[tuple[str, str]]) -> None:
    """`hidden`: (asker, other) of requests that the other does not see."""
    for user_id, mine in found.items():
        friends, incoming, outgoing, blocked = map(since, (mine.friends, mine.incoming, mine.outgoing, mine.blocked))
        for links in (friends, incoming, outgoing, blocked):
            assert user_id not in links
        assert len(friends) <= LIMITS.friends
        assert len(outgoing) <= LIMITS.outgoing
        assert len(incoming) <= LIMITS.incoming
        assert len(blocked) <= LIMITS.blocked
        for one, other in itertools.combinations((friends, incoming, outgoing, blocked), 2):
            assert not one.keys() & other.keys(), "two are one thing to each other, on each side"
        assert not mine.blocked_by & (friends.keys() | incoming.keys())
        for other_id, at in friends.items():
            assert since(found[other_id].friends)[user_id] == at
        for other_id, at in incoming.items():
            assert since(found[other_id].outgoing)[user_id] == at
        for other_id, at in outgoing.items():
            shown = since(found[other_id].incoming).get(user_id)
            assert shown == (None if (user_id, other_id) in hidden else at)
        for other_id in blocked:
            assert user_id in found[other_id].blocked_by
        for other_id in mine.blocked_by:
            assert user_id in since(found[other_id].blocked)


def note_hidden(hidden: set[tuple[str, str]], answer: object, step: str, user_id: str, other_id: str) -> None:
    """What is hidden from now on: nothing but what the answers said, and until one says that it is shown."""
    if answer == "hidden":
        hidden.add((user_id, other_id))
    elif answer == "friends" or (step == "block" and answer is True):
        hidden.difference_update({(user_id, other_id), (other_id, user_id)})
    elif (step == "cancel" and answer is True) or answer == "shown":
        hidden.discard((user_id, other_id))


@given(story=st.lists(steps, max_size=40))
def test_any_sequence_keeps_it_whole(story: list[tuple[str, str, str]]) -> None:
    async def run() -> None:
        store, hidden = MemorySocialStore(), set[tuple[str, str]]()
        before = await everybody(store)
        for n, (step, user_id, other_id) in enumerate(story):
            answer = await do(store, step, user_id, other_id, NOW + n)
            after = await everybody(store)
            note_hidden(hidden, answer, step, user_id, other_id)
            check_whole(after, hidden)
            bystanders = set(USERS) - {user_id, other_id}
            assert all(before[name] == after[name] for name in bystanders)
            if answer is False or str(answer).startswith(("refused", "already")):
                assert before == after, "what changes nothing says so"
            if answer is True or answer in ("requested", "friends", "hidden", "shown"):
                assert before != after, "and what says so changes something"
            before = after

    asyncio.run(run())


@given(story=st.lists(steps, max_size=30))
def test_the_asker_cannot_tell_a_block_from_silence(story: list[tuple[str, str, str]]) -> None:
    """usr_b blocks usr_a in one world, and does nothing in the other: what usr_a does is answered alike."""
    mine = [(step, "usr_a", other_id) for step, _, other_id in story if step != "accept"]

    async def run() -> None:
        open_world, closed_world = MemorySocialStore(), MemorySocialStore()
        await closed_world.block("usr_b", "usr_a", LIMITS, NOW)
        for n, (step, user_id, other_id) in enumerate(mine):
            first = await do(open_world, step, user_id, other_id, NOW + n)
            second = await do(closed_world, step, user_id, other_id, NOW + n)
            assert {"hidden": "requested", "shown": "already_requested"}.get(str(second), second) == first
            seen = [await world.relations("usr_a") for world in (open_world, closed_world)]
            assert seen[0].outgoing == seen[1].outgoing
            assert seen[0].friends == seen[1].friends
            assert seen[0].blocked == seen[1].blocked

    asyncio.run(run())

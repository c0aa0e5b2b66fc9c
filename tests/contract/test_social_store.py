"""What every adapter of friends, blocks and profiles does (cluster/ports/social.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.adapters.memory.social import MemorySocialStore
from cluster.adapters.redis.social import RedisSocialStore
from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound
from cluster.ports.social import Limits, Link, Profile, Relations, SocialStore, Ties
from tests.contract.outbox_logs import connected
from tests.contract.social_stores import LIMITS, NOBODY, NOW, A, B, C, D, E, befriend, ids


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[SocialStore]:
    if request.param == "memory":
        yield MemorySocialStore()
    else:
        async with connected(request.getfixturevalue("valkey_url")) as client:
            yield RedisSocialStore(client, namespace)


class TestRequest:
    async def test_nobody_yet(self, store: SocialStore) -> None:
        assert await store.relations(A) == NOBODY
        assert await store.ties([A, B]) == {A: Ties(), B: Ties()}
        assert await store.ties([]) == {}

    async def test_both_sides_see_it(self, store: SocialStore) -> None:
        assert await store.request(A, B, LIMITS, NOW) == "requested"
        assert await store.relations(A) == Relations(outgoing=(Link(B, NOW),))
        assert await store.relations(B) == Relations(incoming=(Link(A, NOW),))
        assert await store.relations(C) == NOBODY

    async def test_again(self, store: SocialStore) -> None:
        await store.request(A, B, LIMITS, NOW)
        assert await store.request(A, B, LIMITS, NOW + 5) == "already_requested"
        assert await store.relations(B) == Relations(incoming=(Link(A, NOW),))

    async def test_who_was_asked_by_the_other(self, store: SocialStore) -> None:
        await store.request(A, B, LIMITS, NOW)
        assert await store.request(B, A, LIMITS, NOW + 1) == "friends"
        assert await store.relations(A) == Relations(friends=(Link(B, NOW + 1),))
        assert await store.relations(B) == Relations(friends=(Link(A, NOW + 1),))
        for one, other in ((A, B), (B, A)):
            assert await store.request(one, other, LIMITS, NOW) == "already_friends"

    async def test_oneself(self, store: SocialStore) -> None:
        with pytest.raises(InvalidInput):
            await store.request(A, A, LIMITS, NOW)
        assert await store.relations(A) == NOBODY

    async def test_somebody_one_blocks(self, store: SocialStore) -> None:
        await store.block(A, B, LIMITS, NOW)
        with pytest.raises(InvalidState) as refused:
            await store.request(A, B, LIMITS, NOW)
        assert refused.value.reason == "blocked"
        assert (await store.relations(A)).outgoing == ()

    async def test_somebody_who_blocks_one_looks_as_if_asked(self, store: SocialStore) -> None:
        await store.block(B, A, LIMITS, NOW)
        assert await store.request(A, B, LIMITS, NOW) == "hidden"
        assert await store.request(A, B, LIMITS, NOW) == "already_requested"
        assert (await store.relations(A)).outgoing == (Link(B, NOW),)
        assert (await store.relations(B)).incoming == ()
        assert await store.cancel(A, B)
        assert (await store.relations(A)).outgoing == ()

    async def test_a_full_inbox_looks_as_if_asked(self, store: SocialStore) -> None:
        for other_id in (B, C, D):
            await store.request(other_id, A, LIMITS, NOW)
        assert await store.request(E, A, LIMITS, NOW) == "hidden"
        assert (await store.relations(E)).outgoing == (Link(A, NOW),)
        assert ids((await store.relations(A)).incoming) == [B, C, D]

    async def test_asking_again_shows_what_was_hidden(self, store: SocialStore) -> None:
        await store.block(B, A, LIMITS, NOW)
        await store.request(A, B, LIMITS, NOW)
        await store.unblock(B, A)
        assert await store.relations(B) == NOBODY
        assert await store.request(A, B, LIMITS, NOW + 9) == "shown", "so that the other can be told"
        assert await store.request(A, B, LIMITS, NOW + 9) == "already_requested"
        assert await store.relations(B) == Relations(incoming=(Link(A, NOW),))
        assert await store.accept(B, A, LIMITS, NOW)

    async def test_a_hidden_request_is_a_wish_of_the_other(self, store: SocialStore) -> None:
        await store.block(B, A, LIMITS, NOW)
        await store.request(A, B, LIMITS, NOW)
        with pytest.raises(NotFound):
            await store.accept(B, A, LIMITS, NOW)
        assert not await store.decline(B, A)
        await store.unblock(B, A)
        assert await store.request(B, A, LIMITS, NOW) == "friends"

    async def test_too_many_requests(self, store: SocialStore) -> None:
        for other_id in (B, C, D):
            await store.request(A, other_id, LIMITS, NOW)
        with pytest.raises(Conflict) as refused:
            await store.request(A, E, LIMITS, NOW)
        assert refused.value.reason == "too_many_requests"
        assert await store.relations(E) == NOBODY
        assert await store.request(A, B, LIMITS, NOW) == "already_requested"

    async def test_hidden_ones_count_too(self, store: SocialStore) -> None:
        for other_id in (B, C, D):
            await store.block(other_id, A, LIMITS, NOW)
            assert await store.request(A, other_id, LIMITS, NOW) == "hidden"
        with pytest.raises(Conflict, match="too many requests"):
            await store.request(A, E, LIMITS, NOW)

    async def test_who_has_enough_friends(self, store: SocialStore) -> None:
        await befriend(store, A, B, C, D)
        with pytest.raises(Conflict) as refused:
            await store.request(A, E, LIMITS, NOW)
        assert refused.value.reason == "too_many_friends"
        assert await store.request(E, A, LIMITS, NOW) == "requested"
        with pytest.raises(Conflict, match="too many friends"):
            await store.request(A, E, LIMITS, NOW)

    async def test_both_at_once_are_friends(self, store: SocialStore) -> None:
        both = await asyncio.gather(store.request(A, B, LIMITS, NOW), store.request(B, A, LIMITS, NOW))
        assert sorted(both) == ["friends", "requested"]
        assert await store.relations(A) == Relations(friends=(Link(B, NOW),))


class TestAccept:
    async def test_accepted(self, store: SocialStore) -> None:
        await store.request(A, B, LIMITS, NOW)
        assert await store.accept(B, A, LIMITS, NOW + 1)
        assert await store.relations(A) == Relations(friends=(Link(B, NOW + 1),))
        assert await store.relations(B) == Relations(friends=(Link(A, NOW + 1),))

    async def test_again(self, store: SocialStore) -> None:
        await befriend(store, A, B)
        for one, other in ((A, B), (B, A)):
            assert not await store.accept(one, other, LIMITS, NOW + 9)
        assert await store.relations(A) == Relations(friends=(Link(B, NOW),))

    async def test_without_a_request(self, store: SocialStore) -> None:
        await store.request(A, B, LIMITS, NOW)
        for one, other in ((A, B), (A, C), (A, A)):
            with pytest.raises(NotFound) as refused:
                await store.accept(one, other, LIMITS, NOW)
            assert refused.value.reason == "no_such_request"

    async def test_too_many_friends_on_either_side(self, store: SocialStore) -> None:
        await store.request(A, E, LIMITS, NOW)
        await befriend(store, A, B, C, D)
        with pytest.raises(Conflict, match="too many friends"):
            await store.accept(E, A, LIMITS, NOW)
        assert ids((await store.relations(E)).incoming) == [A]
        await store.cancel(A, E)
        await store.request(E, A, LIMITS, NOW)
        with pytest.raises(Conflict, match="too many friends"):
            await store.accept(A, E, LIMITS, NOW)
        await store.remove(A, B)
        assert await store.accept(A, E, LIMITS, NOW)

    async def test_many_at_once_stay_within_the_limit(self, store: SocialStore) -> None:
        others = [f"usr_{n}" for n in range(10)]
        roomy = Limits(friends=3, outgoing=10, incoming=10, blocked=3)
        for other_id in others:
            await store.request(other_id, A, roomy, NOW)
        results = await asyncio.gather(
            *(store.accept(A, other_id, roomy, NOW) for other_id in others), return_exceptions=True
        )
        assert results.count(True) == 3
        assert sum(isinstance(result, Conflict) for result in results) == 7
        found = await store.relations(A)
        assert (len(found.friends), len(found.incoming)) == (3, 7)


class TestDrop:
    async def test_decline(self, store: SocialStore) -> None:
        await store.request(A, B, LIMITS, NOW)
        assert not await store.decline(A, B), "that is the other side's"
        assert await store.decline(B, A)
        assert not await store.decline(B, A)
        assert await store.relations(A) == await store.relations(B) == NOBODY

    async def test_cancel(self, store: SocialStore) -> None:
        await store.request(A, B, LIMITS, NOW)
        assert not await store.cancel(B, A), "that is the other side's"
        assert await store.cancel(A, B)
        assert not await store.cancel(A, B)
        assert await store.relations(A) == await store.relations(B) == NOBODY

    @pytest.mark.parametrize(("one", "other"), [(A, B), (B, A)])
    async def test_remove(self, store: SocialStore, one: str, other: str) -> None:
        await store.request(A, B, LIMITS, NOW)
        assert not await store.remove(one, other), "a request is no friendship"
        await store.accept(B, A, LIMITS, NOW)
        assert not await store.decline(one, other)
        assert not await store.cancel(one, other)
        assert await store.remove(one, other)
        assert not await store.remove(one, other)
        assert await store.relations(A) == await store.relations(B) == NOBODY

    async def test_others_stay(self, store: SocialStore) -> None:
        await befriend(store, A, B, C)
        await store.remove(A, B)
        assert await store.relations(A) == Relations(friends=(Link(C, NOW),))

    async def test_nobody_to_part_from(self, store: SocialStore) -> None:
        for other_id in (A, B):
            for drop in (store.decline, store.cancel, store.remove, store.unblock):
                assert not await drop(A, other_id)


class TestBlock:
    async def test_a_stranger(self, store: SocialStore) -> None:
        assert await store.block(A, B, LIMITS, NOW)
        assert not await store.block(A, B, LIMITS, NOW + 1)
        assert await store.relations(A) == Relations(blocked=(Link(B, NOW),))
        assert await store.relations(B) == Relations(blocked_by=frozenset({A}))
        assert await store.ties([B, A, C]) == {
            A: Ties(blocked=frozenset({B})),
            B: Ties(blocked_by=frozenset({A})),
            C: Ties(),
        }

    @pytest.mark.parametrize(("one", "other"), [(A, B), (B, A)])
    async def test_friendship_ends(self, store: SocialStore, one: str, other: str) -> None:
        await befriend(store, A, B)
        assert await store.block(one, other, LIMITS, NOW)
        assert await store.relations(one) == Relations(blocked=(Link(other, NOW),))
        assert await store.relations(other) == Relations(blocked_by=frozenset({one}))

    @pytest.mark.parametrize(("one", "other"), [(A, B), (B, A)])
    async def test_requests_go(self, store: SocialStore, one: str, other: str) -> None:
        await store.request(A, B, LIMITS, NOW)
        await store.block(one, other, LIMITS, NOW)
        await store.unblock(one, other)
        assert await store.relations(A) == await store.relations(B) == NOBODY

    async def test_each_other(self, store: SocialStore) -> None:
        await store.block(A, B, LIMITS, NOW)
        assert await store.block(B, A, LIMITS, NOW)
        assert await store.unblock(A, B)
        assert not await store.unblock(A, B)
        assert await store.relations(A) == Relations(blocked_by=frozenset({B}))
        assert await store.relations(B) == Relations(blocked=(Link(A, NOW),))

    async def test_oneself(self, store: SocialStore) -> None:
        with pytest.raises(InvalidInput):
            await store.block(A, A, LIMITS, NOW)

    async def test_too_many(self, store: SocialStore) -> None:
        for other_id in (B, C, D):
            await store.block(A, other_id, LIMITS, NOW)
        with pytest.raises(Conflict) as refused:
            await store.block(A, E, LIMITS, NOW)
        assert refused.value.reason == "too_many_blocked"
        assert await store.relations(E) == NOBODY
        assert not await store.block(A, B, LIMITS, NOW)
        await store.unblock(A, B)
        assert await store.block(A, E, LIMITS, NOW)

    async def test_ties_of_friends(self, store: SocialStore) -> None:
        await befriend(store, A, B, C)
        await store.request(A, D, LIMITS, NOW)
        assert (await store.ties([A, B])) == {A: Ties(friends=frozenset({B, C})), B: Ties(friends=frozenset({A}))}

    async def test_the_oldest_first(self, store: SocialStore) -> None:
        for n, other_id in enumerate((D, B, C)):
            await store.request(other_id, A, LIMITS, NOW + n)
        assert ids((await store.relations(A)).incoming) == [D, B, C]


class TestNames:
    """What a user called others when it asked or blocked them."""

    async def test_only_the_one_who_named_sees_it(self, store: SocialStore) -> None:
        await store.request(A, B, LIMITS, NOW, 'Zoë "1"')
        await store.block(A, C, LIMITS, NOW, "Cat")
        await store.request(A, D, LIMITS, NOW)
        assert await store.relations(A) == Relations(
            outgoing=(Link(B, NOW, 'Zoë "1"'), Link(D, NOW)), blocked=(Link(C, NOW, "Cat"),)
        )
        assert (await store.relations(B)).incoming == (Link(A, NOW),)

    async def test_hidden_ones_too(self, store: SocialStore) -> None:
        await store.block(B, A, LIMITS, NOW, "Ann")
        await store.request(A, B, LIMITS, NOW, "Bob")
        assert (await store.relations(A)).outgoing == (Link(B, NOW, "Bob"),)
        await store.unblock(B, A)
        await store.request(A, B, LIMITS, NOW, "Other")
        assert (await store.relations(B)).incoming == (Link(A, NOW),)

    @pytest.mark.parametrize("first", ["", "Bob"])
    async def test_asking_again_keeps_the_first(self, store: SocialStore, first: str) -> None:
        for act, row in ((store.request, "outgoing"), (store.block, "blocked")):
            for name in (first, "Other"):
                await act(A, B, LIMITS, NOW, name)
                assert getattr(await store.relations(A), row) == (Link(B, NOW, first),)

    async def test_it_goes_with_the_link(self, store: SocialStore) -> None:
        async def end(*steps: str) -> None:
            await store.request(A, B, LIMITS, NOW, "Bob")
            for step in steps:
                who, method = step.split()
                other = B if who == A else A
                if method in ("accept", "block"):
                    await getattr(store, method)(who, other, LIMITS, NOW)
                else:
                    await getattr(store, method)(who, other)
            await store.request(A, B, LIMITS, NOW)
            assert (await store.relations(A)).outgoing == (Link(B, NOW),)
            await store.cancel(A, B)

        await end(f"{A} cancel")
        await end(f"{B} decline")
        await end(f"{B} accept", f"{A} remove")
        await end(f"{B} block", f"{B} unblock")
        await end(f"{A} block", f"{A} unblock")

    async def test_a_block_back_leaves_the_other_s_name(self, store: SocialStore) -> None:
        await store.block(A, B, LIMITS, NOW, "Bob")
        await store.request(B, A, LIMITS, NOW, "Ann")
        await store.block(B, A, LIMITS, NOW, "Anna")
        assert (await store.relations(A)).blocked == (Link(B, NOW, "Bob"),)
        assert (await store.relations(B)).blocked == (Link(A, NOW, "Anna"),)


class TestProfile:
    async def test_the_default(self, store: SocialStore) -> None:
        assert await store.profiles([A]) == {A: Profile()}
        assert await store.profiles([]) == {}
        assert await store.choose(A, {}) == Profile()

    async def test_what_is_chosen_stays(self, store: SocialStore) -> None:
        first = await store.choose(A, {"status": "busy", "text": 'Zoë "1"\n', "show_zone": "friends"})
        assert first == Profile(status="busy", text='Zoë "1"\n', show_zone="friends")
        second = await store.choose(A, {"text": "", "metadata": {"größe": "1", "": "2"}, "show_character": "nobody"})
        assert second == Profile(
            status="busy", metadata={"größe": "1", "": "2"}, show_zone="friends", show_character="nobody"
        )
        assert await store.profiles([B, A]) == {A: second, B: Profile()}
        assert await store.choose(A, {"metadata": {}}) == Profile(
            status="busy", show_zone="friends", show_character="nobody"
        )

    @pytest.mark.parametrize("name", ["last_online", "name", "user_id", ""])
    async def test_what_is_not_for_choice(self, store: SocialStore, name: str) -> None:
        with pytest.raises(ValueError, match="not for choice"):
            await store.choose(A, {"status": "busy", name: "x"})
        assert await store.profiles([A]) == {A: Profile()}

    async def test_seen(self, store: SocialStore) -> None:
        await store.choose(A, {"text": "hi"})
        await store.seen(A, NOW, "Zoë")
        assert await store.profiles([A]) == {A: Profile(text="hi", last_online=NOW, name="Zoë")}
        await store.seen(A, NOW + 1, "")
        await store.seen(A, NOW + 1, "")
        assert await store.profiles([A]) == {A: Profile(text="hi", last_online=NOW + 1, name="Zoë")}

    async def test_an_older_time_changes_nothing(self, store: SocialStore) -> None:
        await store.seen(A, NOW, "new")
        await store.seen(A, NOW - 0.001, "old")
        assert await store.profiles([A]) == {A: Profile(last_online=NOW, name="new")}

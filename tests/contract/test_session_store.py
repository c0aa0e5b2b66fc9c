"""What every adapter of the session port does (cluster/ports/sessions.py)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from cluster.adapters.redis.connection import connect
from cluster.errors import Fenced, InvalidState, RateLimited, SessionGone, Unauthorized
from cluster.ports.sessions import Fence, Placed, SessionRecord
from cluster.settings import RedisSettings
from tests.contract.session_stores import NOW, TTL, A, B, Stores, ids, memory_stores, redis_stores


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stores]:
    if request.param == "memory":
        yield memory_stores()[0]
    else:
        client = connect(RedisSettings(url=SecretStr(request.getfixturevalue("valkey_url"))), "contract")
        yield redis_stores(client, namespace)
        await client.aclose()


class TestPlace:
    async def test_a_new_session(self, stores: Stores) -> None:
        await stores.actor()
        assert await stores.place("usr_a", new="ses_new") == Placed("ses_new", A, True)
        assert await stores.sessions.get("ses_new") == SessionRecord(
            "ses_new", "usr_a", A, "connected", connected_at=NOW + 1, last_activity=NOW + 1
        )
        assert ids(await stores.sessions.of_user("usr_a")) == ["ses_new"]
        assert ids(await stores.sessions.of_actor(A)) == ["ses_new"]
        assert await stores.sessions.online(10) == [], "it has no socket yet"

    async def test_one_that_is_there_is_found_where_it_is(self, stores: Stores) -> None:
        await stores.actor()
        first = await stores.place()
        await stores.actor(B)
        assert await stores.place(wanted=first.session_id) == Placed(first.session_id, A, False)
        assert await stores.place(wanted=first.session_id, per_user=1, per_actor=1) == Placed(
            first.session_id, A, False
        )

    async def test_one_that_is_gone_is_replaced(self, stores: Stores) -> None:
        await stores.actor()
        placed = await stores.place(wanted="ses_gone", new="ses_new")
        assert placed == Placed("ses_new", A, True)

    async def test_one_of_another_user(self, stores: Stores) -> None:
        await stores.actor()
        theirs = await stores.place("usr_a")
        with pytest.raises(Unauthorized) as refused:
            await stores.place("usr_b", wanted=theirs.session_id)
        assert refused.value.reason == "session_not_yours"
        assert await stores.sessions.of_user("usr_b") == []

    async def test_the_least_loaded_actor_gets_it(self, stores: Stores) -> None:
        for name in (A, B, "sessions/2"):
            await stores.actor(name)
        placed = Counter([(await stores.place()).actor for _ in range(9)])
        assert placed == {A: 3, B: 3, "sessions/2": 3}
        await stores.actor("sessions/3")
        assert [(await stores.place()).actor for _ in range(3)] == ["sessions/3"] * 3

    async def test_without_actors_there_is_no_place(self, stores: Stores) -> None:
        assert await stores.place(new="ses_new") == Placed("ses_new", "", True)
        assert await stores.sessions.get("ses_new") is None
        assert await stores.sessions.room(10) == 0

    async def test_full_actors_get_no_more(self, stores: Stores) -> None:
        await stores.actor()
        for _ in range(3):
            assert (await stores.place(per_actor=3)).actor == A
        assert await stores.sessions.room(3) == 0
        assert (await stores.place(per_actor=3)).actor == ""
        assert await stores.sessions.room(4) == 1
        await stores.actor(B)
        assert await stores.sessions.room(3) == 3
        assert (await stores.place(per_actor=3)).actor == B

    async def test_every_actor_and_how_many_it_has(self, stores: Stores) -> None:
        assert await stores.sessions.actors() == {}
        await stores.actor(B)
        await stores.actor(A)
        for _ in range(3):
            await stores.place()
        loads = await stores.sessions.actors()
        assert list(loads) == [A, B]
        assert sorted(loads.values()) == [1, 2]

    async def test_a_user_has_a_limit_of_their_own(self, stores: Stores) -> None:
        fence = await stores.actor()
        for _ in range(2):
            await stores.place("usr_a", per_user=2)
        with pytest.raises(RateLimited) as refused:
            await stores.place("usr_a", per_user=2)
        assert refused.value.reason == "too_many_sessions"
        assert refused.value.retry_after_s > 0
        await stores.place("usr_b", per_user=2)
        await stores.sessions.end("ses_1", fence)
        assert (await stores.place("usr_a", per_user=2)).created

    async def test_expired_sessions_do_not_count(self, stores: Stores) -> None:
        await stores.actor()
        for _ in range(2):
            placed = await stores.place("usr_a", per_user=2)
            await stores.expire(placed.session_id)
        for _ in range(2):
            assert (await stores.place("usr_a", per_user=2)).created
        with pytest.raises(RateLimited):
            await stores.place("usr_a", per_user=2)

    async def test_the_same_call_again_is_the_same_session(self, stores: Stores) -> None:
        """A connection may break after the script ran; what it did must not count against the user."""
        await stores.actor()
        for _ in range(3):
            placed = await stores.place("usr_a", per_user=1, per_actor=2, new="ses_same")
            assert placed == Placed("ses_same", A, True)
        assert len(await stores.sessions.of_user("usr_a")) == 1
        assert (await stores.place("usr_b", per_actor=2)).actor == A, "nor against the actor"

    async def test_many_at_once_stay_within_the_user_s_limit(self, stores: Stores) -> None:
        await stores.actor()
        results = await asyncio.gather(*(stores.place("usr_a", per_user=5) for _ in range(40)), return_exceptions=True)
        assert sum(isinstance(result, Placed) for result in results) == 5
        assert sum(isinstance(result, RateLimited) for result in results) == 35
        assert len(await stores.sessions.of_user("usr_a")) == 5

    async def test_and_within_the_actors_(self, stores: Stores) -> None:
        await stores.actor(A)
        await stores.actor(B)
        results = await asyncio.gather(*(stores.place(f"usr_{n}", per_actor=10) for n in range(50)))
        assert Counter(placed.actor for placed in results) == {A: 10, B: 10, "": 30}
        assert len(await stores.sessions.of_actor(A)) == 10
        assert len(await stores.sessions.of_actor(B)) == 10


class TestBanned:
    async def test_there_is_no_place_for_them(self, stores: Stores) -> None:
        await stores.actor()
        await stores.bans.ban("usr_a", 60.0, "cheating")
        with pytest.raises(Unauthorized) as refused:
            await stores.place("usr_a")
        assert refused.value.reason == "banned"
        assert await stores.sessions.of_user("usr_a") == []
        assert (await stores.place("usr_b")).actor == A

    async def test_nor_the_session_that_they_have(self, stores: Stores) -> None:
        record = await stores.attached(await stores.actor())
        await stores.bans.ban("usr_a", None, "")
        with pytest.raises(Unauthorized) as refused:
            await stores.place("usr_a", wanted=record.session_id)
        assert refused.value.reason == "banned"
        assert await stores.sessions.get(record.session_id) == record, "it ends as others do"
        await stores.bans.lift("usr_a")
        assert await stores.place("usr_a", wanted=record.session_id) == Placed(record.session_id, A, False)

    async def test_nor_the_one_they_were_just_given(self, stores: Stores) -> None:
        await stores.actor()
        await stores.place("usr_a", new="ses_same")
        await stores.bans.ban("usr_a", 60.0, "")
        with pytest.raises(Unauthorized):
            await stores.place("usr_a", new="ses_same")


class TestWrite:
    async def test_every_field_comes_back(self, stores: Stores) -> None:
        fence = await stores.actor()
        session_id = (await stores.place()).session_id
        record = SessionRecord(
            session_id,
            "usr_a",
            A,
            "in_world",
            "gtw_a",
            7,
            "chr_a",
            "Zoë 'the' O-Neil",
            "zon_a",
            "busy",
            NOW,
            NOW + 0.1,
            {"a": [1, 2.5, None, {"ö": True}], "": ""},
            ("news", "zone:1 2", ""),
            ("usr_b", "usr_c"),
            "stm_a",
            0,
            6,
            "moderator",
            True,
            "back at ö",
        )
        record = replace(record, status_metadata={"game": "", "": "1"}, address="2001:db8::1", edition=9)
        await stores.write(record, fence)
        assert await stores.sessions.get(session_id) == record
        plain = SessionRecord(session_id, "usr_a", A, "authenticated", connected_at=NOW, last_activity=NOW)
        await stores.write(plain, fence)
        assert await stores.sessions.get(session_id) == plain, "nothing of the former one stays"

    async def test_the_newest_number_is_the_outbox_s_to_write(self, stores: Stores) -> None:
        fence = await stores.actor()
        record = await stores.attached(fence)
        await stores.write(replace(record, stream="stm_a", seq=7), fence)
        assert await stores.sessions.get(record.session_id) == replace(record, stream="stm_a")

    async def test_a_transition_that_the_stored_state_does_not_allow(self, stores: Stores) -> None:
        fence = await stores.actor()
        record = await stores.attached(fence)
        with pytest.raises(InvalidState) as refused:
            await stores.write(replace(record, state="in_world"), fence, "connected", "in_world")
        assert refused.value.state == "authenticated"
        assert await stores.sessions.get(record.session_id) == record
        await stores.write(replace(record, state="in_world"), fence, "authenticated")

    async def test_a_record_that_is_gone(self, stores: Stores) -> None:
        fence = await stores.actor()
        record = await stores.attached(fence)
        await stores.expire(record.session_id)
        with pytest.raises(SessionGone):
            await stores.write(record, fence)
        assert await stores.sessions.get(record.session_id) is None, "writing does not bring it back"

    async def test_an_older_incarnation_changes_nothing(self, stores: Stores) -> None:
        old = await stores.actor()
        record = await stores.attached(old)
        new = Fence(A, await stores.epochs.take("sessions", A))
        changed = replace(record, status="away")
        with pytest.raises(Fenced):
            await stores.write(changed, old)
        assert await stores.sessions.get(record.session_id) == record
        await stores.write(changed, new)
        assert await stores.sessions.get(record.session_id) == changed

    async def test_being_fenced_comes_before_all_else(self, stores: Stores) -> None:
        old = await stores.actor()
        record = await stores.attached(old)
        await stores.epochs.take("sessions", A)
        await stores.expire(record.session_id)
        with pytest.raises(Fenced):
            await stores.write(record, old, "in_world")

    @pytest.mark.parametrize("epoch", [0, 2])
    async def test_an_epoch_that_was_never_handed_out(self, stores: Stores, epoch: int) -> None:
        record = await stores.attached(await stores.actor())
        with pytest.raises(Fenced):
            await stores.write(record, Fence(A, epoch))

    async def test_another_actor_s_session(self, stores: Stores) -> None:
        record = await stores.attached(await stores.actor(A))
        other = await stores.actor(B)
        with pytest.raises(Fenced):
            await stores.write(record, other)
        with pytest.raises(Fenced):
            await stores.sessions.end(record.session_id, other)
        assert await stores.sessions.get(record.session_id) == record
        assert ids(await stores.sessions.online(10)) == [record.session_id]
        assert ids(await stores.sessions.of_actor(A)) == [record.session_id]


class TestIndexes:
    async def test_a_session_is_found_by_user_gateway_and_actor(self, stores: Stores) -> None:
        fence = await stores.actor()
        one = await stores.attached(fence, "usr_a", "gtw_a")
        two = await stores.attached(fence, "usr_a", "gtw_b")
        three = await stores.attached(fence, "usr_b", "gtw_b")
        assert sorted(ids(await stores.sessions.of_user("usr_a"))) == [one.session_id, two.session_id]
        assert sorted(ids(await stores.sessions.of_gateway("gtw_b"))) == [two.session_id, three.session_id]
        assert len(await stores.sessions.of_actor(A)) == 3
        assert await stores.sessions.of_user("usr_none") == []
        assert await stores.sessions.of_gateway("") == []

    async def test_a_session_is_at_one_gateway_at_most(self, stores: Stores) -> None:
        fence = await stores.actor()
        record = await stores.attached(fence)
        moved = replace(record, gateway_id="gtw_b", attach_epoch=2)
        await stores.write(moved, fence)
        assert await stores.sessions.of_gateway("gtw_a") == []
        assert await stores.sessions.of_gateway("gtw_b") == [moved]
        await stores.write(replace(moved, gateway_id=""), fence)
        assert await stores.sessions.of_gateway("gtw_b") == []

    async def test_online_is_the_newest_first_and_bounded(self, stores: Stores) -> None:
        fence = await stores.actor()
        records = [await stores.attached(fence) for _ in range(4)]
        await stores.write(replace(records[0], last_activity=NOW + 100, gateway_id=""), fence)
        order = [records[n].session_id for n in (0, 3, 2, 1)]
        assert ids(await stores.sessions.online(10)) == order
        assert ids(await stores.sessions.online(2)) == order[:2]

    async def test_one_that_expired_is_in_none(self, stores: Stores) -> None:
        fence = await stores.actor()
        gone, stays = await stores.attached(fence), await stores.attached(fence)
        await stores.expire(gone.session_id)
        for _ in range(2):
            assert ids(await stores.sessions.online(10)) == [stays.session_id]
        assert ids(await stores.sessions.of_user("usr_a")) == [stays.session_id]
        assert ids(await stores.sessions.of_gateway("gtw_a")) == [stays.session_id]
        assert ids(await stores.sessions.of_actor(A)) == [stays.session_id]

    async def test_nor_is_one_that_ended(self, stores: Stores) -> None:
        fence = await stores.actor()
        record = await stores.attached(fence)
        for _ in range(2):
            await stores.sessions.end(record.session_id, fence)
        assert await stores.sessions.get(record.session_id) is None
        assert await stores.sessions.online(10) == []
        assert await stores.sessions.of_user("usr_a") == []
        assert await stores.sessions.of_gateway("gtw_a") == []
        assert await stores.sessions.of_actor(A) == []

    async def test_which_have_no_record_and_where_the_others_are(self, stores: Stores) -> None:
        fence = await stores.actor()
        placed, gone = (await stores.place()).session_id, (await stores.attached(fence)).session_id
        playing = replace(await stores.attached(fence), zone_id="zon_a")
        await stores.write(playing, fence)
        await stores.expire(gone)
        asked = [gone, playing.session_id, "ses_none", placed]
        assert await stores.sessions.missing(asked) == {gone, "ses_none"}
        assert await stores.sessions.zones_of(asked) == {playing.session_id: "zon_a", placed: ""}
        assert await stores.sessions.missing([]) == set()
        assert await stores.sessions.zones_of([]) == {}


class TestEnd:
    async def test_it_makes_room(self, stores: Stores) -> None:
        fence = await stores.actor()
        first = await stores.place(per_actor=1)
        assert (await stores.place(per_actor=1)).actor == ""
        await stores.sessions.end(first.session_id, fence)
        assert (await stores.place(per_actor=1)).actor == A

    async def test_but_only_once(self, stores: Stores) -> None:
        fence = await stores.actor()
        first = await stores.place(per_actor=2)
        await stores.place(per_actor=2)
        for _ in range(3):
            await stores.sessions.end(first.session_id, fence)
        assert (await stores.place(per_actor=2)).actor == A
        assert (await stores.place(per_actor=2)).actor == ""

    async def test_one_that_is_not_there(self, stores: Stores) -> None:
        await stores.sessions.end("ses_none", await stores.actor())
        assert (await stores.place(per_actor=1)).actor == A

    async def test_an_older_incarnation_ends_nothing(self, stores: Stores) -> None:
        old = await stores.actor()
        record = await stores.attached(old)
        await stores.epochs.take("sessions", A)
        with pytest.raises(Fenced):
            await stores.sessions.end(record.session_id, old)
        assert await stores.sessions.get(record.session_id) == record


class TestTouch:
    async def test_it_says_which_are_gone(self, stores: Stores) -> None:
        fence = await stores.actor()
        stays, gone = await stores.attached(fence), await stores.attached(fence)
        await stores.expire(gone.session_id)
        asked = [stays.session_id, gone.session_id, "ses_none"]
        assert await stores.sessions.touch(asked, fence, TTL, NOW) == {gone.session_id, "ses_none"}
        assert await stores.sessions.touch([], fence, TTL, NOW) == set()
        assert await stores.sessions.get(stays.session_id) == stays

    async def test_it_makes_room_for_those_that_expired(self, stores: Stores) -> None:
        fence = await stores.actor()
        placed = [await stores.place(per_actor=2) for _ in range(2)]
        for one in placed:
            await stores.expire(one.session_id)
        await stores.sessions.touch([placed[0].session_id], fence, TTL, NOW)
        assert await stores.sessions.room(1) == 1
        assert [(await stores.place(per_actor=2)).actor for _ in range(3)] == [A, A, ""]

    async def test_fenced(self, stores: Stores) -> None:
        old = await stores.actor()
        await stores.epochs.take("sessions", A)
        with pytest.raises(Fenced):
            await stores.sessions.touch(["ses_none"], old, TTL, NOW)


class TestRegister:
    async def test_a_new_incarnation_has_the_load_of_the_old_one(self, stores: Stores) -> None:
        await stores.actor()
        for _ in range(2):
            await stores.place(per_actor=2)
        await stores.actor()
        assert (await stores.place(per_actor=2)).actor == ""
        assert len(await stores.sessions.of_actor(A)) == 2

    async def test_an_older_incarnation_may_not(self, stores: Stores) -> None:
        old = Fence(A, await stores.epochs.take("sessions", A))
        await stores.epochs.take("sessions", A)
        with pytest.raises(Fenced):
            await stores.sessions.register_actor(old)
        assert (await stores.place()).actor == ""

"""What every adapter of the session port does (cluster/ports/sessions.py)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.errors import Fenced, InvalidState, RateLimited, SessionGone, Unauthorized
from cluster.ports.epochs import EpochStore
from cluster.ports.sessions import Fence, Placed, SessionRecord, SessionStore
from cluster.settings import RedisSettings

NOW = 1_800_000_000.25
TTL = 300.0
A, B = "sessions/0", "sessions/1"
ALL = ["connected", "authenticated", "in_world", "disconnecting"]


@dataclass
class Stores:
    sessions: SessionStore
    epochs: EpochStore
    expire: Callable[[str], Awaitable[object]]
    made: int = 0

    async def actor(self, name: str = A) -> Fence:
        """A new incarnation, ready for sessions."""
        fence = Fence(name, await self.epochs.take("sessions", name))
        await self.sessions.register_actor(fence)
        return fence

    async def place(
        self, user: str = "usr_a", wanted: str = "", per_user: int = 100, per_actor: int = 1000, new: str = ""
    ) -> Placed:
        self.made += 1
        new = new or f"ses_{self.made}"
        return await self.sessions.place(wanted, new, user, per_user, per_actor, TTL, NOW + self.made)

    async def write(self, record: SessionRecord, fence: Fence, *from_states: str) -> None:
        await self.sessions.write(record, fence, from_states or ALL, TTL)

    async def attached(self, fence: Fence, user: str = "usr_a", gateway: str = "gtw_a") -> SessionRecord:
        """A placed session with a socket."""
        session_id = (await self.place(user)).session_id
        record = SessionRecord(
            session_id,
            user,
            fence.actor,
            "authenticated",
            gateway,
            1,
            connected_at=NOW,
            last_activity=NOW + self.made,
        )
        await self.write(record, fence)
        return record


def ids(records: list[SessionRecord]) -> list[str]:
    return [record.session_id for record in records]


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


def redis_stores(client: Redis, namespace: str) -> Stores:
    def expire(session_id: str) -> Awaitable[object]:
        found: Awaitable[object] = client.delete(f"{namespace}:session:{session_id}")
        return found

    return Stores(RedisSessionStore(client, namespace), RedisEpochStore(client, namespace), expire)


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stores]:
    if request.param == "memory":
        epochs = MemoryEpochStore()
        memory = MemorySessionStore(epochs)

        async def expire(session_id: str) -> None:
            memory.expire(session_id)

        yield Stores(memory, epochs, expire)
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
        )
        await stores.write(record, fence)
        assert await stores.sessions.get(session_id) == record
        plain = SessionRecord(session_id, "usr_a", A, "authenticated", connected_at=NOW, last_activity=NOW)
        await stores.write(plain, fence)
        assert await stores.sessions.get(session_id) == plain, "nothing of the former one stays"

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


class TestRedis:
    """What only Redis has: time to live, and indexes that outlive what they point to."""

    @pytest.fixture
    def stores(self, client: Redis, namespace: str) -> Stores:
        return redis_stores(client, namespace)

    async def ttl_ms(self, client: Redis, namespace: str, session_id: str) -> int:
        left: int = await client.pttl(f"{namespace}:session:{session_id}")
        return left

    async def test_every_record_expires_unless_it_is_touched(
        self, stores: Stores, client: Redis, namespace: str
    ) -> None:
        fence = await stores.actor()
        session_id = (await stores.place()).session_id
        assert 290_000 < await self.ttl_ms(client, namespace, session_id) <= 300_000
        record = SessionRecord(session_id, "usr_a", A, "authenticated", "gtw_a", 1)
        await stores.sessions.write(record, fence, ALL, 100.0)
        assert 90_000 < await self.ttl_ms(client, namespace, session_id) <= 100_000
        await stores.sessions.touch([session_id], fence, 200.0, NOW)
        assert 190_000 < await self.ttl_ms(client, namespace, session_id) <= 200_000

    async def test_a_time_to_live_of_less_than_a_second(self, stores: Stores, client: Redis, namespace: str) -> None:
        """EXPIRE 0 would delete the record at once."""
        fence = await stores.actor()
        placed = await stores.sessions.place("", "ses_short", "usr_a", 5, 5, 0.9, NOW)
        assert 0 < await self.ttl_ms(client, namespace, placed.session_id) <= 900
        await stores.sessions.touch([placed.session_id], fence, 0.8, NOW)
        assert 0 < await self.ttl_ms(client, namespace, placed.session_id) <= 800

    async def test_nothing_is_left_of_a_session_that_ended(self, stores: Stores, client: Redis, namespace: str) -> None:
        fence = await stores.actor()
        record = await stores.attached(fence)
        await stores.sessions.end(record.session_id, fence)
        left = {key.decode().removeprefix(namespace) async for key in client.scan_iter(f"{namespace}:*")}
        assert left == {":session-actors", f":epoch:sessions:{A}"}

    async def test_indexes_forget_what_expired(self, stores: Stores, client: Redis, namespace: str) -> None:
        fence = await stores.actor()
        record = await stores.attached(fence)
        await stores.expire(record.session_id)
        await stores.sessions.online(10)
        assert await client.zcard(f"{namespace}:online") == 0
        await stores.sessions.touch([], fence, TTL, NOW)
        assert await client.scard(f"{namespace}:actor:{A}:sessions") == 0
        assert await client.zscore(f"{namespace}:session-actors", A) == 0
        await stores.place("usr_a")
        assert await client.scard(f"{namespace}:user:usr_a:sessions") == 1

    async def test_a_wrong_load_is_put_right(self, stores: Stores, client: Redis, namespace: str) -> None:
        fence = await stores.actor()
        record = await stores.attached(fence)
        await client.zadd(f"{namespace}:session-actors", {A: 999})
        assert await stores.sessions.room(10) == 0
        await stores.sessions.touch([record.session_id], fence, TTL, NOW)
        assert await client.zscore(f"{namespace}:session-actors", A) == 1

    async def test_a_server_that_forgot_the_scripts(self, stores: Stores, client: Redis) -> None:
        fence = await stores.actor()
        await client.script_flush()
        record = await stores.attached(fence)
        await client.script_flush()
        assert await stores.sessions.touch([record.session_id], fence, TTL, NOW) == set()
        await client.script_flush()
        assert await stores.sessions.zones_of([record.session_id]) == {record.session_id: ""}

    async def test_realms_that_share_a_server(self, stores: Stores, client: Redis, namespace: str) -> None:
        await stores.actor()
        await stores.place("usr_a")
        other = redis_stores(client, f"{namespace}-other")
        assert await other.sessions.get("ses_1") is None
        assert (await other.place("usr_a")).actor == ""

    async def test_very_many_at_once(self, stores: Stores) -> None:
        fence = await stores.actor()
        for n in range(0, 2_000, 100):
            await asyncio.gather(*(stores.place(f"usr_{n + i}", per_actor=5_000) for i in range(100)))
        every = ids(await stores.sessions.of_actor(A))
        assert len(every) == 2_000
        assert await stores.sessions.touch(every, fence, TTL, NOW) == set()
        assert len(await stores.sessions.zones_of(every)) == 2_000
        assert await stores.sessions.missing(every) == set()

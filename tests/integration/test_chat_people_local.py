"""Who hears whom over real sockets, in one process: direct messages, blocks, parties, zones and ranges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from cluster.adapters.redis.chat import RedisChatStore
from cluster.ports.chat import Waiting
from rayrealm_client.codec import Framing
from tests.integration.chatters import (
    FRAMINGS,
    done,
    heard,
    hears,
    in_world,
    join,
    leave,
    moderator,
    other,
    reason,
    refused,
    says,
    texts,
)
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

pytestmark = pytest.mark.parametrize("framing", FRAMINGS)


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, chat={"burst": 30}) as running:
        yield running


class TestDirect:
    async def test_to_all_devices_of_both(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await in_world(realm, "usr_a", framing, name="Ann")
        also_ann = await Player.join(realm, "usr_a", other(framing))
        bob, also_bob = await Player.join(realm, "usr_b", framing), await Player.join(realm, "usr_b", other(framing))
        cat = await Player.join(realm, "usr_c", framing)
        first = await says(ann, "direct:usr_b", "hello Bob", client_id="1")
        assert await says(ann, "direct:usr_b", "hello Bob", client_id="1") == first
        await says(bob, "direct:usr_a", "hello Ann")
        for player, channel in ((ann, "usr_b"), (also_ann, "usr_b"), (bob, "usr_a"), (also_bob, "usr_a")):
            said = await hears(player, "hello Bob", "hello Ann")
            assert {each["channel"] for each in said} == {f"direct:{channel}"}
            assert [(each["from"], each["name"]) for each in said] == [("usr_a", "Ann"), ("usr_b", "")]
        for player, channel in ((ann, "direct:usr_b"), (bob, "direct:usr_a")):
            page = await done(player, "chat.history", channel=channel)
            assert [each["text"] for each in page["messages"]] == ["hello Bob", "hello Ann"]
            assert {each["channel"] for each in page["messages"]} == {channel}
        await says(ann, "direct:usr_c", "and you?")
        await hears(cat, "and you?")
        assert (await done(cat, "chat.history", channel="direct:usr_b"))["messages"] == []
        await leave(ann, also_ann, bob, also_bob, cat)

    async def test_both_at_once_hear_one_order(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = await Player.join(realm, "usr_a", framing), await Player.join(realm, "usr_b", other(framing))

        async def talk(player: Player, channel: str) -> None:
            for n in range(15):
                await says(player, channel, f"{channel} {n}")

        await asyncio.gather(talk(ann, "direct:usr_b"), talk(bob, "direct:usr_a"))
        page = await done(ann, "chat.history", channel="direct:usr_b")
        kept = [each["text"] for each in page["messages"]]
        assert len(kept) == 30
        await hears(ann, *kept)
        await hears(bob, *kept)
        await leave(ann, bob)

    async def test_who_is_away_finds_it_at_the_next_login(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await Player.join(realm, "usr_a", framing)
        ids = [await says(ann, "direct:usr_b", f"{n}") for n in range(3)]
        bob = await Player.join(realm, "usr_b", other(framing))
        box = await done(bob, "chat.inbox")
        assert [each["message_id"] for each in box["messages"]] == ids
        assert [each["text"] for each in box["messages"]] == ["0", "1", "2"]
        assert {each["channel"] for each in box["messages"]} == {"direct:usr_a"}
        assert box["more"] is False
        assert await done(bob, "chat.read", message_ids=[ids[0], ids[2], "msg_0123456789abcdef"]) == {"read": 2}
        assert [each["text"] for each in (await done(bob, "chat.inbox"))["messages"]] == ["1"]
        assert await done(bob, "chat.read", message_ids=ids) == {"read": 1}
        assert await done(bob, "chat.inbox") == {"messages": [], "more": False, "cursor": None}
        assert await done(ann, "chat.inbox") == {"messages": [], "more": False, "cursor": None}
        assert len((await done(bob, "chat.history", channel="direct:usr_a"))["messages"]) == 3
        await leave(ann, bob)

    async def test_page_by_page(self, realm: LocalRealm, framing: Framing) -> None:
        bob = await Player.join(realm, "usr_b", framing)
        store = RedisChatStore(realm.gateway._runtime.redis, realm.settings.namespace)
        for n in range(205):
            said = {"message_id": f"msg_{n:016x}", "from": "usr_a", "text": f"{n}"}
            await store.keep("usr_b", Waiting(f"msg_{n:016x}", orjson.dumps(said)), 1_000, 60.0)
        box = await done(bob, "chat.inbox")
        found, sizes = list(box["messages"]), [len(box["messages"])]
        while box["more"]:
            box = await done(bob, "chat.inbox", cursor=box["cursor"])
            found, sizes = found + box["messages"], [*sizes, len(box["messages"])]
        assert [each["text"] for each in found] == [f"{n}" for n in range(205)]
        assert (sizes, box["cursor"]) == ([100, 100, 5], None)
        assert reason(await refused(bob, "chat.inbox", cursor="x"))
        await leave(bob)

    async def test_to_oneself_and_to_nobody(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await Player.join(realm, "usr_a", framing)
        failure = await refused(ann, "chat.message", channel="direct:usr_a", text="me")
        assert (failure.code, reason(failure)) == (-32602, "is yourself")
        await says(ann, "direct:usr_nobody_at_all", "is anybody there?")
        await hears(ann, "is anybody there?")
        await leave(ann)


class TestBlocked:
    async def test_the_blocked_one_speaks_as_if_all_went_well(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = await Player.join(realm, "usr_a", framing), await Player.join(realm, "usr_b", other(framing))
        await join("hall", ann, bob)
        await says(bob, "hall", "before")
        await says(bob, "direct:usr_a", "before")
        await hears(ann, "before", channel="direct:usr_b")
        await done(ann, "friends.block", user_id="usr_b")
        await says(bob, "hall", "not for Ann")
        first = await says(bob, "direct:usr_a", "not for Ann", client_id="1")
        assert await says(bob, "direct:usr_a", "not for Ann", client_id="1") == first
        await hears(bob, "before", "not for Ann", channel="direct:usr_a")
        kept = (await done(bob, "chat.history", channel="direct:usr_a"))["messages"]
        assert [each["text"] for each in kept] == ["before", "not for Ann"]
        assert (await done(ann, "chat.inbox"))["messages"] == []
        assert (await done(ann, "chat.history", channel="hall"))["messages"] == []
        assert (await done(ann, "chat.history", channel="direct:usr_b"))["messages"] == []
        failure = await refused(ann, "chat.message", channel="direct:usr_b", text="x")
        assert (failure.code, reason(failure)) == (-32003, "blocked")
        members = await done(bob, "chat.channel.members", channel="hall")
        assert [each["user_id"] for each in members["members"]] == ["usr_b"]
        await done(ann, "friends.unblock", user_id="usr_b")
        await says(bob, "direct:usr_a", "again")
        await ann.until(lambda: "again" in texts(ann, "direct:usr_b"))
        kept = (await done(ann, "chat.history", channel="direct:usr_b"))["messages"]
        assert [each["text"] for each in kept] == ["before", "again"], "what was said meanwhile is never shown"
        await says(bob, "hall", "the end")
        await ann.until(lambda: "the end" in texts(ann, "hall"))
        assert "not for Ann" not in texts(ann)
        await leave(ann, bob)


class TestParty:
    async def test_the_party_hears_it(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await in_world(realm, "usr_a", framing, name="Ann")
        bob, cat = (
            await in_world(realm, "usr_b", other(framing), name="Bob"),
            await Player.join(realm, "usr_c", framing),
        )
        assert reason(await refused(ann, "chat.message", channel="party", text="x")) == "not_in_party"
        await done(ann, "party.create")
        await done(ann, "party.invite", user_id="usr_b")
        await bob.until(lambda: any(notice.method == "party.invited" for notice in bob.notices))
        (invitation,) = (await done(bob, "party.get"))["invitations"]
        await done(bob, "party.accept", party_id=invitation["party_id"])
        await bob.until(lambda: any(notice.method == "party.changed" for notice in bob.notices))
        await says(ann, "party", "to the forest")
        await says(bob, "party", "coming")
        for player in (ann, bob):
            await hears(player, "to the forest", "coming", channel="party")
            page = await done(player, "chat.history", channel="party")
            assert [each["text"] for each in page["messages"]] == ["to the forest", "coming"]
            assert {each["channel"] for each in page["messages"]} == {"party"}
        members = (await done(bob, "chat.channel.members", channel="party"))["members"]
        assert members == [{"user_id": "usr_a", "name": "Ann"}, {"user_id": "usr_b", "name": "Bob"}]
        await done(bob, "party.leave")
        assert reason(await refused(bob, "chat.history", channel="party")) == "not_in_party"
        assert heard(cat) == []
        await leave(ann, bob, cat)


class TestZone:
    async def test_everybody_in_it(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await in_world(realm, "usr_a", framing)
        await join("zone", ann)
        bob = await Player.join(realm, "usr_b", other(framing))
        await join("zone", bob)
        assert reason(await refused(bob, "chat.message", channel="zone", text="x")) == "not_in_world"
        await says(ann, "zone", "not for Bob")
        await hears(ann, "not for Bob")  # who joins may hear what is still on its way
        await bob.enter(await realm.character("usr_b", at=(180.0, 20.0)))
        await says(ann, "zone", "for both")
        await hears(bob, "for both", channel="zone")
        page = await done(bob, "chat.history", channel="zone")
        assert [each["text"] for each in page["messages"]] == ["not for Bob", "for both"]
        mod = await moderator(realm, "usr_m", framing)
        await mod.enter(await realm.character("usr_m", at=(100.0, 100.0)))
        await done(mod, "chat.mute", channel="zone", user_id="usr_a", seconds=60)
        assert reason(await refused(ann, "chat.message", channel="zone", text="x")) == "muted"
        await done(mod, "chat.delete", channel="zone", message_id=page["messages"][0]["message_id"])
        await bob.until(lambda: bool(heard(bob, "zone", "chat.deleted")))
        page = await done(bob, "chat.history", channel="zone")
        assert [each["text"] for each in page["messages"]] == ["for both"]
        await leave(ann, bob, mod)


class TestRanges:
    async def test_who_stands_near(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await in_world(realm, "usr_a", framing, 100.0, "Ann")
        near, far = (
            await in_world(realm, "usr_n", other(framing), 115.0),
            await in_world(realm, "usr_f", framing, 150.0),
        )
        away = await in_world(realm, "usr_y", framing, 20.0)
        await near.until(lambda: ann.world["number"] in near.entities)
        said = await says(ann, "say", "psst", client_id="1")
        assert await says(ann, "say", "psst", client_id="1") == said
        await says(ann, "shout", "hey @ann!")
        for player in (ann, near):
            assert [each["channel"] for each in await hears(player, "psst", "hey @ann!")] == ["say", "shout"]
        (shouted,) = await hears(far, "hey @ann!")
        assert shouted["mentions"] == [{"user_id": "usr_a", "name": "Ann"}]
        await says(away, "say", "alone")
        await hears(away, "alone")
        for method, why in (("chat.history", "has no history"), ("chat.channel.join", "is heard without joining")):
            assert reason(await refused(ann, method, channel="say")) == why
        await leave(ann, near, far, away)

    async def test_across_a_border(self, realm: LocalRealm, framing: Framing) -> None:
        """zon_meadow ends at x = 200, where zon_harbour begins."""
        ann, bob = await in_world(realm, "usr_a", framing, 195.0), await in_world(realm, "usr_b", other(framing), 201.0)
        assert (ann.world["zone"], bob.world["zone"]) == ("zon_meadow", "zon_harbour")
        for one, another in ((ann, bob), (bob, ann)):
            name = another.world["name"]
            await one.until(lambda one=one, name=name: name in {e.name for e in one.entities.values()})  # type: ignore[misc]
        await says(ann, "say", "over there?")
        await hears(bob, "over there?")
        await says(bob, "say", "yes")
        await hears(ann, "over there?", "yes")
        await leave(ann, bob)

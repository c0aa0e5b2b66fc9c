"""Channels over real sockets, in one process: who hears what, in which order, and what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.settings import Settings
from rayrealm_client.codec import Framing
from tests.integration.chatters import (
    FRAMINGS,
    detail,
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
    chat = {"per_s": 5.0, "burst": 30, "words": ["darn"]}
    async with local_realm(valkey_url, nats_url, nats_token, namespace, chat=chat) as running:
        yield running


class TestMessages:
    async def test_who_has_joined_hears(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await in_world(realm, "usr_a", framing, name="Ann")
        bob, cat = await Player.join(realm, "usr_b", other(framing)), await Player.join(realm, "usr_c", framing)
        await join("global", ann, bob, cat)
        await join("hall", ann, bob)
        message_id = await says(ann, "hall", "he\u0301llo\x00 <b>&amp; a < b")
        await says(ann, "global", "to all")
        for player in (ann, bob):
            (said,) = await hears(player, "héllo &amp; a < b", channel="hall")
            assert {k: said[k] for k in ("message_id", "channel", "from", "name", "mentions")} == {
                "message_id": message_id,
                "channel": "hall",
                "from": "usr_a",
                "name": "Ann",
                "mentions": [],
            }
            assert isinstance(said["sent_at"], float)
        await hears(cat, "to all")
        assert (await done(bob, "chat.channel.leave", channel="hall"))["channels"] == ["global"]
        assert reason(await refused(bob, "chat.message", channel="hall", text="x")) == "not_in_channel"
        await says(ann, "hall", "without bob")
        # Before that it is on its way to whoever is there.
        await hears(ann, "héllo &amp; a < b", "without bob", channel="hall")
        await join("hall", bob)
        await says(bob, "hall", "back")
        await hears(bob, "héllo &amp; a < b", "back", channel="hall")
        await hears(ann, "héllo &amp; a < b", "without bob", "back", channel="hall")
        await hears(bob, "to all", channel="global")
        await leave(ann, bob, cat)

    async def test_the_order_of_a_channel_is_the_same_for_all(self, realm: LocalRealm, framing: Framing) -> None:
        players = [await Player.join(realm, f"usr_{n}", FRAMINGS[n % 2]) for n in range(5)]
        await join("hall", *players)

        async def talk(player: Player, number: int) -> None:
            for n in range(8):
                await says(player, "hall", f"{number}/{n}")

        await asyncio.gather(*(talk(player, number) for number, player in enumerate(players)))
        late = await Player.join(realm, "usr_late", framing)
        await join("hall", late)
        kept = [said["text"] for said in (await done(late, "chat.history", channel="hall"))["messages"]]
        assert len(kept) == 40
        for player in players:
            assert [said["message_id"] for said in await hears(player, *kept)] == [
                said["message_id"] for said in heard(players[0])
            ]
        await leave(*players, late)

    async def test_a_repeated_client_id_is_answered_with_the_first_result(
        self, realm: LocalRealm, framing: Framing
    ) -> None:
        ann = await Player.join(realm, "usr_a", framing)
        await join("hall", ann)
        ids = {n: await says(ann, "hall", f"{n}", client_id=f"{n}") for n in range(3)}
        limited = None
        for n in range(40):
            answer = await ann.ask("chat.message", channel="hall", text="more", client_id=f"more {n}")
            if not isinstance(answer, dict):
                limited = answer
                break
        assert limited is not None
        assert (limited.code, reason(limited)) == (-32001, "chat")
        assert 0.0 < detail(limited)["retryAfter"] <= 0.2
        count = len(heard(ann, "hall"))
        assert {n: await says(ann, "hall", "other", client_id=f"{n}") for n in range(3)} == ids
        await asyncio.sleep(detail(limited)["retryAfter"])
        await says(ann, "hall", "the end")
        await ann.until(lambda: "the end" in texts(ann))
        assert texts(ann)[:3] == ["0", "1", "2"]
        assert count <= len(texts(ann))
        assert "other" not in texts(ann)
        await leave(ann)

    async def test_mentions_and_words(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = (
            await in_world(realm, "usr_a", framing, name="Ann"),
            await in_world(realm, "usr_b", framing, name="Bob Lee"),
        )
        await join("hall", ann)
        await says(ann, "hall", "@bob lee and @Nobody, DARN @Ann!")
        (said,) = await hears(ann, "@bob lee and @Nobody, **** @Ann!")
        assert said["mentions"] == [{"user_id": "usr_b", "name": "Bob Lee"}, {"user_id": "usr_a", "name": "Ann"}]
        await leave(ann, bob)


class TestHistory:
    async def test_page_by_page(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await Player.join(realm, "usr_a", framing)
        await join("hall", ann)
        assert await done(ann, "chat.history", channel="hall") == {"messages": [], "cursor": None}
        ids = [await says(ann, "hall", f"{n}") for n in range(25)]
        page = await done(ann, "chat.history", channel="hall", limit=10)
        found, pages = page["messages"], 1
        while page["cursor"] is not None:
            page = await done(ann, "chat.history", channel="hall", limit=10, cursor=page["cursor"])
            found, pages = page["messages"] + found, pages + 1
        assert [said["message_id"] for said in found] == ids
        assert [said["text"] for said in found] == [f"{n}" for n in range(25)]
        assert pages == 3
        newest = (await done(ann, "chat.history", channel="hall", limit=1))["messages"]
        assert newest == found[-1:]
        before = await done(ann, "chat.history", channel="hall", limit=1, cursor=newest[0]["cursor"])
        assert before["messages"] == found[-2:-1], "each message is a place to go on from"
        await leave(ann)

    async def test_what_moderators_delete(self, realm: LocalRealm, framing: Framing) -> None:
        ann, mod = await Player.join(realm, "usr_a", framing), await moderator(realm, "usr_m", framing)
        await join("hall", ann)
        ids = [await says(ann, "hall", f"{n}") for n in range(6)]
        assert reason(await refused(ann, "chat.delete", channel="hall", message_id=ids[1])) == "not_allowed"
        for message_id in (ids[1], ids[4], ids[1]):
            assert await done(mod, "chat.delete", channel="hall", message_id=message_id) == {"message_id": message_id}
        await says(ann, "hall", "6")
        await hears(ann, *"0123456")
        told = heard(ann, method="chat.deleted")
        assert told == [{"channel": "hall", "message_id": ids[1]}, {"channel": "hall", "message_id": ids[4]}]
        page = await done(ann, "chat.history", channel="hall", limit=4)
        assert [said["text"] for said in page["messages"]] == ["2", "3", "5", "6"]
        page = await done(ann, "chat.history", channel="hall", limit=4, cursor=page["cursor"])
        assert [said["text"] for said in page["messages"]] == ["0"]
        await leave(ann, mod)

    async def test_it_needs_membership(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = await Player.join(realm, "usr_a", framing), await Player.join(realm, "usr_b", framing)
        await join("hall", ann)
        await says(ann, "hall", "among us")
        assert reason(await refused(bob, "chat.history", channel="hall")) == "not_in_channel"
        assert reason(await refused(bob, "chat.history", channel="zone")) == "not_in_channel"
        assert reason(await refused(bob, "chat.history", channel="party")) == "not_in_party"
        await leave(ann, bob)


class TestChannelsOfOnesOwn:
    async def test_private_ones(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await in_world(realm, "usr_a", framing, name="Ann")
        bob, cat = (
            await in_world(realm, "usr_b", other(framing), name="Bob"),
            await Player.join(realm, "usr_c", framing),
        )
        made = await done(ann, "chat.channel.create", channel="den", private=True)
        assert {k: made[k] for k in ("channel", "owner", "private", "slow_s")} == {
            "channel": "den",
            "owner": "usr_a",
            "private": True,
            "slow_s": 0,
        }
        assert await done(ann, "chat.channel.create", channel="den", private=True) == made
        for player in (bob, cat):
            assert reason(await refused(player, "chat.channel.join", channel="den")) == "not_invited"
        await join("den", ann)
        assert reason(await refused(bob, "chat.channel.invite", channel="den", user_id="usr_c")) == "not_allowed"
        await done(ann, "chat.channel.invite", channel="den", name="bob")
        await bob.until(lambda: bool(heard(bob, "den", "chat.invited")))
        assert heard(bob, "den", "chat.invited") == [{"channel": "den", "from": "usr_a", "name": "Ann"}]
        await join("den", bob)
        await says(bob, "den", "hello")
        await hears(ann, "hello")
        await done(ann, "chat.channel.change", channel="den", private=False)
        await join("den", cat)
        assert reason(await refused(cat, "chat.channel.change", channel="den", private=True)) == "not_allowed"
        await done(ann, "chat.channel.change", channel="den", private=True)
        dan = await Player.join(realm, "usr_d", framing)
        await join("global", ann, dan)
        assert reason(await refused(dan, "chat.channel.join", channel="den")) == "not_invited"
        for method, more in (("chat.message", {"text": "me too"}), ("chat.history", {}), ("chat.channel.members", {})):
            assert reason(await refused(dan, method, channel="den", **more)) == "not_in_channel"
        await says(cat, "den", "and I go on")
        for player in (ann, bob, cat):  # who was in it is invited
            await hears(player, *(["hello"] if player is not cat else []), "and I go on", channel="den")
        kept = (await done(cat, "chat.history", channel="den"))["messages"]
        assert [said["text"] for said in kept] == ["hello", "and I go on"]
        await done(cat, "chat.channel.leave", channel="den")
        await join("den", cat)
        await says(ann, "global", "the end")
        await hears(dan, "the end")
        await leave(ann, bob, cat, dan)

    async def test_an_unseen_squatter_hears_nothing(self, realm: LocalRealm, framing: Framing) -> None:
        """Nobody owns a channel that somebody listens to, seen or not."""
        ann, bob = await Player.join(realm, "usr_a", framing), await Player.join(realm, "usr_b", framing)
        await done(bob, "presence.update", status="invisible")
        await join("den", bob)
        failure = await refused(ann, "chat.channel.create", channel="den", private=True)
        assert (failure.code, reason(failure)) == (-32005, "channel_taken")
        await done(bob, "chat.channel.leave", channel="den")
        await done(ann, "chat.channel.create", channel="den", private=True)
        assert reason(await refused(bob, "chat.channel.join", channel="den")) == "not_invited"
        await leave(ann, bob)

    async def test_the_unseen_are_invited_too(self, realm: LocalRealm, framing: Framing) -> None:
        """Nobody listens to a private channel who may not."""
        ann, bob = await Player.join(realm, "usr_a", framing), await Player.join(realm, "usr_b", framing)
        await done(bob, "presence.update", status="invisible")
        await done(ann, "chat.channel.create", channel="den")
        await join("den", bob)
        await done(ann, "chat.channel.change", channel="den", private=True)
        await join("den", ann)
        assert [each["user_id"] for each in (await done(bob, "chat.channel.members", channel="den"))["members"]] == [
            "usr_a"
        ]
        await says(bob, "den", "I may speak")
        await hears(ann, "I may speak")
        await leave(ann, bob)

    async def test_one_that_too_many_are_in_stays_open(
        self, valkey_url: str, nats_url: str, nats_token: str, namespace: str, framing: Framing
    ) -> None:
        async with local_realm(valkey_url, nats_url, nats_token, namespace, chat={"max_invited": 1}) as realm:
            players = [await Player.join(realm, f"usr_{n}", framing) for n in range(4)]
            await done(players[0], "chat.channel.create", channel="den")
            await join("den", *players[:3])
            failure = await refused(players[0], "chat.channel.change", channel="den", private=True)
            assert (failure.code, reason(failure)) == (-32005, "too_many_invited")
            await join("den", players[3])
            await leave(*players)

    async def test_taken_ones(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = await Player.join(realm, "usr_a", framing), await Player.join(realm, "usr_b", framing)
        await done(ann, "chat.channel.create", channel="den")
        await join("hall", ann)
        await join("attic", ann)
        await says(ann, "attic", "it is ours")
        await done(ann, "chat.channel.leave", channel="attic")
        for name in ("den", "hall", "attic"):
            failure = await refused(bob, "chat.channel.create", channel=name)
            assert (failure.code, reason(failure)) == (-32005, "channel_taken")
        most = Settings().chat.channels_per_user
        for n in range(most):
            await done(bob, "chat.channel.create", channel=f"bobs-{n}")
        assert reason(await refused(bob, "chat.channel.create", channel="one-more")) == "too_many_channels"
        await leave(ann, bob)

    async def test_slow_mode(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = await Player.join(realm, "usr_a", framing), await Player.join(realm, "usr_b", framing)
        await done(ann, "chat.channel.create", channel="den", slow_s=30)
        await join("den", ann, bob)
        first = await says(bob, "den", "one", client_id="1")
        failure = await refused(bob, "chat.message", channel="den", text="two")
        assert (failure.code, reason(failure)) == (-32001, "slow_mode")
        assert 25 < detail(failure)["retryAfter"] <= 30
        assert await says(bob, "den", "one", client_id="1") == first
        for text in ("owners", "are", "free"):
            await says(ann, "den", text)
        await done(ann, "chat.channel.change", channel="den", slow_s=0)
        await says(bob, "den", "two")
        await hears(bob, "one", "owners", "are", "free", "two")
        await leave(ann, bob)

    async def test_slow_mode_of_what_belongs_to_nobody(self, realm: LocalRealm, framing: Framing) -> None:
        """`global`, and `zone` in all zones: for moderators to change."""
        ann = await in_world(realm, "usr_a", framing, name="Ann")
        mod = await moderator(realm, "usr_m", framing)
        for channel in ("global", "zone"):
            await join(channel, ann)
            assert reason(await refused(ann, "chat.channel.change", channel=channel, slow_s=30)) == "not_allowed"
            assert (
                reason(await refused(mod, "chat.channel.change", channel=channel, private=True))
                == "is open to everybody"
            )
            for slow_s in (60, 30):
                changed = await done(mod, "chat.channel.change", channel=channel, slow_s=slow_s)
                assert (changed["owner"], changed["private"], changed["slow_s"]) == ("", False, slow_s)
            await says(ann, channel, "one")
            failure = await refused(ann, "chat.message", channel=channel, text="two")
            assert (failure.code, reason(failure)) == (-32001, "slow_mode")
            assert 25 < detail(failure)["retryAfter"] <= 30
            await done(mod, "chat.channel.change", channel=channel, slow_s=0)
            await says(ann, channel, "two")
        await join("global", mod)
        for text in ("moderators", "are", "free"):
            await done(mod, "chat.channel.change", channel="global", slow_s=30)
            await says(mod, "global", text)
        await leave(ann, mod)

    async def test_muting(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob, mod = (
            await Player.join(realm, "usr_a", framing),
            await Player.join(realm, "usr_b", framing),
            await moderator(realm, "usr_m", framing),
        )
        await done(ann, "chat.channel.create", channel="den")
        for channel in ("den", "hall"):
            await join(channel, ann, bob, mod)
        assert reason(await refused(bob, "chat.mute", channel="den", user_id="usr_a", seconds=60)) == "not_allowed"
        assert reason(await refused(ann, "chat.mute", channel="hall", user_id="usr_b", seconds=60)) == "not_allowed"
        for who, channel in ((ann, "den"), (mod, "hall")):
            assert (await done(who, "chat.mute", channel=channel, user_id="usr_b", seconds=60))["until"] > 0
            failure = await refused(bob, "chat.message", channel=channel, text="x")
            assert (failure.code, reason(failure)) == (-32003, "muted")
            await done(who, "chat.mute", channel=channel, user_id="usr_b", seconds=0)
            await says(bob, channel, "again")
        await leave(ann, bob, mod)

    async def test_members(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await in_world(realm, "usr_a", framing, name="Ann")
        bob, cat = await in_world(realm, "usr_b", framing, name="Bob"), await Player.join(realm, "usr_c", framing)
        assert reason(await refused(ann, "chat.channel.members", channel="hall")) == "not_in_channel"
        await join("hall", ann, bob, cat)

        async def members(player: Player) -> dict[str, str]:
            page = await done(player, "chat.channel.members", channel="hall")
            assert page["cursor"] is None
            return {member["user_id"]: member["name"] for member in page["members"]}

        assert await members(ann) == {"usr_a": "Ann", "usr_b": "Bob", "usr_c": ""}
        await done(cat, "presence.update", status="invisible")
        assert await members(ann) == {"usr_a": "Ann", "usr_b": "Bob"}
        for audience, to_ann in (("nobody", ""), ("friends", ""), ("all", "Bob"), ("friends", "")):
            await done(bob, "presence.privacy", character=audience)
            assert await members(ann) == {"usr_a": "Ann", "usr_b": to_ann}
            assert await members(bob) == {"usr_a": "Ann", "usr_b": "Bob"}
        await done(ann, "friends.request", user_id="usr_b")
        await done(bob, "friends.accept", user_id="usr_a")
        assert await members(ann) == {"usr_a": "Ann", "usr_b": "Bob"}
        await done(bob, "chat.channel.leave", channel="hall")
        assert await members(ann) == {"usr_a": "Ann"}
        await leave(ann, bob, cat)

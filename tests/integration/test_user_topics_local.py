"""Every session hears its user's topic, its party's, and nobody whom its user blocks (rows 1.5, 2.3 and 3.3). No Ray."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import orjson
import pytest

from actors.games.api import Game
from actors.session import sessions_actor
from actors.zone.game_entity import GameEntity
from actors.zone.game_zone import GameZone
from cluster.adapters.redis.parties import RedisPartyStore
from cluster.adapters.redis.social import RedisSocialStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.errors import InvalidInput
from cluster.ports.social import Limits
from cluster.publishing import Publisher, user_topic
from cluster.world_control import ask
from rayrealm_client.codec import Failure, Framing
from tests.integration.backstage import SESSIONS, Backstage
from tests.local_realm import local_realm
from tests.players import Player

USERS = itertools.count(1)
FRAMINGS: list[Framing] = ["proto", "json"]
LIMITS = Limits(100, 100, 100, 100)
RULES = (
    {"pattern": "staff.*", "subscribe": "moderator"},
    {"pattern": "news"},
    {"pattern": "news.*"},
)


class Rig(Backstage):
    """What other parts of the realm do to users: they publish, and change the stores of friends and parties."""

    @property
    def publisher(self) -> Publisher:
        runtime = self.realm.gateway._runtime
        return Publisher(RedisTopicLog(self.redis, self.ns), runtime.bus, runtime.subjects, 1_000)

    @property
    def social(self) -> RedisSocialStore:
        return RedisSocialStore(self.redis, self.ns)

    @property
    def parties(self) -> RedisPartyStore:
        return RedisPartyStore(self.redis, self.ns)

    async def say(self, topic: str, text: str, sender: str = "") -> None:
        await self.publisher.publish(topic, "test.said", orjson.dumps({"text": text}), "", sender=sender)

    async def tell(self, user_id: str, text: str, sender: str = "", refresh: str = "") -> None:
        method, params = ("test.said", orjson.dumps({"text": text})) if text else ("", b"{}")
        await self.publisher.publish(user_topic(user_id), method, params, "", sender=sender, refresh=refresh)

    async def join(self, user_id: str, framing: Framing = "proto", session_id: str = "", role: str = "") -> Player:
        url = self.realm.url + (f"?session={session_id}" if session_id else "")
        token = self.realm.token(user_id, role=role or "player")
        return await Player.open(url, framing, {"Authorization": f"Bearer {token}"})


@pytest.fixture
async def rig(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Rig]:
    async with local_realm(
        valkey_url, nats_url, nats_token, namespace, session={"grace_s": 0.5}, topics=RULES
    ) as realm:
        yield Rig(realm)


def user(name: str) -> str:
    return f"usr_{name}{next(USERS)}"


def texts(player: Player) -> list[str]:
    return [n.params["text"] for n in player.notices if n.method == "test.said" and isinstance(n.params, dict)]


async def has(player: Player, *expected: str) -> None:
    """Exactly these, in this order."""
    await player.until(lambda: len(texts(player)) >= len(expected))
    assert texts(player) == list(expected)


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_all_devices_of_a_user_are_told_in_order_and_once(rig: Rig, framing: Framing) -> None:
    ann = user("ann")
    phone, desk, other = await rig.join(ann, framing), await rig.join(ann), await rig.join(user("bob"))
    for n in range(20):
        await rig.tell(ann, str(n))
    for device in (phone, desk):
        await has(device, *(str(n) for n in range(20)))
    assert texts(other) == []
    info = await phone.ask("system.info")
    assert info["topics"] == [], "nobody sees it among the topics"
    for player in (phone, desk, other):
        await player.leave()


async def test_what_is_told_while_the_socket_is_away_comes_with_the_next_one(rig: Rig) -> None:
    ann = user("ann")
    first = await rig.join(ann)
    await first.leave()
    await rig.tell(ann, "meanwhile")
    again = await Player.open(
        f"{rig.realm.url}?recovery={first.ready['recovery']['token']}&last={first.ready['stream']}.0", "json"
    )
    await has(again, "meanwhile")
    assert again.session_id == first.session_id
    await again.leave()


async def test_a_blocked_user_is_not_heard_from_the_moment_that_one_is_told(rig: Rig) -> None:
    ann, bob, eve = user("ann"), user("bob"), user("eve")
    phone, desk, other = await rig.join(ann), await rig.join(ann, "json"), await rig.join(bob)
    for player in (phone, desk, other):
        assert await player.ask("system.subscribe", topics=["news"]) == {"topics": ["news"]}
    await rig.say("news", "before", sender=eve)
    await has(phone, "before")
    await has(desk, "before")
    await rig.social.block(ann, eve, LIMITS, time.time())
    await rig.tell(ann, "eve is blocked", refresh="ties")
    await has(phone, "before", "eve is blocked")
    await has(desk, "before", "eve is blocked")
    await rig.say("news", "from eve", sender=eve)
    await rig.tell(ann, "from eve to ann", sender=eve)
    await rig.say("news", "from bob", sender=bob)
    await has(phone, "before", "eve is blocked", "from bob")
    await has(desk, "before", "eve is blocked", "from bob")
    await has(other, "before", "from eve", "from bob")
    await rig.restart(SESSIONS)
    await rig.say("news", "from eve again", sender=eve)
    await rig.say("news", "restarted", sender=bob)
    await has(phone, "before", "eve is blocked", "from bob", "restarted")
    await rig.social.unblock(ann, eve)
    await rig.tell(ann, "", refresh="ties")
    await rig.tell(ann, "unblocked")
    await has(phone, "before", "eve is blocked", "from bob", "restarted", "unblocked")
    await rig.say("news", "welcome back", sender=eve)
    await has(phone, "before", "eve is blocked", "from bob", "restarted", "unblocked", "welcome back")
    await has(other, "before", "from eve", "from bob", "from eve again", "restarted", "welcome back")
    for player in (phone, desk, other):
        await player.leave()


async def test_a_block_and_a_kick_of_which_nobody_told_the_actor_hold_when_it_looks_again(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the gateway dies between the change and its message."""
    monkeypatch.setattr(sessions_actor, "TIES_AGAIN_S", 0.2)
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as realm:
        rig = Rig(realm)
        ann, bob, eve = user("ann"), user("bob"), user("eve")
        now = time.time()
        await rig.parties.create("pty_1", bob, "Bob", now)
        await rig.parties.invite(bob, "Bob", ann, 8, 8, now + 60.0, now)
        await rig.parties.accept("pty_1", ann, "Ann", 8, now)
        phone, other = await rig.join(ann), await rig.join(bob)
        await rig.say("party:pty_1", "all of us", sender=bob)
        await has(phone, "all of us")
        await rig.social.block(ann, eve, LIMITS, now)
        await rig.parties.kick(bob, ann)
        actor = rig.runner(SESSIONS)
        await rig.until(lambda: bool(actor._hearing._ties.deaf(eve)) and "party:pty_1" not in members(actor, phone))
        await rig.say("party:pty_1", "without her", sender=bob)
        await rig.tell(ann, "from eve", sender=eve)
        await rig.tell(ann, "end")
        await has(other, "all of us", "without her")
        await has(phone, "all of us", "end")
        for player in (phone, other):
            await player.leave()


def members(actor: Any, player: Player) -> set[str]:
    """The topics that the player's session hears."""
    return {topic for topic, sessions in actor._following._members.items() if player.session_id in sessions}


async def test_a_party_is_heard_by_all_devices_of_its_members_and_by_new_ones(rig: Rig) -> None:
    ann, bob, party = user("ann"), user("bob"), "pty_1"
    phone, other = await rig.join(ann), await rig.join(bob)
    await rig.parties.create(party, ann, "Ann", time.time())
    await rig.tell(ann, "created", refresh="party")
    await has(phone, "created")
    await rig.say("party:pty_1", "hello party")
    await has(phone, "created", "hello party")
    desk = await rig.join(ann)
    await rig.restart(SESSIONS)
    await rig.say("party:pty_1", "again")
    await has(phone, "created", "hello party", "again")
    await has(desk, "again")
    await rig.parties.leave(ann)
    await rig.tell(ann, "left", refresh="party")
    await has(desk, "again", "left")
    await rig.say("party:pty_1", "nobody is here")
    await rig.tell(ann, "end")
    await has(phone, "created", "hello party", "again", "left", "end")
    await has(desk, "again", "left", "end")
    assert texts(other) == []
    for player in (phone, desk, other):
        await player.leave()


async def test_the_zone_s_chat_is_that_of_the_zone_one_is_in(rig: Rig) -> None:
    ann = user("ann")
    player = await rig.join(ann)
    await rig.publisher.publish("chat:zone:zon_meadow", "test.said", orjson.dumps({"text": "too early"}), "")
    assert await player.ask("chat.channel.join", channel="zone") == {"channels": ["zone"]}
    await rig.say("chat:zone:zon_meadow", "not there yet")
    await player.enter(await rig.realm.character(ann, at=(20.0, 20.0)))
    assert player.world["zone"] == "zon_meadow"
    await rig.say("chat:zone:zon_meadow", "one")
    await rig.say("chat:zone:zon_forest", "elsewhere")
    await has(player, "one")
    await rig.restart(SESSIONS)
    await rig.say("chat:zone:zon_meadow", "two")
    await has(player, "one", "two")
    rig.runner(SESSIONS)._moves.moved("zon_forest", [player.session_id])
    await rig.until(lambda: "chat:zone:zon_forest" in rig.runner(SESSIONS)._following._members)
    await rig.say("chat:zone:zon_forest", "three")
    await has(player, "one", "two", "three")
    rig.runner(SESSIONS)._moves.moved("zon_meadow", [player.session_id])
    await rig.until(lambda: "chat:zone:zon_meadow" in rig.runner(SESSIONS)._following._members)
    await player.ask("world.leave")
    await rig.say("chat:zone:zon_meadow", "gone")
    await rig.tell(ann, "end")
    await has(player, "one", "two", "three", "end")
    await player.leave()


async def test_who_hid_is_hidden_from_the_first_moment_on(rig: Rig) -> None:
    ann, bob = user("ann"), user("bob")
    await rig.social.choose(ann, {"status": "invisible", "text": "away", "metadata": {"a": "b"}})
    watcher = await rig.join(bob)
    await watcher.ask("presence.subscribe", user_ids=[ann])
    hidden = await rig.join(ann)
    record = await rig.record(hidden.session_id)
    assert record is not None
    assert (record.status, record.status_text, record.status_metadata) == ("invisible", "away", {"a": "b"})
    await rig.until(lambda: not rig.runner(SESSIONS)._news._untold)
    answer: Any = await watcher.ask("presence.get", user_ids=[ann])
    assert [user["status"] for user in answer["presences"]] == ["offline"]
    told = [
        n.params["status"] for n in watcher.notices if n.method == "presence.changed" and isinstance(n.params, dict)
    ]
    assert "online" not in told
    for player in (watcher, hidden):
        await player.leave()


async def test_the_end_of_a_session_is_noted_and_leaves_no_topic(rig: Rig) -> None:
    ann = user("ann")
    player = await rig.join(ann)
    await player.enter(await rig.realm.character(ann, "Anna", at=(20.0, 20.0)))
    before = time.time()
    await player.leave()
    following = rig.runner(SESSIONS)._following
    await rig.until(lambda: user_topic(ann) not in following._members)
    profile = (await rig.social.profiles([ann]))[ann]
    assert before - 1.0 <= profile.last_online <= time.time()
    assert profile.name == "Anna"
    cursors = await rig.redis.hgetall(f"{rig.ns}:outbox:{SESSIONS}:cursors")
    assert user_topic(ann).encode() not in cursors


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_server_topics_have_rules(rig: Rig, framing: Framing) -> None:
    ann, mod = user("ann"), user("mod")
    player, moderator = await rig.join(ann, framing), await rig.join(mod, framing, role="moderator")
    refusals = [await player.ask("system.subscribe", topics=[topic]) for topic in ("staff.duty", "no.such.topic")]
    assert all(isinstance(refusal, Failure) and refusal.code == -32000 for refusal in refusals)
    assert refusals[0].message == refusals[1].message
    assert refusals[0].data == refusals[1].data
    assert await moderator.ask("system.subscribe", topics=["staff.duty", "news"]) == {"topics": ["staff.duty", "news"]}
    token = moderator.ready["recovery"]["token"]
    await moderator.leave()
    back = await Player.open(f"{rig.realm.url}?recovery={token}", framing)
    assert await back.ask("system.subscribe", topics=["staff.night"]) == {
        "topics": ["staff.duty", "news", "staff.night"]
    }, "the role is the session's"
    room = player.ready["limits"]["max_subscriptions"]
    names = [f"news.{number}" for number in range(room)]
    rules = [{"topics": names[start : start + 64]} for start in range(0, room, 64)]
    for some in rules:
        assert isinstance(await player.ask("system.subscribe", **some), dict)
    full: Any = await player.ask("system.subscribe", topics=["news"])
    assert isinstance(full, Failure)
    assert (full.code, full.data) == (-32004, {"limit": room})
    left = await player.ask("system.unsubscribe", topics=[names[0], "no.such.topic"])
    assert left == {"topics": names[1:]}
    assert await player.ask("system.subscribe", topics=["news"]) == {"topics": [*names[1:], "news"]}
    await rig.say(names[0], "not any more")
    await rig.say("news", "heard")
    await has(player, "heard")
    for who in (player, back):
        await who.leave()


class Herald(Game):
    """Says on the news what players tell it to."""

    def on_message(self, zone: GameZone, entity: GameEntity, kind: str, data: Any, seen_tick: float) -> Any:
        zone.publish("news", {"from": entity.name, "said": data})


@pytest.fixture
async def heralds(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Rig]:
    async with local_realm(
        valkey_url, nats_url, nats_token, namespace, topics=RULES, world={"game": f"{__name__}:Herald"}
    ) as realm:
        yield Rig(realm)


async def test_the_game_and_the_operator_publish_and_players_do_not(heralds: Rig) -> None:
    ann, bob = user("ann"), user("bob")
    player, listener = await heralds.join(ann), await heralds.join(bob, "json")
    for who in (player, listener):
        await who.ask("system.subscribe", topics=["news"])
    await player.enter(await heralds.realm.character(ann, "Anna", at=(20.0, 20.0)))
    await player.ask("game.message", type="say", data="hear, hear")
    runtime = heralds.realm.gateway._runtime
    control = runtime.subjects.world_control()
    params = {"topic": "news", "data": [1, 2], "key": "operator/1"}
    for _ in range(2):
        assert await ask(runtime.bus, control, "publish", params, 5.0) is True
    with pytest.raises(InvalidInput):
        await ask(runtime.bus, control, "publish", {**params, "topic": "user:usr_x"}, 5.0)

    def news(who: Player) -> list[Any]:
        return [n.params["data"] for n in who.notices if n.method == "system.topic" and isinstance(n.params, dict)]

    for who in (player, listener):
        await who.until(partial(lambda each: len(news(each)) >= 2, who))
        assert sorted(news(who), key=str) == [[1, 2], {"from": "Anna", "said": "hear, hear"}]
    for who in (player, listener):  # one of each framing
        refused = [await who.ask(m, topic="news", data=1) for m in ("system.publish", "system.topic", "topic.publish")]
        assert all(isinstance(answer, Failure) and answer.code == -32601 for answer in refused)
        refused = [await who.ask("chat.message", channel=channel, text="news") for channel in ("news", "news:all")]
        assert all(isinstance(answer, Failure) and answer.code == -32003 for answer in refused), (
            "channels are no topics"
        )
    for who in (player, listener):
        assert len(news(who)) == 2
    for who in (player, listener):
        await who.leave()

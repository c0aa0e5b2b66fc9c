"""A client that lost its socket gets its session back, and each reliable notification it missed, once (rows 1.7, 2.5). No Ray."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from cluster.adapters.redis.bans import RedisBans
from cluster.security.recovery import RecoveryClaims, sign_recovery
from rayrealm_client.codec import Framing
from tests.integration.backstage import SESSIONS, Backstage
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

USERS = itertools.count(1)


class Listener(Player):
    """A player that keeps every reliable notification it got, in order."""

    def __init__(self, *args: Any) -> None:
        self.reliable: list[tuple[int, str, dict[str, Any]]] = []
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        super()._take(item)
        seq = getattr(item, "seq", None)
        if seq:
            self.reliable.append((seq, item.method, item.params))

    @property
    def last(self) -> str:
        seq = self.reliable[-1][0] if self.reliable else self.ready["seq"]
        return f"{self.ready['stream']}.{seq}"

    @property
    def token(self) -> str:
        found: str = self.ready["recovery"]["token"]
        return found

    def texts(self) -> list[str]:
        return [params["text"] for _, method, params in self.reliable if method == "chat.message"]

    def cut(self) -> None:
        """The network is gone: no close frame, no farewell."""
        self.ws.transport.abort()


@pytest.fixture
async def stage(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Backstage]:
    async with local_realm(
        valkey_url, nats_url, nats_token, namespace, session={"outbox_count": 20}, chat={"burst": 50}
    ) as realm:
        yield Backstage(realm)


async def recover(realm: LocalRealm, token: str, last: str = "", framing: Framing = "proto") -> Listener:
    query = f"?recovery={token}" + (f"&last={last}" if last else "")
    return await Listener.open(realm.url + query, framing)


async def refused(realm: LocalRealm, token: str, last: str = "") -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as answer:
        await recover(realm, token, last)
    response = answer.value.response
    body: dict[str, Any] = json.loads(response.body)
    return response.status_code, body["reason"]


async def talkers(realm: LocalRealm, framing: Framing = "proto") -> tuple[Listener, Listener]:
    """Two in one channel, one of whom will be cut off."""
    number = next(USERS)
    ann = await Listener.join(realm, f"usr_ann{number}", framing)
    bob = await Listener.join(realm, f"usr_bob{number}")
    for player in (ann, bob):
        await player.ask("chat.channel.join", channel=f"c{number}")
    return ann, bob


def channel(player: Player) -> str:
    return "c" + player.ready["user_id"].removeprefix("usr_bob").removeprefix("usr_ann")


async def say(player: Player, *texts: str) -> None:
    for text in texts:
        answer = await player.ask("chat.message", channel=channel(player), text=text)
        assert answer["message_id"]


@contextlib.asynccontextmanager
async def dropped(stage: Backstage, subject: str) -> AsyncIterator[list[Any]]:
    """What comes to the gateway on the subject that ends so is lost, and listed."""
    bus = stage.realm.gateway._runtime.bus
    (subscription,) = (s for s in bus._subscriptions if s._subject.endswith(subject))
    assert bus._connection is not None
    assert subscription._inner is not None
    sinks, number = bus._connection._sinks, subscription._inner._id
    lost: list[Any] = []
    real, sinks[number] = sinks[number], lambda *message: lost.append(message)
    yield lost
    sinks[number] = real


@pytest.mark.parametrize("framing", ["proto", "json"])
async def test_what_was_missed_comes_in_order_and_once(stage: Backstage, framing: Framing) -> None:
    ann, bob = await talkers(stage.realm, framing)
    await say(bob, "one", "two")
    await ann.until(lambda: ann.texts() == ["one", "two"])
    assert [seq for seq, *_ in ann.reliable] == [1, 2]
    ann.cut()
    await say(bob, "three", "four")
    again = await recover(stage.realm, ann.token, ann.last, framing)
    await again.until(lambda: again.texts() == ["three", "four"])
    assert [seq for seq, *_ in again.reliable] == [3, 4]
    ready = again.ready
    assert (ready["session_id"], ready["resumed"], ready["recovered"]) == (ann.session_id, True, True)
    assert (ready["stream"], ready["seq"]) == (ann.ready["stream"], 2)
    await say(bob, "five")
    await again.until(lambda: again.texts() == ["three", "four", "five"])
    for player in (again, bob):
        await player.leave()


async def test_the_world_and_the_topics_come_back_too(stage: Backstage) -> None:
    ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
    await ann.ask("session.attribute.set", name="quest", value={"step": 3})
    await ann.ask("system.subscribe", topics=["news"])
    await ann.move(102, 100)
    await bob.until(lambda: bob.sees(ann, 102))
    ann.ws.transport.abort()
    number = ann.world["number"]
    await bob.until(lambda: bob.entities[number].link_dead)
    again = await recover(stage.realm, ann.ready["recovery"]["token"])
    assert again.ready["recovered"] is False  # it did not say what it had seen
    assert again.ready["world"]["position"]["x"] == 102
    assert again.ready["topics"] == ["news"]
    assert await again.ask("session.attribute.list") == {"attributes": {"quest": {"step": 3}}}
    await bob.until(lambda: not bob.entities[number].link_dead)
    for player in (again, bob):
        await player.leave()


async def test_the_outbox_survives_its_actor(stage: Backstage) -> None:
    ann, bob = await talkers(stage.realm)
    await say(bob, "one")
    await ann.until(lambda: ann.texts() == ["one"])
    ann.cut()
    await say(bob, "two")
    await stage.kill(SESSIONS)
    await say(bob, "three")  # kept by the topic's log while nobody follows it
    await stage.start(SESSIONS)
    await say(bob, "four")
    again = await recover(stage.realm, ann.token, ann.last)
    assert again.ready["recovered"] is True
    await again.until(lambda: again.texts() == ["two", "three", "four"])
    assert [seq for seq, *_ in again.reliable] == [2, 3, 4]
    await bob.until(lambda: bob.texts() == ["one", "two", "three", "four"])
    for player in (again, bob):
        await player.leave()


async def test_acknowledged_is_forgotten_and_too_much_is_announced(stage: Backstage) -> None:
    ann, bob = await talkers(stage.realm)
    await say(bob, "one")
    await ann.until(lambda: ann.texts() == ["one"])
    assert await ann.ask("session.ack", seq=1) == {"seq": 1}
    host = stage.runner(SESSIONS)._sessions
    await stage.until(lambda: len(host.sessions[ann.session_id].outbox) == 0)
    refusal = await ann.ask("session.ack", seq=7)
    assert refusal.code == -32602
    assert host.sessions[ann.session_id].outbox.acked == 1
    ann.cut()
    await say(bob, *(f"m{n}" for n in range(21)))  # one more than the outbox keeps
    await stage.until(lambda: host.sessions[ann.session_id].outbox.logged == 22)
    again = await recover(stage.realm, ann.token, ann.last)
    assert (again.ready["resumed"], again.ready["recovered"], again.ready["seq"]) == (True, False, 22)
    await say(bob, "now")
    await again.until(lambda: again.texts() == ["now"])
    assert again.reliable[0][0] == 23
    for player in (again, bob):
        await player.leave()


async def test_tokens_may_be_presented_twice_until_the_client_got_through(stage: Backstage) -> None:
    ann, bob = await talkers(stage.realm)
    ann.cut()
    first = await recover(stage.realm, ann.token, ann.last)
    second = await recover(stage.realm, ann.token, ann.last)  # as if the first had never been answered
    assert await first.closed() == 4500
    assert second.ready["session_id"] == ann.session_id
    await second.ask("session.ack", seq=0)  # now it knows
    host = stage.runner(SESSIONS)._sessions
    await stage.until(lambda: host.sessions[ann.session_id].heard == 3)
    assert await refused(stage.realm, ann.token) == (403, "recovery_superseded")
    assert second.code is None
    third = await recover(stage.realm, second.token, second.last)
    assert await second.closed() == 4500
    assert await refused(stage.realm, ann.token) == (403, "recovery_superseded")
    for player in (third, bob):
        await player.leave()


async def test_tokens_that_are_worth_nothing(stage: Backstage) -> None:
    ann, bob = await talkers(stage.realm)
    realm, claims = stage.realm.realm, RecoveryClaims(ann.ready["user_id"], ann.session_id, 1)
    issuer, now = realm.settings.namespace, time.time()
    forged = sign_recovery(b"another secret that is long enough", claims, now, 60.0, issuer)
    expired = sign_recovery(realm.recovery_secret, claims, now - 100.0, 60.0, issuer)
    elses = sign_recovery(
        realm.recovery_secret, RecoveryClaims(bob.ready["user_id"], ann.session_id, 1), now, 60.0, issuer
    )
    access = stage.realm.token(ann.ready["user_id"])
    assert await refused(stage.realm, forged) == (401, "recovery_invalid")
    assert await refused(stage.realm, expired) == (401, "recovery_expired")
    assert await refused(stage.realm, elses) == (403, "session_not_yours")
    assert await refused(stage.realm, access) == (401, "recovery_invalid")
    assert await refused(stage.realm, "x.y.z") == (401, "recovery_invalid")
    assert await refused(stage.realm, ann.token, f"{ann.ready['stream']}.99") == (400, "bad_sequence")
    assert await refused(stage.realm, ann.token, "nonsense") == (400, "bad_sequence")
    assert await ann.ask("system.ping", echo=1)  # nobody has taken anything away
    bans = RedisBans(stage.redis, stage.ns)
    await bans.ban(ann.ready["user_id"], 60.0, "test")
    assert await refused(stage.realm, ann.token) == (403, "banned")
    for player in (ann, bob):
        await player.leave()


async def test_another_device_is_refused_where_the_setting_says_so(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session={"takeover": False}) as realm:
        ann = await Listener.join(realm, "usr_ann")
        with pytest.raises(InvalidStatus) as answer:
            await Listener.join(realm, "usr_ann", session_id=ann.session_id)
        assert answer.value.response.status_code == 409
        again = await recover(realm, ann.token, ann.last)  # the same client, whose old socket nobody has missed yet
        assert await ann.closed() == 4500
        await again.leave()


async def test_a_repeated_message_is_sent_once(stage: Backstage) -> None:
    ann, bob = await talkers(stage.realm)
    first = await bob.ask("chat.message", channel=channel(bob), text="once", client_id="m1")
    assert await bob.ask("chat.message", channel=channel(bob), text="once", client_id="m1") == first
    await say(bob, "after")
    await ann.until(lambda: "after" in ann.texts())
    assert ann.texts() == ["once", "after"]
    for player in (ann, bob):
        await player.leave()


async def test_messages_that_the_bus_loses_come_all_the_same(stage: Backstage) -> None:
    """Between the session's actor and the gateway, and between the publisher and the actor."""
    ann, bob = await talkers(stage.realm)
    following = stage.runner(SESSIONS)._following
    await say(bob, "one")
    await ann.until(lambda: ann.texts() == ["one"])
    async with dropped(stage, ".reliable") as lost:
        await say(bob, "two")
        await stage.until(lambda: len(lost) >= 1)
    await ann.until(lambda: ann.texts() == ["one", "two"])
    topic = next(iter(following._subscriptions))
    await following._subscriptions[topic].unsubscribe()
    await say(bob, "three")
    await ann.until(lambda: ann.texts() == ["one", "two", "three"])
    assert [seq for seq, *_ in ann.reliable] == [1, 2, 3]
    for player in (ann, bob):
        await player.leave()


async def test_a_view_that_the_bus_loses_is_made_good(stage: Backstage) -> None:
    """A state in it would be missing for good."""
    ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
    number = bob.world["number"]
    await ann.until(lambda: number in ann.entities)
    async with dropped(stage, ".output") as lost:
        entity = (await bob.ask("state.sync.request"))["entities"][0]
        await bob.ask("state.sync.delta", entity_id=entity["entity_id"], version=1, properties={"hat": "red"})
        await stage.until(lambda: len(lost) >= 1)
    await ann.until(lambda: ann.entities[number].properties == {"hat": "red"})
    for player in (ann, bob):
        await player.leave()


async def test_a_session_whose_attach_was_never_answered_is_found(stage: Backstage) -> None:
    ann, bob = await talkers(stage.realm)
    hub, host = stage.realm.gateway.hub, stage.runner(SESSIONS)._sessions
    client = hub.clients.pop(ann.session_id)  # the gateway does not know it, and lives
    host.sessions[ann.session_id].attached_at -= 60.0
    for _ in range(2):
        await stage.realm.gateway._roster()
        await asyncio.sleep(0)
    async with asyncio.timeout(10.0):
        while host.sessions[ann.session_id].record.gateway_id:
            await stage.realm.gateway._roster()
            await asyncio.sleep(0.1)
    hub.clients[ann.session_id] = client
    assert host.sessions[bob.session_id].record.gateway_id
    for player in (ann, bob):
        await player.leave()

"""One chat message through every process, as a collector sees it (row 4.4): real sockets, Valkey, NATS and OTLP; no Ray."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from cluster.adapters.otlp import OtlpSpans
from cluster.operator_settings import TelemetrySettings, TracingSettings
from cluster.settings import SessionSettings
from cluster.telemetry import tracing
from cluster.telemetry.counts import SPANS
from rayrealm_client.codec import Framing, Notification, Request, encode
from serve_apps.gateway.gateway_app import GatewayRunner
from tests.collector import Collector, Told, collector
from tests.integration.chatters import FRAMINGS, done, hears, join, says
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5


class Rig:
    def __init__(self, realm: LocalRealm, found: Collector, spans: OtlpSpans) -> None:
        self.realm = realm
        self.found = found
        self.players: list[Player] = []
        self.first: GatewayRunner | None = None
        self._spans = spans

    async def join(self, user_id: str, framing: Framing, **headers: str) -> Player:
        authorization = {"Authorization": f"Bearer {self.realm.token(user_id)}"}
        self.players.append(await Player.open(self.realm.url, framing, authorization | headers))
        return self.players[-1]

    async def leave(self) -> None:
        for player in self.players:
            await player.leave()
        if self.first is not None:
            self.first.hub.stop()
            self.first.stop()

    async def ended(self) -> None:
        """What waits is sent or given up."""
        await asyncio.to_thread(self._spans.flush)

    async def told(self, trace: str = "") -> list[Told]:
        await asyncio.to_thread(self._spans.flush)
        return self.found.spans(trace)


@pytest.fixture
def otlp() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
async def rig(otlp: Collector, valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Rig]:
    """Two gateways, and each session with an actor of its own. All share this process, and so its spans."""
    settings = TracingSettings(otlp=otlp.url, ratio=0.0, headers={"Authorization": SecretStr("Bearer s3cret-of-otlp")})
    spans = OtlpSpans(settings, namespace, "test", "local", "")
    tracing.use(spans)
    session = SessionSettings(sessions_per_actor=1)
    more: dict[str, Any] = {"telemetry": TelemetrySettings(tracing=settings), "session": session}
    try:
        async with local_realm(valkey_url, nats_url, nats_token, namespace, **more) as realm:
            made = Rig(realm, otlp, spans)
            try:
                yield made
            finally:
                await made.leave()
    finally:
        tracing.use(None)
        await asyncio.to_thread(spans.close)


def traceparent(sampled: bool = True) -> tuple[str, str, str]:
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace}-{span}-0{int(sampled)}", trace, span


async def two(rig: Rig, framing: Framing) -> tuple[Player, Player]:
    """Each at a gateway of its own."""
    ann = await rig.join("usr_a", framing)
    first = rig.first = rig.realm.gateway
    rig.realm.gateway = GatewayRunner(rig.realm.open)
    await rig.realm.gateway.start(rig.realm.realm)
    bob = await rig.join("usr_b", FRAMINGS[1 - FRAMINGS.index(framing)])
    assert len(first.hub.clients) == len(rig.realm.gateway.hub.clients) == 1
    await join("hall", ann, bob)
    return ann, bob


async def say(player: Player, text: str, trace: str) -> None:
    params = {"channel": "hall", "text": text}
    await player.ws.send(encode(Request(900, "chat.message", params, trace), player.framing))


def notice(player: Player) -> Notification:
    return next(said for said in player.notices if said.method == "chat.message")


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_one_message_through_every_process(rig: Rig, framing: Framing) -> None:
    ann, bob = await two(rig, framing)
    context, trace, client_span = traceparent()
    await say(ann, "hello", context)
    for player in (ann, bob):
        await hears(player, "hello", channel="hall")
    spans = await rig.told(trace)
    by_id = {span.id: span for span in spans}

    (root,) = [span for span in spans if span.name == "chat.message"]
    assert (root.parent, root.kind) == (client_span, SERVER)
    (publish,) = [span for span in spans if span.name == "topic.publish"]
    assert (publish.parent, publish.kind) == (root.id, PRODUCER)
    (kept,) = [span for span in spans if span.name == "redis.RedisTopicLog.publish_many"]
    assert (kept.parent, kept.kind) == (publish.id, CLIENT)
    numbered = [span for span in spans if span.name == "topic.number"]
    assert {span.parent for span in numbered} == {publish.id}
    assert {span.kind for span in numbered} == {CONSUMER}
    assert len({span.values["actor"] for span in numbered}) == 2
    logged = [span for span in spans if span.name == "outbox.append"]
    assert {span.parent for span in logged} == {span.id for span in numbered}
    written = [span for span in spans if span.name == "redis.RedisOutboxLog.append"]
    assert {span.parent for span in written} == {span.id for span in logged}
    delivered = [span for span in spans if span.name == "lane.deliver"]
    assert {span.parent for span in delivered} == {span.id for span in numbered}
    assert len({span.values["gateway"] for span in delivered}) == 2
    # What each client is told is the delivery at its own gateway.
    told = {player: tracing.ids(notice(player).trace) for player in (ann, bob)}
    assert {told_trace for told_trace, _ in told.values()} == {trace}
    assert {span for _, span in told.values()} == {span.id for span in delivered}
    # Every other one hangs on one of these; nothing that was said is in any of them.
    assert all(span.parent in by_id or span.parent == client_span for span in spans)
    assert "hello" not in repr(spans)
    assert all(span.about["service.name"] == "rayrealm-test" for span in spans)
    assert set(rig.found.authorization) == {"Bearer s3cret-of-otlp"}


async def test_nothing_without_a_sampled_context(rig: Rig) -> None:
    ann, bob = await two(rig, "json")
    await says(ann, "hall", "plain")
    context, _, _ = traceparent(sampled=False)
    await say(ann, "not sampled", context)
    for bad in (
        "00-0-0-01",
        "ff-" + "1" * 32 + "-" + "2" * 16 + "-01",
        "00-" + "0" * 32 + "-" + "2" * 16 + "-01",
        "x" * 5_000,
    ):
        await say(ann, "bad", bad)
    await hears(bob, "plain", "not sampled", *["bad"] * 4, channel="hall")
    assert await rig.told() == []
    assert [said.trace for said in bob.notices if said.method == "chat.message"] == [""] * 6


async def test_the_upgrade_and_the_actors_that_it_calls(rig: Rig) -> None:
    context, trace, client_span = traceparent()
    cat = await rig.join("usr_c", "json", traceparent=context)
    await done(cat, "system.ping")  # what comes on this socket later is no part of it
    spans = await rig.told(trace)
    by_id = {span.id: span for span in spans}
    (root,) = [span for span in spans if span.name == "attach"]
    assert (root.parent, root.kind) == (client_span, SERVER)
    (call,) = [span for span in spans if span.name == "call.attach"]
    assert (call.parent, call.kind) == (root.id, CLIENT)
    (answered,) = [span for span in spans if span.name == "sessions.attach"]
    assert (answered.parent, answered.kind) == (call.id, SERVER)
    (store,) = [span for span in spans if span.name == "redis.RedisSessionStore.place"]
    assert store.parent == root.id
    assert all(span.parent in by_id or span.parent == client_span for span in spans)
    before = len(await rig.told())
    await done(cat, "system.subscribe", topics=["news"])
    await done(cat, "session.attribute.set", name="mood", value="fine")
    assert len(await rig.told()) == before


async def test_entering_the_world_is_followed_into_the_zone(rig: Rig) -> None:
    ann = await rig.join("usr_a", "proto")
    context, trace, _ = traceparent()
    character = await rig.realm.character("usr_a", at=(100.0, 100.0))
    await ann.ws.send(encode(Request(901, "world.enter", {"character_id": character}, context), "proto"))
    await ann.until(lambda: 901 in ann._answers)
    names = {span.name for span in await rig.told(trace)}
    assert {"world.enter", "call.enter", "sessions.enter", "zone.enter"} <= names
    # The hot lane is never traced, whatever a client asks for.
    before = len(await rig.told())
    ann.world = ann._answers[901].value  # type: ignore[union-attr]
    place = {"position": {"x": 100.5, "y": 0.0, "z": 100.0}, "rotation": {"yaw": 0.0}, "sequence": 1}
    await ann.ws.send(encode(Request(902, "world.position.batch", {"updates": [place]}, traceparent()[0]), "proto"))
    await ann.until(lambda: 902 in ann._answers)
    assert len(await rig.told()) == before


async def test_what_was_missed_keeps_its_trace(rig: Rig) -> None:
    """Sent while the socket was away, and written to the next one from the session's outbox."""
    ann, bob = await two(rig, "json")
    ready, last = bob.ready, f"{bob.ready['stream']}.{bob.ready['seq']}"
    bob.ws.transport.abort()
    await bob.closed()
    context, trace, _ = traceparent()
    await say(ann, "while away", context)
    await hears(ann, "while away", channel="hall")
    url = f"{rig.realm.url}?session={ready['session_id']}&last={last}"
    again = await Player.open(url, "proto", {"Authorization": f"Bearer {rig.realm.token('usr_b')}"})
    rig.players.append(again)
    await hears(again, "while away", channel="hall")
    assert tracing.ids(notice(again).trace)[0] == trace


async def test_a_collector_that_is_away_costs_nobody_anything(rig: Rig) -> None:
    rig.found.answer, before = 503, dict(SPANS)
    ann, bob = await two(rig, "json")
    for number in range(5):
        await say(ann, str(number), traceparent()[0])
    await hears(bob, *map(str, range(5)), channel="hall")
    await rig.ended()
    assert SPANS["failed"] > before["failed"]
    assert SPANS["sent"] == before["sent"]

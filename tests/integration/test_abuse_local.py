"""Abuse over real sockets (row 6.3): five attackers among twenty honest bots; the attackers are judged, nobody else. No Ray."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from actors.watch.watch_actor import WatchRunner
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.connection import connect as redis
from cluster.measures import LIFT, Level, still_open
from cluster.ports.audit import AuditEntry
from cluster.security_settings import AbuseSettings, FirewallSettings, LimitSettings, Rate
from rayrealm_client import codec
from rayrealm_client.signing import ClientSigner
from tests.integration.commands import command, registered
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

REPORT_S = 1.0
HONEST = 20
DEADLINE_S = 60.0
STEP_S = 0.1
FEW = {"replay": 2.0, "method_spray": 20.0, "teleporting": 20.0, "jumping": 10.0, "same_text_to_many": 8.0}


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    abuse = AbuseSettings(report_s=REPORT_S, patterns=FEW)
    # Low limits: a busy machine must not turn a flood into a stream.
    limits = LimitSettings(user=Rate(per_s=20.0, burst=60))
    async with local_realm(valkey_url, nats_url, nats_token, namespace, abuse=abuse, limits=limits) as running:
        yield running


class Log:
    """The realm's audit log, as anybody may read it."""

    def __init__(self, realm: LocalRealm) -> None:
        self._client = redis(realm.settings.redis, "test-abuse")
        self.log = RedisAuditLog(self._client, realm.settings.namespace, 100)
        self.bans = RedisBans(self._client, realm.settings.namespace)

    async def of(self, user_id: str) -> list[AuditEntry]:
        return [entry for entry in await self.log.newest(1_000) if entry.target == user_id]

    async def judged(self, user_id: str, least: Level = Level.SLOW) -> AuditEntry:
        """Waits for it."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for entry in await self.of(user_id):
                    if entry.actor == "watch" and Level[entry.action.upper()] >= least:
                        return entry
                await asyncio.sleep(STEP_S)

    async def close(self) -> None:
        await self._client.aclose()


@pytest.fixture
async def log(realm: LocalRealm) -> AsyncIterator[Log]:
    log = Log(realm)
    yield log
    await log.close()


async def in_world(realm: LocalRealm, user_id: str, x: float, z: float) -> Player:
    player = await Player.join(realm, user_id, "proto")
    await player.enter(await realm.character(user_id, at=(x, z)))
    return player


async def honest(realm: LocalRealm, number: int, stop: asyncio.Event) -> Player:
    """Walks a circle at 4 m/s, ten times a second, and says something now and then, until it is told to stop."""
    rng = random.Random(number)
    x, z = 40.0 + 6.0 * (number % 5), 40.0 + 6.0 * (number // 5)
    player = await in_world(realm, f"usr_honest{number}", x, z)
    angle = 0.0
    while not stop.is_set() and player.code is None:
        angle += 4.0 * STEP_S / 2.0
        await player.move(x + 2.0 * math.sin(angle), z + 2.0 - 2.0 * math.cos(angle))
        if rng.random() < 0.02:
            await player.notify("chat.message", channel="zone", text=f"remark {rng.random()}")
        await asyncio.sleep(STEP_S)
    return player


# --- attackers: each goes on until it is kept out --------------------------------------------------------------------


async def flood(realm: LocalRealm) -> None:
    player = await Player.join(realm, "usr_flood", "json")
    while player.code is None:
        for _ in range(30):
            await player.notify("system.ping")
        await asyncio.sleep(STEP_S)


async def spray(realm: LocalRealm) -> None:
    player = await Player.join(realm, "usr_spray", "json")
    number = 0
    while player.code is None:
        number += 1
        await player.ask(f"admin.secret_{number % 7}")


async def teleport(realm: LocalRealm) -> None:
    player = await in_world(realm, "usr_teleport", 100.0, 100.0)
    rng = random.Random(1)
    while player.code is None:
        await player.move(rng.uniform(10.0, 190.0), rng.uniform(10.0, 190.0))
        await asyncio.sleep(STEP_S)


async def spam(realm: LocalRealm) -> None:
    player = await Player.join(realm, "usr_spam", "json")
    number = 0
    while player.code is None:
        await player.ask(
            "chat.message", channel=f"direct:usr_honest{number % HONEST}", text=f"Cheap gold here: ${number}!"
        )
        number += 1


async def replay(realm: LocalRealm) -> None:
    """Signs one message, and says it twice; comes back as often as it is let in."""
    while True:
        signer = ClientSigner()
        ws = await _signed(realm, signer)
        frame = signer.seal(codec.encode(codec.Request(1, "system.ping", {}), "json"))
        with contextlib.suppress(ConnectionClosed):
            await ws.send(frame)
            await ws.send(frame)
            while True:
                await ws.recv()


async def _signed(realm: LocalRealm, signer: ClientSigner) -> ClientConnection:
    offered = [Subprotocol("rayrealm.v1+json"), Subprotocol(f"rayrealm.sign.{signer.offer}")]
    headers = {"Authorization": f"Bearer {realm.token('usr_replay')}"}
    ws = await connect(realm.url, subprotocols=offered, additional_headers=headers, compression=None, proxy=None)
    first = await ws.recv()
    (ready,) = codec.decode(first)
    assert isinstance(ready, codec.Notification)
    whole = first.encode() if isinstance(first, str) else first
    signer.agree(whole, ready.params["session_id"], ready.params["signing"])
    return ws


Attack = Callable[[LocalRealm], Awaitable[None]]
ATTACKS: dict[str, Attack] = {
    "usr_flood": flood,
    "usr_spray": spray,
    "usr_teleport": teleport,
    "usr_spam": spam,
    "usr_replay": replay,
}


async def kept_on(attack: Attack, realm: LocalRealm) -> None:
    """An attacker whose socket is closed comes back; one who is refused for good is done."""
    while True:
        try:
            await attack(realm)
        except InvalidStatus as refusal:
            if refusal.response.status_code == 403:
                return
        except (ConnectionClosed, TimeoutError, KeyError):  # in the middle of something
            pass
        await asyncio.sleep(STEP_S)


async def test_attackers_among_honest_ones(realm: LocalRealm, log: Log) -> None:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        players = [group.create_task(honest(realm, number, stop)) for number in range(HONEST)]
        attackers = [group.create_task(kept_on(attack, realm)) for attack in ATTACKS.values()]
        async with asyncio.timeout(DEADLINE_S):
            verdicts = {user_id: await log.judged(user_id) for user_id in ATTACKS}
            for user_id in ("usr_spray", "usr_teleport", "usr_spam", "usr_replay"):
                assert (await log.judged(user_id, Level.BLOCK)).result == "done"
        stop.set()
        for attacker in attackers:
            attacker.cancel()
    assert verdicts["usr_spray"].reason == "method_spray"
    assert verdicts["usr_replay"].reason == "replay"
    assert verdicts["usr_spam"].reason == "same_text_to_many"
    assert verdicts["usr_teleport"].reason in ("teleporting", "jumping")
    entries = await log.log.newest(1_000)
    assert [entry for entry in entries if entry.target.startswith("usr_honest")] == []
    assert [entry for entry in entries if entry.details.get("kind") == "address"] == [], "loopback is exempt"
    for task in players:
        assert task.result().code is None
        await task.result().leave()
    for user_id in ("usr_spray", "usr_teleport", "usr_spam", "usr_replay"):
        with pytest.raises(InvalidStatus) as caught:
            await Player.join(realm, user_id)
        assert caught.value.response.status_code == 403


async def test_what_was_done_outlives_the_watch_and_can_be_undone(
    realm: LocalRealm, log: Log, tmp_path: Path, nats_token: str
) -> None:
    """A block holds while the watch is away, is known to the next one, and `rayrealm abuse lift` ends it."""
    attacker = await Player.join(realm, "usr_spray", "json")
    for number in range(30):
        await attacker.ask(f"admin.secret_{number}")
    assert await attacker.closed(DEADLINE_S) == 4503
    await log.judged("usr_spray", Level.BLOCK)

    await realm.kill("watch/0")
    with pytest.raises(InvalidStatus):
        await Player.join(realm, "usr_spray")
    realm.make(WatchRunner, "watch/0", realm.realm, "watch/0")
    assert (await realm.actors["watch/0"].info())["held"] == 1

    state = registered(realm, tmp_path, nats_token)
    assert "block  user     usr_spray" in await command(state, "abuse", "list")
    assert '"level": "block"' in await command(state, "abuse", "show", "usr_spray", "--json")
    assert await command(state, "abuse", "lift", "usr_spray") == "usr_spray: forgotten by the watch, ban ended\n"
    assert await command(state, "abuse", "list") == ""
    assert f"{LIFT} usr_spray" in await command(state, "audit")
    again = await Player.join(realm, "usr_spray")
    await again.leave()
    assert (await realm.actors["watch/0"].info())["held"] == 0
    assert still_open(await log.log.newest(100), 0.0) == []
    assert await log.bans.banned("usr_spray") is None


async def test_monitoring_does_nothing(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> None:
    abuse = AbuseSettings(report_s=REPORT_S, patterns=FEW, mode="monitor")
    async with local_realm(valkey_url, nats_url, nats_token, namespace, abuse=abuse) as realm:
        log = Log(realm)
        attacker = await Player.join(realm, "usr_spray", "json")
        for number in range(30):
            await attacker.ask(f"admin.secret_{number}")
        assert (await log.judged("usr_spray", Level.BLOCK)).result == "monitored"
        assert (await attacker.ask("system.ping", echo="still here"))["echo"] == "still here"
        assert await log.bans.banned("usr_spray") is None
        await attacker.leave()
        await log.close()


async def test_operators_are_only_watched(realm: LocalRealm, log: Log) -> None:
    token = realm.token("usr_boss", role="operator")
    boss = await Player.open(realm.url, "json", {"Authorization": f"Bearer {token}"})
    for number in range(30):
        await boss.ask(f"admin.secret_{number}")
    entry = await log.judged("usr_boss", Level.MONITOR)
    assert (entry.action, entry.result) == ("monitor", "done")
    assert (await boss.ask("system.ping", echo="boss"))["echo"] == "boss"
    await boss.leave()


async def test_an_address_that_tries_tokens(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, tmp_path: Path
) -> None:
    """It is kept out by every gateway's firewall, nobody else is, and an operator lets it in again."""
    guesser = ("127.0.1.77", 0)
    abuse = AbuseSettings(report_s=REPORT_S, patterns={"guessing": 10.0})
    firewall = FirewallSettings(exempt=())
    async with local_realm(valkey_url, nats_url, nats_token, namespace, abuse=abuse, firewall=firewall) as realm:
        log = Log(realm)

        async def knock() -> int:
            """The status of a refusal."""
            headers = {"Authorization": "Bearer not.a.token"}
            with pytest.raises(InvalidStatus) as caught:
                await connect(realm.url, additional_headers=headers, proxy=None, local_addr=guesser)
            return caught.value.response.status_code

        assert [await knock() for _ in range(12)] == [401] * 12
        entry = await log.judged(guesser[0])
        assert (entry.action, entry.reason, entry.details["kind"]) == ("block", "guessing", "address")
        async with asyncio.timeout(DEADLINE_S):
            while await knock() != 403:  # noqa: ASYNC110 - the firewall is asked
                await asyncio.sleep(STEP_S)
        neighbour = await Player.join(realm, "usr_a")
        await neighbour.leave()
        state = registered(realm, tmp_path, nats_token)
        assert await command(state, "abuse", "lift", guesser[0]) == f"{guesser[0]}: forgotten by the watch, ban ended\n"
        async with asyncio.timeout(DEADLINE_S):
            while await knock() != 401:  # noqa: ASYNC110 - the firewall is asked
                await asyncio.sleep(STEP_S)
        await log.close()

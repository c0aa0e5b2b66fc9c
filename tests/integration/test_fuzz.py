"""Anything at all over a real socket: nothing breaks, nothing of ours fails, and others are served."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from realm_proto import realtime_pb2 as pb
from tests.integration.bad_input import request
from tests.integration.fuzz import Fuzz
from tests.integration.strangers import a_user, until
from tests.local_realm import LocalRealm, local_realm
from tests.players import witnesses
from tests.wire import BINARY, NO_CLOSE_FRAME, PONG, TEXT, Raw, close, text

FRAMES = 3_000
LIMITS = {"max_errors_per_minute": 10**9, "slow_consumer_bytes": 10**8}
PATIENCE_S = 0.2


@pytest.fixture
async def realm(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, nothing_of_ours_fails: None
) -> AsyncIterator[LocalRealm]:
    """One that forgives errors, with two witnesses in it."""
    async with (
        local_realm(valkey_url, nats_url, nats_token, namespace, gateway=LIMITS) as running,
        witnesses(running) as both,
    ):
        yield running
        await both.still_served()


async def internal_errors(raw: Raw) -> tuple[int, list[Any]]:
    """How much was answered up to the end, and the answers that say -32603."""
    count, internal = 0, []
    while True:
        opcode, payload = await raw.read()
        if opcode == TEXT:
            said = orjson.loads(payload)
            for one in said if isinstance(said, list) else [said]:
                count += 1
                if (one.get("error") or one.get("params") or {}).get("code") == -32603:
                    internal.append(one)
                if one.get("id") == "the end":
                    return count, internal
        elif opcode == BINARY:
            message = pb.WebSocketMessage.FromString(payload)
            count += 1
            internal += [m for m in (message, *message.batch.messages) if m.response.error.code == -32603]
        else:
            assert opcode == PONG, (opcode, payload)


async def test_frames_that_are_nearly_right(realm: LocalRealm) -> None:
    """No internal error, whatever is said in a world where it could matter."""
    fuzz = Fuzz(20_300, await realm.character("usr_fuzz", at=(110, 100)))
    raw = await Raw.open(realm.url, realm.token("usr_fuzz"))
    answered = asyncio.create_task(internal_errors(raw))
    client = next(c for c in realm.gateway.hub.clients.values() if c.user_id == "usr_fuzz")
    for n in range(FRAMES):
        raw.send(fuzz.stream())
        if n % 10 == 0:  # as fast as it is answered, so that most is done and not refused
            await raw.sent()
            await until(lambda: client.pending_requests < 8)
    raw.send(text(request("system.ping", "the end")))
    answers, internal = await answered
    assert internal == []
    assert answers > FRAMES / 2
    assert client.connection.messages_in > FRAMES * 0.9
    raw.abort()


async def ended(raw: Raw) -> int:
    """The close code; what was announced and never comes ends with us hanging up."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await raw.closed()
    except TimeoutError:
        raw.abort()
        return NO_CLOSE_FRAME


async def test_bytes_that_are_no_frames(realm: LocalRealm) -> None:
    """Each connection gets a few hundred random bytes where frames belong."""
    rng = random.Random(7)
    codes = []
    for _ in range(60):
        raw = await Raw.open(realm.url, realm.token(a_user()))
        raw.send(rng.randbytes(400) + close())
        codes.append(await ended(raw))
    assert set(codes) <= {1000, 1002, 1003, 1007, 1009, NO_CLOSE_FRAME}
    assert codes.count(1002) > 40


async def test_bytes_that_are_no_upgrade(realm: LocalRealm) -> None:
    rng = random.Random(8)
    upgrade = (
        f"GET /ws?token={realm.token('usr_a')} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    statuses = set()
    for _ in range(80):
        raw = await Raw.dial(realm.url)
        damaged = bytearray(upgrade.encode())
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        raw.send(bytes(damaged))
        answer = await raw.rest(PATIENCE_S)
        statuses.add(answer[:12].decode())
    assert statuses <= {f"HTTP/1.1 {status}" for status in (101, 400, 401, 404, 405, 429)} | {""}
    assert {"HTTP/1.1 400", "HTTP/1.1 401"} <= statuses
    await until(lambda: realm.gateway.hub.reserved == 0)

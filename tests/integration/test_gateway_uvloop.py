"""The parts of the gateway that touch sockets, on the event loop that a replica of Ray Serve has."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from tests.integration.bad_input import FRAMES, JSON, request
from tests.integration.strangers import closes, connected, in_world, until
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player, witnesses
from tests.wire import Raw, text

pytestmark = pytest.mark.usefixtures("nothing_of_ours_fails")
DEADLINE_S = 60.0
Run = Callable[..., None]


@pytest.fixture
def run(valkey_url: str, nats_url: str, nats_token: str) -> Run:
    """Run a scenario in a realm of its own; two witnesses must still be served in the end."""

    def on_uvloop(scenario: Callable[[LocalRealm], Awaitable[None]], send_buffer: int = 0, **settings: Any) -> None:
        async def whole() -> None:
            namespace = f"test-{secrets.token_hex(6)}"
            async with (
                asyncio.timeout(DEADLINE_S),
                local_realm(valkey_url, nats_url, nats_token, namespace, send_buffer, **settings) as realm,
                witnesses(realm) as both,
            ):
                await scenario(realm)
                await both.still_served()

        uvloop.run(whole())

    return on_uvloop


def test_bad_frames(run: Run) -> None:
    async def scenario(realm: LocalRealm) -> None:
        for name, (subprotocol, data, code) in FRAMES.items():
            raw = await connected(realm, subprotocol)
            raw.send(data)
            assert await raw.closed() == code, name
        await until(lambda: len(realm.gateway.hub.clients) == 2)
        expected = {str(code if code < 3000 else 1000) for _, _, code in FRAMES.values()}
        assert set(closes(realm)) == expected

    run(scenario)


def test_a_client_that_does_not_read(run: Run) -> None:
    async def scenario(realm: LocalRealm) -> None:
        user = "usr_slow"
        raw = await Raw.open(realm.url, realm.token(user), JSON, receive_buffer=2048)
        (client,) = (c for c in realm.gateway.hub.clients.values() if c.user_id == user)
        most = 0
        for _ in range(300):
            raw.send(text(request("system.ping", echo="x" * 5_000)))
            await asyncio.sleep(0)
            most = max(most, client.outgoing.queued_bytes)
            if client.closed:
                break
        await until(lambda: closes(realm).get("4001"))
        assert 0 < most < 32_768 + 6_000
        raw.abort()

    small = {"send_buffer_bytes": 4096, "slow_consumer_bytes": 32_768}
    run(scenario, send_buffer=4096, gateway=small)


def test_a_client_that_is_gone_without_a_word(run: Run) -> None:
    async def scenario(realm: LocalRealm) -> None:
        host = await realm.actors["sessions/0"]._host()
        gone = await in_world(realm)
        gone.ws.transport.pause_reading()
        await until(lambda: closes(realm).get("4002"))
        session = host.sessions[gone.session_id]
        await until(lambda: session.detached_at is not None)
        back = await Player.join(realm, gone.ready["user_id"], "json", gone.session_id)
        assert back.ready["resumed"] is True
        assert back.world["entity_id"] == gone.world["entity_id"]
        await until(lambda: len(back.entities) == 2)
        gone.ws.transport.abort()
        await back.leave()

    run(scenario, gateway={"ping_interval_s": 1.0, "pong_deadline_s": 1.0})

"""A message to one player's socket, with a confirmation (row 4.3), over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.errors import InvalidInput, NotFound
from cluster.session_route import NobodyAnswers, SessionRoute
from rayrealm_client.codec import Framing
from serve_apps.gateway.connection import Close
from tests.integration.conftest import GRACE_S
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player
from tests.servers import Nats

DEADLINE_S = 10.0
SAID = {"text": "Stand back.", "from": "operator"}


@dataclass(frozen=True)
class Operator:
    realm: LocalRealm
    sessions: RedisSessionStore
    route: SessionRoute

    async def tell(self, session_id: str, **params: Any) -> None:
        await self.route.deliver(session_id, "system.message", {**SAID, **params})


@pytest.fixture(params=[30.0])
async def operator(
    request: pytest.FixtureRequest, valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> AsyncIterator[Operator]:
    """Its parameter is how long a session outlives its socket, in seconds."""
    session = {"grace_s": request.param}
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session=session) as realm:
        runtime = realm._runtimes[0]
        sessions = RedisSessionStore(runtime.redis, realm.settings.namespace)
        yield Operator(realm, sessions, SessionRoute(sessions, runtime.bus, runtime.subjects))


def told(player: Player) -> list[Any]:
    return [notice.params for notice in player.notices if notice.method == "system.message"]


@pytest.mark.parametrize("framing", ["json", "proto"])
async def test_a_player_is_told_and_nobody_else(operator: Operator, framing: Framing) -> None:
    ann, bob = [await Player.join(operator.realm, user, framing) for user in ("usr_a", "usr_b")]
    await operator.tell(ann.session_id)
    await ann.until(lambda: told(ann) == [SAID])
    await bob.ask("system.ping")  # whatever was on its way to bob is there by now
    assert told(bob) == []
    for player in (ann, bob):
        await player.leave()


async def test_confirmations_come_in_order_and_nothing_is_lost(operator: Operator) -> None:
    ann = await Player.join(operator.realm, "usr_a")
    for n in range(50):
        await operator.tell(ann.session_id, text=str(n))
    await ann.until(lambda: len(told(ann)) == 50)
    assert [params["text"] for params in told(ann)] == [str(n) for n in range(50)]
    await ann.leave()


@pytest.mark.parametrize("operator", [GRACE_S], indirect=True)
async def test_a_session_that_ended_or_never_was(operator: Operator) -> None:
    ann = await Player.join(operator.realm, "usr_a")
    session_id = ann.session_id
    await ann.leave()
    async with asyncio.timeout(DEADLINE_S):
        while await operator.sessions.get(session_id) is not None:  # noqa: ASYNC110 - its grace period
            await asyncio.sleep(0.02)
    for unknown in (session_id, "ses_never"):
        with pytest.raises(NotFound, match="no such session"):
            await operator.tell(unknown)


async def test_a_session_in_its_grace_period(operator: Operator) -> None:
    ann = await Player.join(operator.realm, "usr_a")
    session_id = ann.session_id
    await ann.leave()
    async with asyncio.timeout(DEADLINE_S):
        while (record := await operator.sessions.get(session_id)) and record.gateway_id:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    with pytest.raises(NobodyAnswers, match="has no connection at the moment"):
        await operator.tell(session_id)


async def test_a_session_that_came_back_on_another_socket(operator: Operator) -> None:
    ann = await Player.join(operator.realm, "usr_a")
    again = await Player.join(operator.realm, "usr_a", session_id=ann.session_id)
    assert await ann.closed() == Close.REPLACED
    await operator.tell(again.session_id)
    await again.until(lambda: told(again) == [SAID])
    assert told(ann) == []
    await again.leave()


async def test_nobody_answers_for_a_gateway_that_died(operator: Operator) -> None:
    """kill -9 of the gateway: its record is still there, and says so."""
    ann = await Player.join(operator.realm, "usr_a")
    gateway = operator.realm.gateway
    await gateway._runtime.bus.close()
    async with asyncio.timeout(DEADLINE_S / 2):
        with pytest.raises(NobodyAnswers, match=gateway.hub.gateway_id):
            await operator.tell(ann.session_id)
    assert told(ann) == []


async def test_what_is_no_notification(operator: Operator) -> None:
    ann = await Player.join(operator.realm, "usr_a")
    with pytest.raises(InvalidInput):
        await operator.route.deliver(ann.session_id, "nonsense", {})
    with pytest.raises(InvalidInput):
        await operator.tell(ann.session_id, text="x" * 70_000)
    await operator.tell(ann.session_id)
    await ann.until(lambda: told(ann) == [SAID])
    await ann.leave()


async def test_it_works_again_after_nats_was_killed(
    valkey_url: str, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Nats(tmp_path_factory.mktemp("nats")) as server:
        async with local_realm(valkey_url, server.url, server.token, namespace) as realm:
            runtime = realm._runtimes[0]
            sessions = RedisSessionStore(runtime.redis, realm.settings.namespace)
            route = SessionRoute(sessions, runtime.bus, runtime.subjects)
            ann = await Player.join(realm, "usr_a")
            server.kill()
            with pytest.raises(NobodyAnswers):
                await route.deliver(ann.session_id, "system.message", SAID)
            server.start()
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    try:
                        await route.deliver(ann.session_id, "system.message", SAID)
                        break
                    except NobodyAnswers:  # one of the two has no connection yet
                        continue
            await ann.until(lambda: told(ann) == [SAID])
            await ann.leave()

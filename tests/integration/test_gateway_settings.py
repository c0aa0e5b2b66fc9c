"""What an operator sets and a client meets at the door."""

from __future__ import annotations

import asyncio

from tests.integration.strangers import a_user, connected, until
from tests.local_realm import local_realm
from tests.wire import Raw, close


async def test_an_origin_that_is_not_allowed_is_403(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    firewall = {"origins": ["https://game.example"]}
    async with local_realm(valkey_url, nats_url, nats_token, namespace, firewall=firewall) as realm:
        for origin, status in (("https://evil.example", 403), ("https://game.example", 101), (None, 101)):
            raw = await Raw.open(realm.url, realm.token("usr_a"), origin=origin)
            assert raw.answer.status == status
            if status == 403:
                assert raw.answer.problem["reason"] == "origin_refused"
            else:
                raw.abort()


async def test_a_full_gateway_is_503(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> None:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, gateway={"capacity": 3}) as realm:
        sockets = await asyncio.gather(*(Raw.open(realm.url, realm.token(a_user())) for _ in range(10)))
        let_in = [raw for raw in sockets if raw.answer.status == 101]
        refused = [raw.answer for raw in sockets if raw.answer.status == 503]
        assert (len(let_in), len(refused)) == (3, 7)
        assert {answer.problem["reason"] for answer in refused} == {"full"}
        assert {answer.headers["retry-after"] for answer in refused} == {"5"}
        let_in[0].send(close())
        assert await let_in[0].closed() == 1000
        await until(lambda: len(realm.gateway.hub.clients) == 2)
        raw = await connected(realm)
        for socket in (raw, *let_in[1:]):
            socket.abort()

"""An outside identity provider over HTTP: its keys change, it goes away, it does not answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from cluster.adapters.jwks import fetcher
from cluster.errors import Unavailable
from cluster.security.issuers import MAX_SET_BYTES, user_of
from cluster.security_settings import IssuerSettings
from tests.integration.identity_rig import Rig, closed, identity_rig
from tests.servers import free_port
from tests.unit.cluster.security.outsiders import AUDIENCE, ISSUER, jwk, token


class Provider:
    """Answers every request with `body`; None: with silence."""

    def __init__(self) -> None:
        self.port = free_port()
        self.body: bytes | None = b"{}"
        self.asked = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks.json"

    def serve_keys(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": list(keys)}).encode()

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.body is not None:
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + self.body)
            await writer.drain()
            writer.close()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def opened(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, provider: Provider
) -> Callable[..., AbstractAsyncContextManager[Rig]]:
    def opened(**identity: Any) -> AbstractAsyncContextManager[Rig]:
        issuer = IssuerSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=provider.url)
        chosen = {"issuers": (issuer,), "jwks_timeout_s": 1.0, **identity}
        return identity_rig(valkey_url, nats_url, nats_token, namespace, **chosen)

    return opened


def made(kid: str = "k1", which: int = 0, **claims: Any) -> str:
    now = time.time()
    return token("RS256", kid, which=which, **{"iat": now, "exp": now + 60, **claims})


async def test_its_users_play(provider: Provider, opened: Callable[..., AbstractAsyncContextManager[Rig]]) -> None:
    provider.serve_keys(jwk("RS256", "k1"))
    async with opened(grace_s=30.0) as rig:
        async with provider.up():
            player = await rig.join(made())
            assert player.ready["user_id"] == user_of(ISSUER, "ada")
            assert await rig.api(made()) == (200, "")
            headers = {"Authorization": f"Bearer {made()}"}
            created = await rig.http.post("/v1/characters", json={"name": "Ada"}, headers=headers)
            assert created.status_code == 201
            await player.enter(created.json()["character_id"])
            for wrong, reason in (
                (made(aud="others"), "token_invalid"),
                (made(kid="k9"), "token_invalid"),
                (made(which=7), "token_invalid"),
                (made(exp=time.time() - 60), "token_expired"),
                (made(exp=time.time() + 15), "token_expiring"),
                (made(iss="https://evil.example"), "token_invalid"),
            ):
                assert await rig.refused(wrong) == (401, reason)
            await player.ask("auth.renew", access_token=made())
            await rig.revoke("user", user_of(ISSUER, "ada"))
            await player.until(closed(player), 5.0)
            assert (player.code, player.ws.close_reason) == (4501, "token_revoked")
        own = await rig.login("eve")
        await rig.join(own["access_token"])


async def test_its_keys_change_and_it_goes_away(
    provider: Provider, opened: Callable[..., AbstractAsyncContextManager[Rig]]
) -> None:
    provider.serve_keys(jwk("RS256", "k1"))
    async with opened(jwks_refresh_s=0.2) as rig:
        async with provider.up():
            await rig.join(made())
            provider.serve_keys(jwk("RS256", "k1"), jwk("RS256", "k2", 1))
            await rig.join(made("k2", 1))
        await asyncio.sleep(0.3)
        for text in (made(), made("k2", 1)):
            await rig.join(text)


async def test_it_does_not_answer(provider: Provider, opened: Callable[..., AbstractAsyncContextManager[Rig]]) -> None:
    provider.body = None
    async with opened(jwks_timeout_s=5.0) as rig, provider.up():
        own = await rig.login("eve")
        waiting = asyncio.create_task(rig.refused(made()))
        await rig.join(own["access_token"])
        assert not waiting.done(), "nobody else waits for it"
        assert await waiting == (503, "unavailable")
        assert (await rig.api(made()))[0] == 503


async def test_reading_a_set(provider: Provider) -> None:
    fetch = fetcher(1.0)
    with pytest.raises(Unavailable):
        await fetch(provider.url)
    async with provider.up():
        assert await fetch(provider.url) == b"{}"
        provider.body = b" " * (MAX_SET_BYTES + 1_000)
        assert MAX_SET_BYTES < len(await fetch(provider.url)) <= MAX_SET_BYTES + 1_000
        provider.body = None
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await fetch(provider.url)
        assert time.monotonic() - began < 5.0

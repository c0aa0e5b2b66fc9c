"""The Python client outlives its tokens: it renews them on the socket, and comes back when the realm took its access away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rayrealm_client.client import RealmClient
from rayrealm_client.codec import Framing
from rayrealm_client.errors import ConnectionEnded, Refused
from tests.integration.identity_rig import PASSWORD, Rig, eventually, identity_rig

TTL_S = 3.0


@pytest.fixture
async def rig(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Rig]:
    async with identity_rig(valkey_url, nats_url, nats_token, namespace, TTL_S) as rig:
        yield rig


@pytest.mark.parametrize("framing", ["json", "proto"])
async def test_it_renews_by_itself(rig: Rig, framing: Framing) -> None:
    async with RealmClient(rig.url, framing=framing) as client:
        first = await client.register("ada", PASSWORD)
        ready = await client.connect()
        await asyncio.sleep(3 * TTL_S)
        assert (await client.request("system.ping", {})) is not None
        assert client.reconnects == 0, "on the same socket all the time"
        assert client.session_ready == ready
        assert client.tokens is not None
        assert client.tokens.refresh_token != first.refresh_token
        renewed = rig.realm.gateway.hub.metrics._authority["renewed"]
        assert 2 <= renewed <= 8


async def test_a_revoked_access_token_costs_one_refresh(rig: Rig) -> None:
    async with RealmClient(rig.url) as client:
        tokens = await client.register("ada", PASSWORD)
        ready = await client.connect()
        jti = next(iter(rig.realm.gateway.hub.clients.values())).identity.token_id
        await rig.revoke("token", jti)

        async def back() -> bool:
            return client.reconnects == 1 and client.connected

        await eventually(back, 10.0)
        assert client.session_id == ready.session_id, "its session was kept"
        assert client.tokens is not None
        assert client.tokens.access_token != tokens.access_token


async def test_a_revoked_user_is_told_why(rig: Rig) -> None:
    async with RealmClient(rig.url) as client:
        tokens = await client.register("ada", PASSWORD)
        await client.connect()
        await asyncio.sleep(0.01)
        await rig.revoke("user", tokens.user_id)

        async def ended() -> bool:
            return client.ended is not None

        await eventually(ended, 10.0)
        assert isinstance(client.ended, Refused)
        assert (client.ended.code, client.ended.reason) == (401, "token_revoked")
        with pytest.raises(ConnectionEnded):
            await client.request("system.ping", {})
        await client.login("ada", PASSWORD)
        await client.connect()


async def test_logging_out_ends_its_socket(rig: Rig) -> None:
    async with RealmClient(rig.url) as client:
        await client.register("ada", PASSWORD)
        await client.connect()
        await client.logout()

        async def ended() -> bool:
            return client.ended is not None

        await eventually(ended, 10.0)
        assert isinstance(client.ended, Refused)
        assert (client.ended.code, client.ended.reason) == (401, "token_missing")
        assert client.reconnects == 0


async def test_it_goes_on_after_a_change_of_its_password(rig: Rig) -> None:
    async with RealmClient(rig.url) as client:
        await client.register("ada", PASSWORD)
        ready = await client.connect()
        await client.accounts.change_password(PASSWORD, "battery staple horse")

        async def back() -> bool:
            return client.reconnects == 1 and client.connected

        await eventually(back, 10.0)
        assert client.session_id == ready.session_id, "its session was kept"

"""Whose address a gateway believes a socket has (row 6.1): the edge's word with its mark, else the socket's own peer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from serve_apps.gateway import picows_app
from tests.integration.strangers import a_user
from tests.local_realm import LocalRealm, local_realm
from tests.wire import Raw

SECRET = "the mark of the edge, in this test"


@pytest.fixture
async def realm(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as running:
        monkeypatch.setattr(picows_app.Door, "edge_secret", SECRET)
        yield running


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"x_forwarded_for": "198.51.100.1", "x_rayrealm_edge": SECRET}, "198.51.100.1"),
        ({"x_forwarded_for": "2001:db8::1", "x_rayrealm_edge": SECRET}, "2001:db8::1"),
        ({"x_forwarded_for": "198.51.100.1", "x_rayrealm_edge": "1"}, "127.0.3.1"),
        ({"x_forwarded_for": "198.51.100.1"}, "127.0.3.1"),
        ({"x_rayrealm_edge": SECRET}, "127.0.3.1"),
        ({}, "127.0.3.1"),
    ],
)
async def test_address(realm: LocalRealm, headers: dict[str, str], address: str) -> None:
    user = a_user()
    raw = await Raw.open(realm.url, realm.token(user), source="127.0.3.1", **headers)
    try:
        assert raw.answer.status == 101
        clients = [client for client in realm.gateway.hub.clients.values() if client.user_id == user]
        assert [client.address for client in clients] == [address]
    finally:
        raw.abort()

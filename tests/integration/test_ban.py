"""`rayrealm ban` against a running realm: sockets are closed, and no way leads back in until the ban is lifted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.connection import connect as redis
from cluster.ports.accounts import Account
from tests.integration.commands import command, ended, registered
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player
from tests.servers import free_port

DEADLINE_S = 30.0


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as running:
        yield running


@pytest.fixture
async def state(realm: LocalRealm, tmp_path: Path, nats_token: str) -> Path:
    """Where the command finds the realm. Its user `ada` has an account."""
    settings = realm.settings
    client = redis(settings.redis, "test-ban")
    await RedisAccounts(client, settings.namespace).create(Account("usr_a", "ada", "$argon2id$", 1.0))
    await client.aclose()
    return registered(realm, tmp_path, nats_token)


async def refused(realm: LocalRealm, query: str, token: str = "") -> tuple[int, bytes]:
    """Status and body of an upgrade that is refused."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{realm.url}?{query}", additional_headers=headers, proxy=None)
    return caught.value.response.status_code, bytes(caught.value.response.body or b"")


async def test_out_and_in_again(realm: LocalRealm, state: Path) -> None:
    ada = await Player.join(realm, "usr_a", "json")
    await ada.enter(await realm.character("usr_a", at=(100, 100)))
    tablet = await Player.join(realm, "usr_a", "proto")
    friend = await Player.join(realm, "usr_b", "proto")
    await friend.enter(await realm.character("usr_b", at=(102, 100)))

    said = await command(state, "ban", "ada", "--hours", "2", "--reason", "spam")
    assert said == "banned ada (usr_a) for 2 h\nclosed 2 sockets\n"
    assert (await ada.closed(), await tablet.closed()) == (4503, 4503)
    assert friend.code is None

    token = realm.token("usr_a")
    for query, access in (
        ("", token),
        (f"session={ada.session_id}", token),
        (f"recovery={ada.ready['recovery']['token']}", ""),
    ):
        status, body = await refused(realm, query, access)
        assert (status, b'"banned"' in body) == (403, True), (query[:9], status, body)
    assert (await friend.ask("system.ping"))["server_time"] > 0

    assert await command(state, "ban", "usr_a", "--lift") == "ada (usr_a) may come back\n"
    back = await Player.join(realm, "usr_a", "json", ada.session_id)
    assert back.ready["resumed"] is True
    assert back.world["character_id"] == ada.world["character_id"]
    await back.leave()
    await friend.leave()


async def test_without_the_bus_the_ban_is_written(
    realm: LocalRealm, state: Path, tmp_path: Path, nats_token: str
) -> None:
    away = registered(realm, tmp_path / "away", nats_token, f"nats://127.0.0.1:{free_port()}")
    code, out, err = await ended(away, "ban", "ada", "--hours", "2")
    assert (code, out) == (0, "banned ada (usr_a) for 2 h\nclosed 0 sockets\n")
    assert "\nrayrealm: NATS does not answer: what is written down holds" in err
    status, body = await refused(realm, "", realm.token("usr_a"))
    assert (status, b'"banned"' in body) == (403, True)

    code, out, err = await ended(away, "ban", "--network", "203.0.113.7")
    assert (code, out) == (1, "banned 203.0.113.7/32 until it is lifted\n")
    assert err.endswith("rayrealm: the message bus is not available\n"), err
    assert "203.0.113.7/32" in await command(state, "ban", "--list")

    code, out, err = await ended(away, "zones", "list")
    assert (code, out) == (1, ""), "what needs to hear processes is refused, and shows none of them as away"
    assert err.endswith("rayrealm: the message bus is not available\n"), err

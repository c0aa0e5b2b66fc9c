"""`rayrealm ban` against a running realm: sockets are closed, and no way leads back in until the ban is lifted."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cluster import running
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.connection import connect as redis
from cluster.ports.accounts import Account
from cluster.running import RunningRealm
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

DEADLINE_S = 30.0


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as running:
        yield running


@pytest.fixture
async def state(realm: LocalRealm, tmp_path: Path, nats_token: str) -> Path:
    """Where the command finds the realm. Its user `ada` has an account."""
    settings = realm.settings
    details = {
        "redis_url": settings.redis.url.get_secret_value(),
        "nats_url": settings.nats.url.get_secret_value(),
        "nats_token": nats_token,
    }
    here = RunningRealm.of_this_process("http://127.0.0.1:1", tmp_path, settings.namespace)
    running.register(here, details, tmp_path / "rayrealm" / "running")
    client = redis(settings.redis, "test-ban")
    await RedisAccounts(client, settings.namespace).create(Account("usr_a", "ada", "$argon2id$", 1.0))
    await client.aclose()
    return tmp_path


async def command(state: Path, *arguments: str) -> str:
    """What it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAYREALM_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cluster.cli.main", "ban", *arguments,
        env=environment | {"XDG_STATE_HOME": str(state)}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, err) == (0, b"")
    return out.decode()


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

    said = await command(state, "ada", "--hours", "2", "--reason", "spam")
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

    assert await command(state, "usr_a", "--lift") == "ada (usr_a) may come back\n"
    back = await Player.join(realm, "usr_a", "json", ada.session_id)
    assert back.ready["resumed"] is True
    assert back.world["character_id"] == ada.world["character_id"]
    await back.leave()
    await friend.leave()

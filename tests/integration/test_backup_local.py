"""Backup and restore (docs/how-to/operate.md): of one moment, into another server, and into a realm that goes on from there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from cluster.adapters.redis import transfer
from cluster.backup.archive import Archive, Entry
from cluster.datafolder import DataFolder
from cluster.embedded import EmbeddedServer, valkey
from cluster.errors import Conflict
from rayrealm_client.codec import Failure
from tests.integration.commands import command, registered
from tests.integration.identity_rig import PASSWORD, web
from tests.local_realm import local_realm
from tests.players import Player
from tests.servers import Valkey

DEADLINE_S = 20.0
QUICK = {"grace_s": 0.5, "gateway_silence_s": 2.1}
FILLER = 20_000


@pytest_asyncio.fixture
async def source(valkey_url: str) -> AsyncIterator[Redis]:
    async with transfer.opened(valkey_url) as client:
        yield client


@pytest_asyncio.fixture
async def target(tmp_path: Path) -> AsyncIterator[tuple[Redis, str]]:
    """A server of its own, with nothing in it."""
    with Valkey(tmp_path) as server:
        async with transfer.opened(server.url) as client:
            yield client, server.url


async def all_of(client: Redis, namespace: str) -> dict[bytes, Entry]:
    return {entry.key: entry async for entry in transfer.dump(client, namespace)}


async def fill(client: Redis, ns: str) -> None:
    await client.set(f"{ns}:text", b"\x00\xff")
    await client.set(f"{ns}:soon", "x", px=60_000)
    await client.hset(f"{ns}:hash", mapping={f"f{n}": f"v{n}" * 3 for n in range(5_000)})
    await client.rpush(f"{ns}:list", *range(4_001))
    await client.sadd(f"{ns}:set", "a", "b", "\xfc")
    await client.zadd(f"{ns}:zset", {"a": 1.5, "b": -3.0, "c": 1e300, "d": float("inf")})
    for n in range(3):
        await client.xadd(f"{ns}:stream", {"n": n, "text": "x" * n}, id=f"{n + 1}-{n}")
    await client.xadd(f"{ns}:trimmed", {"n": 1}, id="7-7")
    await client.xtrim(f"{ns}:trimmed", maxlen=0, approximate=False)
    await client.set(f"{ns}2:other", "of another realm")


async def test_operators_log_in_again(source: Redis, target: tuple[Redis, str], namespace: str) -> None:
    await source.hset(f"{namespace}:operator-session:abc", "name", "ada")
    await source.zadd(f"{namespace}:operator-sessions:ada", {"abc": 1.0})
    await source.hset(f"{namespace}:operators", "ada", "{}")
    there, _ = target
    assert await transfer.load(there, namespace, (await all_of(source, namespace)).values()) == 1
    assert list(await all_of(there, namespace)) == [f"{namespace}:operators".encode()]


async def test_every_kind_of_value(source: Redis, target: tuple[Redis, str], namespace: str) -> None:
    await fill(source, namespace)
    before = await all_of(source, namespace)
    assert len(before) == 8
    there, _ = target
    assert await transfer.load(there, namespace, before.values()) == 8
    after = await all_of(there, namespace)
    assert {key: (entry.kind, entry.value) for key, entry in after.items()} == {
        key: (entry.kind, entry.value) for key, entry in before.items()
    }
    for key, entry in after.items():
        assert (entry.ttl_ms >= 0) == (key == f"{namespace}:soon".encode())
        assert before[key].ttl_ms - 10_000 <= entry.ttl_ms <= before[key].ttl_ms
    with pytest.raises(Conflict):
        await transfer.load(there, namespace, before.values())
    await transfer.clear(there, namespace)
    assert await transfer.is_empty(there, namespace)


async def test_all_of_it_is_of_one_moment(
    source: Redis, target: tuple[Redis, str], valkey_url: str, namespace: str
) -> None:
    """Two keys that always change together, far apart in a server that is never still."""
    for start in range(0, FILLER, 1_000):
        await source.mset({f"{namespace}:{n}": "x" * 100 for n in range(start, start + 1_000)})
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            written += 1
            async with source.pipeline(transaction=True) as pipe:
                pipe.set(f"{namespace}:first", written)
                pipe.set(f"{namespace}:last", written)
                await pipe.execute()

    writing = asyncio.create_task(write())
    try:
        there, _ = target
        async with asyncio.timeout(DEADLINE_S):
            while not written:  # noqa: ASYNC110 - another task counts
                await asyncio.sleep(0.01)
            began = written
            await transfer.follow(there, source, valkey_url)
        ended = written
        copy = await all_of(there, namespace)
        pair = [int(copy[f"{namespace}:{name}".encode()].value[0]) for name in ("first", "last")]
        assert pair[0] == pair[1]
        assert began <= pair[0] <= ended
        assert len(copy) == FILLER + 2
        assert written > ended, "the realm plays on"
        info: Any = await there.info("replication")
        assert info["role"] == "master"
    finally:
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing


async def run(*arguments: str, **variables: str) -> tuple[int, str]:
    """A `rayrealm` command without a running realm: its code, and what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAYREALM_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cluster.cli.main", *arguments,
        env=environment | variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(60.0):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def characters(http: httpx.AsyncClient) -> Any:
    answer = await http.post("/v1/auth/login", json={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return (await http.get("/v1/characters", headers=headers)).json()


async def test_a_realm_goes_on_from_its_backup(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, tmp_path: Path
) -> None:
    state, data, file = tmp_path / "state", tmp_path / "data", tmp_path / "realm.backup"
    state.mkdir()
    (state / "keys.json").write_text("the realm's keys")
    (state / "recovery-secret").write_text("its secret")
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as realm, web(realm) as (http, _):
        made = (await http.post("/v1/auth/register", json={"username": "ada", "password": PASSWORD})).json()
        player = await Player.join(realm, made["user_id"])
        await player.enter(await realm.character(made["user_id"], at=(100, 100)))
        before = await characters(http)
        full = realm.settings.namespace
        said = await command(registered(realm, state, nats_token), "backup", str(file), "--json")
        assert orjson.loads(said)["whole"] is True
        await player.leave()
    assert file.stat().st_mode & 0o777 == 0o600
    archive = Archive(file)
    assert archive.secrets() == {"keys.json": b"the realm's keys", "recovery-secret": b"its secret"}
    archive.close()

    name = full.removeprefix("rayrealm-")
    given = ("--data", str(data))
    code, said = await run("restore", str(file), *given, RAYREALM_REALM=name)
    assert code == 0, said
    code, said = await run("restore", str(file), *given, RAYREALM_REALM=name)
    assert (code, "--replace" in said) == (2, True), said
    code, said = await run("restore", str(file), *given, "--replace", RAYREALM_REALM=name)
    assert code == 0, said
    assert (data / "keys.json").read_text() == "the realm's keys"
    assert (data / "keys.json").stat().st_mode & 0o777 == 0o600

    folder = DataFolder.open(data)
    spec, url_of = valkey(folder)
    server = EmbeddedServer(spec, folder, print, print)
    server.start()
    try:
        server.wait_ready()
        async with (
            local_realm(url_of(server.port), nats_url, nats_token, namespace, session=QUICK) as realm,
            web(realm) as (http, _),
        ):
            assert await characters(http) == before
            again = await Player.join(realm, made["user_id"])
            character_id = before["characters"][0]["character_id"]
            async with asyncio.timeout(
                DEADLINE_S
            ):  # the session that was in the world is in the backup, until its grace is over
                while isinstance(await again.ask("world.enter", character_id=character_id), Failure):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            await again.leave()
    finally:
        server.stop()
        folder.close()

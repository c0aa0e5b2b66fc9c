"""What every adapter of the port to the audit log does (cluster/ports/audit.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.connection import connect
from cluster.auditing import MAX_DETAILS, MAX_TEXT
from cluster.errors import Unavailable
from cluster.ports.audit import AuditEntry, AuditLog
from cluster.settings import RedisSettings
from tests.servers import free_port

KEEP = 100


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
def log(request: pytest.FixtureRequest, namespace: str) -> AuditLog:
    if request.param == "memory":
        return MemoryAuditLog(KEEP)
    return RedisAuditLog(request.getfixturevalue("client"), namespace, KEEP)


def entry(number: int = 0, **more: object) -> AuditEntry:
    return replace(AuditEntry(1_000.5 + number, "watch", "slow", f"usr_{number}", "message_flood"), **more)


async def test_nothing_was_done(log: AuditLog) -> None:
    assert await log.newest(10) == []


async def test_all_of_an_entry_is_kept(log: AuditLog) -> None:
    said = entry(result="refused", details={"score": 0.5, "rate": 71, "until": 1e10, "dry": True, "text": "ö 'x' \x00"})
    entry_id = await log.add(said)
    assert entry_id
    assert await log.newest(10) == [replace(said, entry_id=entry_id)]


async def test_newest_first(log: AuditLog) -> None:
    ids = [await log.add(entry(number)) for number in range(5)]
    assert len(set(ids)) == 5
    assert [e.target for e in await log.newest(3)] == ["usr_4", "usr_3", "usr_2"]
    assert [e.entry_id for e in await log.newest(100)] == ids[::-1]
    assert await log.newest(0) == []


async def test_page_by_page(log: AuditLog) -> None:
    for number in range(7):
        await log.add(entry(number))
    seen: list[str] = []
    before = ""
    while page := await log.newest(3, before):
        seen += [e.target for e in page]
        before = page[-1].entry_id
    assert seen == [f"usr_{number}" for number in range(6, -1, -1)]


async def test_the_oldest_go(log: AuditLog) -> None:
    for number in range(KEEP + 5):
        await log.add(entry(number))
    kept = await log.newest(KEEP * 2)
    assert len(kept) == KEEP
    assert kept[-1].target == "usr_5"


async def test_what_is_too_long_is_cut(log: AuditLog) -> None:
    long = "x" * (MAX_TEXT + 1)
    await log.add(entry(reason=long, details={f"d{number}": long for number in range(MAX_DETAILS + 1)}))
    (kept,) = await log.newest(1)
    assert kept.reason == long[:MAX_TEXT]
    assert kept.details == {f"d{number}": long[:MAX_TEXT] for number in range(MAX_DETAILS)}


async def test_what_json_has_not(log: AuditLog) -> None:
    await log.add(entry(target="\ud800", details={"inf": float("inf"), "big": 2**70, "half": "\udc00"}))
    (kept,) = await log.newest(1)
    assert kept.target == "?"
    assert kept.details == {"inf": "inf", "big": str(2**70), "half": "?"}


async def test_realms_that_share_a_server(client: Redis, namespace: str) -> None:
    await RedisAuditLog(client, namespace, KEEP).add(entry())
    assert await RedisAuditLog(client, f"{namespace}-other", KEEP).newest(1) == []


async def test_a_server_that_is_away(namespace: str) -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
    client = connect(settings, "contract")
    log = RedisAuditLog(client, namespace, KEEP)
    with pytest.raises(Unavailable):
        await log.add(entry())
    with pytest.raises(Unavailable):
        await log.newest(1)
    await client.aclose()

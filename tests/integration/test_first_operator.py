"""The first operator of a realm: a link on the launcher's terminal (row 7.8)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from pydantic import SecretStr

from cluster import operators
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.operators import RedisOperators
from cluster.cli.operators import first_invitation
from cluster.settings import RedisSettings, Settings

URL = "http://127.0.0.1:8000"


async def test_a_realm_without_operators_gets_one_link_at_each_start(valkey_url: str, namespace: str) -> None:
    settings = Settings(realm=namespace, redis=RedisSettings(url=SecretStr(valkey_url)))
    client = connect(settings.redis, "test")
    store = RedisOperators(client, settings.namespace)
    links = [await asyncio.to_thread(first_invitation, settings, URL) for _ in range(2)]
    assert None not in links
    tokens = [str(link).removeprefix(f"{URL}/console/#/invitation/") for link in links]
    found = [await operators.by_invitation(store, token, time.time()) for token in tokens]
    assert found[0] is None, "the one before counts no more"
    assert found[1] is not None
    assert (found[1].name, found[1].role) == ("admin", "admin")
    audit = RedisAuditLog(client, settings.namespace, 1_000)
    assert {(each.actor, each.action, each.target) for each in await audit.newest(10)} == {
        ("launcher", "operators.invite", "admin")
    }
    await store.save(replace(found[1], password="hash"), found[1])
    assert await asyncio.to_thread(first_invitation, settings, URL) is None
    await client.aclose()

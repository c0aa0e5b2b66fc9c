"""What a process that was fenced leaves behind, on the real Valkey."""

from __future__ import annotations

import socket

from pydantic import SecretStr
from structlog.testing import capture_logs

from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.fenced import fenced, note_fenced
from cluster.settings import RedisSettings


async def test_counts_by_kind(valkey_url: str, namespace: str) -> None:
    settings = RedisSettings(url=SecretStr(valkey_url))
    client = connect(settings, "test")
    assert await fenced(client, namespace) == {}
    for kind in ("zone", "sessions", "zone"):
        note_fenced(settings, namespace, kind)
    assert await fenced(client, namespace) == {"zone": 2, "sessions": 1}
    await client.aclose()


def test_a_store_that_is_away_does_not_keep_it_from_ending(namespace: str) -> None:
    with socket.socket() as nobody:  # bound, and never listens
        nobody.bind(("127.0.0.1", 0))
        settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"))
        with capture_logs() as logs:
            note_fenced(settings, namespace, "zone")
    assert [log["event"] for log in logs] == ["fencing_not_noted"]

"""The tests' own realm in one process: a start that fails says what is missing, in time, and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from actors.presence.index import PresenceIndex
from actors.presence.presence_actor import PresenceRunner
from tests import local_realm as here
from tests.local_realm import NotStartedError, local_realm
from tests.servers import free_port

DEADLINE_S = 15.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "START_DEADLINE_S", 1.5)
    monkeypatch.setattr(here, "CANCEL_S", 0.2)


async def what_is_missing(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> str:
    before = asyncio.all_tasks()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(NotStartedError) as refused:
            async with local_realm(valkey_url, nats_url, nats_token, namespace):
                pytest.fail("it started")
    assert asyncio.all_tasks() == before
    return str(refused.value)


async def test_without_nats(valkey_url: str, namespace: str, impatient: None) -> None:
    told = await what_is_missing(valkey_url, f"nats://127.0.0.1:{free_port()}", "x", namespace)
    assert told == "TimeoutError(); supervisor has not started"


async def test_an_actor_that_does_not_start_and_swallows_a_cancellation(
    monkeypatch: pytest.MonkeyPatch, valkey_url: str, nats_url: str, nats_token: str, namespace: str, impatient: None
) -> None:
    async def stand(_: PresenceRunner) -> PresenceIndex:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()
        raise AssertionError("unreachable")

    monkeypatch.setattr(PresenceRunner, "_start", stand)
    told = await what_is_missing(valkey_url, nats_url, nats_token, namespace)
    assert told == "TimeoutError(); presence/0 has not started"

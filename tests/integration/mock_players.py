"""Clients of the mock realm, and what tests wait for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from rayrealm_client.client import RealmClient
from rayrealm_client.codec import Framing
from rayrealm_client.policy import Backoff
from tests.integration.mock_realm import MockRealm

FRAMINGS: list[Framing] = ["proto", "json"]
DEADLINE_S = 5.0
PASSWORD = "correct horse"


def client_of(realm: MockRealm, framing: Framing = "proto", **options: object) -> RealmClient:
    given: dict[str, object] = {"backoff": Backoff(0.01, 0.05), "rng": random.Random(1), "timeout_s": 2.0}
    return RealmClient(realm.url, framing=framing, **(given | options))  # type: ignore[arg-type]


async def enter(client: RealmClient, name: str = "ann") -> None:
    await client.register(name, PASSWORD)
    character = await client.create_character("Ann Other")
    await client.enter(character.character_id)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - conditions span both ends of a socket
            await asyncio.sleep(0.005)


async def again(client: RealmClient, broken: Callable[[], Awaitable[None] | None]) -> None:
    """Break the connection and wait for the next one with the character in the world."""
    before = client.reconnects
    done = broken()
    if done is not None:
        await done
    await until(lambda: client.reconnects == before + 1 and client.connected and client.world is not None)

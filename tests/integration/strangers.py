"""Clients of whom nothing is known, for tests of what a realm does with them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from rayrealm_client.codec import Framing
from tests.local_realm import LocalRealm
from tests.players import Player
from tests.wire import Raw

SETTLE_S = 15.0
PAUSE_S = 0.02


def a_user() -> str:
    return f"usr_{secrets.token_hex(6)}"


async def connected(realm: LocalRealm, subprotocol: str = "", **options: Any) -> Raw:
    """A socket of a new user; session.ready is read."""
    raw = await Raw.open(realm.url, realm.token(a_user()), subprotocol, **options)
    assert raw.answer.status == 101
    assert b"session.ready" in (await raw.read())[1]
    return raw


async def in_world(realm: LocalRealm, framing: Framing = "proto") -> Player:
    """A new user's character, where the witnesses are."""
    user = a_user()
    player = await Player.join(realm, user, framing)
    await player.enter(await realm.character(user, at=(100.0, 101.0)))
    return player


async def until(true: Callable[[], object], deadline_s: float = SETTLE_S) -> None:
    """Look until it is; for what tells nobody when it changes. Raises TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_S)


def closes(realm: LocalRealm) -> dict[str, int]:
    """Sockets closed so far, by code."""
    return {
        sample.labels["code"]: int(sample.value)
        for family in realm.gateway.hub.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "rayrealm_gateway_closes_total" and sample.value
    }

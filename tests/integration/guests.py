"""Guests of a realm with walls and a game: clients of whom nothing is known, and what they must not be able to change."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from rayrealm_client.codec import Framing
from tests.integration.conftest import GRACE_S
from tests.integration.rude import Rude
from tests.integration.strangers import a_user
from tests.integration.zone_bad_input import WORLD, delta
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player, Witnesses, witnesses


@asynccontextmanager
async def walled_realm(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> AsyncIterator[tuple[LocalRealm, Witnesses]]:
    session = {"grace_s": GRACE_S}
    async with (
        local_realm(valkey_url, nats_url, nats_token, namespace, session=session, world=WORLD) as realm,
        witnesses(realm) as both,
    ):
        yield realm, both


class Guest(Rude):
    """A new user's character. `me()`: what the zone knows of it."""

    @classmethod
    async def come(cls, realm: LocalRealm, framing: Framing = "proto", at: tuple[float, float] = (100, 101)) -> Self:
        user = a_user()
        guest = await cls.join(realm, user, framing)
        await guest.enter(await realm.character(user, at=at))
        return guest

    async def me(self) -> dict[str, Any]:
        snapshot = await self.ask("state.sync.request")
        me: dict[str, Any] = snapshot["entities"][0]
        return me

    def sees(self, other: Player) -> Any:
        """The other as it is seen, None if it is not."""
        entity_id = other.world["entity_id"]
        return next((entity for entity in self.entities.values() if entity.entity_id == entity_id), None)


@asynccontextmanager
async def nothing_changes(guest: Guest, watcher: Guest) -> AsyncIterator[dict[str, Any]]:
    """What is done inside changes nothing of the guest; afterwards it may still change itself, and the watcher is told."""
    await watcher.until(lambda: watcher.sees(guest) is not None)
    before = await guest.me()
    yield before
    assert await guest.me() == before
    known = watcher.sees(guest)
    assert (known.version, known.properties) == (before["version"], before["properties"])
    hat = secrets.token_hex(4)
    done = await guest.ask("state.sync.delta", **delta(guest, before["version"], properties={"hat": hat}))
    assert done == {"version": before["version"] + 1}
    await watcher.until(lambda: watcher.sees(guest).properties == before["properties"] | {"hat": hat})
    assert guest.code is None


@asynccontextmanager
async def as_it_was(guest: Guest) -> AsyncIterator[None]:
    before = await guest.me()
    yield
    assert await guest.me() == before


@asynccontextmanager
async def guests(realm: LocalRealm, framing: Framing) -> AsyncIterator[Guest]:
    """One that has changed itself twice already."""
    guest = await Guest.come(realm, framing)
    for change in ({"hat": "green", "level": 3}, {"level": None}):
        await guest.ask("state.sync.delta", **delta(guest, (await guest.me())["version"], properties=change))
    yield guest
    await guest.leave()

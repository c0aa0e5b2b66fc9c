"""The Python client on real gateways, session actors and zones in one process: what was missed comes once (rows 1.6, 2.5)."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rayrealm_client.client import RealmClient
from rayrealm_client.codec import Framing
from rayrealm_client.keeper import Loss
from rayrealm_client.models import Tokens
from rayrealm_client.policy import Backoff
from tests.integration.mock_players import FRAMINGS, until
from tests.local_realm import LocalRealm, local_realm

GRACE_S = 20.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def realm(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[LocalRealm]:
    namespace = f"test-{secrets.token_hex(6)}"
    fast = {"burst": 1_000, "per_s": 1_000.0}
    async with local_realm(
        valkey_url, nats_url, nats_token, namespace, session={"grace_s": GRACE_S}, chat=fast
    ) as made:
        yield made


async def player(realm: LocalRealm, framing: Framing, x: float) -> RealmClient:
    """In the world, with a fast backoff; whoever asked closes it."""
    user = f"usr_{secrets.token_hex(6)}"
    base = realm.url.replace("ws://", "http://").removesuffix("/ws")
    client = RealmClient(base, framing=framing, backoff=Backoff(0.05, 0.5), timeout_s=5.0)
    client.tokens = Tokens(user, realm.token(user), "", time.monotonic() + 600.0)
    await client.enter(await realm.character(user, at=(x, 20.0)))
    return client


def lose_socket(client: RealmClient) -> None:
    """As if the network were gone: no close frame, and nobody is told."""
    link = client._keeper.link
    assert link is not None
    link._socket.transport.abort()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_lost_socket_costs_nothing(realm: LocalRealm, framing: Framing) -> None:
    ann, bob = await player(realm, framing, 20.0), await player(realm, "proto", 22.0)
    try:
        channel = f"c{secrets.token_hex(4)}"
        heard: list[str] = []
        gaps: list[str | None] = []
        losses: list[Loss] = []
        ann.chat.on_message(lambda message: heard.append(message.text))
        ann.on_gap(gaps.append)
        ann.on_loss(losses.append)
        await ann.chat.join(channel)
        await bob.chat.join(channel)
        await ann.set_attribute("hat", "red")
        assert ann.world is not None
        await until(lambda: ann.world is not None and ann.world.number in bob.entities)
        number, session = ann.world.number, ann.session_id
        said = []
        for round_ in range(3):
            for count in range(4):
                said.append(f"{round_}.{count}")
                await bob.chat.say(channel, said[-1])
                if count == 1:
                    lose_socket(ann)
            await until(lambda: heard == said)
        assert heard == said
        assert (ann.reliable.gaps, ann.reliable.duplicates, gaps) == (0, 0, [])
        assert ann.reconnects == 3
        assert [loss.code for loss in losses] == [1006] * 3
        assert ann.session_id == session
        assert ann.session_ready is not None
        assert ann.session_ready.recovered
        assert await ann.attributes() == {"hat": "red"}
        assert ann.world.number == number
        await until(lambda: not bob.entities[number].link_dead)
        await ann.move(21.0, 0.0, 20.0)
        await until(lambda: ann.acked == ann.sequence)
    finally:
        await ann.close()
        await bob.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_others_see_who_is_away(realm: LocalRealm) -> None:
    ann, bob = await player(realm, "proto", 40.0), await player(realm, "json", 42.0)
    try:
        assert ann.world is not None
        number = ann.world.number
        await until(lambda: number in bob.entities)
        assert not bob.entities[number].link_dead
        await ann.close()
        await until(lambda: bob.entities[number].link_dead)
    finally:
        await bob.close()

"""The light clients of the storm and the drain come back as the Python client does: same session, nothing missed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

import pytest

from cluster.bench.hearing import REQUEST_S, Heard, join, talk
from cluster.bench.returning import Returning
from rayrealm_client.errors import ConnectionLost
from tests.local_realm import LocalRealm, local_realm

DEADLINE_S = 10.0


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as running:
        yield running


@contextlib.asynccontextmanager
async def running(realm: LocalRealm, user: str) -> AsyncIterator[tuple[Returning, Heard]]:
    url = realm.url.removesuffix("/ws").replace("ws://", "http://")
    client, heard = Returning(url, realm.token(user), random.Random(1)), Heard()
    client.on_notice = heard.notice
    task = asyncio.create_task(client.run())
    try:
        await until(lambda: client.connected)
        yield client, heard
    finally:
        task.cancel()
        await asyncio.wait({task})
        client.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


def cut(client: Returning) -> None:
    """The connection breaks without a close frame."""
    assert client._wire is not None
    assert client._wire.transport is not None
    client._wire.transport.disconnect()


async def test_it_comes_back_with_what_it_missed(realm: LocalRealm) -> None:
    async with running(realm, "usr_talker") as (talker, _), running(realm, "usr_listener") as (listener, heard):
        for one in (talker, listener):
            await join(one, "here")
        said: list[str] = []
        talking = asyncio.create_task(talk(talker, "here", said))
        for _ in range(2):
            before, connects = len(said), listener.connects
            cut(listener)
            await until(lambda connects=connects: listener.connects > connects)  # type: ignore[misc]
            await until(lambda before=before: len(said) > before)  # type: ignore[misc]
        talking.cancel()
        await asyncio.wait({talking})
        # A last word may have been on its way when the talker was stopped: heard, and never acknowledged.
        await until(lambda: len(heard.texts) >= len(said))
        assert heard.texts[: len(said)] == said
        assert heard.texts[len(said) :] in ([], [f"word {len(said)}"])
        assert listener.codes == [1006, 1006]
        assert len(listener.sessions) == 1
        assert (listener.holes, listener.reliable.gaps, listener.reliable.duplicates) == (0, 0, 0)


async def test_it_moves_over_when_it_is_asked_to(realm: LocalRealm) -> None:
    async with running(realm, "usr_a") as (client, _):
        assert await client.request("system.ping", {}, REQUEST_S)
        client.move_over()
        await until(lambda: client.connects == 2)
        assert len(client.sessions) == 1
        assert client.codes == []  # it was not closed: it left
        assert client.ended is None


async def test_requests_end_with_the_socket(realm: LocalRealm) -> None:
    async with running(realm, "usr_a") as (client, _):
        asking = asyncio.create_task(client.request("system.ping", {}, REQUEST_S))
        await asyncio.sleep(0)
        cut(client)
        with pytest.raises(ConnectionLost):
            await asking


async def test_a_user_who_is_not_wanted_gives_up(realm: LocalRealm) -> None:
    url = realm.url.removesuffix("/ws").replace("ws://", "http://")
    client = Returning(url, "no token at all", random.Random(1))
    async with asyncio.timeout(DEADLINE_S):
        await client.run()
    assert client.ended is not None
    assert client.refused[401] >= 1

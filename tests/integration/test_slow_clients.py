"""Clients that do not read, do not finish what they say, or are gone; what is kept for them is bounded."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from rayrealm_client.codec import decode
from rayrealm_client.scene import Scene
from rayrealm_client.view import View
from tests.integration.bad_input import JSON, request
from tests.integration.strangers import a_user, closes, connected, in_world, until
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player
from tests.wire import CONTINUATION, PING, PONG, TEXT, Raw, frame, text

pytestmark = pytest.mark.usefixtures("nothing_of_ours_fails")


class Crowd:
    """Players who stand about and step from side to side, each ten times a second."""

    def __init__(self, players: list[Player]) -> None:
        self.players = players
        self._walking = asyncio.create_task(self._walk())

    @classmethod
    async def gather(cls, realm: LocalRealm, count: int) -> Crowd:
        return cls([await in_world(realm) for _ in range(count)])

    async def _walk(self) -> None:
        step = 0
        while True:
            step += 1
            for player in self.players:
                at = player.world["position"]
                await player.move(at["x"] + 0.2 * (step % 2), at["z"])
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        self._walking.cancel()
        await asyncio.wait([self._walking])

    async def leave(self) -> None:
        await self.stop()
        for player in self.players:
            assert player.code is None
            await player.leave()


async def enter(realm: LocalRealm) -> tuple[Raw, Any]:
    """One that will not read any more, where the crowd is; and the hub's idea of it."""
    user = a_user()
    raw = await Raw.open(realm.url, realm.token(user), JSON, receive_buffer=2048)
    raw.send(text(request("world.enter", character_id=await realm.character(user, at=(100, 100)))))
    (client,) = (c for c in realm.gateway.hub.clients.values() if c.user_id == user)
    await until(lambda: client.number is not None)
    return raw, client


def waiting_for(client: Any) -> int:
    """Bytes that the kernel has not taken from us."""
    size: int = client.socket._transport.underlying_transport.get_write_buffer_size()
    return size


class TestSlowClients:
    """With buffers of a few kilobytes everywhere, so that not reading is noticed soon."""

    @pytest_asyncio.fixture
    async def small(self, valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[LocalRealm]:
        gateway = {"send_buffer_bytes": 4096, "slow_consumer_s": 4.0, "slow_consumer_bytes": 32_768}
        namespace = f"test-{secrets.token_hex(6)}"
        async with local_realm(valkey_url, nats_url, nats_token, namespace, send_buffer=4096, gateway=gateway) as realm:
            yield realm

    async def test_views_are_merged_and_then_it_is_4001(self, small: LocalRealm) -> None:
        crowd = await Crowd.gather(small, 12)
        raw, client = await enter(small)
        most = waiting = 0
        async with asyncio.timeout(30):
            while not closes(small).get("4001"):
                await asyncio.sleep(0.02)
                most = max(most, client.outgoing.queued_bytes)
                waiting = max(waiting, waiting_for(client))
        assert client.outgoing.merged_views > 10
        assert most == 0
        assert waiting < 3 * 4096
        assert client.session_id not in small.gateway.hub.clients
        raw.abort()
        await crowd.leave()  # all of them were served all the time

    async def test_answers_are_kept_up_to_the_bound_and_then_it_is_4001(self, small: LocalRealm) -> None:
        raw, client = await enter(small)
        ping = text(request("system.ping", echo="x" * 5_000))
        most = 0
        for _ in range(200):
            raw.send(ping)
            await asyncio.sleep(0)
            most = max(most, client.outgoing.queued_bytes)
            if closes(small).get("4001"):
                break
        await until(lambda: closes(small).get("4001"))
        assert 0 < most < 32_768 + 6_000
        raw.abort()

    async def test_pongs_do_not_pile_up(self, small: LocalRealm) -> None:
        raw, client = await enter(small)
        pings = frame(PING, bytes(125)) * 1_000
        waiting = 0
        async with asyncio.timeout(30):
            while not closes(small).get("4001"):
                if client.socket._transport is not None:
                    raw.send(pings)
                await asyncio.sleep(0.02)
                waiting = max(waiting, waiting_for(client))
        assert waiting < 4 * 4096
        raw.abort()

    async def test_one_that_reads_again_in_time_knows_everything(self, small: LocalRealm) -> None:
        crowd = await Crowd.gather(small, 12)
        raw, client = await enter(small)
        await until(lambda: client.outgoing.merged_views > 5)
        await crowd.stop()
        scene = Scene()

        def up_to_date() -> bool:
            known = {number: entity.sequence for number, entity in scene.entities.items()}
            return known == {player.world["number"]: player.sequence for player in crowd.players}

        while not up_to_date():
            opcode, payload = await raw.read()
            for item in decode(payload.decode()) if opcode == TEXT else []:
                if isinstance(item, View):
                    scene.apply(item)
        assert client.outgoing.blocked_since is None
        assert closes(small) == {}
        raw.abort()
        await crowd.leave()


class TestHeartbeat:
    @pytest_asyncio.fixture
    async def quick(self, valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[LocalRealm]:
        gateway = {"ping_interval_s": 1.0, "pong_deadline_s": 1.0}
        namespace = f"test-{secrets.token_hex(6)}"
        async with local_realm(valkey_url, nats_url, nats_token, namespace, send_buffer=4096, gateway=gateway) as realm:
            yield realm

    async def test_three_ways_to_be_gone(self, quick: LocalRealm) -> None:
        """In one test, for they all take the same seconds: silence, half a frame, and a message without an end."""
        host = await quick.actors["sessions/0"]._host()
        crowd = await Crowd.gather(quick, 12)
        silent, client = await enter(quick)
        silent.send(text(request("system.ping", echo="x" * 5_000)) * 10)  # it will not read the answers
        await until(lambda: waiting_for(client) > 0)
        half, endless = await connected(quick, JSON), await connected(quick, JSON)

        async def a_byte_at_a_time(raw: Raw, data: bytes) -> int:
            reading = asyncio.create_task(raw.closed())
            for n in range(len(data)):
                if reading.done():
                    break
                raw.send(data[n : n + 1])
                await asyncio.sleep(0.1)
            return await reading

        async def without_an_end(raw: Raw) -> int:
            """Fragment after fragment, and a pong whenever one is due."""
            reading = asyncio.create_task(raw.closed())
            raw.send(frame(TEXT, b"[", fin=False))
            for _ in range(100):
                if reading.done():
                    break
                raw.send(frame(CONTINUATION, b" ", fin=False) + frame(PONG))
                await asyncio.sleep(0.1)
            return await reading

        async def without_a_word() -> int:
            await until(lambda: client.closed)
            assert waiting_for(client) > 0  # what it will never read must not keep its session either
            code: int = client.close_code
            return code

        codes = await asyncio.gather(
            a_byte_at_a_time(half, frame(TEXT, b" " * 100)),
            without_an_end(endless),
            without_a_word(),
        )
        assert set(codes) == {4002}
        await until(lambda: closes(quick).get("4002") == 3)
        session = host.sessions[client.session_id]
        await until(lambda: session.detached_at is not None)
        back = await Player.join(quick, client.user_id, "json", client.session_id)
        assert back.ready["resumed"] is True
        assert back.world["number"] == client.world["number"]
        await back.until(lambda: len(back.entities) == len(crowd.players))
        silent.abort()
        await back.leave()
        await crowd.leave()  # these answered their pings

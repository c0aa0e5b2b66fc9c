"""The gateway over a real socket, in one process: what well-behaved clients do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from rayrealm_client.codec import Framing, Notification, decode
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player
from tests.wire import Raw

FRAMINGS: list[Framing] = ["json", "proto"]


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as running:
        yield running


async def in_world(realm: LocalRealm, user: str, framing: Framing, x: float, name: str = "") -> Player:
    player = await Player.join(realm, user, framing)
    await player.enter(await realm.character(user, name, at=(x, 100.0)))
    return player


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("other", FRAMINGS)
async def test_two_players_see_each_other(realm: LocalRealm, framing: Framing, other: Framing) -> None:
    ann = await in_world(realm, "usr_a", framing, 100, "Ann")
    bob = await in_world(realm, "usr_b", other, 105, "Bob")
    a, b = ann.world["number"], bob.world["number"]
    await ann.until(lambda: b in ann.entities)
    await bob.until(lambda: a in bob.entities)
    assert (ann.entities[b].name, bob.entities[a].name) == ("Bob", "Ann")
    assert bob.entities[a].entity_id == ann.world["entity_id"]
    assert bob.entities[a].position == pytest.approx((100, 0, 100))
    sequence = await ann.move(101.5, 99.5, yaw=1.0)
    await bob.until(lambda: bob.entities[a].sequence == sequence)
    await ann.until(lambda: ann.ack == sequence)
    assert bob.entities[a].position == pytest.approx((101.5, 0, 99.5))
    assert bob.entities[a].yaw == pytest.approx(1.0, abs=1e-4)
    assert ann.corrections == []
    await ann.ask("world.leave")
    await bob.until(lambda: a not in bob.entities)
    await ann.leave()
    await bob.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_refused_move_is_corrected(realm: LocalRealm, framing: Framing) -> None:
    player = await in_world(realm, "usr_a", framing, 100)
    for x, reason in ((150.0, "too_fast"), (-1.0, "out_of_bounds")):
        sequence = await player.move(x, 100.0)
        await player.until(lambda: bool(player.corrections))
        correction = player.corrections.pop()
        assert (correction.sequence, correction.reason) == (sequence, reason)
        assert correction.position == pytest.approx((100, 0, 100))
    sequence = await player.move(101.0, 100.0)
    await player.until(lambda: player.ack == sequence)
    assert player.corrections == []
    await player.leave()


class TestResuming:
    async def test_an_abrupt_end_and_back_where_one_was(self, realm: LocalRealm) -> None:
        first = await in_world(realm, "usr_a", "json", 100, "Ann")
        friend = await in_world(realm, "usr_b", "proto", 104)
        sequence = await first.move(103.0, 101.0)
        await first.until(lambda: first.ack == sequence)
        for player in (first, friend):
            assert await player.ask("chat.channel.join", channel="hall") == {"channels": ["hall"]}
        first.ws.transport.abort()
        await first.closed()

        again = await Player.join(realm, "usr_a", "proto", first.session_id)
        assert (again.session_id, again.ready["resumed"]) == (first.session_id, True)
        assert again.ready["state"] == "in_world"
        assert again.world["position"] == pytest.approx({"x": 103, "y": 0, "z": 101})
        assert again.world["sequence"] == sequence
        for same in ("entity_id", "character_id", "name", "zone", "number"):
            assert again.world[same] == first.world[same]
        await again.until(lambda: friend.world["number"] in again.entities)  # the whole view, not only what changes
        moved = await again.move(103.5, 101.0)
        number = again.world["number"]
        await friend.until(lambda: friend.entities[number].sequence == moved)
        await asyncio.gather(*realm.gateway.hub._background)  # the gateway listens to the session's topics again
        await friend.ask("chat.message", channel="hall", text="welcome back")
        await again.until(lambda: again.notices[-1].method == "chat.message")
        await again.leave()
        await friend.leave()

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_the_older_socket_is_replaced_and_the_newer_sees_everything(
        self, realm: LocalRealm, framing: Framing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also when the zone's first view for the newer one is here before its session is known to be attached."""
        friend = await in_world(realm, "usr_b", "proto", 104)
        older = await in_world(realm, "usr_a", "json", 100)
        zone = realm.actors["zone/zon_meadow"]
        attach = zone.attach

        async def slowly(*arguments: object) -> object:
            standing = await attach(*arguments)
            until = zone._roles.owner.zone.ticks + 3
            while zone._roles.owner.zone.ticks < until:  # noqa: ASYNC110 - a zone has no event for its ticks
                await asyncio.sleep(0.01)
            return standing

        monkeypatch.setattr(zone, "attach", slowly)
        newer = await Player.join(realm, "usr_a", framing, older.session_id)
        assert await older.closed() == 4500
        assert newer.session_id == older.session_id
        await newer.until(lambda: friend.world["number"] in newer.entities)
        sequence = await newer.move(100.5, 100.0)
        number = newer.world["number"]
        await friend.until(lambda: friend.entities[number].sequence == sequence)
        assert len(realm.gateway.hub.clients) == 2
        await newer.leave()
        await friend.leave()

    async def test_a_session_that_is_gone_is_answered_with_a_new_one(self, realm: LocalRealm) -> None:
        for gone in ("ses_0123456789abcdef01234567", "nonsense", ""):
            player = await Player.join(realm, "usr_a", session_id=gone)
            assert player.session_id not in (gone, "")
            assert player.ready["resumed"] is False
            await player.leave()

    async def test_someone_elses_session_is_403(self, realm: LocalRealm) -> None:
        theirs = await Player.join(realm, "usr_b")
        raw = await Raw.open(f"{realm.url}?session={theirs.session_id}", realm.token("usr_a"))
        assert (raw.answer.status, raw.answer.problem["reason"]) == (403, "session_not_yours")
        assert theirs.code is None
        assert (await theirs.ask("system.ping"))["echo"] is None
        await theirs.leave()


class TestSubprotocols:
    async def test_a_token_may_be_offered_beside_a_framing(self, realm: LocalRealm) -> None:
        offered = [Subprotocol("rayrealm.v1+proto"), Subprotocol(f"rayrealm.token.{realm.token('usr_a')}")]
        async with connect(realm.url, subprotocols=offered, proxy=None) as ws:
            assert ws.subprotocol == "rayrealm.v1+proto"
            (ready,) = decode(await ws.recv())
            assert isinstance(ready, Notification)

    async def test_a_token_alone_is_never_chosen_so_clients_that_must_have_one_give_up(self, realm: LocalRealm) -> None:
        offered = f"rayrealm.token.{realm.token('usr_a')}"
        raw = await Raw.open(realm.url, subprotocol=offered)
        assert raw.answer.status == 101
        assert "sec-websocket-protocol" not in raw.answer.headers
        raw.abort()

    async def test_without_one_each_frame_decides(self, realm: LocalRealm) -> None:
        headers = {"Authorization": f"Bearer {realm.token('usr_a')}"}
        async with connect(realm.url, additional_headers=headers, proxy=None) as ws, asyncio.timeout(10):
            assert isinstance(await ws.recv(), str)
            await ws.send('{"jsonrpc":"2.0","id":1,"method":"system.ping"}')
            assert isinstance(await ws.recv(), str)
            await ws.send(b"\x0a\x032.0\x18\x02\x22\x0d\x0a\x0bsystem.ping")
            assert isinstance(await ws.recv(), bytes)
            await ws.send('{"jsonrpc":"2.0","id":3,"method":"system.ping"}')
            assert isinstance(await ws.recv(), str)


async def test_the_places_of_a_token(realm: LocalRealm) -> None:
    token = realm.token("usr_a")
    for url, headers in (
        (realm.url, {"Authorization": f"Bearer {token}"}),
        (realm.url, {"Cookie": f"theme=dark; rayrealm_token={token}"}),
        (f"{realm.url}?token={token}", {}),
    ):
        async with connect(url, additional_headers=headers, proxy=None) as ws:
            (ready,) = decode(await ws.recv())
            assert isinstance(ready, Notification)
            assert isinstance(ready.params, dict)
            assert ready.params["user_id"] == "usr_a"


async def test_a_browsers_handshake(realm: LocalRealm) -> None:
    """Firefox names two things in Connection, and a site's other cookies come along."""
    raw = await Raw.open(
        realm.url,
        subprotocol="rayrealm.v1+json",
        connection="keep-alive, Upgrade",
        cookie='prefs={"a":[1,2]}; big=' + "x" * 6_000 + f"; rayrealm_token={realm.token('usr_a')}",
        sec_websocket_extensions="permessage-deflate",
        origin=f"http://{urlsplit(realm.url).netloc}",
    )
    assert raw.answer.status == 101
    assert "sec-websocket-extensions" not in raw.answer.headers
    assert raw.answer.headers["sec-websocket-protocol"] == "rayrealm.v1+json"
    opcode, ready = await raw.read()
    assert (opcode, b"session.ready" in ready) == (1, True)
    raw.abort()


async def test_a_plain_get_of_the_endpoint_is_400(realm: LocalRealm) -> None:
    raw = await Raw.open(realm.url, realm.token("usr_a"), upgrade=None, connection="close")
    assert (raw.answer.status, raw.answer.problem["reason"]) == (400, "bad_request")


async def test_a_gateway_that_goes_says_so(realm: LocalRealm) -> None:
    players = [await Player.join(realm, f"usr_{n}") for n in range(3)]
    realm.gateway.stop()
    assert [await player.closed() for player in players] == [1012] * 3
    with pytest.raises(InvalidStatus) as refused:
        await Player.join(realm, "usr_a")
    response = refused.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert b'"draining"' in (response.body or b"")


async def test_early_views_are_never_lost(realm: LocalRealm) -> None:
    """Whether the first view or the answer to world.enter is sooner, an arriving player sees who is there."""
    host = await in_world(realm, "usr_host", "proto", 100)
    number = host.world["number"]
    for n in range(10):
        guest = await in_world(realm, f"usr_{n}", FRAMINGS[n % 2], 101 + n)
        await guest.until(lambda seer=guest: number in seer.entities)  # type: ignore[misc]
        await guest.leave()
    await host.leave()

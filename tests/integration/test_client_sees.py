"""What the client sees and hears, over real sockets, from a realm that does as the test says."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator

import pytest

from rayrealm_client.client import RealmClient
from rayrealm_client.keeper import Loss
from rayrealm_client.messages import ChatMessage
from rayrealm_client.models import GameEvent
from rayrealm_client.people import Presence
from rayrealm_client.view import Position
from realm_proto import realtime_pb2 as pb
from tests.integration.mock_players import FRAMINGS, again, client_of, enter, until
from tests.integration.mock_realm import MockRealm


@pytest.fixture
async def realm() -> AsyncIterator[MockRealm]:
    async with MockRealm() as mock:
        yield mock


@pytest.fixture(params=FRAMINGS)
async def player(realm: MockRealm, request: pytest.FixtureRequest) -> AsyncIterator[RealmClient]:
    """Registered, with a character, in the world."""
    async with client_of(realm, request.param) as client:
        await enter(client)
        yield client


def frame_of(tick: int = 1, ack: int = 0, **fields: object) -> pb.ViewFrame:
    return pb.ViewFrame(tick=tick, ack=ack, **fields)  # type: ignore[arg-type]


def place(number: int, sequence: int, x: int) -> bytes:
    return struct.pack("<HHiiiH", number, sequence, x, 0, 0, 0)


def row(number: int, sequence: int, dx: int) -> bytes:
    return struct.pack("<HBbbbH", number, sequence, dx, 0, 0, 0)


BOB = pb.EntityState(number=9, entity_id="ent_9", entity_type="player", name="Bob", version=1)


class TestSeeing:
    async def test_entities_callbacks_and_iterators(self, realm: MockRealm, player: RealmClient) -> None:
        came: list[str] = []
        left: list[str] = []
        player.on_enter(lambda entity: came.append(entity.name))
        player.on_leave(lambda entity: left.append(entity.name))
        views = player.views()
        reset = {"zone_id": "zon_mock", "epoch": 3, "number": 1}
        await realm.see(frame_of(1, places=place(9, 4, 150), states=[BOB], reset=reset))
        await realm.see(frame_of(2, ack=5, moves=row(9, 5, 100)))
        first, second = await anext(views), await anext(views)
        assert (first.tick, second.tick, player.acked, player.tick) == (1, 2, 5, 2)
        assert player.entities[9].position == Position(2.5, 0.0, 0.0)
        assert player.entities[9].sequence == 5
        await realm.see(frame_of(3, leaves=[9]))
        assert (await anext(views)).leaves == (9,)
        assert (came, left, player.entities) == (["Bob"], ["Bob"], {})

    async def test_a_correction_moves_the_own_character(self, realm: MockRealm, player: RealmClient) -> None:
        corrections: list[str] = []
        player.on_correction(lambda correction: corrections.append(correction.reason))
        await player.move(150.0, 0.0, 150.0)
        where = pb.Vector3(x=100.0, z=100.5)
        await realm.see(frame_of(correction=pb.Correction(sequence=1, position=where, reason="too_fast")))
        await until(lambda: bool(corrections))
        assert corrections == ["too_fast"]
        assert player.position == Position(100.0, 0.0, 100.5)
        assert player.corrections == 1

    async def test_moves_that_were_not_judged_are_walked_again(self, realm: MockRealm, player: RealmClient) -> None:
        for step in range(1, 5):
            await player.move(100.0 + step, 0.0, 100.0)
        where = pb.Vector3(x=90.0, z=90.0)
        await realm.see(frame_of(ack=2, correction=pb.Correction(sequence=2, position=where, reason="blocked")))
        await until(lambda: player.corrections == 1)
        assert player.position == Position(92.0, 0.0, 90.0)
        assert (player.prediction.pending, player.acked) == (2, 2)

    async def test_over_a_border_only_the_zone_changes(self, realm: MockRealm, player: RealmClient) -> None:
        """Another zone, another own number, the others under other numbers; position and moves go on."""
        told: list[str] = []
        player.on_enter(lambda entity: told.append(f"+{entity.name}"))
        player.on_leave(lambda entity: told.append(f"-{entity.name}"))
        player.on_zone(told.append)
        player.on_world(lambda world: told.append("world"))
        own = pb.EntityState(number=1, entity_id="ent_me", version=2, properties_json='{"bag": 1}')
        reset = {"zone_id": "zon_mock", "epoch": 3, "number": 1}
        await realm.see(frame_of(1, places=place(9, 4, 150), states=[own, BOB], reset=reset))
        await player.move(200.5, 0.0, 100.0)
        own.number, bob = 30, pb.EntityState()
        bob.CopyFrom(BOB)
        bob.number = 31
        reset = {"zone_id": "zon_other", "epoch": 1, "number": 30}
        await realm.see(frame_of(900, ack=1, places=place(31, 4, 155), states=[own, bob], reset=reset))
        await until(lambda: player.views_seen == 2)
        assert told == ["+Bob", "zon_other"]
        assert player.zone == "zon_other"
        assert player.world is not None
        assert (player.world.zone, player.world.number, player.world.land.max_x) == ("zon_other", 30, 400.0)
        assert {n: e.position.x for n, e in player.entities.items()} == {31: 1.55}
        assert player.own is not None
        assert (player.own.number, player.own.properties) == (30, {"bag": 1})
        assert player.position == Position(200.5, 0.0, 100.0)
        assert await player.move(201.0, 0.0, 100.0) == 2

    async def test_the_own_state_changes(self, realm: MockRealm, player: RealmClient) -> None:
        seen: list[object] = []
        player.on_own(lambda own: seen.append((own.version, own.properties)))
        own = pb.EntityState(number=1, entity_id="ent_me", version=1, properties_json='{"bag": 1, "hp": 5}')
        await realm.see(frame_of(1, states=[own], reset={"zone_id": "zon_mock", "epoch": 3, "number": 1}))
        changed = pb.EntityState(number=1, version=2, properties_json='{"bag": null}', change=True)
        await realm.see(frame_of(2, states=[changed]))
        await until(lambda: len(seen) == 2)
        assert seen == [(1, {"bag": 1, "hp": 5}), (2, {"hp": 5})]
        assert player.entities == {}

    @pytest.mark.parametrize(
        "frame",
        [
            frame_of(1, moves=row(9, 5, 1)),
            frame_of(1, places=place(9, 5, 1)),
            frame_of(1, states=[pb.EntityState(number=9, change=True)]),
        ],
        ids=["move", "place", "change"],
    )
    async def test_rows_of_whom_it_does_not_hold_are_refused(
        self, realm: MockRealm, player: RealmClient, frame: pb.ViewFrame
    ) -> None:
        losses: list[Loss] = []
        player.on_loss(losses.append)
        await again(player, lambda: realm.see(frame))
        assert [loss.reason for loss in losses] == ["undecodable message"]
        assert player.views_seen == 0

    async def test_a_large_view_may_come_compressed(self, realm: MockRealm) -> None:
        async with client_of(realm) as client:
            await enter(client)
            states = [
                pb.EntityState(number=n, entity_id=f"ent_{n}", properties_json='{"v": 1}') for n in range(2, 5_000)
            ]
            places = b"".join(place(n, 1, n) for n in range(2, 5_000))
            view = frame_of(1, places=places, states=states, reset={"zone_id": "zon_mock", "epoch": 3, "number": 1})
            plain = pb.BatchMessage(messages=[pb.WebSocketMessage(view=view)]).SerializeToString()
            batch = pb.BatchMessage(compressed=True, original_size=len(plain), payload=zlib.compress(plain))
            socket = realm.only().socket
            assert socket is not None
            await socket.send(pb.WebSocketMessage(batch=batch).SerializeToString())
            await until(lambda: len(client.entities) == 4_998)
            assert client.entities[4_999].position.x == 49.99

    async def test_the_games_events(self, realm: MockRealm, player: RealmClient) -> None:
        events: list[GameEvent] = []
        player.on_game(events.append)
        await realm.notify("game.event", {"type": "bell", "data": {"rings": 3}})
        await until(lambda: bool(events))
        assert events == [GameEvent("bell", {"rings": 3})]

    async def test_a_callback_that_fails_hurts_nobody(self, realm: MockRealm, player: RealmClient) -> None:
        seen: list[int] = []
        player.on_view(lambda view, changes: seen[view.tick])
        remove = player.on_view(lambda view, changes: seen.append(view.tick))
        await realm.see(frame_of(1))
        await until(lambda: seen == [1])
        remove()
        views = player.views()
        await realm.see(frame_of(2))
        assert (await anext(views)).tick == 2
        assert seen == [1]

    async def test_a_reader_that_stops_reading_misses_no_leave(self, realm: MockRealm, player: RealmClient) -> None:
        views = player.views(limit=2)
        await realm.see(frame_of(0, states=[BOB], places=place(9, 1, 100)))
        await realm.see(frame_of(1, leaves=[9]))
        for tick in range(2, 50):
            await realm.see(frame_of(tick))
        await until(lambda: player.views_seen == 50)
        assert len(views) == 2
        assert (await anext(views)).leaves == (9,)

    async def test_notices(self, realm: MockRealm, player: RealmClient) -> None:
        chats: list[ChatMessage] = []
        presences: list[Presence] = []
        player.chat.on_message(chats.append)
        player.presence.on_change(presences.append)
        notices = player.notices()
        message = {"message_id": "m", "channel": "c", "from": "usr_b", "name": "B", "text": "hi", "sent_at": 1}
        await realm.notify("chat.message", message)
        await realm.notify("presence.changed", {"user_id": "usr_b", "status": "away"})
        methods = [(await anext(notices)).method, (await anext(notices)).method]
        assert methods == ["chat.message", "presence.changed"]
        assert chats == [ChatMessage("m", "c", "usr_b", "B", "hi", 1.0)]
        assert presences == [Presence("usr_b", "away", None, None)]

    async def test_iterators_end_with_the_client(self, realm: MockRealm) -> None:
        async with client_of(realm) as client:
            await enter(client)
            views, notices = client.views(), client.notices()
        assert [view async for view in views] == []
        assert [notice async for notice in notices] == []

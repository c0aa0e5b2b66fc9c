"""The hub: clients come, are replaced, heard, told, drained and forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import orjson
import pytest
from structlog.testing import capture_logs

from actors.session.states import SessionState
from actors.zone.rows import MOVE_IN
from cluster.errors import Unavailable
from cluster.security.recovery import RecoveryClaims, verify_recovery
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import hub as hub_module
from serve_apps.gateway.connection import Close
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.outgoing import Priority
from serve_apps.gateway.upgrade import Refusal
from tests.unit.serve_apps.gateway.fakes import SECRET, SUBJECTS, WALL, Gateway, Wire, a_world, an_upgrade, attached
from tests.unit.serve_apps.gateway.test_zone_link import out


async def background(gateway: Gateway) -> None:
    """Until what the hub runs in the background is done."""
    async with asyncio.timeout(5):
        while gateway.hub._background:
            await asyncio.gather(*gateway.hub._background)


def move(sequence: int = 1) -> bytes:
    update = pb.PositionUpdate(position=pb.Vector3(x=1), sequence=sequence)
    return pb.WebSocketMessage(move=update).SerializeToString()


class TestConnecting:
    async def test_the_first_message_says_who_one_is(self) -> None:
        gateway, wire = Gateway(), Wire()
        gateway.hub.connect(attached(), "sessions/0", an_upgrade(), Identity("usr_a"), wire)
        (ready,) = wire.json()
        assert ready["method"] == "session.ready"
        token = ready["params"]["recovery"].pop("token")
        assert verify_recovery(SECRET, token, WALL, 0.0, "rayrealm-test") == RecoveryClaims("usr_1", "ses_1", 1)
        assert ready["params"] == {
            "session_id": "ses_1",
            "user_id": "usr_1",
            "resumed": False,
            "recovered": False,
            "stream": "a1",
            "seq": 0,
            "recovery": {"expires_in": 600.0},
            "state": "authenticated",
            "realm": "test",
            "gateway": "gtw_1",
            "protocol": 1,
            "limits": gateway.hub.greeting.limits(premium=False),
            "topics": [],
            "degraded": [],
            "world": None,
        }

    async def test_in_the_framing_that_was_chosen(self) -> None:
        gateway, wire = Gateway(), Wire()
        gateway.hub.connect(attached(), "sessions/0", an_upgrade(Framing.PROTO), Identity("usr_a"), wire)
        assert [message.notification.method for message in wire.proto()] == ["session.ready"]

    async def test_who_was_in_the_world_sees_it_again_and_listens_again(self) -> None:
        gateway, wire = Gateway(), Wire()
        gateway.hub.zones.receive(out(1, 7, reset=True, zone="zon_meadow", attach=2))
        back = attached(attach_epoch=2, world=a_world(7), subscriptions=("news",))
        client = gateway.hub.connect(back, "sessions/0", an_upgrade(), Identity("usr_a"), wire)
        await background(gateway)
        ready, view = wire.json()
        assert (ready["params"]["resumed"], ready["params"]["state"]) == (True, "in_world")
        assert (ready["params"]["world"], ready["params"]["topics"]) == (a_world(7), ["news"])
        assert view["params"]["reset"] == {"zone": "zon_meadow", "epoch": 1, "number": 7}
        assert client.topics == {"news"}
        assert client.number == 7


class TestReplacing:
    async def test_the_older_socket_is_closed_and_takes_nothing_along(self) -> None:
        gateway = Gateway()
        older, older_wire = gateway.connect(world=a_world())
        newer, wire = gateway.connect(attach_epoch=2, world=a_world(), subscriptions=("news",))
        assert older_wire.closed == [(4500, "replaced")]
        gateway.hub.disconnected(older)
        await background(gateway)
        assert gateway.hub.clients == {"ses_1": newer}
        assert newer.topics == {"news"}
        gateway.hub.zones.receive(out(5, 7, zone="zon_meadow"))
        assert [frame["method"] for frame in wire.json()] == ["world.view"]
        assert wire.closed == []

    async def test_the_newer_attach_wins_whoever_comes_first(self) -> None:
        gateway = Gateway()
        newer, wire = gateway.connect(attach_epoch=3, world=a_world())
        older, older_wire = gateway.connect(attach_epoch=2, world=a_world())
        assert older_wire.closed == [(4500, "replaced")]
        assert wire.closed == []
        gateway.hub.disconnected(older)
        assert gateway.hub.clients == {"ses_1": newer}
        assert gateway.closes() == {"4500": 1}

    async def test_the_first_view_for_a_resumed_session_is_not_written_to_its_older_socket(self) -> None:
        gateway = Gateway()
        older, older_wire = gateway.connect(world=a_world(7))
        gateway.hub.zones.receive(out(5, 7, reset=True, zone="zon_meadow", attach=2))
        assert (older_wire.frames, older_wire.closed) == ([], []), "it may hold on until the newer one is there"
        wire = Wire()
        gateway.hub.connect(
            attached(attach_epoch=2, world=a_world(7)), "sessions/0", an_upgrade(), Identity("usr_a"), wire
        )
        assert older_wire.closed == [(4500, "replaced")]
        _, view = wire.json()
        assert view["params"]["reset"] == {"zone": "zon_meadow", "epoch": 1, "number": 7}
        gateway.hub.disconnected(older)
        gateway.hub.zones.receive(out(6, 7, zone="zon_meadow"))
        assert [frame["params"]["tick"] for frame in wire.json()] == [6]


class TestControl:
    @staticmethod
    def close(attach_epoch: int, session_id: str = "ses_1", code: int = 4500) -> bytes:
        order = internal_pb2.GatewayClose(
            session_id=session_id, attach_epoch=attach_epoch, code=code, reason="replaced"
        )
        return internal_pb2.GatewayControl(close=order).SerializeToString()

    async def test_a_session_that_was_attached_elsewhere_is_closed(self) -> None:
        gateway = Gateway()
        _, wire = gateway.connect(attach_epoch=2)
        gateway.hub.control(self.close(1))
        gateway.hub.control(self.close(9, "ses_other"))
        assert wire.closed == []
        gateway.hub.control(self.close(2))
        assert wire.closed == [(4500, "replaced")]

    async def test_notices_go_to_the_sessions_that_are_named_or_to_all(self) -> None:
        gateway = Gateway()
        wires = {name: gateway.connect(session_id=name)[1] for name in ("ses_1", "ses_2", "ses_3")}
        for sessions in (["ses_1", "ses_3", "ses_gone"], []):
            notice = internal_pb2.GatewayNotice(session_ids=sessions, method="presence.changed", params_json=b"{}")
            gateway.hub.control(internal_pb2.GatewayControl(notice=notice).SerializeToString())
        gateway.clock.now += 0.06
        gateway.hub.pulse()
        counts = {name: sum(len(f) if isinstance(f, list) else 1 for f in wire.json()) for name, wire in wires.items()}
        assert counts == {"ses_1": 2, "ses_2": 1, "ses_3": 2}

    async def test_nothing_in_particular(self) -> None:
        Gateway().hub.control(b"")


class TestRoom:
    async def test_up_to_the_capacity(self) -> None:
        gateway = Gateway(capacity=2)
        assert gateway.hub.room() is None
        first, _ = gateway.connect(session_id="ses_1")
        gateway.hub.reserved += 1
        refusal = gateway.hub.room()
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.reason, refusal.retry_after_s > 0) == (503, "full", True)
        gateway.hub.disconnected(first)
        assert gateway.hub.room() is None

    async def test_a_gateway_that_goes_tells_everybody_and_takes_nobody(self) -> None:
        gateway = Gateway()
        wires = [gateway.connect(session_id=f"ses_{n}")[1] for n in range(3)]
        gateway.hub.stop()
        assert [wire.closed for wire in wires] == [[(1012, "restart")]] * 3
        refusal = gateway.hub.room()
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.reason, refusal.retry_after_s > 0) == (503, "draining", True)


class TestDisconnecting:
    async def test_the_session_is_detached_and_nothing_is_left(self) -> None:
        gateway = Gateway()
        client, _ = gateway.connect(world=a_world(), subscriptions=("news",))
        gateway.hub.closed_by_peer(client, 1001)
        gateway.hub.disconnected(client)
        await background(gateway)
        assert gateway.sessions.detached == [("ses_1", 1)]
        assert gateway.hub.clients == {}
        assert gateway.hub.zones._viewers == {}
        assert gateway.closes() == {"1001": 1}

    async def test_without_a_goodbye(self) -> None:
        gateway = Gateway()
        client, _ = gateway.connect()
        gateway.hub.disconnected(client)
        await background(gateway)
        assert gateway.closes() == {"1006": 1}
        assert gateway.sessions.detached == [("ses_1", 1)]

    async def test_a_clients_private_codes_are_not_counted_as_ours(self) -> None:
        gateway = Gateway()
        client, _ = gateway.connect()
        gateway.hub.closed_by_peer(client, 4001)
        gateway.hub.disconnected(client)
        assert gateway.closes() == {"1000": 1}

    async def test_an_abandoned_upgrade_is_detached(self) -> None:
        gateway = Gateway()
        gateway.hub.abandoned(attached(attach_epoch=4), "sessions/0")
        await background(gateway)
        assert gateway.sessions.detached == [("ses_1", 4)]

    async def test_an_actor_that_is_away_is_told_when_it_is_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hub_module, "DETACH_PAUSE_S", 0.001)
        gateway = Gateway()
        tries = 0

        class Flaky:
            async def detach(self, session_id: str, attach_epoch: int) -> None:
                await gateway.sessions.detach(session_id, attach_epoch)

        async def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal tries
            tries += 1
            if tries < 4:
                raise Unavailable("sessions/0")
            return await Flaky().detach(*args[2:])

        monkeypatch.setattr(gateway.calls, "call", call)
        client, _ = gateway.connect()
        with capture_logs():
            gateway.hub.disconnected(client)
            await background(gateway)
        assert tries == 4
        assert gateway.sessions.detached == [("ses_1", 1)]

    async def test_but_not_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hub_module, "DETACH_PAUSE_S", 0.001)
        monkeypatch.setattr(hub_module, "DETACH_DEADLINE_S", 0.001)
        gateway = Gateway()
        gateway.actors.clear()
        client, _ = gateway.connect()
        with capture_logs() as logs:
            gateway.hub.disconnected(client)
            await background(gateway)
        assert logs[-1]["event"] == "detach_failed"

    async def test_closing_twice_says_it_once(self) -> None:
        gateway = Gateway()
        client, wire = gateway.connect()
        gateway.hub.close(client, Close.IDLE, "idle")
        gateway.hub.close(client, Close.KICKED, "out")
        assert wire.closed == [(4003, "idle")]


class TestMoves:
    async def test_a_move_goes_to_the_zone_at_the_next_pulse(self) -> None:
        gateway = Gateway()
        batches: list[bytes] = []
        await gateway.bus.subscribe(SUBJECTS.zone_input("zon_meadow"), batches.append)
        client, wire = gateway.connect(Framing.PROTO, world=a_world(7))
        gateway.hub.receive(client, False, move(3), True)
        gateway.hub.receive(client, False, move(4), True)
        gateway.hub.pulse()
        gateway.bus.deliver()
        (batch,) = (internal_pb2.ZoneInput.FromString(data) for data in batches)
        rows = np.frombuffer(batch.rows, MOVE_IN)
        assert (rows["number"].tolist(), rows["sequence"].tolist()) == ([7, 7], [3, 4])
        assert gateway.metrics.received["world.position.update"] == 2
        assert wire.frames == []

    async def test_a_client_that_only_moves_is_answered_as_it_speaks(self) -> None:
        gateway = Gateway()
        client, wire = gateway.connect(None, world=a_world(7))
        gateway.hub.zones.receive(out(1, 7, zone="zon_meadow"))
        gateway.hub.receive(client, False, move(), True)
        gateway.hub.zones.receive(out(2, 7, zone="zon_meadow"))
        assert [framing for _, framing in wire.frames] == [Framing.JSON, Framing.PROTO]

    async def test_after_leaving_and_after_closing_there_is_no_zone_to_move_in(self) -> None:
        gateway = Gateway()
        client, wire = gateway.connect(Framing.PROTO, world=a_world(7))
        gateway.hub.left(client)
        assert (client.number, client.zone_id, client.state) == (None, "", SessionState.AUTHENTICATED)
        gateway.hub.entered(client, a_world(8))
        assert (client.number, client.state) == (8, SessionState.IN_WORLD)
        gateway.hub.close(client, Close.KICKED, "out")
        assert client.number is None
        gateway.hub.entered(client, a_world(9))
        gateway.hub.zones.receive(out(1, 8, 9, zone="zon_meadow"))
        assert wire.frames == []


class TestSlowClients:
    async def test_views_merge_while_it_does_not_read(self) -> None:
        gateway = Gateway()
        client, wire = gateway.connect(world=a_world(7))
        gateway.hub.blocked(client)
        for tick in range(1, 6):
            gateway.hub.zones.receive(out(tick, 7, zone="zon_meadow"))
        assert wire.frames == []
        gateway.hub.unblocked(client)
        (view,) = wire.json()
        assert view["params"]["tick"] == 5
        assert (gateway.metrics.views.sent, gateway.metrics.views.merged) == (0, 5)

    async def test_one_that_does_not_read_for_long_is_closed(self) -> None:
        gateway = Gateway(slow_consumer_s=10.0)
        client, wire = gateway.connect()
        gateway.hub.blocked(client)
        gateway.clock.now += 10.0
        gateway.hub.sweep()
        assert wire.closed == []
        gateway.clock.now += 0.1
        gateway.hub.sweep()
        assert wire.closed == [(4001, "not reading")]

    async def test_a_flood_of_notices_ends_at_the_bound_not_at_the_next_sweep(self) -> None:
        gateway = Gateway(slow_consumer_bytes=4096)
        client, wire = gateway.connect()
        gateway.hub.blocked(client)
        for _ in range(100):
            gateway.hub.notify(client, "n", orjson.dumps("x" * 1_000), Priority.NORMAL)
            if wire.closed:
                break
        assert wire.closed == [(4001, "not reading")]
        assert client.outgoing.queued_bytes < 6_000


class TestSweeping:
    async def test_silent_ones_are_pinged_and_closed(self) -> None:
        gateway = Gateway(ping_interval_s=30.0, pong_deadline_s=10.0)
        silent, silent_wire = gateway.connect()
        alive, wire = gateway.connect(session_id="ses_2")
        gateway.clock.now += 30.0
        gateway.hub.sweep()
        assert (silent_wire.pings, wire.pings) == (1, 1)
        gateway.clock.now += 5.0
        gateway.hub.heard(alive)
        gateway.clock.now += 6.0
        gateway.hub.sweep()
        assert silent_wire.closed == [(4002, "no pong")]
        assert wire.closed == []
        gateway.hub.disconnected(silent)
        assert gateway.closes() == {"4002": 1}

    async def test_idle_ones_are_closed(self) -> None:
        gateway = Gateway(idle_timeout_s=60.0)
        client, wire = gateway.connect()
        gateway.clock.now += 61.0
        gateway.hub.heard(client)
        gateway.hub.sweep()
        assert wire.closed == [(4003, "idle")]

    async def test_protocol_errors_close(self) -> None:
        gateway = Gateway()
        client, wire = gateway.connect()
        gateway.hub.receive_continuation(client, b"x", True)
        assert wire.closed == [(1002, "a continuation of nothing")]

    async def test_fragments_reach_the_connection(self) -> None:
        gateway = Gateway()
        client, wire = gateway.connect()
        gateway.hub.receive(client, True, b'{"jsonrpc":"2.0","id":1,', False)
        gateway.hub.receive_continuation(client, b'"method":"nope"}', True)
        worker = client.worker
        assert worker is not None
        await worker
        assert wire.json()[0]["error"]["code"] == -32601


async def test_background_work_that_fails_is_logged() -> None:
    gateway = Gateway()

    async def fails() -> None:
        raise Unavailable("redis")

    with capture_logs() as logs:
        gateway.hub.spawn(fails())
        await background(gateway)
    assert [line["event"] for line in logs] == ["background_failed"]


async def test_background_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "BACKGROUND_LIMIT", 2)
    gateway = Gateway()
    gate, done = asyncio.Event(), []

    async def work(n: int) -> None:
        await gate.wait()
        done.append(n)

    with capture_logs() as logs:
        for n in range(3):
            gateway.hub.spawn(work(n))
    assert [line["event"] for line in logs] == ["background_full"]
    gate.set()
    await background(gateway)
    assert done == [0, 1]

"""Reports to the watch on abuse, and its orders: what a gateway's own hub counts, and when it tells."""

from __future__ import annotations

from typing import Any

import pytest

from actors.zone.rows import pack_move_in
from cluster.security_settings import LimitSettings, Rate
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import reporting
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.limits.registry import Registry
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.orders import Orders
from serve_apps.gateway.reporting import Reporter
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.routes import system
from serve_apps.gateway.services import Services
from serve_apps.gateway.tally import AddressTallies
from serve_apps.gateway.views import View
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, Gateway, Wire, a_world, settled

REPORT_S = 5.0


class Strict(Params):
    x: int


async def strict(_services: Services, _client: Client, _params: Strict) -> dict[str, Any]:
    return {}


class Rig:
    """A gateway whose reports are kept."""

    def __init__(self, limits: LimitSettings | None = None) -> None:
        router = Router()
        system.add_to(router)
        router.add("test.strict", Strict, strict)
        self.gateway = Gateway(router)
        self.hub = self.gateway.hub
        self.addresses = AddressTallies()
        registry = Registry(limits or LimitSettings())
        self.reporter = Reporter("gtw_1", self.gateway.bus, SUBJECTS, REPORT_S, self.addresses, registry)
        self.orders = Orders(self.hub, self.reporter, self.gateway.clock)
        self.hub.watchers += [registry, self.reporter]
        self.reports: list[internal_pb2.AbuseReport] = []

    async def start(self) -> Rig:
        def take(data: bytes) -> None:
            self.reports.append(internal_pb2.AbuseReport.FromString(data))

        await self.gateway.bus.subscribe(SUBJECTS.abuse_reports(), take)
        self.hub.sweep()
        return self

    async def next(self) -> list[internal_pb2.AbuseSession]:
        """The sessions of the next report."""
        self.reports.clear()
        self.gateway.clock.now += REPORT_S
        self.hub.sweep()
        self.gateway.bus.deliver()
        return [session for report in self.reports for session in report.sessions]


@pytest.fixture
async def rig() -> Rig:
    return await Rig().start()


def counts(session: internal_pb2.AbuseSession) -> dict[str, Any]:
    """What is not 0, but for who it is."""
    about = ("session_id", "user_id", "address", "role", "span_s", "bytes")
    return {field.name: value for field, value in session.ListFields() if field.name not in about}


def moved(client: Client, hub: Any, sequence: int, x: float, z: float) -> None:
    """A move in its short form."""
    move = pb.PositionUpdate(position=pb.Vector3(x=x, z=z), sequence=sequence)
    hub.receive(client, False, pb.WebSocketMessage(move=move).SerializeToString(), True)


async def test_who_does_nothing_is_not_told_of(rig: Rig) -> None:
    rig.gateway.connect()
    assert await rig.next() == []
    assert [(a.address, a.opened, a.sockets) for r in rig.reports for a in r.addresses] == [("", 1, 1)]
    assert await rig.next() == []
    assert rig.reports == []


async def test_messages_by_kind(rig: Rig) -> None:
    client, _ = rig.gateway.connect(session_id="ses_1", user_id="usr_1")
    await rig.gateway.say(client, {"jsonrpc": "2.0", "id": 1, "method": "system.ping"})
    await rig.gateway.say(client, {"jsonrpc": "2.0", "id": 2, "method": "no.such.method"})
    await rig.gateway.say(client, {"jsonrpc": "2.0", "id": 3, "method": "test.strict", "params": {"x": "?"}})
    await rig.gateway.say(client, {"jsonrpc": "1.0"})
    (session,) = await rig.next()
    assert (session.session_id, session.user_id, session.role) == ("ses_1", "usr_1", client.role)
    assert session.span_s == REPORT_S
    assert session.bytes > 100
    assert counts(session) == {"messages": 4, "calls": 3, "unknown": 1, "invalid": 1, "malformed": 1}
    assert await rig.next() == [], "it begins anew"


async def test_moves_cost_nothing_and_are_counted(rig: Rig) -> None:
    client, _ = rig.gateway.connect(Framing.PROTO, world=a_world())
    for step in range(1, 21):
        moved(client, rig.hub, step, 10.0 + step, 10.0)
    (session,) = await rig.next()
    assert counts(session) == {"messages": 20, "moves": 20}
    moved(client, rig.hub, 21, 34.0, 14.0)
    (session,) = await rig.next()
    assert counts(session) == {"messages": 1, "moves": 1, "metres": pytest.approx(5.657, abs=0.01)}


async def test_a_place_that_is_no_number(rig: Rig) -> None:
    client, _ = rig.gateway.connect(Framing.PROTO, world=a_world())
    moved(client, rig.hub, 1, 10.0, 10.0)
    await rig.next()
    client.last_move = pack_move_in(7, 2, float("nan"), 0.0, 10.0, 0.0)
    moved(client, rig.hub, 3, float("inf"), 10.0)
    (session,) = await rig.next()
    assert session.metres == reporting.MOST_METRES


async def test_corrections(rig: Rig) -> None:
    client, _ = rig.gateway.connect(Framing.PROTO, world=a_world())
    for reason in ("too_fast", "blocked", "too_sudden"):
        correction = pb.Correction(sequence=1, reason=reason).SerializeToString()
        rig.hub._write_view(client, View(b"\0" * 4, b"\0" * 4, b"", correction=correction))
    (session,) = await rig.next()
    assert counts(session) == {"corrections": 2}


async def test_what_is_over_a_limit() -> None:
    rig = await Rig(LimitSettings(user=Rate(per_s=1.0, burst=5))).start()
    client, _ = rig.gateway.connect()
    for number in range(20):
        await rig.gateway.say(client, {"jsonrpc": "2.0", "id": number, "method": "system.ping"})
    (session,) = await rig.next()
    assert (session.limited, session.calls) == (15, 5)
    assert session.messages >= 20
    assert session.moves == 0


async def test_what_is_over_the_limit_of_its_address() -> None:
    rig = await Rig(LimitSettings(address=Rate(per_s=1.0, burst=5))).start()
    client, _ = rig.gateway.connect()
    for number in range(20):
        await rig.gateway.say(client, {"jsonrpc": "2.0", "id": number, "method": "system.ping"})
    (session,) = await rig.next()
    assert client.meter.refused == 15
    assert (session.limited, session.calls) == (0, 5)


async def test_what_was_said(rig: Rig) -> None:
    client, _ = rig.gateway.connect()
    await rig.gateway.say(client, {"jsonrpc": "2.0", "id": 1, "method": "system.ping"})
    for number in range(3):
        client.tally.spoke("come to our castle", f"direct:usr_{number}")
    (session,) = await rig.next()
    assert counts(session) == {"messages": 1, "calls": 1, "chats": 3, "addressees": 3, "same_text": 3}
    for _ in range(int(2 * reporting.SAID_TURN_S / REPORT_S) + 1):
        await rig.next()
    assert client.tally.said is None


async def test_who_has_gone_is_told_of_once(rig: Rig) -> None:
    client, _ = rig.gateway.connect(session_id="ses_1")
    await rig.gateway.say(client, {"jsonrpc": "2.0", "id": 1, "method": "system.ping"})
    rig.gateway.clock.now += 2.0
    rig.hub.close(client, Close.FLOODING, "flooding")
    rig.hub.disconnected(client)
    (session,) = await rig.next()
    assert (session.close_code, session.messages, session.span_s) == (4504, 1, 2.0)
    assert await rig.next() == []
    assert rig.reporter._sockets == {}


async def test_who_was_replaced_before_it_was_opened_counts_for_nothing(rig: Rig) -> None:
    rig.gateway.connect(session_id="ses_1", attach_epoch=2)
    late, _ = rig.gateway.connect(session_id="ses_1", attach_epoch=1)
    rig.hub.disconnected(late)
    assert await rig.next() == []
    assert rig.reporter._sockets == {"": 1}


async def test_a_flood_of_sockets_is_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "MOST_GONE", 3)
    for number in range(5):
        client, _ = rig.gateway.connect(session_id=f"ses_{number}")
        rig.hub.disconnected(client)
    assert len(await rig.next()) == 3
    assert rig.reporter.lost == 2


async def test_a_long_report_comes_in_parts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "PART", 2)
    for number in range(5):
        client, _ = rig.gateway.connect(session_id=f"ses_{number}")
        await rig.gateway.say(client, {"jsonrpc": "2.0", "id": 1, "method": "system.ping"})
        rig.addresses.refused(f"203.0.113.{number}", "full")
    sessions = await rig.next()
    assert [len(report.sessions) for report in rig.reports] == [2, 2, 1]
    assert sum(len(report.addresses) for report in rig.reports) == 6
    assert len({session.session_id for session in sessions}) == 5
    assert (rig.reporter.reports, rig.reporter.told) == (3, 5)


async def test_not_more_often_than_it_should(rig: Rig) -> None:
    client, _ = rig.gateway.connect()
    await rig.next()
    rig.reports.clear()
    for _ in range(int(REPORT_S) - 1):
        await rig.gateway.say(client, {"jsonrpc": "2.0", "id": 1, "method": "system.ping"})
        rig.gateway.clock.now += 1.0
        rig.hub.sweep()
    rig.gateway.bus.deliver()
    assert rig.reports == []


# --- orders ------------------------------------------------------------------------------------------------------


def slow(user: str, factor: float, for_s: float) -> bytes:
    order = internal_pb2.GatewaySlow(user_id=user, factor=factor, for_s=for_s)
    return internal_pb2.GatewayControl(slow=order).SerializeToString()


async def allowed(rig: Rig, client: Client, wire: Wire, messages: int) -> int:
    """How many of so many pings at once are answered with a result."""
    wire.frames.clear()
    for number in range(messages):
        await rig.gateway.say(client, {"jsonrpc": "2.0", "id": number, "method": "system.ping"})
    await settled(client)
    return sum("result" in said for said in wire.json())


async def test_slowed_and_let_go() -> None:
    rig = await Rig(LimitSettings(user=Rate(per_s=10.0, burst=20))).start()
    ann, ann_wire = rig.gateway.connect(session_id="ses_a", user_id="usr_a")
    bob, bob_wire = rig.gateway.connect(session_id="ses_b", user_id="usr_b")
    rig.orders.take(slow("usr_a", 4.0, 60.0))
    assert await allowed(rig, ann, ann_wire, 30) == 5
    assert await allowed(rig, bob, bob_wire, 30) == 20

    rig.hub.disconnected(ann)
    rig.gateway.clock.now += 20.0
    ann, ann_wire = rig.gateway.connect(session_id="ses_a2", user_id="usr_a")
    assert await allowed(rig, ann, ann_wire, 30) == 5, "a new socket is no way out"

    rig.gateway.clock.now += 20.0
    rig.orders.take(slow("usr_a", 1.0, 0.0))
    rig.gateway.clock.now += 20.0
    assert await allowed(rig, ann, ann_wire, 30) == 20


async def test_let_go_while_away() -> None:
    rig = await Rig(LimitSettings(user=Rate(per_s=10.0, burst=20))).start()
    ann, wire = rig.gateway.connect(session_id="ses_a", user_id="usr_a")
    rig.orders.take(slow("usr_a", 4.0, 600.0))
    rig.hub.disconnected(ann)
    rig.orders.take(slow("usr_a", 1.0, 0.0))
    rig.gateway.clock.now += 20.0
    ann, wire = rig.gateway.connect(session_id="ses_a2", user_id="usr_a")
    assert await allowed(rig, ann, wire, 30) == 20


async def test_it_ends_by_itself() -> None:
    rig = await Rig(LimitSettings(user=Rate(per_s=10.0, burst=20))).start()
    ann, wire = rig.gateway.connect(session_id="ses_a", user_id="usr_a")
    rig.orders.take(slow("usr_a", 4.0, 10.0))
    await rig.next()
    assert rig.reporter._slowed
    await rig.next()
    rig.gateway.clock.now += 20.0
    rig.hub.sweep()
    assert rig.reporter._slowed == {}
    assert await allowed(rig, ann, wire, 30) == 20


async def test_expelled(rig: Rig) -> None:
    ann, ann_wire = rig.gateway.connect(session_id="ses_a", user_id="usr_a")
    two, two_wire = rig.gateway.connect(session_id="ses_a2", user_id="usr_a")
    _, bob_wire = rig.gateway.connect(session_id="ses_b", user_id="usr_b")
    order = internal_pb2.GatewayExpel(user_id="usr_a", code=4503, reason="banned")
    rig.orders.take(internal_pb2.GatewayControl(expel=order).SerializeToString())
    assert ann_wire.closed == two_wire.closed == [(4503, "banned")]
    assert bob_wire.closed == []
    assert ann.closed
    assert two.closed


async def test_other_orders_are_the_hubs(rig: Rig) -> None:
    _, wire = rig.gateway.connect()
    control = internal_pb2.GatewayControl(notice=internal_pb2.GatewayNotice(method="x", params_json=b"{}"))
    rig.orders.take(control.SerializeToString())
    assert wire.frames == []
    rig.hub.control(internal_pb2.GatewayControl.FromString(slow("usr_a", 4.0, 1.0)).SerializeToString())

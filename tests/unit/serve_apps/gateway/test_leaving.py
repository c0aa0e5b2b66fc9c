"""Draining and rebalancing as clients of a gateway see it."""

from __future__ import annotations

from typing import Any

from cluster.security.recovery import verify_recovery
from realm_proto import internal_pb2
from serve_apps.gateway.upgrade import Refusal
from tests.unit.serve_apps.gateway.fakes import SECRET, WALL, Gateway, Wire


def drain(gateway: Gateway, deadline_s: float) -> None:
    order = internal_pb2.GatewayControl(drain=internal_pb2.GatewayDrain(deadline_s=deadline_s))
    gateway.hub.control(order.SerializeToString())


def asked(wire: Wire) -> list[dict[str, Any]]:
    return [said["params"] for said in wire.json() if said["method"] == "session.reconnect"]


def test_everyone_is_asked_with_a_token_and_who_stays_is_closed_with_1012() -> None:
    gateway = Gateway(drain_s=10.0)
    clients = [gateway.connect(session_id=f"ses_{n}", user_id=f"usr_{n}") for n in range(20)]
    drain(gateway, 10.0)
    refusal = gateway.hub.room()
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (503, "draining")
    told: dict[int, dict[str, Any]] = {}
    for _ in range(120):
        gateway.clock.now += 0.1
        gateway.hub.pulse()
        for n, (client, wire) in enumerate(clients):
            for params in asked(wire):
                assert n not in told, "nobody is asked twice"
                told[n] = params
                if n % 2:  # half of them follow
                    gateway.hub.closed_by_peer(client, 1000)
                    del gateway.hub.clients[client.session_id]
    assert sorted(told) == list(range(20))
    for n, params in told.items():
        assert params["reason"] == "draining"
        assert 0 < params["within_s"] < 10.0
        claims = verify_recovery(SECRET, params["token"], WALL, 0.0, gateway.settings.namespace)
        assert (claims.user_id, claims.session_id) == (f"usr_{n}", f"ses_{n}")
    assert [wire.closed for _, wire in clients[::2]] == [[(1012, "restart")]] * 10
    assert [wire.closed for _, wire in clients[1::2]] == [[]] * 10


def test_a_deadline_beyond_the_setting_is_the_setting() -> None:
    gateway = Gateway(drain_s=5.0)
    _, wire = gateway.connect()
    drain(gateway, float("inf"))
    for _ in range(60):
        gateway.clock.now += 0.1
        gateway.hub.pulse()
    assert wire.closed == [(1012, "restart")]


def test_without_time_all_are_closed_at_once() -> None:
    gateway = Gateway()
    _, wire = gateway.connect()
    drain(gateway, 0.0)
    gateway.hub.pulse()
    assert wire.closed == [(1012, "restart")]


def test_a_gateway_with_too_many_asks_some_away_when_that_is_wanted() -> None:
    for wanted in (True, False):
        gateway = Gateway(rebalance=True, rebalance_per_minute=0.2) if wanted else Gateway()
        clients = [gateway.connect(session_id=f"ses_{n}") for n in range(100)]
        told = 0
        for _ in range(60):
            gateway.clock.now += 1.0
            other = internal_pb2.GatewayAlive(gateway_id="gtw_2", sockets=0, capacity=4_000)
            gateway.hub.heard_gateway(other.SerializeToString())
            gateway.hub.leaving.sweep(gateway.clock.now)
            gateway.hub.pulse()
            told += sum(len(asked(wire)) for _, wire in clients)
        assert (10 <= told <= 21) if wanted else told == 0
        assert [wire.closed for _, wire in clients] == [[]] * 100


def test_asked_again_the_earlier_deadline_counts() -> None:
    gateway = Gateway(drain_s=20.0)
    _, wire = gateway.connect()
    for deadline_s in (20.0, 2.0, 20.0):
        drain(gateway, deadline_s)
    for _ in range(21):
        gateway.clock.now += 0.1
        gateway.hub.pulse()
    assert wire.closed == [(1012, "restart")]
    assert gateway.hub.leaving.done


def test_where_nobody_else_takes_them_nobody_waits_long() -> None:
    """The realm stops, or this was its only gateway: which is certain only to one that hears itself."""
    for hears_itself in (True, False):
        gateway = Gateway(drain_s=20.0)
        _, wire = gateway.connect()
        drain(gateway, 20.0)
        for n in range(15):
            if hears_itself and n % 10 == 0:
                gateway.hub.heard_gateway(gateway.hub.alive())
            gateway.clock.now += 0.1
            gateway.hub.pulse()
        assert bool(wire.closed) == hears_itself


def test_without_clients_it_is_done_at_once() -> None:
    gateway = Gateway()
    drain(gateway, 20.0)
    gateway.hub.pulse()
    assert gateway.hub.leaving.done
    assert internal_pb2.GatewayAlive.FromString(gateway.hub.alive()).draining


def test_a_socket_that_is_being_closed_is_not_asked() -> None:
    gateway = Gateway()
    client, wire = gateway.connect()
    client.closed = True
    drain(gateway, 20.0)
    for _ in range(150):
        gateway.clock.now += 0.1
        gateway.hub.pulse()
    assert asked(wire) == []


def test_an_operator_s_drain_is_taken_back_and_an_end_is_not() -> None:
    stay = internal_pb2.GatewayControl(stay=internal_pb2.GatewayStay()).SerializeToString()
    gateway = Gateway(drain_s=5.0)
    gateway.hub.control(stay)
    drain(gateway, 2.0)
    for _ in range(30):
        gateway.clock.now += 0.1
        gateway.hub.pulse()
    assert (gateway.hub.leaving.draining, gateway.hub.leaving.done) == (True, True)
    gateway.hub.control(stay)
    assert gateway.hub.room() is None
    assert (gateway.hub.leaving.draining, gateway.hub.leaving.done) == (False, False)
    _, wire = gateway.connect(session_id="ses_later")
    gateway.clock.now += 10.0
    gateway.hub.pulse()
    assert wire.closed == []
    drain(gateway, 2.0)
    gateway.hub.leaving.drain(gateway.clock.now, 5.0)
    gateway.hub.control(stay)
    assert gateway.hub.leaving.draining, "Serve ends the process"

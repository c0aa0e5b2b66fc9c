"""Clients are asked to connect elsewhere, each with a token to do it with, and are closed in the end (rows 1.6 and 1.8)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from structlog.testing import capture_logs

from cluster.security.recovery import verify_recovery
from realm_proto import internal_pb2
from tests.unit.serve_apps.gateway.fakes import SECRET, WALL, Gateway, Wire


class Draining:
    """A gateway with clients, and what was said to each."""

    def __init__(self, clients: int = 10, others: bool = True, **limits: Any) -> None:
        self.gateway = Gateway(drain_s=20.0, drain_batch_s=0.5, **limits)
        self.wires: dict[str, Wire] = {
            f"ses_{n}": self.gateway.connect(session_id=f"ses_{n}")[1] for n in range(clients)
        }
        self.asked: dict[str, list[dict[str, Any]]] = {name: [] for name in self.wires}
        self.others = others

    def run(self, seconds: float) -> None:
        """Time goes by, with a pulse every 20 ms and a sweep and heartbeats each second."""
        gateway = self.gateway
        for n in range(round(seconds / 0.02)):
            if n % 50 == 0:
                gateway.hub.heard_gateway(gateway.hub.alive())
                if self.others:
                    other = internal_pb2.GatewayAlive(gateway_id="gtw_2", sockets=0, capacity=4_000)
                    gateway.hub.heard_gateway(other.SerializeToString())
                gateway.hub.leaving.sweep(gateway.clock())
            gateway.clock.now += 0.02
            gateway.hub.pulse()
            for name, wire in self.wires.items():
                self.asked[name] += [f["params"] for f in wire.json() if f["method"] == "session.reconnect"]

    def go(self, name: str) -> None:
        """The client does as it was told."""
        self.gateway.hub.disconnected(self.gateway.hub.clients[name])

    @property
    def closed(self) -> list[str]:
        return [name for name, wire in self.wires.items() if wire.closed]


async def test_everyone_is_asked_once_with_a_token_of_its_own() -> None:
    draining = Draining()
    with capture_logs():
        draining.gateway.hub.leaving.drain(draining.gateway.clock(), 20.0)
        draining.run(11.0)
    assert {name: len(asked) for name, asked in draining.asked.items()} == dict.fromkeys(draining.wires, 1)
    for name, (said,) in draining.asked.items():
        assert (said["reason"], said["expires_in"]) == ("draining", 600.0)
        assert 0 < said["within_s"] <= 5.0
        claims = verify_recovery(SECRET, said["token"], WALL, 0.0, "rayrealm-test")
        assert (claims.session_id, claims.attach_epoch) == (name, 1)
    assert (draining.closed, draining.gateway.hub.leaving.asked) == ([], 10)


async def test_who_does_not_go_is_closed_and_then_it_is_done() -> None:
    draining = Draining()
    leaving = draining.gateway.hub.leaving
    with capture_logs():
        leaving.drain(draining.gateway.clock(), 20.0)
        draining.run(12.0)
        for name in ("ses_1", "ses_2"):
            draining.go(name)
        draining.run(6.0)
    assert sorted(draining.closed) == sorted(set(draining.wires) - {"ses_1", "ses_2"})
    assert {tuple(wire.closed) for name, wire in draining.wires.items() if name in draining.closed} == {
        ((1012, "restart"),)
    }
    assert not leaving.done
    with capture_logs():
        for name in draining.closed:
            draining.go(name)
        draining.run(0.1)
    assert leaving.done


async def test_it_is_over_by_the_deadline_whoever_is_left() -> None:
    draining = Draining()
    leaving = draining.gateway.hub.leaving
    with capture_logs():
        leaving.drain(draining.gateway.clock(), 4.0)
        draining.run(4.1)
    assert leaving.done
    assert len(draining.closed) == 10


@pytest.mark.parametrize("deadline", [1e9, math.inf, math.nan])
async def test_not_longer_than_the_setting(deadline: float) -> None:
    draining = Draining()
    with capture_logs():
        draining.gateway.hub.leaving.drain(draining.gateway.clock(), deadline)
        draining.run(20.1)
    assert draining.gateway.hub.leaving.done


async def test_asked_again_the_earlier_deadline_counts() -> None:
    draining = Draining()
    leaving = draining.gateway.hub.leaving
    with capture_logs():
        leaving.drain(draining.gateway.clock(), 20.0)
        leaving.drain(draining.gateway.clock(), 2.0)
        leaving.drain(draining.gateway.clock(), 20.0)
        draining.run(2.1)
    assert leaving.done


async def test_over_the_bus() -> None:
    draining = Draining()
    order = internal_pb2.GatewayControl(drain=internal_pb2.GatewayDrain(deadline_s=3.0))
    with capture_logs():
        draining.gateway.hub.control(order.SerializeToString())
        draining.run(0.1)
    assert internal_pb2.GatewayAlive.FromString(draining.gateway.hub.alive()).draining
    refusal = draining.gateway.hub.room()
    assert refusal is not None
    assert (refusal.status, refusal.reason, refusal.retry_after_s) == (503, "draining", 1)


async def test_without_clients_it_is_done_at_once() -> None:
    draining = Draining(0)
    with capture_logs():
        draining.gateway.hub.leaving.drain(draining.gateway.clock(), 20.0)
        draining.run(0.1)
    assert draining.gateway.hub.leaving.done


async def test_where_nobody_else_takes_them_nobody_waits_long() -> None:
    """The realm stops, or this was its only gateway."""
    draining = Draining(others=False)
    draining.run(1.0)
    with capture_logs():
        draining.gateway.hub.leaving.drain(draining.gateway.clock(), 20.0)
        draining.run(1.2)
    assert len(draining.closed) == 10


async def test_a_client_that_is_being_closed_is_not_asked() -> None:
    draining = Draining(2)
    client = draining.gateway.hub.clients["ses_0"]
    with capture_logs():
        client.closed = True
        draining.gateway.hub.leaving.drain(draining.gateway.clock(), 20.0)
        draining.run(11.0)
    assert [len(asked) for asked in draining.asked.values()] == [0, 1]


async def test_clients_go_where_there_is_more_room_if_that_is_wanted() -> None:
    draining = Draining(100, rebalance=True, rebalance_per_minute=1.0)
    draining.run(30.0)
    asked = [said for many in draining.asked.values() for said in many]
    assert len(asked) > 10
    assert {said["reason"] for said in asked} == {"rebalance"}
    assert all(verify_recovery(SECRET, said["token"], WALL, 0.0, "rayrealm-test") for said in asked)
    assert (draining.closed, draining.gateway.hub.leaving.draining) == ([], False)


async def test_and_not_otherwise() -> None:
    draining = Draining(100)
    draining.run(30.0)
    assert all(many == [] for many in draining.asked.values())

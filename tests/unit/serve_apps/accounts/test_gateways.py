"""Which gateways serve."""

from __future__ import annotations

from realm_proto.internal_pb2 import GatewayAlive
from serve_apps.accounts.gateways import SILENCE_S, Gateways


def alive(gateway: str, draining: bool = False, degraded: tuple[str, ...] = ()) -> bytes:
    return GatewayAlive(gateway_id=gateway, draining=draining, degraded=degraded).SerializeToString()


def test_those_that_are_heard() -> None:
    gateways = Gateways()
    assert gateways.serving(0.0) == 0
    gateways.heard(alive("gtw_a"), 0.0)
    gateways.heard(alive("gtw_b"), 2.0)
    gateways.heard(alive("gtw_b"), 2.0)
    assert gateways.serving(2.0) == 2
    assert gateways.serving(SILENCE_S + 1.0) == 1
    assert gateways.serving(SILENCE_S + 2.0) == 0


def test_one_that_leaves_or_lacks_what_it_needs_does_not_serve() -> None:
    gateways = Gateways()
    gateways.heard(alive("gtw_a", draining=True), 0.0)
    gateways.heard(alive("gtw_b", degraded=("nats", "redis")), 0.0)
    gateways.heard(alive("gtw_c", degraded=("redis",)), 0.0)
    gateways.heard(alive("gtw_d", degraded=("zone:zon_a",)), 0.0)  # the others are well
    assert gateways.serving(0.0) == 1
    gateways.heard(alive("gtw_c"), 1.0)
    assert gateways.serving(1.0) == 2

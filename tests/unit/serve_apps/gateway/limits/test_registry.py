"""Who shares which limits, and for how long they are remembered."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from cluster.security_settings import LimitSettings, Rate
from serve_apps.gateway.client import Client
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.limits import registry as module
from serve_apps.gateway.limits.registry import Registry
from tests.unit.serve_apps.gateway.fakes import a_client

USER = Rate(per_s=10.0, burst=5)
ANN, HOME = "203.0.113.7", "192.0.2.1"


def a_registry(exempt: tuple[str, ...] = (), **settings: Any) -> Registry:
    return Registry(LimitSettings(**{"user": USER, **settings}), [ip_network(network) for network in exempt])


def come(registry: Registry, user_id: str = "usr_a", address: str = ANN, now: float = 0.0) -> Client:
    client, _ = a_client(session_id=f"ses_{id(object())}", user_id=user_id)
    client.address = address
    registry.opened(client, now)
    return client


def let_in(client: Client, count: int, now: float = 0.0) -> int:
    return sum(client.meter.frame(1, now) == 0.0 for _ in range(count))


def test_sockets_of_one_user_share_its_limit() -> None:
    registry = a_registry()
    one, other, friend = come(registry), come(registry, address=HOME), come(registry, "usr_b")
    assert (let_in(one, 4), let_in(other, 4), let_in(friend, 9)) == (4, 1, 5)
    assert registry.refused == {"user": 7, "address": 0, "method": 0, "all": 0}


def test_sockets_of_one_address_share_its_limit() -> None:
    registry = a_registry(address=Rate(per_s=10.0, burst=7))
    assert [let_in(come(registry, f"usr_{n}"), 4) for n in range(3)] == [4, 3, 0]
    assert let_in(come(registry, "usr_x", HOME), 4) == 4


def test_so_do_those_of_one_network_of_ipv6() -> None:
    registry = a_registry(address=Rate(per_s=10.0, burst=3))
    addresses = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    assert [let_in(come(registry, f"usr_{a}", a), 3) for a in addresses] == [3, 0, 3]


def test_all_share_the_gateways() -> None:
    registry = a_registry(in_all=Rate(per_s=10.0, burst=7), exempt=("192.0.2.0/24",))
    assert let_in(come(registry, "usr_a", HOME), 5) == 5
    assert let_in(come(registry, "usr_b"), 5) == 2


def test_the_exempt_have_no_limit_of_their_address_but_their_own() -> None:
    registry = a_registry(address=Rate(per_s=10.0, burst=1), exempt=("203.0.113.0/24",))
    assert let_in(come(registry), 9) == 5


def test_premium_follows_the_newest_token() -> None:
    registry = a_registry()
    client = come(registry)
    client.identity = Identity("usr_a", premium=True)
    registry.sweep([client], 0.0)
    assert let_in(client, 20) == 10


def test_who_comes_back_at_once_finds_what_was_left() -> None:
    registry = a_registry(address=Rate(per_s=10.0, burst=100), methods={"a.b": Rate(per_s=0.1, burst=1)})
    client = come(registry)
    assert let_in(client, 9) == 5
    client.meter.method("a.b", 0.0)
    registry.gone(client, 0.0)
    registry.sweep([], 0.0)
    again = come(registry)
    assert let_in(again, 9) == 0
    registry.gone(again, 1.0)
    registry.sweep([], 1.0)
    again = come(registry, now=1.0)
    assert let_in(again, 9, now=1.0) == 5
    assert again.meter.method("a.b", 1.0) > 0.0, "a slower bucket is remembered for longer"


def test_nobody_is_remembered_without_need() -> None:
    registry = a_registry()
    clients = [come(registry, f"usr_{n}", f"192.0.2.{n}") for n in range(20)]
    for client in clients:
        let_in(client, 9)
    registry.sweep(clients, 100.0)
    assert len(registry) == 40
    for client in clients:
        registry.gone(client, 100.0)
    registry.sweep([], 100.0)
    assert len(registry) == 0


def test_who_is_slowed_stays_so_without_a_socket() -> None:
    registry = a_registry()
    client = come(registry)
    client.meter.slow(5.0, until=60.0)
    registry.gone(client, 0.0)
    registry.sweep([], 50.0)
    assert let_in(come(registry, now=50.0), 9, now=50.0) == 1


def test_a_slow_one_is_let_off_without_a_socket() -> None:
    registry = a_registry()
    client = come(registry)
    registry.slow("usr_a", 5.0, until=1_000.0)
    assert let_in(client, 9) == 1
    registry.gone(client, 0.0)
    registry.slow("usr_a", 1.0, until=50.0)
    registry.slow("usr_nobody", 5.0, until=1_000.0)
    assert let_in(come(registry, now=50.0), 9, now=50.0) == 5
    assert len(registry) == 2


def test_leaving_before_the_end_is_no_way_out() -> None:
    """Five sockets a second, each left when it was refused one time too few."""
    registry = a_registry()
    strikes, refused, closed = LimitSettings().strikes, 0, 0
    for second in range(10):
        for _ in range(5):
            client = come(registry, now=float(second))
            while client.meter.refused < strikes - 1 and not client.meter.flooding:
                client.meter.frame(1, float(second))
            refused += client.meter.refused
            closed += client.meter.flooding
            registry.gone(client, float(second))
            registry.sweep([], float(second))
    assert closed == refused // strikes == 25
    registry.sweep([], 10.0 + LimitSettings().strike_window_s)
    assert len(registry) == 0, "they are forgotten in the end"


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LEFT", 3)
    registry = a_registry()
    for n in range(10):
        client = come(registry, f"usr_{n}", f"192.0.2.{n}")
        let_in(client, 9)
        registry.gone(client, 0.0)
    registry.sweep([], 0.0)
    assert len(registry) == 6
    assert let_in(come(registry, "usr_9", "192.0.2.9"), 9) == 0, "the newest are kept"


def test_a_socket_that_was_replaced_before_it_was_known() -> None:
    registry = a_registry()
    client, _ = a_client(user_id="usr_a")
    registry.gone(client, 0.0)
    assert len(registry) == 0

"""Who may knock at all: bans, rates, numbers, and heads that two parsers might read differently."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from cluster.ports.protection import NetworkBan
from cluster.security_settings import FirewallSettings, Rate
from serve_apps.gateway import firewall as module
from serve_apps.gateway.client import Client
from serve_apps.gateway.firewall import Firewall
from serve_apps.gateway.upgrade import Refusal
from tests.unit.serve_apps.gateway.fakes import KEY, WALL, Clock, a_client

CLEAN = (
    ("host", "realm.example"),
    ("upgrade", "websocket"),
    ("connection", "keep-alive, Upgrade"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", KEY),
)
SIZE = 300
ANN, BOB = "203.0.113.7", "198.51.100.9"


class Rig:
    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.bans: dict[str, NetworkBan] = {}
        self.kicked: list[Client] = []
        self.firewall = Firewall(
            FirewallSettings(**settings), self.banned, self.clock, lambda: WALL, self.kicked.append
        )

    def banned(self, address: str, now: float) -> NetworkBan | None:
        assert now == WALL
        return self.bans.get(address)

    def ban(self, address: str) -> None:
        self.bans[address] = NetworkBan(address, None, "test", "test")

    def enter(self, address: str = ANN, headers: tuple[tuple[str, str], ...] = CLEAN, size: int = SIZE) -> str:
        said = self.firewall.enter(size, headers, address)
        return said.reason if isinstance(said, Refusal) else ""

    def refusal(self, size: int = SIZE) -> Refusal:
        said = self.firewall.enter(size, CLEAN, ANN)
        assert isinstance(said, Refusal)
        return said

    def times(self, count: int, address: str = ANN) -> list[str]:
        return [self.enter(address) for _ in range(count)]


class TestConnections:
    def test_so_many_at_once_and_no_more(self) -> None:
        rig = Rig(connections_per_address=3)
        assert rig.times(5) == ["", "", "", "too_many_connections", "too_many_connections"]
        assert rig.enter(BOB) == ""
        rig.firewall.leave(ANN)
        assert rig.times(2) == ["", "too_many_connections"]

    def test_one_network_of_ipv6_is_one_address(self) -> None:
        rig = Rig(connections_per_address=1)
        assert [rig.enter(a) for a in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")] == [
            "",
            "too_many_connections",
            "",
        ]

    def test_so_fast_and_no_faster(self) -> None:
        rig = Rig(connects_per_address=Rate(per_s=2.0, burst=3))
        assert rig.times(4) == ["", "", "", "connecting_too_fast"]
        refusal = rig.refusal()
        assert (refusal.status, refusal.retry_after_s) == (429, 1)
        assert rig.enter(BOB) == ""
        rig.clock.now += 0.5
        assert rig.times(2) == ["", "connecting_too_fast"]

    def test_all_together(self) -> None:
        rig = Rig(connects_in_all=Rate(per_s=1.0, burst=2), connects_per_address=Rate(per_s=1.0, burst=1))
        assert rig.times(3) == ["", "connecting_too_fast", "connecting_too_fast"]
        assert rig.enter(BOB) == "", "what an address is refused uses up nothing of what all have"
        assert rig.enter("192.0.2.1") == "connecting_too_fast"

    def test_dirty_heads_count_as_well(self) -> None:
        rig = Rig(connects_per_address=Rate(per_s=1.0, burst=2))
        assert [rig.enter(headers=()) for _ in range(3)] == ["bad_request", "bad_request", "connecting_too_fast"]
        rig.clock.now += 10.0
        assert rig.times(2) == ["", ""], "and hold no place"

    def test_the_exempt_have_no_limit_by_address(self) -> None:
        rig = Rig(
            exempt=(ip_network("203.0.113.0/24"),),
            connections_per_address=1,
            connects_per_address=Rate(per_s=1.0, burst=1),
            connects_in_all=Rate(per_s=1.0, burst=20),
        )
        assert rig.times(20) == [""] * 20
        assert rig.enter() == "connecting_too_fast", "but all count for all"
        rig.ban(ANN)
        assert rig.enter() == "address_banned"

    def test_who_is_exempt_takes_nobody_off_the_count(self) -> None:
        """A host of a household's /64 may be exempt while its neighbours are not."""
        rig = Rig(exempt=(ip_network("2001:db8::7/128"),), connections_per_address=2)
        neighbours = [rig.firewall.enter(SIZE, CLEAN, f"2001:db8::{number}") for number in (1, 2)]
        exempt = [rig.firewall.enter(SIZE, CLEAN, "2001:db8::7") for _ in range(9)]
        for entered in exempt:
            assert isinstance(entered, str)
            rig.firewall.leave(entered)
        assert rig.enter("2001:db8::3") == "too_many_connections"
        assert isinstance(neighbours[0], str)
        rig.firewall.leave(neighbours[0])
        assert [rig.enter(f"2001:db8::{number}") for number in (3, 4)] == ["", "too_many_connections"]

    def test_who_leaves_without_having_come_changes_nothing(self) -> None:
        rig = Rig(connections_per_address=1)
        rig.firewall.leave(ANN)
        assert rig.times(2) == ["", "too_many_connections"]

    def test_rates_are_forgotten_when_they_do_not_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rig = Rig()
        rig.times(3)
        rig.firewall.sweep([], rig.clock.now)
        assert len(rig.firewall._rates) == 1
        rig.firewall.sweep([], rig.clock.now + 1.0)
        assert rig.firewall._rates == {}
        monkeypatch.setattr(module, "MOST_ADDRESSES", 2)
        for number in range(9):
            rig.enter(f"192.0.2.{number}")
        assert list(rig.firewall._rates) == ["192.0.2.7", "192.0.2.8"]


class TestBans:
    def test_a_banned_address_is_403_and_counts_for_nothing(self) -> None:
        rig = Rig(connects_per_address=Rate(per_s=1.0, burst=1))
        rig.ban(ANN)
        refusal = rig.refusal()
        assert (refusal.status, refusal.reason) == (403, "address_banned")
        rig.bans.clear()
        assert rig.enter() == ""

    def test_sockets_that_are_open_are_closed(self) -> None:
        rig = Rig()
        clients = [a_client(session_id=f"ses_{number}")[0] for number in range(3)]
        for client, address in zip(clients, (ANN, BOB, ANN), strict=True):
            client.address = address
        rig.firewall.enforce(clients)
        assert rig.kicked == []
        rig.ban(ANN)
        rig.firewall.enforce(clients)
        assert rig.kicked == [clients[0], clients[2]]

    def test_a_ban_that_came_while_a_socket_was_being_opened(self) -> None:
        rig = Rig()
        client, _ = a_client()
        client.address = ANN
        rig.firewall.opened(client, 0.0)
        rig.ban(ANN)
        rig.firewall.opened(client, 0.0)
        assert rig.kicked == [client]


def replaced(name: str, value: str | None) -> tuple[tuple[str, str], ...]:
    kept = [(n, v) for n, v in CLEAN if n != name]
    return (*kept, *([(name, value)] if value is not None else []))


class TestHeads:
    @pytest.mark.parametrize("name", ["host", "upgrade", "sec-websocket-key", "sec-websocket-version"])
    def test_twice_what_may_be_there_once(self, name: str) -> None:
        again = next(pair for pair in CLEAN if pair[0] == name)
        assert Rig().enter(headers=(*CLEAN, again)) == "bad_request"

    @pytest.mark.parametrize("name", ["origin", "authorization"])
    def test_twice_what_needs_not_be_there(self, name: str) -> None:
        value = "http://realm.example"
        assert Rig().enter(headers=(*CLEAN, (name, value))) == ""
        assert Rig().enter(headers=(*CLEAN, (name, value), (name, value))) == "bad_request"

    @pytest.mark.parametrize("name", ["cookie", "sec-websocket-protocol", "sec-websocket-extensions", "connection"])
    def test_what_may_be_there_often(self, name: str) -> None:
        assert Rig().enter(headers=(*CLEAN, (name, "a=b"), (name, "c=d"))) == ""

    @pytest.mark.parametrize(
        ("host", "fine"),
        [
            ("realm.example", True),
            ("realm.example:8000", True),
            ("127.0.0.1:8000", True),
            ("[::1]:8000", True),
            ("[2001:db8::1]", True),
            (None, False),
            ("", False),
            ("realm.example, evil.example", False),
            ("realm.example/evil", False),
            ("user@realm.example", False),
            ("realm.example:port", False),
            ("realm.example:", False),
            ("[::1", False),
            ("real\u00e9m.example", False),
            ("x" * 300, False),
        ],
    )
    def test_hosts(self, host: str | None, fine: bool) -> None:
        assert Rig().enter(headers=replaced("host", host)) == ("" if fine else "bad_request")

    @pytest.mark.parametrize(
        ("name", "value", "fine"),
        [
            ("upgrade", "WebSocket", True),
            ("upgrade", "websocket, h2c", False),
            ("upgrade", None, False),
            ("connection", "upgrade", True),
            ("connection", "keep-alive", False),
            ("connection", "not-upgrade", False),
            ("connection", None, False),
        ],
    )
    def test_what_makes_it_an_upgrade(self, name: str, value: str | None, fine: bool) -> None:
        assert Rig().enter(headers=replaced(name, value)) == ("" if fine else "bad_request")

    @pytest.mark.parametrize(
        "header",
        [
            ("content-length", "4"),
            ("content-length", "0, 4"),
            ("transfer-encoding", "chunked"),
            ("sec-websocket-accept", "x"),
            ("x-odd", "a\x00b"),
            ("x-odd", "a\rb"),
            ("cookie", "a\nb"),
            ("x-odd", "\x7f"),
        ],
    )
    def test_what_no_upgrade_has(self, header: tuple[str, str]) -> None:
        assert Rig().enter(headers=(*CLEAN, header)) == "bad_request"

    def test_an_empty_body_is_none(self) -> None:
        assert Rig().enter(headers=(*CLEAN, ("content-length", "0"), ("x-tab", "a\tb"))) == ""

    def test_too_large(self) -> None:
        rig = Rig(head_bytes=1_024, headers=8)
        assert rig.enter(size=1_024) == ""
        refusal = rig.refusal(1_025)
        assert (refusal.status, refusal.reason) == (431, "head_too_large")
        assert rig.enter(headers=(*CLEAN, *((f"x-{n}", "1") for n in range(3)))) == ""
        assert rig.enter(headers=(*CLEAN, *((f"x-{n}", "1") for n in range(4)))) == "head_too_large"

    def test_origins(self) -> None:
        assert Rig().enter(headers=(*CLEAN, ("origin", "https://realm.example"))) == ""
        assert Rig().enter(headers=(*CLEAN, ("origin", "https://evil.example"))) == "origin_refused"
        assert Rig(origin_needed=True).enter() == "origin_refused"
        assert Rig(origins=("https://*.example",)).enter(headers=(*CLEAN, ("origin", "https://evil.example"))) == ""

"""Clients are asked away only where there is more room, never many at once, and it comes to rest."""

from __future__ import annotations

from itertools import count

import pytest

from cluster.settings import GatewaySettings
from serve_apps.gateway.rebalance import SILENCE_S, Rebalance

ON = GatewaySettings(rebalance=True, rebalance_per_minute=0.2, capacity=4_000)


def sessions(number: int) -> dict[str, None]:
    return dict.fromkeys(f"ses_{i}" for i in range(number))


class Realm:
    """Gateways that hear each other once a second; who is asked reconnects at the emptiest, a few seconds later."""

    def __init__(self, *sockets: int, settings: GatewaySettings = ON) -> None:
        ids = count()
        self.clients = [dict.fromkeys(f"ses_{next(ids)}" for _ in range(number)) for number in sockets]
        self.rules = [Rebalance(f"gtw_{i}", settings) for i in range(len(sockets))]
        self.asked: list[list[int]] = [[] for _ in sockets]
        self.draining: set[int] = set()
        self._settings = settings
        self._moving: list[tuple[float, int, str]] = []
        self._now = 0.0

    @property
    def sockets(self) -> list[int]:
        return [len(clients) for clients in self.clients]

    def run(self, seconds: int, delay_s: float = 3.0) -> None:
        for _ in range(seconds):
            self._now += 1.0
            for at, source, session in self._moving:
                if at <= self._now:
                    del self.clients[source][session]
                    open_ones = [i for i in range(len(self.clients)) if i not in self.draining]
                    target = min(open_ones, key=lambda i: len(self.clients[i]))
                    self.clients[target][session] = None
            self._moving = [move for move in self._moving if move[0] > self._now]
            for rule in self.rules:
                for i, number in enumerate(self.sockets):
                    rule.heard(f"gtw_{i}", number, self._settings.capacity, i in self.draining, self._now)
            for i, rule in enumerate(self.rules):
                asked = rule.step(self._now, self.clients[i]) if i not in self.draining else ()
                self.asked[i].append(len(asked))
                self._moving += [(self._now + delay_s, i, session) for session in asked]


def test_a_new_gateway_gets_its_share_and_then_there_is_peace() -> None:
    realm = Realm(1_000, 1_000, 0)
    realm.run(300)
    assert max(realm.sockets) - min(realm.sockets) <= 0.12 * 667
    before = realm.sockets
    realm.run(300)
    assert realm.sockets == before


@pytest.mark.parametrize("rate", [0.05, 0.2, 1.0])
def test_no_minute_sees_more_than_its_part_go(rate: float) -> None:
    realm = Realm(3_000, 0, settings=GatewaySettings(rebalance=True, rebalance_per_minute=rate))
    realm.run(200)
    minutes = [sum(realm.asked[0][at : at + 60]) for at in range(140)]
    assert 0 < max(minutes) <= rate * 3_000


def test_it_goes_about_as_fast_as_it_may() -> None:
    realm = Realm(1_000, 0)
    realm.run(62)
    assert 150 <= sum(realm.asked[0][:60]) <= 200


def test_few_sockets_still_move() -> None:
    """0.2 a minute of 30 are a socket each ten seconds: parts of one add up."""
    realm = Realm(30, 0)
    realm.run(600)
    assert realm.sockets[0] <= 17


@pytest.mark.parametrize("sockets", [(1_000, 990), (105, 100, 95), (12, 0), (0, 0)])
def test_small_differences_are_nobody_worth(sockets: tuple[int, ...]) -> None:
    realm = Realm(*sockets)
    realm.run(120)
    assert all(sum(asked) == 0 for asked in realm.asked)


def test_off_by_default() -> None:
    realm = Realm(1_000, 0, settings=GatewaySettings())
    realm.run(120)
    assert realm.sockets == [1_000, 0]


def test_shares_are_by_capacity() -> None:
    rule = Rebalance("gtw_a", ON)
    rule.heard("gtw_b", 100, 400, False, 0.0)  # a tenth of the room, a tenth of the sockets
    assert rule.step(0.0, sessions(1_000)) == ()
    assert rule.step(1.0, sessions(1_000)) == ()


def test_a_draining_gateway_takes_nobody() -> None:
    rule = Rebalance("gtw_a", ON)
    for second in range(10):
        rule.heard("gtw_b", 0, 4_000, True, float(second))
        assert rule.step(float(second), sessions(1_000)) == ()


def test_a_silent_gateway_is_forgotten() -> None:
    rule = Rebalance("gtw_a", ON)
    rule.heard("gtw_b", 0, 4_000, False, 0.0)
    assert rule.step(0.0, sessions(1_000)) != ()
    asked = [len(rule.step(float(second), sessions(1_000))) for second in range(1, 20)]
    assert sum(asked[:3]) > 0
    assert sum(asked[int(SILENCE_S) :]) == 0


def test_its_own_heartbeat_is_no_other_gateway() -> None:
    rule = Rebalance("gtw_a", ON)
    rule.heard("gtw_a", 0, 4_000, False, 0.0)
    assert rule.step(0.0, sessions(1_000)) == ()
    assert rule.step(1.0, sessions(1_000)) == ()


def test_alone_is_who_hears_itself_and_no_other_that_takes_clients() -> None:
    rule = Rebalance("gtw_a", GatewaySettings())
    assert not rule.alone(0.0)  # the bus may be away
    rule.heard("gtw_a", 1, 4_000, True, 0.0)
    assert rule.alone(0.0)
    rule.heard("gtw_b", 1, 4_000, False, 1.0)
    assert not rule.alone(1.0)
    rule.heard("gtw_b", 1, 4_000, True, 2.0)
    rule.heard("gtw_a", 1, 4_000, True, 2.0)
    assert rule.alone(2.0)
    assert not rule.alone(2.0 + SILENCE_S)


def test_a_gateway_that_fell_silent_takes_nobody() -> None:
    rule = Rebalance("gtw_a", GatewaySettings())
    rule.heard("gtw_b", 1, 4_000, False, 0.0)
    rule.heard("gtw_a", 1, 4_000, True, SILENCE_S - 1.0)
    assert not rule.alone(SILENCE_S - 1.0)
    rule.heard("gtw_a", 1, 4_000, True, SILENCE_S)
    assert rule.alone(SILENCE_S)


def test_the_longest_connected_are_asked_first_and_nobody_twice() -> None:
    rule = Rebalance("gtw_a", ON)
    attached = sessions(600)
    asked: list[str] = []
    for second in range(60):
        rule.heard("gtw_b", 0, 4_000, False, float(second))
        asked += rule.step(float(second), attached)
    assert asked == list(attached)[: len(asked)]
    assert len(asked) > 50


def test_a_stall_is_no_reason_for_a_storm() -> None:
    rule = Rebalance("gtw_a", ON)
    rule.heard("gtw_b", 0, 4_000, False, 0.0)
    rule.step(0.0, sessions(3_000))
    rule.heard("gtw_b", 0, 4_000, False, 100.0)
    assert len(rule.step(100.0, sessions(3_000))) <= 11  # a second's worth: 3,000 x 0.2 / 60, and a part left over

"""A realm that is closed for maintenance, at a gateway."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.ports.protection import MOST_RETRY_S, RETRY_S, Maintenance
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.maintenance import MaintenanceGuard
from tests.unit.serve_apps.gateway.fakes import WALL, a_client


class Door:
    def __init__(self, held: Maintenance | None = None) -> None:
        self.held = held
        self.wall = WALL
        self.closed: list[tuple[str, Close, str]] = []
        self.guard = MaintenanceGuard(lambda: self.held, lambda: self.wall, self.close)

    def close(self, client: Client, code: Close, reason: str) -> None:
        self.closed.append((client.session_id, code, reason))


def closed(**more: Any) -> Maintenance:
    return Maintenance(WALL, "operator:ada", "new ground", **more)


def test_an_open_realm_lets_everybody_in() -> None:
    assert Door().guard.refusal(Identity("usr_a")) is None


@pytest.mark.parametrize(
    ("who", "let_in"),
    [
        (Identity("usr_a"), False),
        (Identity("usr_a", role="player"), False),
        (Identity("usr_friend"), True),
        (Identity("usr_a", role="moderator"), True),
        (Identity("usr_a", role="operator"), True),
    ],
)
def test_who_comes_in(who: Identity, let_in: bool) -> None:
    refusal = Door(closed(allow=("usr_friend",))).guard.refusal(who)
    assert (refusal is None) is let_in
    if refusal is not None:
        assert (refusal.status, refusal.reason) == (503, "maintenance")


@pytest.mark.parametrize(
    ("until", "retry_s"),
    [(None, RETRY_S), (WALL + 90.5, 91), (WALL - 5.0, 10), (WALL + 86_400.0, int(MOST_RETRY_S))],
)
def test_when_to_knock_again(until: float | None, retry_s: int) -> None:
    refusal = Door(closed(until=until)).guard.refusal(Identity("usr_a"))
    assert refusal is not None
    assert refusal.retry_after_s == retry_s


def test_sockets_stay_unless_they_are_to_be_closed() -> None:
    door, (client, _) = Door(closed()), a_client()
    door.guard.opened(client, 0.0)
    door.guard.sweep([client], 0.0)
    assert door.closed == []


def test_sockets_are_closed_when_it_is_time() -> None:
    door = Door(closed(close_at=WALL + 10.0, allow=("usr_friend",)))
    clients = [
        a_client(session_id="ses_a")[0],
        a_client(session_id="ses_friend", user_id="usr_friend")[0],
        a_client(session_id="ses_mod", role="moderator")[0],
    ]
    door.guard.sweep(clients, 0.0)
    assert door.closed == []
    door.wall = WALL + 10.0
    door.guard.sweep(clients, 0.0)
    assert door.closed == [("ses_a", Close.TRY_LATER, "maintenance")]
    door.held = None
    door.guard.sweep(clients, 0.0)
    assert len(door.closed) == 1

"""When a session's user did something last: by its gateway, as moves are not written down (row 7.8)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cluster.operations import sessions
from cluster.ports.sessions import SessionRecord

RECORD = SessionRecord(
    "ses_1", "usr_a", "sessions/0", "in_world", gateway_id="gtw_a", connected_at=100.0, last_activity=110.0
)


@pytest.mark.parametrize(
    ("about", "last"),
    [
        ({"latency_ms": 2.0, "quiet_s": 1.5}, 998.5),
        ({"latency_ms": 2.0, "quiet_s": 950.0}, 110.0),  # it came in later than it moved on this socket
        ({"latency_ms": 2.0}, 110.0),  # a gateway of the version before
    ],
)
async def test_the_gateway_knows_of_moves(monkeypatch: pytest.MonkeyPatch, about: dict[str, Any], last: float) -> None:
    async def ask(_bus: Any, subject: str, method: str, *_: Any) -> dict[str, Any]:
        return dict(about) if method == "about" else sessions.row_of(RECORD, "ada")

    async def nothing(*_: Any) -> None:
        return None

    async def found(*_: Any) -> SessionRecord:
        return RECORD

    monkeypatch.setattr(sessions, "ask", ask)
    monkeypatch.setattr(sessions, "find_session", found)
    monkeypatch.setattr(sessions, "_place", nothing)
    monkeypatch.setattr(sessions, "about", nothing)
    subjects = SimpleNamespace(actor_control=lambda _: "actor", gateway_session=lambda *_: "gateway")
    desk: Any = SimpleNamespace(bus=None, subjects=subjects, now=lambda: 1_000.0)
    shown = (await sessions.show(desk, sessions.Show(session="ses_1"))).session
    assert shown["last_activity_at"] == last
    assert "quiet_s" not in shown
    assert "quiet_s" not in shown["socket"]

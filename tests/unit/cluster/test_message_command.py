"""`rayrealm message`, over stores and a bus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cluster import session_route
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.errors import Unavailable
from cluster.operations.desk import Desk
from cluster.ports.sessions import Fence, SessionRecord
from cluster.subjects import Subjects
from cluster.world_control import responder
from tests.unit.cluster.operator_rig import SPACE, make_desk, use
from tests.unit.cluster.operator_rig import run as run_command

FENCE = Fence("sessions/0", 1)

Captured = pytest.CaptureFixture[str]


class Realm:
    """A session with a socket at `gateway`, which answers if it is `gtw_a`."""

    def __init__(self) -> None:
        self.epochs = MemoryEpochStore()
        self.bans = MemoryBans(lambda: 0.0)
        self.sessions = MemorySessionStore(self.epochs, self.bans)
        self.told: list[tuple[str, str, Any]] = []
        self.away = False

    async def open(self, gateway: str) -> None:
        await self.epochs.take("sessions", FENCE.actor)
        await self.sessions.register_actor(FENCE)
        await self.sessions.place("", "ses_1", "usr_1", 5, 5, 60.0, 1.0)
        record = SessionRecord("ses_1", "usr_1", FENCE.actor, "authenticated", gateway, 1)
        await self.sessions.write(record, FENCE, ["connected"], 60.0)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Desk]:
        if self.away:
            raise Unavailable("the message bus")
        bus = MemoryBus()

        async def deliver(session_id: str, attach_epoch: int, notice: str, params: Any) -> None:
            self.told.append((session_id, notice, params))

        await bus.respond(Subjects(SPACE).gateway_session("gtw_a", "*"), responder({"deliver": deliver}))
        yield make_desk(bus, bans=self.bans, sessions=self.sessions)


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch) -> Realm:
    realm = Realm()
    use(monkeypatch, realm.opened)
    monkeypatch.setattr(session_route, "ANSWER_S", 0.05)
    return realm


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    return run_command(monkeypatch, "message", *arguments)


def test_a_player_is_told(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    asyncio.run(realm.open("gtw_a"))
    assert run(monkeypatch, "ses_1", "Come down there, ö!\nNow.") == 0
    assert capsys.readouterr() == ("told ses_1\n", "")
    assert realm.told == [("ses_1", "system.message", {"text": "Come down there, ö!\nNow.", "from": "operator"})]


@pytest.mark.parametrize(
    ("gateway", "session", "said"),
    [
        ("gtw_a", "ses_2", "rayrealm: no such session: 'ses_2'\n"),
        ("gtw_a", "", "rayrealm: no such session: ''\n"),
        ("gtw_a", "*", "rayrealm: no such session: '*'\n"),
        ("gtw_a", "\udcff", "rayrealm: no such session: '\\udcff'\n"),
        ("", "ses_1", "rayrealm: nobody answers: the player of ses_1 has no connection at the moment\n"),
        ("gtw_b", "ses_1", "rayrealm: nobody answers: gtw_b, which has the socket of ses_1, is silent\n"),
    ],
)
def test_clear_errors(
    monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured, gateway: str, session: str, said: str
) -> None:
    asyncio.run(realm.open(gateway))
    assert run(monkeypatch, session, "hello") == 1
    assert capsys.readouterr() == ("", said)
    assert realm.told == []


def test_a_bus_that_is_away(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    asyncio.run(realm.open("gtw_a"))
    realm.away = True
    assert run(monkeypatch, "ses_1", "hello") == 1
    assert capsys.readouterr().err == "rayrealm: the message bus is not available\n"


@pytest.mark.parametrize("text", ["", "  ", "x" * 1_001, "a\x00b", "a\u202eb", "\udcff", "a\tb"])
def test_wrong_texts(monkeypatch: pytest.MonkeyPatch, realm: Realm, text: str) -> None:
    asyncio.run(realm.open("gtw_a"))
    assert run(monkeypatch, "ses_1", text) == 2
    assert realm.told == []

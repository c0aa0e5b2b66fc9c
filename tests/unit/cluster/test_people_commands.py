"""`rayrealm sessions`, `users`, `broadcast`, `maintenance`, `overview`: over stores and a bus in memory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.session.asked import Asked
from actors.session.session import Session
from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.protection import MemoryProtection
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.operations.desk import Desk
from cluster.ports.accounts import Account
from cluster.ports.sessions import Fence, SessionRecord
from cluster.subjects import Subjects
from cluster.world_control import responder
from tests.unit.cluster.operator_rig import SPACE, make_desk, run, use

Captured = pytest.CaptureFixture[str]
FENCE = Fence("sessions/0", 1)
SUBJECTS = Subjects(SPACE)


class Realm:
    """One session actor with two sessions; nothing else answers."""

    def __init__(self) -> None:
        self.accounts = MemoryAccounts()
        self.protection = MemoryProtection(time.time)
        self.log = MemoryAuditLog(1_000)
        self.epochs = MemoryEpochStore()
        self.store = MemorySessionStore(self.epochs, MemoryBans(time.time))
        self.sessions: dict[str, Session] = {}
        self.told: list[tuple[list[str], str, bytes]] = []
        self.away = False

    async def fill(self) -> None:
        await self.epochs.take("sessions", FENCE.actor)
        await self.store.register_actor(FENCE)
        for number, name in enumerate(("ann", "bob"), 1):
            await self.accounts.create(Account(f"usr_{name}", name, "$argon2id$", 1.0))
            await self.store.place("", f"ses_{name}", f"usr_{name}", 5, 5, 60.0, 1.0)
            record = SessionRecord(
                f"ses_{name}", f"usr_{name}", FENCE.actor, "authenticated", "", 1,
                character_name=f"Hero\x1b {name}", connected_at=float(number), address="203.0.113.7",
            )  # fmt: skip
            await self.store.write(record, FENCE, ["connected"], 60.0)
            self.sessions[record.session_id] = Session(record)

    async def post(self, messages: list[tuple[list[str], str, bytes]]) -> None:
        self.told += messages

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Desk]:
        bus = MemoryBus()
        names = {"usr_ann": "ann", "usr_bob": "bob"}
        if not self.away:
            methods = Asked(self.sessions, names, self.post).methods
            await bus.respond(SUBJECTS.actor_control(FENCE.actor), responder(methods))
        yield make_desk(bus, accounts=self.accounts, protection=self.protection, audit=self.log, sessions=self.store)


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch) -> Realm:
    made = Realm()
    asyncio.run(made.fill())
    use(monkeypatch, made.opened)
    return made


def said(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


def test_sessions_are_listed(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "sessions", "list") == 0
    first, second, count = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["ses_bob", "bob", "Hero?"]
    assert second.startswith("ses_ann")
    assert count == "2 of 2"
    assert run(monkeypatch, "sessions", "list", "ANN", "--json") == 0
    found = said(capsys)
    assert [row["session"] for row in found["sessions"]] == ["ses_ann"]


def test_an_actor_that_is_silent_is_named(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    realm.away = True
    assert run(monkeypatch, "sessions", "list") == 0
    assert "sessions/0 does not answer" in capsys.readouterr().out


def test_one_session(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "sessions", "show", "ses_ann", "--json") == 0
    shown = said(capsys)
    assert (shown["live"], shown["session"]["username"], shown["session"]["place"]) == (True, "ann", None)
    assert run(monkeypatch, "sessions", "show", "ses_ann") == 0
    assert "203.0.113.7" in capsys.readouterr().out
    assert run(monkeypatch, "sessions", "show", "ses_\udcff") == 1
    assert capsys.readouterr().err == "rayrealm: no such session: 'ses_\\udcff'\n"


def test_an_export(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "sessions", "export", "--user", "ann") == 0
    out = capsys.readouterr().out
    assert json.loads(out)["account"]["username"] == "ann"
    assert "argon2" not in out
    (entry,) = asyncio.run(realm.log.newest(10))
    assert (entry.action, entry.target) == ("sessions.export", "usr_ann")
    assert run(monkeypatch, "sessions", "export") == 2


def test_a_user(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "users", "show", "ann") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "ann (usr_ann)"
    assert "session ses_ann authenticated at no gateway" in out
    assert run(monkeypatch, "users", "show", "nobody") == 1


def test_a_kick_of_one_without_a_socket(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "sessions", "kick", "ses_ann") == 0
    assert capsys.readouterr().out == "ses_ann had no socket\n"


def test_a_broadcast(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "broadcast", "Hello!", "--dry-run") == 0
    assert capsys.readouterr().out == "1. Show the text to 2 players.\n"
    assert realm.told == []
    assert run(monkeypatch, "broadcast", "Hello!") == 0
    assert capsys.readouterr().out == "told 2 players\n"
    assert realm.told == [(["ses_ann", "ses_bob"], "system.message", b'{"text":"Hello!","from":"operator"}')]
    assert run(monkeypatch, "broadcast", "a\x00b") == 2


def test_maintenance(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    options = ["--reason", "new ground", "--allow", "Ann", "--for", "2h"]
    assert run(monkeypatch, "maintenance", "on", *options) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["the realm is closed to players", "told 2 players"]
    held = asyncio.run(realm.protection.load(-1))
    assert held is not None
    assert held.maintenance is not None
    assert (held.maintenance.allow, held.maintenance.reason) == (("usr_ann",), "new ground")
    assert held.maintenance.until == pytest.approx(time.time() + 7_200.0, abs=10.0)
    assert json.loads(realm.told[-1][2])["text"].startswith("The realm takes nobody in for maintenance: new ground")
    assert run(monkeypatch, "overview", "--json") == 0
    assert said(capsys)["maintenance"]["on"] is True
    assert run(monkeypatch, "overview") == 0
    assert "closed for maintenance since" in capsys.readouterr().out
    assert run(monkeypatch, "maintenance", "off") == 0
    assert capsys.readouterr().out == "the realm is open\ntold 2 players\n"
    held = asyncio.run(realm.protection.load(-1))
    assert held is not None
    assert held.maintenance is None
    assert run(monkeypatch, "maintenance", "on", "--allow", "nobody") == 1
    assert run(monkeypatch, "maintenance", "on", "--for", "soon") == 2


def test_bans_as_json(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "ban", "--network", "203.0.113.7", "--json") == 0
    assert said(capsys) == {"network": "203.0.113.7/32", "until_at": None}
    assert run(monkeypatch, "ban", "--list", "--json") == 0
    assert [ban["subject"] for ban in said(capsys)["bans"]] == ["203.0.113.7/32"]
    assert run(monkeypatch, "unban", "--network", "203.0.113.7", "--dry-run") == 0
    assert capsys.readouterr().out == "1. Let 203.0.113.7/32 in again.\n"

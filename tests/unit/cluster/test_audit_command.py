"""`rayrealm audit` and `rayrealm abuse`, over stores and a bus in memory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.protection import MemoryProtection
from cluster.cli import audit as command
from cluster.measures import LIFT, Level, Measure
from cluster.operations import audit
from cluster.operations.desk import Desk
from cluster.ports.accounts import Account
from cluster.ports.audit import AuditEntry
from cluster.subjects import Subjects
from cluster.world_control import responder
from realm_proto import internal_pb2
from tests.unit.cluster.operator_rig import SPACE, make_desk, run, use

SUBJECTS = Subjects(SPACE)
FAR = "203.0.113.7"


@dataclass
class Realm:
    """With a watch that remembers what it was asked; `watch_away`: it does not answer."""

    watch_away: bool = False
    accounts: MemoryAccounts = field(default_factory=MemoryAccounts)
    bans: MemoryBans = field(default_factory=lambda: MemoryBans(lambda: 0.0))
    protection: MemoryProtection = field(default_factory=lambda: MemoryProtection(time.time))
    log: MemoryAuditLog = field(default_factory=lambda: MemoryAuditLog(1_000))
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    orders: list[internal_pb2.GatewayControl] = field(default_factory=list)
    notices: int = 0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Desk]:
        bus = MemoryBus()

        def order(data: bytes) -> None:
            self.orders.append(internal_pb2.GatewayControl.FromString(data))

        def notice(_data: bytes) -> None:
            self.notices += 1

        await bus.subscribe(SUBJECTS.gateways_control(), order)
        await bus.subscribe(SUBJECTS.protection(), notice)
        if not self.watch_away:
            await bus.respond(SUBJECTS.abuse_control(), responder({"about": self._about, "lift": self._lift}))
        yield make_desk(bus, accounts=self.accounts, bans=self.bans, protection=self.protection, audit=self.log)
        bus.deliver()

    async def _about(self, kind: str, subject: str) -> dict[str, Any]:
        self.asked.append(("about", kind, subject))
        return {"level": "slow", "last_minute": {"messages": 5_000.0}}

    async def _lift(self, kind: str, subject: str) -> dict[str, Any]:
        self.asked.append(("lift", kind, subject))
        return {"held": True}

    def note(self, *entries: AuditEntry) -> None:
        for entry in entries:
            asyncio.run(self.log.add(entry))

    def newest(self) -> AuditEntry:
        (entry,) = asyncio.run(self.log.newest(1))
        return entry


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch) -> Realm:
    monkeypatch.setattr(audit, "ANSWER_S", 0.05)
    made = Realm()
    use(monkeypatch, made.opened)
    asyncio.run(made.accounts.create(Account("usr_ada", "ada", "$argon2id$", 1.0)))
    return made


Captured = pytest.CaptureFixture[str]


def measure(subject: str = "usr_ada", level: Level = Level.BLOCK, **more: Any) -> Measure:
    now = time.time()
    made = Measure("user", subject, level, "replay", now, now + 300.0, 3.0, 2.0)
    return replace(made, **more)


def test_the_log_is_empty(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "audit") == 0
    assert capsys.readouterr().out == ""
    assert run(monkeypatch, "audit", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"entries": []}


def test_the_newest_last(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    realm.note(*(AuditEntry(float(n), "operator:ann", "user.ban", f"usr_{n}", "rude") for n in range(30)))
    assert run(monkeypatch, "audit", "--count", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "1970-01-01 00:00:28Z  operator:ann  user.ban usr_28  rude  done",
        "1970-01-01 00:00:29Z  operator:ann  user.ban usr_29  rude  done",
    ]


def test_many_pages(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    monkeypatch.setattr(command, "PAGE", 7)
    monkeypatch.setattr(audit, "PAGE", 5)
    realm.note(*(AuditEntry(float(n), "a", "b", f"usr_{n}", "") for n in range(30)))
    assert run(monkeypatch, "audit", "--json", "--count", "20") == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [entry["target"] for entry in entries] == [f"usr_{n}" for n in range(10, 30)]


def test_what_terminals_would_obey_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured
) -> None:
    realm.note(AuditEntry(0.0, "a", "b", "usr_\x1b[2J", "line\nbreak"))
    assert run(monkeypatch, "audit") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 1


def test_open_measures(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    realm.note(measure().entry("done"), measure("usr_b", until=time.time() - 1.0).entry("done"))
    realm.note(measure(FAR, kind="address").entry("done"))
    assert run(monkeypatch, "abuse", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["block", "address", FAR], ["block", "user", "usr_ada"]]
    assert lines[1].endswith("replay (3 of 2)")
    assert run(monkeypatch, "abuse", "list", "--json") == 0
    told = json.loads(capsys.readouterr().out)["measures"]
    assert [(m["subject"], m["level"]) for m in told] == [(FAR, "block"), ("usr_ada", "block")]


@pytest.mark.parametrize(
    ("whom", "kind", "subject"),
    [
        ("ada", "user", "usr_ada"),
        ("usr_ada", "user", "usr_ada"),
        ("usr_of_an_outside_issuer", "user", "usr_of_an_outside_issuer"),
        (FAR, "address", FAR),
        ("2001:db8::7", "address", "2001:db8::/64"),
        ("2001:db8::/64", "address", "2001:db8::/64"),
    ],
)
def test_shown(
    monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured, whom: str, kind: str, subject: str
) -> None:
    assert run(monkeypatch, "abuse", "show", whom, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "kind": kind, "subject": subject, "level": "slow", "last_minute": {"messages": 5_000.0},
    }  # fmt: skip
    assert realm.asked == [("about", kind, subject)]


def test_nobody_of_that_name(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    assert run(monkeypatch, "abuse", "show", "nobody") == 1
    assert "no such user" in capsys.readouterr().err


def test_a_user_is_let_off(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    realm.note(measure().entry("done"))
    asyncio.run(realm.bans.ban("usr_ada", 300.0, "watch: replay"))
    assert run(monkeypatch, "abuse", "lift", "ada") == 0
    assert capsys.readouterr().out == "usr_ada: forgotten by the watch, ban ended\n"
    assert realm.asked == [("lift", "user", "usr_ada")]
    assert asyncio.run(realm.bans.banned("usr_ada")) is None
    assert [(o.slow.user_id, o.slow.factor) for o in realm.orders] == [("usr_ada", 1.0)]
    entry = realm.newest()
    assert (entry.action, entry.target, entry.result) == (LIFT, "usr_ada", "done")
    assert (entry.details["kind"], entry.details["via"]) == ("user", "command")
    assert entry.actor.startswith("operator:")
    assert run(monkeypatch, "abuse", "list") == 0
    assert capsys.readouterr().out == ""


def test_an_address_is_let_off(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    asyncio.run(realm.protection.ban(FAR, 300.0, "watch: guessing", "watch"))
    assert run(monkeypatch, "abuse", "lift", FAR) == 0
    assert capsys.readouterr().out == f"{FAR}: forgotten by the watch, ban ended\n"
    held = asyncio.run(realm.protection.load(-1))
    assert held is not None
    assert held.bans == ()
    assert realm.notices == 1


def test_an_operators_ban_of_a_user_stays(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    asyncio.run(realm.bans.ban("usr_ada", None, "cheating"))
    assert run(monkeypatch, "abuse", "lift", "ada") == 0
    out = capsys.readouterr().out
    assert out == "usr_ada: forgotten by the watch, the ban is not the watch's, and stays: see `rayrealm unban`\n"
    assert asyncio.run(realm.bans.banned("usr_ada")) is not None


def test_an_operators_ban_of_an_address_stays(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    asyncio.run(realm.protection.ban(FAR, None, "watch: no, mine", "operator:ann"))
    assert run(monkeypatch, "abuse", "lift", FAR) == 0
    out = capsys.readouterr().out
    assert out == f"{FAR}: forgotten by the watch, the ban is not the watch's, and stays: see `rayrealm unban`\n"
    held = asyncio.run(realm.protection.load(-1))
    assert held is not None
    assert len(held.bans) == 1
    assert realm.notices == 0


def test_who_is_not_banned_is_let_off_too(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    for whom, subject in (("ada", "usr_ada"), (FAR, FAR)):
        assert run(monkeypatch, "abuse", "lift", whom) == 0
        assert capsys.readouterr().out == f"{subject}: forgotten by the watch\n"


def test_while_the_watch_is_away(monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
    realm.watch_away = True
    asyncio.run(realm.bans.ban("usr_ada", 300.0, "watch: replay"))
    assert run(monkeypatch, "abuse", "lift", "ada") == 0
    assert "the watch does not answer" in capsys.readouterr().out
    assert asyncio.run(realm.bans.banned("usr_ada")) is None

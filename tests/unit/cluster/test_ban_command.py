"""`rayrealm ban`, over stores and a bus in memory."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cluster import running
from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.protection import MemoryProtection
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.cli.desk import who
from cluster.errors import Unauthorized, Unavailable
from cluster.operations import bans
from cluster.operations.desk import Desk
from cluster.ports.accounts import Account
from cluster.ports.bans import Ban
from cluster.ports.sessions import Fence, SessionRecord
from cluster.running import RunningRealm
from cluster.subjects import Subjects
from realm_proto import internal_pb2
from tests.unit.cluster.operator_rig import SPACE, make_desk, use
from tests.unit.cluster.operator_rig import run as run_command

FENCE = Fence("sessions/0", 1)
ADA = Account("usr_ada", "ada", "$argon2id$", 1.0)
BOB = Account("usr_bob", "usr_ada2", "$argon2id$", 1.0)


class Bus(MemoryBus):
    """`away`: it takes what it is given, and nobody gets it."""

    def __init__(self, away: bool) -> None:
        super().__init__()
        self.away = away

    async def flush(self, timeout_s: float) -> None:
        if self.away:
            raise Unavailable("the message bus")
        await super().flush(timeout_s)


@dataclass
class Realm:
    """One with a gateway that closes what it is told to, after having missed the first `deaf` orders."""

    deaf: int = 0
    bus_away: bool = False
    accounts: MemoryAccounts = field(default_factory=MemoryAccounts)
    bans: MemoryBans = field(default_factory=lambda: MemoryBans(lambda: 0.0))
    epochs: MemoryEpochStore = field(default_factory=MemoryEpochStore)
    orders: list[internal_pb2.GatewayClose] = field(default_factory=list)
    protection: MemoryProtection = field(default_factory=lambda: MemoryProtection(time.time))
    audit: MemoryAuditLog = field(default_factory=lambda: MemoryAuditLog(100))
    notices: int = 0  # of changed protection

    def __post_init__(self) -> None:
        self.sessions = MemorySessionStore(self.epochs, self.bans)

    async def fill(self) -> None:
        for account in (ADA, BOB):
            await self.accounts.create(account)
        await self.epochs.take("sessions", FENCE.actor)
        await self.sessions.register_actor(FENCE)

    async def open(self, session_id: str, user_id: str, gateway_id: str, attach_epoch: int = 1) -> None:
        await self.sessions.place("", session_id, user_id, 100, 100, 60.0, 1.0)
        await self.attach(session_id, user_id, gateway_id, attach_epoch)

    async def attach(self, session_id: str, user_id: str, gateway_id: str, attach_epoch: int = 1) -> None:
        record = SessionRecord(session_id, user_id, FENCE.actor, "authenticated", gateway_id, attach_epoch)
        await self.sessions.write(record, FENCE, ["connected", "authenticated"], 60.0)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Desk]:
        """A desk at it, with a bus of its own."""
        bus, closing = Bus(self.bus_away), set()

        def told(data: bytes) -> None:
            close = internal_pb2.GatewayControl.FromString(data).close
            self.orders.append(close)
            if len(self.orders) > self.deaf:
                closing.add(asyncio.create_task(self.detach(close)))

        def noticed(_data: bytes) -> None:
            self.notices += 1

        await bus.subscribe(Subjects(SPACE).gateway_control("gtw_a"), told)
        await bus.subscribe(Subjects(SPACE).protection(), noticed)
        parts = {"accounts": self.accounts, "bans": self.bans, "sessions": self.sessions, "audit": self.audit}
        yield make_desk(bus, protection=self.protection, **parts)
        bus.deliver()
        await asyncio.gather(*closing)

    async def detach(self, close: internal_pb2.GatewayClose) -> None:
        record = await self.sessions.get(close.session_id)
        if record is not None and record.attach_epoch == close.attach_epoch:
            await self.sessions.write(replace(record, gateway_id=""), FENCE, ["authenticated"], 60.0)


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch) -> Realm:
    monkeypatch.setattr(bans, "PAUSE_S", 0.001)
    monkeypatch.setattr(bans, "ON_THEIR_WAY_S", 0.0)
    realm = Realm()
    use(monkeypatch, realm.opened, lambda: "operator:ops")
    asyncio.run(realm.fill())
    return realm


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, command: str = "ban") -> int:
    return run_command(monkeypatch, command, *arguments)


Captured = pytest.CaptureFixture[str]


class TestWho:
    @pytest.mark.parametrize("user", ["ada", "ADA", "usr_ada"])
    def test_by_name_or_id(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured, user: str) -> None:
        assert run(monkeypatch, user, "--reason", "spam: ö") == 0
        assert capsys.readouterr().out == "banned ada (usr_ada) until it is lifted\nclosed 0 sockets\n"
        assert asyncio.run(realm.bans.banned("usr_ada")) == Ban("spam: ö", None)

    def test_a_name_that_looks_like_an_id(self, monkeypatch: pytest.MonkeyPatch, realm: Realm) -> None:
        """Users choose their names: the ban of an id must not hit another one."""
        asyncio.run(realm.accounts.create(Account("usr_eve", "usr_ada", "$argon2id$", 1.0)))
        assert run(monkeypatch, "usr_ada") == 0
        assert asyncio.run(realm.bans.banned("usr_eve")) is None
        assert asyncio.run(realm.bans.banned("usr_ada")) is not None
        assert run(monkeypatch, "usr_ada2") == 0
        assert asyncio.run(realm.bans.banned("usr_bob")) is not None

    @pytest.mark.parametrize("user", ["nobody", "usr_nobody", "", "\udcff", "ädä"])
    @pytest.mark.parametrize("more", [[], ["--lift"]])
    @pytest.mark.usefixtures("realm")
    def test_nobody(self, monkeypatch: pytest.MonkeyPatch, capsys: Captured, user: str, more: list[str]) -> None:
        assert run(monkeypatch, user, *more) == 1
        out, err = capsys.readouterr()
        assert (out, err.startswith("rayrealm: no such user: ")) == ("", True)


class TestHowLong:
    def test_hours(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
        assert run(monkeypatch, "ada", "--hours", "1.5") == 0
        assert "for 1.5 h" in capsys.readouterr().out
        assert asyncio.run(realm.bans.banned("usr_ada")) == Ban("", 5_400.0)

    @pytest.mark.parametrize(("said", "seconds"), [("90s", 90.0), ("15m", 900.0), ("1.5h", 5_400.0), ("7d", 604_800.0)])
    def test_with_a_unit(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, said: str, seconds: float) -> None:
        assert run(monkeypatch, "ada", "--for", said) == 0
        found = asyncio.run(realm.bans.banned("usr_ada"))
        assert found is not None
        assert found.left_s == pytest.approx(seconds)

    def test_unban(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
        assert run(monkeypatch, "ada") == 0
        assert run(monkeypatch, "ada", command="unban") == 0
        assert capsys.readouterr().out.endswith("ada (usr_ada) may come back\n")
        assert asyncio.run(realm.bans.banned("usr_ada")) is None

    def test_lifted(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
        assert run(monkeypatch, "ada") == 0
        capsys.readouterr()
        assert run(monkeypatch, "ada", "--lift") == 0
        assert run(monkeypatch, "ada", "--lift") == 0
        assert capsys.readouterr().out == "ada (usr_ada) may come back\nada (usr_ada) was not banned\n"
        assert asyncio.run(realm.bans.banned("usr_ada")) is None

    @pytest.mark.parametrize(
        "wrong",
        [
            ["--hours", "0"],
            ["--hours", "-1"],
            ["--hours", "nan"],
            ["--hours", "inf"],
            ["--hours", "soon"],
            ["--reason", "x" * 201],
            ["--reason", "a\nb"],
            ["--reason", "\udcff"],
            ["--lift", "--hours", "1"],
            ["--lift", "--reason", "x"],
            ["--for", "1"],
            ["--for", "1w"],
            ["--for", "-1h"],
            ["--for", "0s"],
            ["--for", "1h", "--hours", "1"],
            ["--lift", "--for", "1h"],
            ["--list"],
            ["--network", "203.0.113.7"],
        ],
    )
    def test_wrong_usage(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, wrong: list[str]) -> None:
        assert run(monkeypatch, "ada", *wrong) == 2
        assert asyncio.run(realm.bans.banned("usr_ada")) is None


class TestNetworks:
    def held(self, realm: Realm) -> list[str]:
        found = asyncio.run(realm.protection.load(-1))
        assert found is not None
        return [held.network for held in found.bans]

    @pytest.mark.parametrize(
        ("said", "network"),
        [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.9/24", "203.0.113.0/24"),
            ("2001:db8::7", "2001:db8::/64"),
            ("2001:db8::7/128", "2001:db8::7/128"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ],
    )
    def test_one_is_banned_and_let_in_again(
        self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured, said: str, network: str
    ) -> None:
        assert run(monkeypatch, "--network", said, "--for", "1h", "--reason", "floods") == 0
        assert capsys.readouterr().out == f"banned {network} for 1 h\n"
        assert (self.held(realm), realm.notices) == ([network], 1)
        assert run(monkeypatch, "--network", said, command="unban") == 0
        assert run(monkeypatch, "--network", said, command="unban") == 0
        assert capsys.readouterr().out == f"{network} may come back\n{network} was not banned\n"
        assert (self.held(realm), realm.notices) == ([], 2)

    def test_the_list(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
        assert run(monkeypatch, "--list") == 0
        assert capsys.readouterr().out == ""
        assert run(monkeypatch, "--network", "203.0.113.7", "--reason", "floods") == 0
        assert run(monkeypatch, "--network", "198.51.100.0/24", "--for", "1h") == 0
        capsys.readouterr()
        assert run(monkeypatch, "--list") == 0
        first, second = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"198\.51\.100\.0/24 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +operator:ops", first)
        assert second.split() == ["203.0.113.7/32", "until", "lifted", "operator:ops", "floods"]

    @pytest.mark.parametrize("said", ["nonsense", "", "203.0.113.7/33", "203.0.113", "fe80::1%eth0/64"])
    def test_no_network(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured, said: str) -> None:
        assert run(monkeypatch, "--network", said) == 1
        assert capsys.readouterr().err.startswith("rayrealm: ")
        assert self.held(realm) == []


class TestAudit:
    def test_who_did_what(self, monkeypatch: pytest.MonkeyPatch, realm: Realm) -> None:
        for arguments in (
            ["ada", "--for", "1h", "--reason", "spam"],
            ["ada", "--lift"],
            ["ada", "--lift"],
            ["--network", "203.0.113.7"],
            ["--network", "203.0.113.7", "--lift"],
        ):
            assert run(monkeypatch, *arguments) == 0
        entries = list(reversed(asyncio.run(realm.audit.newest(100))))
        assert [e.result for e in entries] == ["begun", "done"] * 5
        assert all(begun.details == done.details for begun, done in zip(entries[::2], entries[1::2], strict=True))
        said = [{k: v for k, v in e.details.items() if k not in ("job", "user", "network")} for e in entries[1::2]]
        assert [(e.actor, e.action, e.target, e.reason) for e in entries[1::2]] == [
            ("operator:ops", "user.ban", "usr_ada", "spam"),
            ("operator:ops", "user.unban", "usr_ada", ""),
            ("operator:ops", "user.unban", "usr_ada", ""),
            ("operator:ops", "network.ban", "203.0.113.7/32", ""),
            ("operator:ops", "network.unban", "203.0.113.7/32", ""),
        ]
        assert said == [{"via": "command", "for_s": 3_600.0}, *[{"via": "command"}] * 4]
        assert len({e.details["job"] for e in entries}) == 5

    def test_an_operator_has_a_name(self) -> None:
        assert re.fullmatch(r"operator:\S+", who())


class TestSockets:
    def told(self, realm: Realm) -> set[tuple[str, int, int]]:
        return {(order.session_id, order.attach_epoch, order.code) for order in realm.orders}

    def test_all_of_the_user_s_are_closed(
        self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured
    ) -> None:
        asyncio.run(realm.open("ses_1", "usr_ada", "gtw_a", 3))
        asyncio.run(realm.open("ses_2", "usr_ada", ""))
        asyncio.run(realm.open("ses_3", "usr_ada", "gtw_a"))
        asyncio.run(realm.open("ses_4", "usr_bob", "gtw_a"))
        assert run(monkeypatch, "ada") == 0
        assert capsys.readouterr().out.endswith("closed 2 sockets\n")
        assert self.told(realm) == {("ses_1", 3, 4503), ("ses_3", 1, 4503)}

    def test_until_they_are_closed(self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured) -> None:
        """The bus may lose what it is given."""
        realm.deaf = 3
        asyncio.run(realm.open("ses_1", "usr_ada", "gtw_a"))
        assert run(monkeypatch, "ada") == 0
        assert capsys.readouterr().out.endswith("closed 1 socket\n")
        assert len(realm.orders) > 3
        assert asyncio.run(realm.sessions.of_gateway("gtw_a")) == []

    def test_one_that_was_let_in_before_the_ban(self, monkeypatch: pytest.MonkeyPatch, realm: Realm) -> None:
        """It has a place and no socket yet when the ban is written."""
        asyncio.run(realm.sessions.place("", "ses_1", "usr_ada", 100, 100, 60.0, 1.0))
        monkeypatch.setattr(bans, "ON_THEIR_WAY_S", 0.05)
        looks, of_user = [], realm.sessions.of_user

        async def look(user_id: str) -> list[SessionRecord]:
            looks.append(user_id)
            if len(looks) == 3:
                with pytest.raises(Unauthorized):
                    await realm.sessions.place("ses_1", "ses_2", "usr_ada", 100, 100, 60.0, 1.0)
                await realm.attach("ses_1", "usr_ada", "gtw_a")
            return await of_user(user_id)

        monkeypatch.setattr(realm.sessions, "of_user", look)
        assert run(monkeypatch, "ada") == 0
        assert self.told(realm) == {("ses_1", 1, 4503)}

    def test_a_gateway_that_does_not_listen(
        self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured
    ) -> None:
        monkeypatch.setattr(bans, "DEADLINE_S", 0.02)
        asyncio.run(realm.open("ses_1", "usr_ada", "gtw_gone"))
        assert run(monkeypatch, "ada") == 1
        out, err = capsys.readouterr()
        assert out == "banned ada (usr_ada) until it is lifted\n"
        assert err == "rayrealm: gateway gtw_gone is not available\n"

    def test_without_the_bus_the_ban_holds(
        self, monkeypatch: pytest.MonkeyPatch, realm: Realm, capsys: Captured
    ) -> None:
        realm.bus_away = True
        asyncio.run(realm.open("ses_1", "usr_ada", "gtw_a"))
        assert run(monkeypatch, "ada") == 1
        assert capsys.readouterr().err == "rayrealm: the message bus is not available\n"
        assert asyncio.run(realm.bans.banned("usr_ada")) is not None


def test_a_realm_that_is_just_stopping(monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RAYREALM_URL", raising=False)
    here = RunningRealm.of_this_process("http://127.0.0.1:8000", tmp_path, SPACE)
    running.register(here, {}, running.folder())
    (tmp_path / running.REALM_FILE).unlink()
    assert run(monkeypatch, "ada") == 1
    assert capsys.readouterr().err == "rayrealm: http://127.0.0.1:8000, which is just stopping, is not available\n"

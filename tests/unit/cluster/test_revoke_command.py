"""`rayrealm revoke` and `rayrealm keys`: what they refuse before they look for a realm, and how long revocations are kept."""

from __future__ import annotations

import time
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.protection import MemoryProtection
from cluster.cli.desk import Here
from cluster.cli.main import app
from cluster.errors import Unavailable
from cluster.operations import tokens
from cluster.operations.all import registry
from cluster.security.requests import LIFETIMES
from cluster.subjects import Subjects
from cluster.world_control import responder
from tests.unit.cluster.operator_rig import SPACE, make_desk

DAY = 86_400.0
USER = "usr_0123456789"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--all", "--user", "ada"],
        ["--user", "ada", "--token", "x"],
        ["--token", ""],
        ["--token", "x" * 257],
        ["--token", "two\nlines"],
        ["--all", "--days", "0"],
        ["--all", "--days", "401"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["revoke", *arguments])
    assert result.exit_code == 2
    assert "revoked" not in result.output


@pytest.mark.parametrize("arguments", [["keys", "rotate", "--soon"], ["keys", "forget"]])
def test_keys_take_nothing_else(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


class Bus(MemoryBus):
    """`away`: it takes what it is given, and nobody gets it."""

    away = False

    async def flush(self, timeout_s: float) -> None:
        if self.away:
            raise Unavailable("nats")
        await super().flush(timeout_s)


class Realm:
    """What the operation finds: `lasts` is what the web process says, None without one; `away`: no bus."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.protection = MemoryProtection(time.time)
        self.bus = Bus()
        self.desk = make_desk(self.bus, protection=self.protection)
        monkeypatch.setattr(tokens, "ANSWER_S", 0.05)

    async def revoke(self, **params: Any) -> None:
        await Here(self.desk, registry(), _heard).act("token.revoke", params, lambda step, done: None, None)

    async def says(self, tokens_s: float, logins_s: float) -> None:
        async def lifetimes() -> dict[str, float]:
            return {"tokens_s": tokens_s, "logins_s": logins_s}

        await self.bus.respond(Subjects(SPACE).accounts(), responder({LIFETIMES: lifetimes}))

    async def kept_s(self) -> float:
        held = await self.protection.load(-1)
        assert held is not None
        assert len(held.revocations) == 1
        return held.revocations[0].until - held.revocations[0].before


async def _heard(rounds: int) -> None:
    """Nobody has to be heard."""


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch) -> Realm:
    return Realm(monkeypatch)


@pytest.mark.parametrize(
    ("user", "token", "days", "kept"),
    [
        (USER, None, 1.0, 60 * DAY),
        (None, None, 31.0, 60 * DAY),
        (USER, None, 90.0, 90 * DAY),
        (None, "jti", 0.01, 2 * DAY),
        (None, "jti", 31.0, 31 * DAY),
    ],
)
async def test_it_is_kept_as_long_as_what_it_ends_can_last(
    realm: Realm, user: str | None, token: str | None, days: float, kept: float
) -> None:
    await realm.says(2 * DAY, 60 * DAY)
    await realm.revoke(user=user, token=token, everybody=user is None and token is None, days=days)
    assert await realm.kept_s() == pytest.approx(kept)


@pytest.mark.parametrize("user", [USER, None])
async def test_without_the_web_process_it_is_kept_as_long_as_any_setting_allows(realm: Realm, user: str | None) -> None:
    await realm.revoke(user=user, everybody=user is None, days=1.0)
    assert await realm.kept_s() == pytest.approx(400 * DAY)


async def test_an_older_web_process_does_not_say(realm: Realm) -> None:
    await realm.bus.respond(Subjects(SPACE).accounts(), responder({}))
    await realm.revoke(user=USER, days=1.0)
    assert await realm.kept_s() == pytest.approx(400 * DAY)


async def test_without_a_bus_it_is_written_all_the_same(realm: Realm) -> None:
    realm.bus.away = True
    with pytest.raises(Unavailable):
        await realm.revoke(user=USER, days=1.0)
    assert await realm.kept_s() == pytest.approx(400 * DAY)

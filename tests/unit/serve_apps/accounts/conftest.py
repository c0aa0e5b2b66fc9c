"""The HTTP API over memory stores, spoken to without a socket."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.limits import MemoryLimiter
from cluster.adapters.memory.lockouts import MemoryLockouts
from cluster.adapters.memory.protection import MemoryProtection
from cluster.adapters.memory.refresh_tokens import MemoryRefreshTokens
from cluster.errors import Unavailable
from cluster.security.checking import TokenChecker
from cluster.security.issuers import Issuers
from cluster.security.keys import KeyRing
from cluster.security.rotation import LiveKeys
from cluster.security_settings import LOOPBACK, LoginSettings
from cluster.settings import AccountSettings, Settings
from serve_apps.accounts.http import build_http
from serve_apps.accounts.login_guard import LoginGuard
from serve_apps.accounts.password_rules import PasswordRules
from serve_apps.accounts.passwords import Passwords
from serve_apps.accounts.routes import HttpDeps
from serve_apps.accounts.service import AccountService

NOW = 1_800_000_000.0
CHEAP = AccountSettings(argon2_memory_kib=8, argon2_time_cost=1, max_characters=3)


@dataclass
class World:
    """What a test can change while the app runs."""

    now: float = NOW
    live_sessions: set[str] = field(default_factory=set)
    checks: dict[str, bool] = field(default_factory=lambda: {"redis": True, "nats": True})
    metrics: bytes | Exception = b"# TYPE up gauge\nup 1\n"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(CHEAP)
    yield passwords
    passwords.close()


def checker_of(settings: Settings, keys: KeyRing) -> TokenChecker:
    async def nobody(url: str) -> bytes:
        raise Unavailable(url)

    return TokenChecker(
        settings, LiveKeys(keys), Issuers(settings.identity, nobody, time.monotonic, CHEAP.clock_skew_s)
    )


@pytest.fixture
def service(world: World, passwords: Passwords) -> AccountService:
    settings, store = Settings(realm="test", accounts=CHEAP), MemoryProtection(lambda: world.now)
    checker = checker_of(settings, KeyRing.create(NOW))

    async def look() -> None:
        protection = await store.load(-1)
        assert protection is not None
        checker.learn(protection, world.now)

    return AccountService(
        settings=settings,
        checker=checker,
        protection=store,
        look=look,
        changed=lambda: None,
        accounts=MemoryAccounts(),
        characters=MemoryCharacters(world.live_sessions.__contains__),
        refresh_tokens=MemoryRefreshTokens(),
        passwords=passwords,
        rules=PasswordRules(LoginSettings(), "test"),
        guard=LoginGuard(
            LoginSettings(), LOOPBACK, MemoryLimiter(lambda: world.now), MemoryLockouts(lambda: world.now)
        ),
        clock=lambda: world.now,
        rng=random.Random(7),
    )


@pytest.fixture
def play_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "play"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Play</title>")
    (folder / "js" / "main.js").write_text("export const x = 1;\n")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def app(service: AccountService, world: World, play_folder: Path) -> FastAPI:
    async def metrics(process: str) -> bytes:
        if isinstance(world.metrics, Exception):
            raise world.metrics
        return f"# of {process}\n".encode() if process else world.metrics

    async def health() -> dict[str, bool]:
        return world.checks

    return build_http(
        HttpDeps(service, metrics, health, play_folder, targets=lambda address: [{"targets": [address], "labels": {}}])
    )


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://realm") as client:
        yield client

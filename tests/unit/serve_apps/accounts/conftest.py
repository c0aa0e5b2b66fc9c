"""The HTTP API over memory stores, spoken to without a socket."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.refresh_tokens import MemoryRefreshTokens
from cluster.security.keys import KeyRing
from cluster.settings import AccountSettings, Settings
from serve_apps.accounts.http import build_http
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


@pytest.fixture
def service(world: World, passwords: Passwords) -> AccountService:
    return AccountService(
        settings=Settings(realm="test", accounts=CHEAP),
        keys=KeyRing.create(NOW),
        accounts=MemoryAccounts(),
        characters=MemoryCharacters(world.live_sessions.__contains__),
        refresh_tokens=MemoryRefreshTokens(),
        passwords=passwords,
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
    async def metrics() -> bytes:
        if isinstance(world.metrics, Exception):
            raise world.metrics
        return world.metrics

    async def health() -> dict[str, bool]:
        return world.checks

    return build_http(HttpDeps(service, metrics, health, play_folder))


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://realm") as client:
        yield client

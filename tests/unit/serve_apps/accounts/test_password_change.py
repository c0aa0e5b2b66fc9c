"""Changing one's password: every login ends, and what guards logins guards it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from structlog.testing import capture_logs

from cluster.errors import InvalidInput, NotFound, RateLimited, Unauthorized, Unavailable
from cluster.security.lifetimes import access_s
from serve_apps.accounts.models import Tokens
from serve_apps.accounts.passwords import Passwords, Verdict
from serve_apps.accounts.service import AccountService
from tests.unit.serve_apps.accounts.conftest import CHEAP, World
from tests.unit.serve_apps.accounts.test_service import FULL, entries_of, refuse

OLD, NEW = "correct horse", "battery staple"
HOME, THIEF, ELSEWHERE = "198.51.100.1", "203.0.113.9", "203.0.113.10"


async def test_the_new_one_counts_from_now_on(service: AccountService) -> None:
    user_id = (await service.register("ada", OLD)).user_id
    with capture_logs() as logs:
        tokens = await service.change_password(user_id, OLD, NEW)
    assert tokens.user_id == user_id
    assert [entry["event"] for entry in logs] == ["password_changed"]
    assert not [secret for secret in (OLD, NEW) if secret in repr(logs)]
    with pytest.raises(Unauthorized, match="wrong username or password"):
        await service.login("ada", OLD)
    await service.login("ada", NEW)


async def test_every_login_ends_but_the_new_one(service: AccountService, world: World) -> None:
    first = await service.register("ada", OLD)
    second = await service.login("ada", OLD)
    world.now += 5.0
    fresh = await service.change_password(first.user_id, OLD, NEW)
    await service.look()
    for former in (first, second):
        with pytest.raises(Unauthorized):
            await service.authenticate(former.access_token)
        with pytest.raises(Unauthorized):
            await service.refresh(former.refresh_token)
    assert (await service.authenticate(fresh.access_token)).user_id == first.user_id
    again = await service.refresh(fresh.refresh_token)
    world.now += CHEAP.refresh_ttl_s - 10.0
    with pytest.raises(Unauthorized):
        await service.refresh(second.refresh_token)
    assert (await service.refresh(again.refresh_token)).user_id == first.user_id


@pytest.mark.parametrize("now", [1_800_000_000.0, 1_800_000_000.0004, 1_800_000_000.9996])
async def test_at_one_moment_the_new_login_counts(service: AccountService, world: World, now: float) -> None:
    """Tokens say when they were made in milliseconds."""
    user_id = (await service.register("ada", OLD)).user_id
    world.now = now
    fresh = await service.change_password(user_id, OLD, NEW)
    await service.look()
    await service.authenticate(fresh.access_token)
    await service.refresh(fresh.refresh_token)


async def is_over(service: AccountService, tokens: Tokens) -> None:
    await service.look()
    with pytest.raises(Unauthorized, match="token revoked"):
        await service.authenticate(tokens.access_token)
    with pytest.raises(Unauthorized, match="token revoked"):
        await service.refresh(tokens.refresh_token)


async def test_a_login_that_was_on_its_way_with_the_old_one_ends_too(
    service: AccountService, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = (await service.register("ada", OLD)).user_id
    verify, hashing, go_on = Passwords.verify, asyncio.Event(), asyncio.Event()

    async def slow(self: Passwords, stored: str | None, password: str) -> Verdict:
        verdict = await verify(self, stored, password)
        if not hashing.is_set():
            hashing.set()
            await go_on.wait()
        return verdict

    monkeypatch.setattr(Passwords, "verify", slow)
    thief = asyncio.create_task(service.login("ada", OLD, THIEF))
    await hashing.wait()
    world.now += 1.0
    fresh = await service.change_password(user_id, OLD, NEW, HOME)
    world.now += 1.0
    go_on.set()
    stolen = await thief
    await is_over(service, stolen)
    assert stolen.expires_in == CHEAP.access_ttl_s - 2
    await service.authenticate(fresh.access_token)
    await service.refresh(fresh.refresh_token)


async def test_a_login_just_before_the_new_one_counts_ends_too(
    service: AccountService, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = (await service.register("ada", OLD)).user_id
    replace_hash, stolen = service.accounts.replace_hash, []

    async def late(user_id: str, old_hash: str, new_hash: str) -> bool:
        world.now += 1.0
        stolen.append(await service.login("ada", OLD, THIEF))
        world.now += 1.0
        return await replace_hash(user_id, old_hash, new_hash)

    monkeypatch.setattr(service.accounts, "replace_hash", late)
    fresh = await service.change_password(user_id, OLD, NEW, HOME)
    await is_over(service, stolen[0])
    await service.authenticate(fresh.access_token)
    await service.refresh(fresh.refresh_token)


async def test_what_is_kept_of_it_is_kept_as_long_as_an_access_token_lives(
    service: AccountService, world: World
) -> None:
    first = await service.register("ada", OLD)
    world.now += 5.0
    await service.change_password(first.user_id, OLD, NEW)
    assert [entry.until for entry in await entries_of(service)] == [world.now + access_s(service.settings)]
    world.now += access_s(service.settings) + 1.0
    await service.look()
    with pytest.raises(Unauthorized, match="token revoked"):
        await service.refresh(first.refresh_token)


async def test_a_full_table_does_not_keep_anybody_from_it(
    service: AccountService, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await service.register("ada", OLD)
    world.now += 5.0
    refuse(monkeypatch, service, FULL)
    counted: list[str] = []
    with capture_logs() as logs:
        fresh = await replace(service, revoked=counted.append).change_password(first.user_id, OLD, NEW)
    assert counted == ["full"] * 2
    assert "revocations_full" in [entry["event"] for entry in logs]
    with pytest.raises(Unauthorized, match="token revoked"):
        await service.refresh(first.refresh_token)
    await service.refresh(fresh.refresh_token)
    await service.login("ada", NEW)


@pytest.mark.parametrize("wrong", ["wrong horse", "", "x" * 500])
async def test_a_wrong_one_changes_nothing(service: AccountService, wrong: str) -> None:
    tokens = await service.register("ada", OLD)
    with pytest.raises(Unauthorized) as refused:
        await service.change_password(tokens.user_id, wrong, NEW)
    assert refused.value.reason == "bad_credentials"
    await service.look()
    await service.authenticate(tokens.access_token)
    await service.login("ada", OLD)


async def test_a_new_one_has_to_be_good(service: AccountService) -> None:
    user_id = (await service.register("ada.lovelace", OLD)).user_id
    for bad in ("password1", "ada.lovelace"):
        with pytest.raises(InvalidInput) as refused:
            await service.change_password(user_id, OLD, bad)
        assert (refused.value.reason, refused.value.errors[0][0]) == ("password_too_common", "new")


async def test_who_has_stolen_a_token_cannot_guess_for_ever(service: AccountService) -> None:
    user_id = (await service.register("ada", OLD)).user_id
    for n in range(10):
        with pytest.raises(Unauthorized):
            await service.change_password(user_id, f"guess {n}", NEW, THIEF)
    with pytest.raises(RateLimited, match="locked"):
        await service.change_password(user_id, OLD, NEW, THIEF)
    with pytest.raises(RateLimited, match="locked"):
        await service.login("ada", OLD, THIEF)


async def test_where_the_thief_logged_in_is_forgotten(service: AccountService) -> None:
    user_id = (await service.register("ada", OLD)).user_id
    await service.login("ada", OLD, THIEF)
    await service.change_password(user_id, OLD, NEW, HOME)
    for n in range(10):
        with pytest.raises(Unauthorized):
            await service.login("ada", f"guess {n}", ELSEWHERE)
    with pytest.raises(RateLimited):
        await service.login("ada", OLD, THIEF)
    await service.login("ada", NEW, HOME)


async def test_of_two_at_once_one_counts(service: AccountService) -> None:
    user_id = (await service.register("ada", OLD)).user_id
    news = [f"{NEW} {n}" for n in range(4)]
    results = await asyncio.gather(
        *(service.change_password(user_id, OLD, new) for new in news), return_exceptions=True
    )
    done = [new for new, result in zip(news, results, strict=True) if not isinstance(result, BaseException)]
    assert len(done) == 1
    assert all(isinstance(result, Unauthorized) for result in results if isinstance(result, BaseException))
    await service.login("ada", done[0])


async def test_what_could_not_be_judged_does_not_count(
    service: AccountService, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = (await service.register("ada", OLD)).user_id

    async def busy(stored: str | None, password: str) -> Verdict:
        raise Unavailable("password hashing")

    with monkeypatch.context() as patch:
        patch.setattr(service.passwords, "verify", busy)
        for _ in range(12):
            with pytest.raises(Unavailable):
                await service.change_password(user_id, OLD, NEW, "127.0.0.1")
    await service.change_password(user_id, OLD, NEW, "127.0.0.1")


async def test_a_user_of_an_outside_issuer(service: AccountService) -> None:
    with pytest.raises(NotFound):
        await service.change_password("usr_elsewhere", OLD, NEW)


async def test_over_http(http: httpx.AsyncClient) -> None:
    tokens = (await http.post("/v1/auth/register", json={"username": "ada", "password": OLD})).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"current": OLD, "new": NEW}
    assert (await http.post("/v1/auth/password", json=body)).json()["reason"] == "token_missing"
    short = await http.post("/v1/auth/password", json={"current": OLD, "new": "short"}, headers=headers)
    assert [error["field"] for error in short.json()["errors"]] == ["new"]
    wrong = await http.post("/v1/auth/password", json={"current": "wrong horse", "new": NEW}, headers=headers)
    assert (wrong.status_code, wrong.json()["reason"]) == (401, "bad_credentials")
    changed = await http.post("/v1/auth/password", json=body, headers=headers)
    assert (changed.status_code, changed.json()["user_id"]) == (200, tokens["user_id"])
    assert changed.headers["cache-control"] == "no-store"
    assert (await http.post("/v1/auth/login", json={"username": "ada", "password": NEW})).status_code == 200

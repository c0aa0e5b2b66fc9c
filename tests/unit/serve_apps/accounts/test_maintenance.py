"""Logins while the realm is closed for maintenance."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from cluster.errors import Unauthorized
from cluster.ports.protection import Maintenance
from serve_apps.accounts.maintenance import InMaintenance, check
from serve_apps.accounts.problems import problem_of
from serve_apps.accounts.service import AccountService

PASSWORD = "a garden full of snails"


def shut(service: AccountService, *allow: str) -> AccountService:
    held = Maintenance(service.clock(), "operator:ada", "new ground", service.clock() + 120.0, allow=allow)
    return replace(service, maintenance=lambda: held)


async def test_nobody_logs_in_or_registers(service: AccountService) -> None:
    await service.register("ann", PASSWORD)
    closed = shut(service)
    with pytest.raises(InMaintenance) as caught:
        await closed.login("ann", PASSWORD)
    assert caught.value.retry_after_s == 120.0
    with pytest.raises(InMaintenance):
        await closed.register("bob", PASSWORD)
    assert await service.accounts.by_username("bob") is None


async def test_a_wrong_password_is_told_as_ever(service: AccountService) -> None:
    """So that nobody learns who may come in, nor who has an account."""
    await service.register("ann", PASSWORD)
    closed = shut(service)
    for name in ("ann", "nobody"):
        with pytest.raises(Unauthorized):
            await closed.login(name, "wrong, sorry")


async def test_who_is_allowed_comes_in(service: AccountService) -> None:
    await service.register("ann", PASSWORD)
    ann = await service.accounts.by_username("ann")
    assert ann is not None
    assert (await shut(service, ann.user_id).login("ann", PASSWORD)).access_token


@pytest.mark.parametrize("role", ["operator", "moderator"])
async def test_staff_comes_in(service: AccountService, role: str) -> None:
    await service.register("ann", PASSWORD)
    accounts = service.settings.accounts.model_copy(update={"roles": {"ann": role}})
    settings = service.settings.model_copy(update={"accounts": accounts})
    assert (await replace(shut(service), settings=settings).login("ann", PASSWORD)).access_token


async def test_who_is_inside_renews_tokens(service: AccountService) -> None:
    tokens = await service.register("ann", PASSWORD)
    assert (await shut(service).refresh(tokens.refresh_token)).access_token


def test_as_http_has_it() -> None:
    answer = problem_of(InMaintenance(119.2))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "120")
    assert b'"maintenance"' in bytes(answer.body)


def test_an_open_realm() -> None:
    check(None, "", "player", 0.0)


def test_it_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(InMaintenance(3.0))).retry_after_s == 3.0  # noqa: S301

"""What the web process answers over the bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.adapters.memory.bus import MemoryBus
from cluster.errors import Unauthorized
from cluster.security.lifetimes import login_s, longest_s
from cluster.security.requests import LIFETIMES, REFRESH
from cluster.world_control import ask
from serve_apps.accounts.desk import responder_of
from serve_apps.accounts.key_desk import KeyDesk
from serve_apps.accounts.service import AccountService

Ask = Callable[..., Any]


@pytest.fixture
async def asked(service: AccountService) -> Ask:
    keys = KeyDesk(service.settings, service.checker.keys, service.protection, service.clock, service.changed)
    bus = MemoryBus()
    await bus.respond("accounts", responder_of(service, keys))

    async def asked(method: str, **params: str) -> Any:
        return await ask(bus, "accounts", method, params, 5.0)

    return asked


async def test_a_session_may_ask_again_and_no_other(service: AccountService, asked: Ask) -> None:
    first = await service.register("ada", "correct horse")
    shown = {"refresh_token": first.refresh_token, "user_id": first.user_id}
    second = await asked(REFRESH, **shown, session_id="ses_1")
    assert (await asked(REFRESH, **shown, session_id="ses_1"))["refresh_token"] == second["refresh_token"]
    with pytest.raises(Unauthorized, match="token invalid"):
        await asked(REFRESH, **shown, session_id="ses_2")
    with pytest.raises(Unauthorized):
        await service.refresh(second["refresh_token"])


async def test_how_long_things_last(service: AccountService, asked: Ask) -> None:
    settings = service.settings
    assert await asked(LIFETIMES) == {"tokens_s": longest_s(settings), "logins_s": login_s(settings)}

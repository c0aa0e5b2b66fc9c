"""What other processes ask the web process, over the bus: new tokens for a player on a socket, and what the operator's
commands need.

Nothing of a request is logged: it may be a refresh token.
"""

from __future__ import annotations

from typing import Any

from cluster.ports.bus import Responder
from cluster.security.lifetimes import login_s, longest_s
from cluster.security.requests import LIFETIMES, LIST_KEYS, REFRESH, ROTATE_KEYS
from cluster.world_control import responder
from serve_apps.accounts.key_desk import KeyDesk
from serve_apps.accounts.service import AccountService


def responder_of(service: AccountService, keys: KeyDesk) -> Responder:
    async def refresh(refresh_token: str, user_id: str, session_id: str) -> dict[str, Any]:
        tokens = await service.refresh(refresh_token, user_id, session_id)
        return tokens.model_dump(mode="json")

    async def lifetimes() -> dict[str, float]:
        return {"tokens_s": longest_s(service.settings), "logins_s": login_s(service.settings)}

    return responder(
        {
            REFRESH: refresh,
            ROTATE_KEYS: keys.rotate_by_request,
            LIST_KEYS: keys.list_by_request,
            LIFETIMES: lifetimes,
        }
    )

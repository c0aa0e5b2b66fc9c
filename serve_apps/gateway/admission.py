"""From an upgrade request to an attached session, or a refusal (rows 1.1 and 1.6). Everything happens before the upgrade."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from http import HTTPStatus

from actors.session.host import Attached
from cluster.errors import RateLimited, RealmError, SessionGone, Unauthorized, Unavailable
from cluster.ports.calls import SUPERVISOR, Calls
from cluster.ports.sessions import Placed, SessionStore
from cluster.security.keys import KeyRing
from cluster.security.tokens import verify_access
from cluster.settings import Settings
from serve_apps.gateway.upgrade import Refusal, Upgrade

ATTEMPTS = 3
NEW_ACTOR_DEADLINE_S = 30.0
RETRY_S = 2
UNATTACHED_LIMIT = 10_000


class Admission:
    def __init__(
        self,
        gateway_id: str,
        settings: Settings,
        keys: KeyRing,
        store: SessionStore,
        calls: Calls,
        wall_clock: Callable[[], float],
    ) -> None:
        self._gateway_id = gateway_id
        self._settings = settings
        self._keys = keys
        self._store = store
        self._calls = calls
        self._wall_clock = wall_clock
        # Sessions that were placed for a user and could not be attached: the next attempt takes it, not one more of the few.
        self._unattached: dict[str, str] = {}

    def authenticate(self, upgrade: Upgrade) -> str | Refusal:
        """The user of the request's token."""
        accounts = self._settings.accounts
        try:
            claims = verify_access(
                self._keys, upgrade.token, self._wall_clock(), accounts.clock_skew_s, self._settings.namespace
            )
        except Unauthorized as error:
            return Refusal(HTTPStatus.UNAUTHORIZED, error.reason, "the access token is not accepted")
        return claims.user_id

    async def attach(self, upgrade: Upgrade, user_id: str) -> tuple[Attached, str] | Refusal:
        """The session, and the actor that hosts it."""
        try:
            return await self._attach(upgrade.session_id, user_id)
        except Unauthorized as error:
            return Refusal(HTTPStatus.FORBIDDEN, error.reason, "the session belongs to another user")
        except RateLimited as error:
            return Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                error.reason,
                "this user has too many sessions",
                round(error.retry_after_s),
            )
        except Unavailable as error:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", f"{error.what} is away", RETRY_S)
        except RealmError:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "the session could not be attached", RETRY_S)

    async def _attach(self, wanted: str, user_id: str) -> tuple[Attached, str]:
        deadline = self._settings.gateway.attach_deadline_s
        for _ in range(ATTEMPTS):
            placed = await self._place(wanted or self._unattached.pop(user_id, ""), user_id)
            try:
                attached: Attached = await self._calls.call(
                    placed.actor,
                    "attach",
                    placed.session_id,
                    user_id,
                    self._gateway_id,
                    deadline_s=deadline,
                    idempotent=True,
                )
            except SessionGone:  # it ended between the two steps: take a new one
                wanted = ""
                continue
            except RealmError:
                if placed.session_id != wanted:
                    self._remember(user_id, placed.session_id)
                raise
            return attached, placed.actor
        raise Unavailable("sessions")

    def _remember(self, user_id: str, session_id: str) -> None:
        if len(self._unattached) >= UNATTACHED_LIMIT:
            del self._unattached[next(iter(self._unattached))]
        self._unattached[user_id] = session_id

    async def _place(self, wanted: str, user_id: str) -> Placed:
        limits = self._settings.session
        for _ in range(ATTEMPTS):
            placed = await self._store.place(
                wanted,
                f"ses_{secrets.token_hex(12)}",
                user_id,
                limits.per_user,
                limits.sessions_per_actor,
                limits.record_ttl_s,
                self._wall_clock(),
            )
            if placed.actor:
                return placed
            await self._calls.call(SUPERVISOR, "more_sessions", deadline_s=NEW_ACTOR_DEADLINE_S)
        raise Unavailable("sessions")

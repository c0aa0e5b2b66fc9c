"""From an upgrade request to an attached session, or a refusal (rows 1.1 and 1.6). Everything happens before the upgrade."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable
from http import HTTPStatus

from actors.session.attaching import Attach, Attached
from cluster.errors import Conflict, InvalidInput, RateLimited, RealmError, SessionGone, Unauthorized, Unavailable
from cluster.ports.calls import SUPERVISOR, Calls
from cluster.ports.sessions import Placed, SessionStore
from cluster.realm import Realm
from cluster.security.checking import TokenChecker
from cluster.security.recovery import RecoveryClaims, verify_recovery
from cluster.telemetry import tracing
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.pacing import Pacer
from serve_apps.gateway.upgrade import Refusal, Upgrade

ATTEMPTS = 3
NEW_ACTOR_DEADLINE_S = 30.0
RETRY_S = 2
UNATTACHED_LIMIT = 10_000
WHY = {
    "session_not_yours": "the session belongs to another user",
    "recovery_superseded": "the session was attached anew since this token was given out",
    "banned": "this user may not connect",
    "token_expiring": "the token ends too soon: renew it first",
    "token_revoked": "the token was revoked",
}


class Admission:
    """`wall_clock` is in Unix seconds, `clock` any monotonic one. `closed`: why the realm takes somebody in no more, if so."""

    def __init__(
        self,
        gateway_id: str,
        realm: Realm,
        store: SessionStore,
        calls: Calls,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        checker: TokenChecker,
        closed: Callable[[Identity], Refusal | None] = lambda _: None,
        sampling: tracing.Sampling | None = None,
    ) -> None:
        self._sampling = sampling
        self._gateway_id = gateway_id
        self._checker = checker
        self._closed = closed
        self._realm = realm
        self._settings = realm.settings
        self._store = store
        self._calls = calls
        self._clock = clock
        self._wall_clock = wall_clock
        limits = realm.settings.gateway
        self._pacer = Pacer(limits.attaches_per_s, limits.attaches_waiting)
        # Sessions that were placed for a user and could not be attached: the next attempt takes it, not one more of the few.
        self._unattached: dict[str, str] = {}

    async def authenticate(self, upgrade: Upgrade) -> Identity | Refusal:
        """The user of the request's token; of an access token, if there are both.

        A token that ends within `identity.grace_s` is refused: the client renews it first. A recovery token may be used until the
        socket that it stands for would have been closed.
        """
        now = self._wall_clock()
        try:
            recovery = self._recovery(upgrade.recovery, now) if upgrade.recovery else None
            if not upgrade.token and recovery is not None:
                return Identity.of_recovery(recovery)
            claims = await self._checker.check(upgrade.token, now)
            if claims.expires_at - now < self._settings.identity.grace_s:
                raise Unauthorized("token_expiring")
        except Unauthorized as error:
            return Refusal(HTTPStatus.UNAUTHORIZED, error.reason, WHY.get(error.reason, "the token is not accepted"))
        except Unavailable as error:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", f"the {error.what} is away", RETRY_S)
        if recovery is not None and recovery.user_id != claims.user_id:
            return Refusal(HTTPStatus.FORBIDDEN, "session_not_yours", WHY["session_not_yours"])
        return Identity.of_access(claims, recovery)

    def _recovery(self, token: str, now: float) -> RecoveryClaims:
        """Raises Unauthorized: `recovery_invalid`, `recovery_expired`, `token_revoked`."""
        accounts, checker = self._settings.accounts, self._checker
        claims = verify_recovery(
            self._realm.recovery_secret, token, now, accounts.clock_skew_s, self._settings.namespace
        )
        if checker.revoked.fits(claims.user_id, claims.token_id, claims.issued_at, now):
            raise Unauthorized("token_revoked")
        if not checker.key_counts(claims.issuer, claims.key_id, now):
            raise Unauthorized("recovery_invalid")
        return claims

    async def attach(self, upgrade: Upgrade, who: Identity) -> tuple[Attached, str] | Refusal:
        """The session, and the actor that hosts it. Waits for its turn first: attaches come at a bounded rate."""
        closed = self._closed(who)
        if closed is not None:
            return closed
        now = self._clock()
        wait_s = self._pacer.reserve(now)
        if wait_s is None:
            retry_s = math.ceil(self._pacer.clear_s(now))
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many are connecting", retry_s)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        try:
            parent = None if self._sampling is None else self._sampling.parent(upgrade.trace)
            if parent is None:
                return await self._attach(upgrade, who)
            with tracing.root("attach", tracing.Kind.SERVER, parent, gateway=self._gateway_id):
                return await self._attach(upgrade, who)
        except Unauthorized as error:
            return Refusal(HTTPStatus.FORBIDDEN, error.reason, WHY.get(error.reason, "not allowed"))
        except Conflict as error:
            return Refusal(HTTPStatus.CONFLICT, error.reason, "another device has this session")
        except InvalidInput:
            return Refusal(HTTPStatus.BAD_REQUEST, "bad_sequence", "nothing so new was ever sent to this session")
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

    async def _attach(self, upgrade: Upgrade, who: Identity) -> tuple[Attached, str]:
        deadline = self._settings.gateway.attach_deadline_s
        user_id, recovery = who.user_id, who.recovery
        wanted = recovery.session_id if recovery is not None else upgrade.session_id
        for _ in range(ATTEMPTS):
            placed = await self._place(wanted or self._unattached.pop(user_id, ""), user_id)
            try:
                token_epoch = recovery.attach_epoch if recovery is not None and placed.session_id == wanted else None
                attach = Attach(
                    placed.session_id,
                    user_id,
                    self._gateway_id,
                    token_epoch,
                    upgrade.stream,
                    upgrade.last,
                    secrets.token_hex(8),
                    who.role,
                    upgrade.address,
                )
                attached: Attached = await self._calls.call(
                    placed.actor,
                    "attach",
                    attach,
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

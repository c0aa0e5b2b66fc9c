"""What the accounts API does, over ports alone: no HTTP, no Redis, no clock of its own."""

from __future__ import annotations

import hashlib
import hmac
import math
import random
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import structlog

from actors.session.world_info import near_centre
from cluster.errors import Conflict, InvalidInput, NotFound, Unauthorized, Unavailable
from cluster.ports.accounts import (
    Account,
    AccountStore,
    Character,
    CharacterStore,
    RefreshStore,
    TokenReused,
)
from cluster.ports.protection import Maintenance, ProtectionStore, Revocation
from cluster.security.checking import TokenChecker
from cluster.security.keys import KeyRing
from cluster.security.lifetimes import access_s
from cluster.security.tokens import PLAYER, AccessClaims, sign_access
from cluster.settings import Settings
from serve_apps.accounts.login_guard import LoginGuard
from serve_apps.accounts.maintenance import check
from serve_apps.accounts.models import Tokens
from serve_apps.accounts.names import clean_password, clean_username
from serve_apps.accounts.password_rules import PasswordRules
from serve_apps.accounts.passwords import Passwords, Verdict

_ID_BYTES = 12
_REFRESH_BYTES = 32  # 256 bits
_REFRESH_PREFIX = "rrt_"
# That a user's logins ended is remembered for as long as `refresh_ttl_s` can be: it may have been longer when they began.
_ENDED_KEPT_S = 365 * 86_400.0

log = structlog.get_logger(__name__)


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(_ID_BYTES)}"


def _new_refresh_token() -> str:
    return _REFRESH_PREFIX + secrets.token_urlsafe(_REFRESH_BYTES)


def _digest(token: str) -> str:
    """What is stored of a refresh token. It is random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AccountService:
    """Every method may raise Unavailable. `clock` gives Unix seconds.

    `look` brings what the checker knows of revocations up to date; `changed` tells all processes of a new one; `revoked` is told
    what became of each (REVOKED in cluster/telemetry/login_metrics.py).
    """

    settings: Settings
    checker: TokenChecker
    protection: ProtectionStore
    look: Callable[[], Awaitable[None]]
    changed: Callable[[], None]
    accounts: AccountStore
    characters: CharacterStore
    refresh_tokens: RefreshStore
    passwords: Passwords
    rules: PasswordRules
    guard: LoginGuard
    clock: Callable[[], float]
    rng: random.Random  # where newcomers stand; nothing secret
    tried: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()  # around each try, for metrics
    revoked: Callable[[str], None] = lambda _: None
    maintenance: Callable[[], Maintenance | None] = lambda: None  # None while the realm is open

    async def register(self, username: str, password: str, address: str = "") -> Tokens:
        """Make an account and log in. `username` and `password` are clean (names.py), `address` is the client's, "" if unknown.

        Raises RateLimited, InMaintenance, PasswordTooCommon and InvalidInput, each the same whether or not the name is taken;
        Conflict.
        """
        with self.tried("register"):
            await self.guard.register(address)
            check(self.maintenance(), "", PLAYER, self.clock())
            self.rules.check(username, password)
            # Asked first because a hash costs more than all the rest; `create` asks again, atomically.
            if await self.accounts.by_username(username) is not None:
                raise Conflict("username_taken")
            password_hash = await self.passwords.hash(password)
            account = Account(_new_id("usr"), username, password_hash, self.clock())
            await self.accounts.create(account)
            log.info("account_created", user_id=account.user_id)
            return await self._log_in(account, self._moment())

    async def login(self, username: str, password: str, address: str = "") -> Tokens:
        """Raises Unauthorized("bad_credentials"), after the same work for a wrong name or password; RateLimited, which knows of
        no passwords and no accounts (login_guard.py); InMaintenance.
        """
        with self.tried("login"):
            await self.guard.login(address)
            self.passwords.expect_room()
            try:
                name: str | None = clean_username(username)
            except ValueError:
                name = None  # nobody can have such a name
            tried = username if name is None else name
            await self.guard.guess(tried, address)
            # The login is as old as what it knows of the password: a change meanwhile ends it, too.
            began = self._moment()
            try:
                account = None if name is None else await self.accounts.by_username(name)
                verdict = await self._verify(account, password)
            except Unavailable:
                await self.guard.unjudged(tried, address)
                raise
            if account is None or not verdict.matches:
                raise Unauthorized("bad_credentials", "wrong username or password")
            await self.guard.right(tried, address)
            if verdict.replacement is not None:
                await self.accounts.replace_hash(account.user_id, account.password_hash, verdict.replacement)
            role = self.settings.accounts.roles.get(account.username, PLAYER)
            check(self.maintenance(), account.user_id, role, self.clock())
            return await self._log_in(account, began)

    async def change_password(self, user_id: str, current: str, new: str, address: str = "") -> Tokens:
        """Every login of the user's ends, and a new one begins. `new` is clean (names.py).

        Raises Unauthorized("bad_credentials") and RateLimited as `login` does, PasswordTooCommon, InvalidInput; NotFound for a
        user of an outside issuer.
        """
        with self.tried("password"):
            await self.guard.login(address)
            self.passwords.expect_room()
            account = await self.accounts.get(user_id)
            if account is None:
                raise NotFound("not_found")
            self.rules.check(account.username, new, "new")
            await self.guard.guess(account.username, address)
            try:
                verdict = await self._verify(account, current)
                password_hash = await self.passwords.hash(new) if verdict.matches else ""
            except Unavailable:
                await self.guard.unjudged(account.username, address)
                raise
            if not verdict.matches:
                raise Unauthorized("bad_credentials", "wrong password")
            # Logins end first: if the store goes away in between, the password is still the old one, and it can be tried again.
            await self._end_logins(user_id)
            if not await self.accounts.replace_hash(user_id, account.password_hash, password_hash):
                raise Unauthorized("bad_credentials", "wrong password")  # it was changed meanwhile
            # And again: a login that read the old hash may have begun since.
            began = await self._end_logins(user_id)
            await self.guard.changed(account.username, address)
            log.info("password_changed", user_id=user_id)
            return await self._log_in(account, began)

    async def _end_logins(self, user_id: str) -> float:
        """Of those that began before now: their refresh tokens in their own store, and their access tokens for as long as one
        can live. Returns when that was: a login that begins then counts."""
        now, settings = self._moment(), self.settings
        await self.refresh_tokens.end_user(user_id, now, _ENDED_KEPT_S)
        await self._revoke(Revocation("user", user_id, now, now + access_s(settings)))
        return now

    def _moment(self) -> float:
        """Now, in whole milliseconds, as tokens have it: what is made at this moment is not before it."""
        return math.floor(self.clock() * 1_000) / 1_000

    async def _revoke(self, revocation: Revocation) -> None:
        """A table that is full keeps nobody from ending a login: its refresh tokens have ended all the same."""
        try:
            await self.protection.revoke(revocation)
        except InvalidInput:
            log.error("revocations_full", kind=revocation.kind, subject=revocation.subject)
            self.revoked("full")
            return
        except Unavailable:
            self.revoked("unavailable")
            raise
        self.revoked("kept")
        self.changed()

    async def refresh(self, refresh_token: str, of_user: str = "", of_session: str = "") -> Tokens:
        """A token works once; using it again ends its whole family, and the access tokens that came of it.

        `of_user`, `of_session`: whose socket it came from, "" if none. Raises Unauthorized("token_invalid");
        "token_revoked" if the user's tokens were revoked since the login; "other_user", which ends the family, too: the
        token was not its owner's to show.
        """
        await self.look()  # else a login that was just revoked could make itself a token from after that
        successor = self._successor(refresh_token, of_session) if of_session else _new_refresh_token()
        now = self.clock()
        try:
            rotated = await self.refresh_tokens.rotate(
                _digest(refresh_token), _digest(successor), now, self.settings.accounts.refresh_ttl_s
            )
        except TokenReused as reuse:
            log.warning("refresh_token_reused", user_id=reuse.user_id)
            await self._revoke_family(reuse.family_id, now)
            raise
        user_id, family_id = rotated.user_id, rotated.family_id
        if self.checker.revoked.fits(user_id, f"{family_id}.", rotated.started_at, now):
            await self.refresh_tokens.revoke(_digest(successor))
            raise Unauthorized("token_revoked")
        if of_user and user_id != of_user:
            log.warning("refresh_token_of_another_user", user_id=user_id, shown_by=of_user)
            await self.refresh_tokens.revoke(_digest(successor))
            await self._revoke_family(family_id, now)
            raise Unauthorized("other_user")
        accounts = self.settings.accounts
        account = await self.accounts.get(user_id) if accounts.roles or accounts.premium else None
        return self._tokens(user_id, account, successor, now, family_id)

    def _successor(self, refresh_token: str, session_id: str) -> str:
        """The same for the same token and session: whoever waited in vain may ask again (REPEAT_S), also after a recovery, and is
        no thief. Another session that shows the token is one."""
        secret = self.checker.keys.root.signer()[1].private_bytes_raw()
        asked = f"successor of {len(session_id)}:{session_id}{refresh_token}"
        digest = hmac.digest(secret, asked.encode(), "sha256")
        return _REFRESH_PREFIX + urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def _revoke_family(self, family_id: str, now: float) -> None:
        """The access tokens that came of it, and their sockets. Its refresh tokens end whether or not that can be written down."""
        try:
            await self._revoke(Revocation("family", family_id, now, now + access_s(self.settings)))
        except Unavailable:
            log.error("family_not_revoked", family_id=family_id)

    async def logout(self, refresh_token: str) -> None:
        """End all that came of the token's login: refresh tokens, access tokens and sockets. An unknown token is fine, as in RFC
        7009, and so is one of a login that has ended."""
        digest = _digest(refresh_token)
        login = await self.refresh_tokens.login_of(digest)
        if login is None:
            return
        # First: while the refresh tokens last, whoever got no answer can try again.
        await self._revoke_family(login.family_id, self.clock())
        await self.refresh_tokens.revoke(digest)

    async def authenticate(self, access_token: str | None) -> AccessClaims:
        """Raises Unauthorized: `token_missing`, `token_invalid`, `token_expired`, `token_revoked`."""
        return await self.checker.check(access_token, self.clock())

    @property
    def keys(self) -> KeyRing:
        """As they are now."""
        return self.checker.keys.ring(self.clock())

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        return self.keys.jwks(self.clock())

    async def list_characters(self, user_id: str) -> list[Character]:
        """Oldest first."""
        return await self.characters.list(user_id)

    async def create_character(self, user_id: str, name: str) -> Character:
        """About the middle of the spawn zone; `name` is clean. Raises Conflict (CharacterStore says which)."""
        world = self.settings.world
        x, z = near_centre(next(zone.bounds for zone in world.zones if zone.id == world.spawn_zone), self.rng)
        character = Character(
            character_id=_new_id("chr"),
            user_id=user_id,
            name=name,
            zone=world.spawn_zone,
            x=x,
            y=0.0,
            z=z,
            yaw=0.0,
            created_at=self.clock(),
        )
        await self.characters.create(character, self.settings.accounts.max_characters)
        log.info("character_created", user_id=user_id, character_id=character.character_id)
        return character

    async def delete_character(self, user_id: str, character_id: str) -> None:
        """Raises NotFound (missing or not theirs: the same), Conflict("in_world")."""
        await self.characters.delete(user_id, character_id)
        log.info("character_deleted", user_id=user_id, character_id=character_id)

    async def _verify(self, account: Account | None, password: str) -> Verdict:
        """The same work whether or not there is such an account, and whether or not it can be a password."""
        try:
            password = clean_password(password)
        except ValueError:
            account = None
        return await self.passwords.verify(account.password_hash if account else None, password)

    async def _log_in(self, account: Account, began: float) -> Tokens:
        token, family_id = _new_refresh_token(), _new_id("fam")
        ttl = self.settings.accounts.refresh_ttl_s
        await self.refresh_tokens.start(family_id, account.user_id, _digest(token), began, ttl)
        return self._tokens(account.user_id, account, token, began, family_id)

    def _tokens(self, user_id: str, account: Account | None, refresh_token: str, now: float, family_id: str) -> Tokens:
        """Role and premium are as the settings say now: the next token of who is no moderator any more says so."""
        limits, name = self.settings.accounts, account.username if account is not None else ""
        access_token = sign_access(
            self.keys,
            user_id,
            now,
            limits.access_ttl_s,
            self.settings.namespace,
            limits.roles.get(name, PLAYER),
            name in limits.premium,
            family_id,
        )
        return Tokens(
            user_id=user_id,
            access_token=access_token,
            expires_in=max(0, int(now + limits.access_ttl_s - self.clock())),
            refresh_token=refresh_token,
        )

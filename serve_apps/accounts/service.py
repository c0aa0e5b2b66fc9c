"""What the accounts API does, over ports alone: no HTTP, no Redis, no clock of its own."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from actors.session.world_info import near_centre
from cluster.errors import Conflict, Unauthorized
from cluster.ports.accounts import (
    Account,
    AccountStore,
    Character,
    CharacterStore,
    RefreshStore,
    TokenReused,
)
from cluster.security.keys import KeyRing
from cluster.security.tokens import PLAYER, AccessClaims, sign_access, verify_access
from cluster.settings import Settings
from serve_apps.accounts.models import Tokens
from serve_apps.accounts.names import clean_password, clean_username
from serve_apps.accounts.passwords import Passwords

_ID_BYTES = 12
_REFRESH_BYTES = 32  # 256 bits
_REFRESH_PREFIX = "rrt_"

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
    """Every method may raise Unavailable. `clock` gives Unix seconds."""

    settings: Settings
    keys: KeyRing
    accounts: AccountStore
    characters: CharacterStore
    refresh_tokens: RefreshStore
    passwords: Passwords
    clock: Callable[[], float]
    rng: random.Random  # where newcomers stand; nothing secret

    async def register(self, username: str, password: str) -> Tokens:
        """Make an account and log in. Both arguments are clean (names.py). Raises Conflict."""
        # Asked first because a hash costs more than all the rest; `create` asks again, atomically.
        if await self.accounts.by_username(username) is not None:
            raise Conflict("username_taken")
        password_hash = await self.passwords.hash(password)
        account = Account(_new_id("usr"), username, password_hash, self.clock())
        await self.accounts.create(account)
        log.info("account_created", user_id=account.user_id)
        return await self._log_in(account)

    async def login(self, username: str, password: str) -> Tokens:
        """Raises Unauthorized("bad_credentials"), after the same work for a wrong name or password."""
        try:
            password = clean_password(password)
            account = await self.accounts.by_username(clean_username(username))
        except ValueError:
            account = None  # nobody can have such a name or password
        verdict = await self.passwords.verify(account.password_hash if account else None, password)
        if account is None or not verdict.matches:
            raise Unauthorized("bad_credentials", "wrong username or password")
        if verdict.replacement is not None:
            await self.accounts.replace_hash(account.user_id, account.password_hash, verdict.replacement)
        return await self._log_in(account)

    async def refresh(self, refresh_token: str) -> Tokens:
        """A token works once; using it again ends its whole family. Raises Unauthorized("token_invalid")."""
        successor, now = _new_refresh_token(), self.clock()
        try:
            user_id = await self.refresh_tokens.rotate(
                _digest(refresh_token), _digest(successor), now, self.settings.accounts.refresh_ttl_s
            )
        except TokenReused as reuse:
            log.warning("refresh_token_reused", user_id=reuse.user_id)
            raise
        role = PLAYER
        if self.settings.accounts.roles:
            account = await self.accounts.get(user_id)
            role = self._role(account) if account is not None else PLAYER
        return self._tokens(user_id, role, successor, now)

    async def logout(self, refresh_token: str) -> None:
        """End all that came of the token's login. An unknown token is fine, as in RFC 7009."""
        await self.refresh_tokens.revoke(_digest(refresh_token))

    def authenticate(self, access_token: str | None) -> AccessClaims:
        """Raises Unauthorized: `token_missing`, `token_invalid`, `token_expired`."""
        skew = self.settings.accounts.clock_skew_s
        return verify_access(self.keys, access_token, self.clock(), skew, self.settings.namespace)

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

    async def _log_in(self, account: Account) -> Tokens:
        token, now = _new_refresh_token(), self.clock()
        ttl = self.settings.accounts.refresh_ttl_s
        await self.refresh_tokens.start(_new_id("fam"), account.user_id, _digest(token), now, ttl)
        return self._tokens(account.user_id, self._role(account), token, now)

    def _role(self, account: Account) -> str:
        """As the settings say now: the next token of who is no moderator any more says so."""
        return self.settings.accounts.roles.get(account.username, PLAYER)

    def _tokens(self, user_id: str, role: str, refresh_token: str, now: float) -> Tokens:
        ttl = self.settings.accounts.access_ttl_s
        access_token = sign_access(self.keys, user_id, now, ttl, self.settings.namespace, role)
        return Tokens(user_id=user_id, access_token=access_token, expires_in=int(ttl), refresh_token=refresh_token)

"""Operators' logins, invitations and tokens (row 7.8), over ports alone.

A login is one guess for the lock of its name (cluster/ports/lockouts.py), whichever of its steps fails: an unknown name, a wrong
password and a wrong code cost the same work and the same count. That the password was right is told only by asking for the code.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

import segno
import structlog

from cluster import operators
from cluster.errors import InvalidInput, NotFound, Unauthorized, Unavailable
from cluster.operations.model import Operator, Registry, Role
from cluster.operator_settings import ConsoleSettings
from cluster.ports.audit import AuditEntry, AuditLog
from cluster.ports.operators import OperatorRecord, OperatorSession, OperatorStore
from cluster.security import totp
from serve_apps.accounts.login_guard import LoginGuard
from serve_apps.accounts.names import clean_password
from serve_apps.accounts.password_rules import PasswordRules
from serve_apps.accounts.passwords import Passwords
from serve_apps.console.models import InvitationView, Me

LEAST_PASSWORD = 12  # more than a player's: it opens the whole realm
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else
_RECOVERY_LENGTH, _GROUP = 15, 5  # 74 bits

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who asks: `session_hash` and `csrf` of a session, or `token_hash`; the others are ""."""

    operator: Operator
    record: OperatorRecord
    session_hash: str = ""
    csrf: str = ""
    began_at: float = 0.0
    token_hash: str = ""


@dataclass(frozen=True, slots=True)
class Entered:
    """A login: `secret` is the session's, for the cookie."""

    secret: str
    who: Who


@dataclass(frozen=True, slots=True)
class OperatorAccounts:
    """Every method may raise Unavailable. `clock` gives Unix seconds."""

    realm: str
    settings: ConsoleSettings
    store: OperatorStore
    audit: AuditLog
    passwords: Passwords
    rules: PasswordRules
    guard: LoginGuard
    sealer: totp.Sealer
    min_password: int
    clock: Callable[[], float]

    async def login(self, name: str, password: str, code: str, address: str) -> Entered:
        """Raises Unauthorized("credentials_wrong", "code_needed", "code_wrong", "mfa_missing"), RateLimited."""
        await self.guard.login(address)
        self.passwords.expect_room()
        plain = name.strip().lower()
        known = operators.NAME.fullmatch(plain) is not None
        tried = lock_of(plain)
        await self.guard.guess(tried, address)
        try:
            record = await self.store.get(plain if known else "-")
            stored = record.password if record is not None and record.active else None
            verdict = await self.passwords.verify(stored, clean(password))
        except Unavailable:
            await self.guard.unjudged(tried, address)
            raise
        if record is None or not verdict.matches:
            await self.failed(record, address, "password")
            raise Unauthorized("credentials_wrong", "the name or the password is wrong")
        if self.settings.mfa_needed and not record.totp:
            await self.failed(record, address, "no second factor")
            raise Unauthorized("mfa_missing", "a second factor is needed: have an admin reset this operator")
        if self.settings.mfa_needed and not code:
            raise Unauthorized("code_needed", "a code of the authenticator is needed, too")
        try:
            before, after = await operators.change(self.store, plain, lambda now: self.used(now, record, code))
        except Unauthorized as refused:
            await self.failed(record, address, refused.reason)
            raise
        except NotFound as gone:
            raise Unauthorized("credentials_wrong", "the name or the password is wrong") from gone
        await self.guard.right(tried, address)
        recovery = len(after.recovery) < len(before.recovery)
        await self.note(after, "operator.login", address, result="done", why="recovery code" if recovery else "")
        return await self.enter(after, address)

    async def invited(self, token: str, address: str) -> InvitationView:
        """What whoever has the invitation needs to accept it. Raises NotFound("invitation_unknown"), RateLimited."""
        await self.guard.login(address)
        record = await self._invited(token)
        key = ""
        if self.settings.mfa_needed:
            record = await self._with_key(record, token)
            assert record.invitation is not None  # noqa: S101 - see _with_key
            key = self.sealer.open(record.invitation.totp, record.name) or ""
        uri = totp.uri(key, record.name, self.realm) if key else ""
        return InvitationView(
            name=record.name,
            role=record.role,
            expires_at=record.invitation.expires_at if record.invitation is not None else 0.0,
            secret=key,
            uri=uri,
            qr=qr(uri) if uri else "",
            min_password=self.min_password,
        )

    async def accept(self, token: str, password: str, code: str, address: str) -> tuple[Entered, list[str]]:
        """With the recovery codes. Raises NotFound("invitation_unknown"), Unauthorized("code_wrong"), InvalidInput, RateLimited."""
        await self.guard.login(address)
        record = await self._invited(token)
        chosen = self.chosen(record.name, password)
        self.passwords.expect_room()
        hashed = await self.passwords.hash(chosen)
        codes, digests = fresh_codes() if self.settings.mfa_needed else ([], ())
        now = self.clock()

        def step(held: OperatorRecord) -> OperatorRecord:
            invitation = held.invitation
            if invitation is None or invitation.token != operators.digest(token) or invitation.expires_at <= now:
                raise _unknown()
            made = replace(held, password=hashed, invitation=None, generation=operators.fresh(), last_login_at=now)
            if not self.settings.mfa_needed:
                return made
            key = self.sealer.open(invitation.totp, held.name)
            found = totp.match(key, digits(code), now, 0) if key is not None else None
            if found is None:
                raise Unauthorized("code_wrong", "the code is wrong, or was used before")
            return replace(made, totp=invitation.totp, totp_step=found, recovery=digests)

        _, after = await operators.change(self.store, record.name, step)
        await self.note(after, "operator.enrol", address)
        return await self.enter(after, address), codes

    async def by_session(self, secret: str, address: str, use: bool = True) -> Who | None:
        """`use`: it is a request of a person, and keeps the session from being idle."""
        session_hash = operators.digest(secret)
        found = await self.store.session(session_hash, use)
        if found is None:
            return None
        session, record = found
        return Who(_operator(record, "console", address), record, session_hash, session.csrf, session.began_at)

    async def by_token(self, secret: str, address: str) -> Who | None:
        found = await operators.by_token(self.store, secret, self.clock())
        if found is None:
            return None
        record, role = found
        operator = Operator(f"operator:{record.name}", Role[role.upper()], "api", address)
        return Who(operator, record, token_hash=operators.digest(secret))

    async def still(self, who: Who) -> bool:
        """Whether the session or token counts; asking is no use of it."""
        if who.session_hash:
            return await self.store.session(who.session_hash, use=False) is not None
        record, now = await self.store.get(who.record.name), self.clock()
        tokens = record.tokens if record is not None else ()
        return any(token.hash == who.token_hash and token.expires_at > now for token in tokens)

    async def logout(self, who: Who) -> None:
        await self.store.end(who.session_hash, who.record.name)
        await self.note(who.record, "operator.logout", who.operator.address)

    def me(self, who: Who, registry: Registry) -> Me:
        session = bool(who.session_hash)
        allowed = sorted(n for n, operation in registry.operations.items() if operation.role <= who.operator.role)
        return Me(
            name=who.record.name,
            role=who.operator.role.name.lower(),
            operations=allowed,
            csrf=who.csrf,
            now=self.clock(),
            mfa=bool(who.record.totp),
            recovery_left=len(who.record.recovery),
            expires_at=who.began_at + self.settings.session_s if session else 0.0,
            idle_s=self.settings.idle_s if session else 0.0,
        )

    # --- parts of these --------------------------------------------------------------------------------------------

    def used(self, now: OperatorRecord, judged: OperatorRecord, code: str) -> OperatorRecord:
        """The record after a code of it was used. Raises Unauthorized."""
        at = self.clock()
        if now.password != judged.password:  # another one since it was judged
            raise Unauthorized("credentials_wrong", "the name or the password is wrong")
        if not self.settings.mfa_needed:
            return replace(now, last_login_at=at)
        key = self.sealer.open(now.totp, now.name)
        step = totp.match(key, digits(code), at, now.totp_step) if key is not None else None
        if step is not None:
            return replace(now, totp_step=step, last_login_at=at)
        said = operators.digest(_plain_code(code))
        left = tuple(each for each in now.recovery if not secrets.compare_digest(each, said))
        if len(left) == len(now.recovery):
            raise Unauthorized("code_wrong", "the code is wrong, or was used before")
        return replace(now, recovery=left, last_login_at=at)

    async def enter(self, record: OperatorRecord, address: str) -> Entered:
        secret, now = operators.fresh(), self.clock()
        session = OperatorSession(record.name, record.generation, operators.fresh(), address, now)
        held = operators.digest(secret)
        await self.store.begin(held, session, self.settings.idle_s, self.settings.session_s)
        return Entered(secret, Who(_operator(record, "console", address), record, held, session.csrf, now))

    async def _invited(self, token: str) -> OperatorRecord:
        record = await operators.by_invitation(self.store, token, self.clock())
        if record is None:
            raise _unknown()
        return record

    async def _with_key(self, record: OperatorRecord, token: str) -> OperatorRecord:
        """With a key of TOTP in its invitation: the same one however often it is looked at."""

        def step(held: OperatorRecord) -> OperatorRecord:
            invitation = held.invitation
            if invitation is None or invitation.token != operators.digest(token):
                raise _unknown()
            if invitation.totp and self.sealer.open(invitation.totp, held.name) is not None:
                return held
            key = self.sealer.seal(totp.fresh_key(), held.name)
            return replace(held, invitation=replace(invitation, totp=key))

        return (await operators.change(self.store, record.name, step))[1]

    def chosen(self, name: str, password: str, field: str = "password") -> str:
        """What may be a password. Raises InvalidInput of that field."""
        try:
            chosen = clean_password(password)
        except ValueError as error:
            raise InvalidInput([(field, str(error))]) from error
        if len(chosen) < self.min_password:
            raise InvalidInput([(field, f"must have at least {self.min_password} characters")])
        self.rules.check(name, chosen)
        return chosen

    async def failed(
        self, record: OperatorRecord | None, address: str, why: str, action: str = "operator.login"
    ) -> None:
        """Of names that there are. Of others the log says it, which nobody can fill: addresses are limited."""
        if record is None:
            log.warning("operator_login_failed", address=address)
            return
        await self.note(record, action, address, result="failed", why=why)

    async def note(
        self, record: OperatorRecord, action: str, address: str, result: str = "done", why: str = ""
    ) -> None:
        details: dict[str, str | int | float | bool] = {"via": "console", "address": address}
        if why:
            details["why"] = why
        entry = AuditEntry(self.clock(), f"operator:{record.name}", action, record.name, "", result, details)
        await self.audit.add(entry)


def least_password(shortest: int) -> int:
    """`shortest`: a player's (login.min_password)."""
    return max(LEAST_PASSWORD, shortest)


def _operator(record: OperatorRecord, via: str, address: str) -> Operator:
    return Operator(f"operator:{record.name}", Role[record.role.upper()], via, address)


def lock_of(name: str) -> str:
    """Apart from players of that name."""
    return f"operator:{name}"


def clean(password: str) -> str:
    """As it was chosen; what cannot be a password is as wrong as any."""
    try:
        return clean_password(password)
    except ValueError:
        return ""


def digits(code: str) -> str:
    return "".join(code.split())


def _plain_code(code: str) -> str:
    return "".join(character for character in code.lower() if character in _ALPHABET)


def fresh_codes() -> tuple[list[str], tuple[str, ...]]:
    """Recovery codes, and what is kept of them."""
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    return codes, tuple(operators.digest(_plain_code(each)) for each in codes)


def _recovery_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_LENGTH))
    return "-".join(letters[at : at + _GROUP] for at in range(0, _RECOVERY_LENGTH, _GROUP))


def qr(uri: str) -> str:
    """An SVG of shapes alone: no styles, which the page's policy would not let in."""
    out = io.BytesIO()
    segno.make(uri, error="m").save(
        out, kind="svg", xmldecl=False, omitsize=True, svgclass=None, lineclass=None, dark="#000", light="#fff"
    )
    return out.getvalue().decode()


def _unknown() -> NotFound:
    return NotFound("invitation_unknown", "this invitation was used already, or is too old")

"""What operators do to their own login (row 7.8): password, second factor, recovery codes, other logins, tokens for scripts.

Whoever sits at a console that was left open must not get more than that session: what lasts longer needs the password again, and
what takes the second factor's place needs a code, too. Each is a guess like a login's, for the same lock. A token for scripts does
none of this.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from cluster import operators
from cluster.errors import InvalidInput, InvalidState, NotFound, Unauthorized, Unavailable
from cluster.ports.operators import ApiToken, HeldSession, OperatorRecord, RoleName
from cluster.security import totp
from serve_apps.console.account_models import Factor
from serve_apps.console.accounts import Entered, OperatorAccounts, Who, clean, digits, fresh_codes, lock_of, qr

FACTOR_S = 600.0  # for which a new key can be confirmed
SHORT_ID = 16  # digits of a session's hash: enough to name one of a few


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """Every method may raise Unavailable, and Unauthorized("session_needed") for a token."""

    accounts: OperatorAccounts

    async def password(self, who: Who, old: str, new: str) -> Entered:
        """All logins end; it is another one from here on. Raises InvalidInput, also for a wrong password, and RateLimited."""
        accounts = self.accounts
        record = await self._proved(who, old, None, "operator.password")
        chosen = accounts.chosen(record.name, new, "new")
        accounts.passwords.expect_room()
        hashed = await accounts.passwords.hash(chosen)

        def step(now: OperatorRecord) -> OperatorRecord:
            return replace(_same(now, record), password=hashed, generation=operators.fresh())

        _, after = await self._change(who, step)
        await accounts.guard.changed(lock_of(record.name), who.operator.address)
        await accounts.note(after, "operator.password", who.operator.address)
        return await accounts.enter(after, who.operator.address)

    async def factor(self, who: Who, password: str, code: str) -> Factor:
        """A new key for the authenticator; the old one holds until `confirm`. Raises InvalidInput, InvalidState, RateLimited."""
        accounts = self.accounts
        self._expect_factors()
        record = await self._proved(who, password, code, "operator.totp")
        key, until = totp.fresh_key(), accounts.clock() + FACTOR_S
        said = json.dumps([key, until, operators.digest(record.totp + record.generation)])
        uri = totp.uri(key, record.name, accounts.realm)
        return Factor(
            enrolment=accounts.sealer.seal(said, _next(record.name)),
            secret=key,
            uri=uri,
            qr=qr(uri),
            expires_at=until,
        )

    async def confirm(self, who: Who, enrolment: str, code: str) -> Who:
        """The new key counts, and the old one no more. Raises InvalidInput, NotFound("enrolment_unknown"), RateLimited."""
        accounts, address = self.accounts, who.operator.address
        _expect_session(who)
        self._expect_factors()
        await accounts.guard.login(address)
        opened = accounts.sealer.open(enrolment, _next(who.record.name))
        if opened is None:
            raise _no_enrolment()
        key, until, before = json.loads(opened)

        def step(now: OperatorRecord) -> OperatorRecord:
            at = accounts.clock()
            if at >= until or before != operators.digest(now.totp + now.generation):
                raise _no_enrolment()
            found = totp.match(key, digits(code), at, 0)
            if found is None:
                raise wrong("code", "is wrong: it must be one of the new key")
            return replace(now, totp=accounts.sealer.seal(key, now.name), totp_step=found)

        try:
            _, after = await self._change(who, step)
        except InvalidInput:
            await accounts.failed(who.record, address, "code_wrong", "operator.totp")
            raise
        await accounts.note(after, "operator.totp", address)
        return replace(who, record=after)

    async def recovery(self, who: Who, password: str, code: str) -> list[str]:
        """New codes, the older ones count no more. Raises as `factor`."""
        self._expect_factors()
        record = await self._proved(who, password, code, "operator.recovery")
        codes, digests = fresh_codes()
        _, after = await self._change(who, lambda now: replace(_same(now, record), recovery=digests))
        await self.accounts.note(after, "operator.recovery", who.operator.address)
        return codes

    async def sessions(self, who: Who) -> list[HeldSession]:
        """This operator's logins, newest first."""
        _expect_session(who)
        return await self.accounts.store.sessions(who.record.name)

    async def end_sessions(self, who: Who, short_id: str | None) -> int:
        """One of the other logins, or all of them (None): how many. Raises NotFound("no_such_session")."""
        accounts, name = self.accounts, who.record.name
        others = [held for held in await self.sessions(who) if held.hash != who.session_hash]
        ending = [held for held in others if short_id is None or short(held.hash) == short_id]
        if not ending and short_id is not None:
            raise NotFound("no_such_session", "there is no such other login")
        for held in ending:
            await accounts.store.end(held.hash, name)
        if ending:
            await accounts.note(who.record, "operator.sessions_end", who.operator.address, why=f"{len(ending)} ended")
        return len(ending)

    async def token(self, who: Who, password: str, role: RoleName, label: str, for_s: float) -> tuple[ApiToken, str]:
        """For scripts. Raises as `password`, Conflict("too_many_tokens"), and InvalidInput for more than the own role."""
        record = await self._proved(who, password, None, "operator.token")
        accounts = self.accounts
        made, secret = await operators.give_token(accounts.store, record.name, role, label, accounts.clock(), for_s)
        await accounts.note(record, "operator.token", who.operator.address, why=f"{made.id} as {made.role}")
        return made, secret

    async def end_token(self, who: Who, token_id: str) -> None:
        """Raises NotFound("no_such_token")."""
        _expect_session(who)
        await operators.end_token(self.accounts.store, who.record.name, token_id)
        await self.accounts.note(who.record, "operator.token_end", who.operator.address, why=token_id)

    # --- parts of these --------------------------------------------------------------------------------------------

    async def _proved(self, who: Who, password: str, code: str | None, action: str) -> OperatorRecord:
        """The record once the password was right, and the code unless it is None; that is used up by it."""
        _expect_session(who)
        accounts, address, name = self.accounts, who.operator.address, who.record.name
        await accounts.guard.login(address)
        accounts.passwords.expect_room()
        tried = lock_of(name)
        await accounts.guard.guess(tried, address)
        try:
            record = await operators.find(accounts.store, name)
            verdict = await accounts.passwords.verify(record.password if record.active else None, clean(password))
        except Unavailable:
            await accounts.guard.unjudged(tried, address)
            raise
        if not verdict.matches:
            await accounts.failed(record, address, "password", action)
            raise wrong("password")
        _expect_same_login(record, who)
        if code is not None:
            record = await self._with_code(who, record, code, action)
        await accounts.guard.right(tried, address)
        return record

    async def _with_code(self, who: Who, judged: OperatorRecord, code: str, action: str) -> OperatorRecord:
        """Raises InvalidInput."""
        try:
            return (await self._change(who, lambda now: self.accounts.used(now, judged, code)))[1]
        except Unauthorized as refused:
            if refused.reason != "code_wrong":
                raise
            await self.accounts.failed(judged, who.operator.address, refused.reason, action)
            raise wrong("code", "is wrong, or was used before") from refused

    async def _change(self, who: Who, step: operators.Step) -> tuple[OperatorRecord, OperatorRecord]:
        """As long as this login counts: a reset or another role meanwhile ends it. Raises Unauthorized("not_logged_in")."""

        def ours(now: OperatorRecord) -> OperatorRecord:
            _expect_same_login(now, who)
            return step(now)

        return await operators.change(self.accounts.store, who.record.name, ours)

    def _expect_factors(self) -> None:
        if not self.accounts.settings.mfa_needed:
            raise InvalidState("no_second_factor", "console.mfa_needed is off")


def short(session_hash: str) -> str:
    return session_hash[:SHORT_ID]


def wrong(field: str, why: str = "is wrong") -> InvalidInput:
    """Who is logged in stays so: it is one field that is wrong."""
    return InvalidInput([(field, why)])


def _expect_same_login(now: OperatorRecord, who: Who) -> None:
    if now.generation != who.record.generation:
        raise Unauthorized("not_logged_in", "this login has ended")


def _same(now: OperatorRecord, judged: OperatorRecord) -> OperatorRecord:
    """Raises InvalidInput if it has another password since it was judged."""
    if now.password != judged.password:
        raise wrong("password")
    return now


def _expect_session(who: Who) -> None:
    if not who.session_hash:
        raise Unauthorized("session_needed", "a token cannot do this: log in at the console")


def _next(name: str) -> str:
    """What a new key is sealed for, until it is confirmed: it never opens as the one that counts. No operator has such a name."""
    return f"next factor of {name}"


def _no_enrolment() -> NotFound:
    return NotFound("enrolment_unknown", "this key is too old, or another one counts since: begin again")

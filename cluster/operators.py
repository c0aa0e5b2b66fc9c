"""What can be done to operators' records (row 7.8): invited, given another role, reset, removed, given tokens. Over the port alone.

A change is tried again when somebody else changed the record meanwhile. Secrets are random, and only their digests are kept.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

from cluster.errors import Conflict, InvalidInput, NotFound, Unavailable
from cluster.ports.operators import (
    MOST_TOKENS,
    ApiToken,
    Invitation,
    OperatorRecord,
    OperatorStore,
    RoleName,
)

NAME = re.compile(r"[a-z][a-z0-9_-]{1,31}")
ROLES: tuple[RoleName, ...] = get_args(RoleName)
INVITATION, TOKEN = "rrin", "rrop"  # what such secrets begin with; then the name, then what is random
SECRET_BYTES = 32  # 256 bits
TRIES = 10

Step = Callable[[OperatorRecord], OperatorRecord]


@dataclass(frozen=True, slots=True)
class Given:
    """A record as it is now, and the secret that whoever it is for must get now or never."""

    record: OperatorRecord
    secret: str


def clean_name(raw: str) -> str:
    """In lower case. Raises InvalidInput."""
    name = raw.lower()
    if not NAME.fullmatch(name):
        raise InvalidInput([("name", "must be 2 to 32 of a-z, 0-9, '_' and '-', and begin with a letter")])
    return name


def digest(secret: str) -> str:
    """What is kept of a secret. It is random, so a plain hash is enough. Any text has one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def fresh() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def named_in(secret: str, kind: str) -> str:
    """Whose invitation or token it claims to be; "" for what is none."""
    said, _, rest = secret.partition(".")
    name, _, _ = rest.partition(".")
    return name if said == kind and NAME.fullmatch(name) else ""


def lower(one: RoleName, other: RoleName) -> RoleName:
    return min(one, other, key=ROLES.index)


async def find(store: OperatorStore, name: str) -> OperatorRecord:
    """Raises NotFound."""
    record = await store.get(name)
    if record is None:
        raise NotFound("no_such_operator", f"there is no operator {name!a}")
    return record


async def change(store: OperatorStore, name: str, step: Step) -> tuple[OperatorRecord, OperatorRecord]:
    """The record before and after. `step` may run again, and raises what it will. Raises NotFound, Unavailable."""
    for _ in range(TRIES):
        before = await find(store, name)
        after = step(before)
        if await store.save(after, before):
            return before, after
    raise Unavailable("operators")  # others change it all the time


async def invite(store: OperatorStore, name: str, role: RoleName, by: str, now: float, for_s: float) -> Given:
    """A new operator, who chooses a password with the invitation; or a new invitation for one who has not used theirs.

    Raises InvalidInput, Conflict("operator_exists", "too_many_operators").
    """
    name, secret = clean_name(name), f"{INVITATION}.{clean_name(name)}.{fresh()}"
    invitation = Invitation(digest(secret), by, now + for_s)
    for _ in range(TRIES):
        there = await store.get(name)
        if there is not None and there.active:
            raise Conflict("operator_exists")
        made = OperatorRecord(name, role, fresh(), now, by, invitation=invitation)
        if await store.save(made, there):
            return Given(made, secret)
    raise Unavailable("operators")


async def reset(store: OperatorStore, name: str, by: str, now: float, for_s: float) -> Given:
    """Password, TOTP, recovery codes, sessions and tokens count no more; a new invitation instead. Raises NotFound."""
    secret = f"{INVITATION}.{name}.{fresh()}"

    def step(record: OperatorRecord) -> OperatorRecord:
        invitation = Invitation(digest(secret), by, now + for_s)
        return OperatorRecord(record.name, record.role, fresh(), record.created_at, record.by, invitation=invitation)

    _, after = await change(store, name, step)
    return Given(after, secret)


async def set_role(store: OperatorStore, name: str, role: RoleName) -> OperatorRecord:
    """Sessions end; tokens have at most the new role from now on. Raises NotFound."""

    def step(record: OperatorRecord) -> OperatorRecord:
        return record if record.role == role else replace(record, role=role, generation=fresh())

    return (await change(store, name, step))[1]


async def remove(store: OperatorStore, name: str) -> None:
    """With all sessions and tokens. Raises NotFound."""
    for _ in range(TRIES):
        if await store.remove(await find(store, name)):
            return
    raise Unavailable("operators")


async def give_token(
    store: OperatorStore, name: str, role: RoleName, label: str, now: float, for_s: float
) -> tuple[ApiToken, str]:
    """A token for scripts: `Authorization: Bearer`. Raises NotFound, InvalidInput, Conflict("too_many_tokens")."""
    secret = f"{TOKEN}.{name}.{fresh()}"
    token = ApiToken(f"otk_{secrets.token_hex(8)}", digest(secret), label, role, now, now + for_s)

    def step(record: OperatorRecord) -> OperatorRecord:
        if not record.active:
            raise InvalidInput([("name", "has not accepted the invitation yet")])
        if ROLES.index(role) > ROLES.index(record.role):
            raise InvalidInput([("role", f"is more than the operator's own, {record.role}")])
        kept = tuple(each for each in record.tokens if each.expires_at > now)
        if len(kept) >= MOST_TOKENS:
            raise Conflict("too_many_tokens")
        return replace(record, tokens=(*kept, token))

    await change(store, name, step)
    return token, secret


async def end_token(store: OperatorStore, name: str, token_id: str) -> None:
    """Raises NotFound."""

    def step(record: OperatorRecord) -> OperatorRecord:
        kept = tuple(each for each in record.tokens if each.id != token_id)
        if len(kept) == len(record.tokens):
            raise NotFound("no_such_token", f"{name} has no token {token_id!a}")
        return replace(record, tokens=kept)

    await change(store, name, step)


async def by_token(store: OperatorStore, secret: str, now: float) -> tuple[OperatorRecord, RoleName] | None:
    """Whose it is, and what it may; None if it counts for nothing."""
    name = named_in(secret, TOKEN)
    record = await store.get(name) if name else None
    said = digest(secret)
    for token in record.tokens if record is not None else ():
        if secrets.compare_digest(token.hash, said) and token.expires_at > now:
            assert record is not None  # noqa: S101 - it had the token
            return record, lower(token.role, record.role)
    return None


async def by_invitation(store: OperatorStore, secret: str, now: float) -> OperatorRecord | None:
    """Who is invited; None if it counts for nothing."""
    name = named_in(secret, INVITATION)
    record = await store.get(name) if name else None
    if record is None or record.invitation is None or record.invitation.expires_at <= now:
        return None
    return record if secrets.compare_digest(record.invitation.token, digest(secret)) else None

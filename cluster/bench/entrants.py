"""Simulated players' accounts: register or log in, take the character that is there or make one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import SecretStr

from cluster.bench.names import CAPACITY, character_name
from rayrealm_client.accounts import Accounts
from rayrealm_client.errors import (
    Conflict,
    ConnectionLost,
    DeadlineExceeded,
    HttpProblem,
    InternalError,
    InvalidState,
    NotConnected,
    RateLimited,
    RealmError,
    Unavailable,
)
from rayrealm_client.policy import Backoff, Random

T = TypeVar("T")
BUSY = frozenset({429, 500, 502, 503, 504})
NAME_TRIES = 20
NAME_STRIDE = 101  # another seed's bots took the name: look far enough away to leave them behind


@dataclass(frozen=True, slots=True)
class Entrant:
    """`registered`: the account was made now; else it was there and logged in."""

    username: str
    character_id: str
    name: str
    registered: bool


async def enlist(
    accounts: Accounts, username: str, password: SecretStr, number: int, rng: Random, deadline_s: float
) -> Entrant:
    """Log `accounts` in as `username`, with a character. `number` chooses its name.

    Waits while the realm is busy or away. Raises DeadlineExceeded, or HttpProblem for a refusal.
    """

    try:
        async with asyncio.timeout(deadline_s):
            registered = await persist(partial(sign_in, accounts, username, password), rng)
            characters = [] if registered else await persist(accounts.characters, rng)
            if characters:
                return Entrant(username, characters[0].character_id, characters[0].name, registered)
            for attempt in range(NAME_TRIES):
                name = character_name((number + attempt * NAME_STRIDE) % CAPACITY)
                try:
                    made = await persist(partial(accounts.create_character, name), rng)
                except HttpProblem as problem:
                    if problem.reason != "name_taken":
                        raise
                    continue
                return Entrant(username, made.character_id, made.name, registered)
    except TimeoutError as error:
        raise DeadlineExceeded(f"{username}: no account in {deadline_s} s") from error
    raise HttpProblem(409, "name_taken", f"{NAME_TRIES} names were taken")


async def sign_in(accounts: Accounts, username: str, password: SecretStr) -> bool:
    """Register, or log in where the account is there. Returns whether it was made now. Raises HttpProblem."""
    try:
        await accounts.register(username, password.get_secret_value())
    except HttpProblem as problem:
        if problem.reason != "username_taken":
            raise
        await accounts.login(username, password.get_secret_value())
        return False
    return True


def passing(error: RealmError) -> float | None:
    """Seconds that the realm asked to wait before a repetition (0 if it did not say); None: it will not help.

    A character may still be held by a session of an earlier run: that passes, too.
    """
    match error:
        case HttpProblem() if error.status in BUSY:
            return error.retry_after_s
        case Unavailable() | RateLimited() | InternalError() | InvalidState() | Conflict():
            return error.retry_after_s
        case NotConnected() | DeadlineExceeded() | ConnectionLost():
            return 0.0
    return None


async def each(items: Iterable[int], work: Callable[[int], Awaitable[None]], at_once: int = 16) -> None:
    """So many of them at a time; the first failure ends it."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


async def persist(call: Callable[[], Awaitable[T]], rng: Random, backoff: Backoff | None = None) -> T:
    """Repeat `call` with backoff while what is wrong may pass. The caller sets the deadline."""
    backoff = backoff or Backoff(0.2, 5.0)
    for attempt in itertools.count():
        try:
            return await call()
        except RealmError as error:
            wait_s = passing(error)
            if wait_s is None:
                raise
        await asyncio.sleep(wait_s + backoff.delay(attempt, rng))
    raise AssertionError("unreachable")

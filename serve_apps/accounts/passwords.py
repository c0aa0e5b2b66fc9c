"""Password hashes: argon2id (RFC 9106), off the event loop; a bounded number at once, and waiting."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from cluster.errors import Unavailable
from cluster.settings import AccountSettings

DEADLINE_S = 10.0
_BUSY_RETRY_AFTER_S = 2.0
_HASH_BYTES = 32
_SALT_BYTES = 16

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`replacement`: a hash of the same password by today's parameters, if the stored one had others."""

    matches: bool
    replacement: str | None = None


class Passwords:
    """Hashes and checks passwords. Both may raise Unavailable("password hashing"): too many wait already.

    `close` when done. Passwords are text in NFC, hashes are PHC strings.
    """

    def __init__(self, settings: AccountSettings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_kib,
            parallelism=1,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        self._threads = ThreadPoolExecutor(settings.hashing_concurrency, thread_name_prefix="argon2")
        self._places = BoundedSemaphore(settings.hashing_concurrency + settings.hashing_queue)
        # Made now: made on the first unknown name, it would give away by its time that the name is unknown.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Whether `password` is the one of the stored hash. With None (no such account) it costs the same."""
        return await self._run(lambda: self._verify(stored, password))

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> Verdict:
        try:
            self._hasher.verify(self._nobody if stored is None else stored, password)
        except VerifyMismatchError:
            return Verdict(matches=False)
        if stored is None:
            return Verdict(matches=False)
        stale = self._hasher.check_needs_rehash(stored)
        return Verdict(matches=True, replacement=self._hasher.hash(password) if stale else None)

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise Unavailable("password hashing", _BUSY_RETRY_AFTER_S)
        try:
            future = self._threads.submit(work)
        except BaseException:
            self._places.release()
            raise
        # The place is free when the work is over, not when its caller stopped waiting.
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Unavailable("password hashing", _BUSY_RETRY_AFTER_S) from None

    def _leave(self, _: Future[T]) -> None:
        self._places.release()

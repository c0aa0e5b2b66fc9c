"""Password hashes: argon2id (RFC 9106), off the event loop; a bounded number at once, and waiting.

The threads yield to everything else on the machine (setpriority(2)): a flood of logins makes logins slow, not the gateways.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import threading
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
_NICE = 5  # a third of the share of who has 0 (Linux, sched_prio_to_weight)
_HASH_BYTES = 32
_SALT_BYTES = 16

T = TypeVar("T")


class Busy(Unavailable):
    """Too many passwords wait to be hashed: a flood of logins, no outage."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`replacement`: a hash of the same password by today's parameters, if the stored one had others."""

    matches: bool
    replacement: str | None = None


class Passwords:
    """Hashes and checks passwords. Both may raise Busy: too many wait already, or it took too long.

    `close` when done. Passwords are clean text (names.py), hashes are PHC strings.
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
        self._threads = ThreadPoolExecutor(
            settings.hashing_concurrency, thread_name_prefix="argon2", initializer=_yield_to_others
        )
        self._places = BoundedSemaphore(settings.hashing_concurrency + settings.hashing_queue)
        # Made now: made on the first unknown name, it would give away by its time that the name is unknown.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Whether `password` is the one of the stored hash. With None (no such account) it costs the same.

        A hash of former parameters costs what these cost, until its owner logs in the next time.
        """
        return await self._run(lambda: self._verify(stored, password))

    def expect_room(self) -> None:
        """Raises Busy if `hash` and `verify` would now: to be asked before anything is done for them."""
        if not self._places.acquire(blocking=False):
            raise Busy("password hashing", _BUSY_RETRY_AFTER_S)
        self._places.release()

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
            raise Busy("password hashing", _BUSY_RETRY_AFTER_S)
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
            raise Busy("password hashing", _BUSY_RETRY_AFTER_S) from None

    def _leave(self, _: Future[T]) -> None:
        self._places.release()


def _yield_to_others() -> None:
    if sys.platform == "linux":  # elsewhere threads have no priority of their own
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICE, os.getpriority(os.PRIO_PROCESS, thread)))

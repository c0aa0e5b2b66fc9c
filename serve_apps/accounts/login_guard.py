"""How often somebody may try to log in or register (row 4.1): by address, and by the name that is tried.

An address is refused before anything is hashed or looked up, so one that floods costs a call of Redis for each try. A name is
locked after failures in a row (cluster/ports/lockouts.py), whether or not it is an account's, and the answer is the same for a
right and a wrong password: a lock tells nothing but that somebody tried.

`POST /v1/auth/register` tells by its nature which usernames are taken. All it can do is to tell slowly: each try counts for its
address, taken or not. See OWASP Authentication Cheat Sheet, "Account Enumeration" and "Login Throttling".
"""

from __future__ import annotations

import contextlib

from cluster.errors import RateLimited, Unavailable
from cluster.ports.limits import Limiter
from cluster.ports.lockouts import Lockouts, LockRule
from cluster.security.addresses import limit_key, within
from cluster.security_settings import LoginSettings, Network, Rate

ADDRESS, LOCKED = "too_many_attempts", "locked"


class LoginGuard:
    """`exempt`: networks without limits of their own; locks of names hold for them, too. Addresses are whole ones.

    Every method may raise Unavailable.
    """

    def __init__(
        self, settings: LoginSettings, exempt: tuple[Network, ...], limiter: Limiter, lockouts: Lockouts
    ) -> None:
        self._login, self._register = settings.attempts_per_address, settings.registrations_per_address
        self._rule = LockRule(settings.failures, settings.lock_s, settings.max_lock_s)
        self._exempt = exempt
        self._limiter = limiter
        self._lockouts = lockouts

    async def login(self, address: str) -> None:
        """Somebody gives a password. Raises RateLimited("too_many_attempts")."""
        await self._take("login", address, self._login)

    async def register(self, address: str) -> None:
        """Somebody wants an account. Raises RateLimited("too_many_attempts")."""
        await self._take("register", address, self._register)

    async def guess(self, name: str, address: str) -> None:
        """A password for `name` is about to be judged: it counts as a failure until it was right. Raises RateLimited("locked")."""
        wait_s = await self._lockouts.guess(name, limit_key(address), self._rule)
        if wait_s > 0.0:
            raise RateLimited(LOCKED, wait_s)

    async def right(self, name: str, address: str) -> None:
        await self._lockouts.right(name, limit_key(address))

    async def unjudged(self, name: str, address: str) -> None:
        """The guess was given up, and does not count."""
        with contextlib.suppress(
            Unavailable
        ):  # then it counts until it is forgotten: its sender hears of an outage anyway
            await self._lockouts.unjudged(name, limit_key(address), self._rule)

    async def changed(self, name: str, address: str) -> None:
        """The account has another password: addresses that were known are so no more, except the one that changed it."""
        await self._lockouts.forget(name)
        await self._lockouts.right(name, limit_key(address))

    async def _take(self, what: str, address: str, rate: Rate) -> None:
        if within(address, self._exempt):
            return
        wait_s = await self._limiter.take(f"{what}/{limit_key(address)}", rate.per_s, rate.burst)
        if wait_s > 0.0:
            raise RateLimited(ADDRESS, wait_s)

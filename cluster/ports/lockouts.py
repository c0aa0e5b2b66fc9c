"""The port to locks of accounts: how many guesses of a password there may be (row 4.1).

A guess is counted before it is judged, so that many at once are no way around the limit. Names are text as somebody typed it, and
nothing here knows which of them are accounts: all are counted alike, and what is counted expires.

Guesses from addresses that the account was used from lately have a count of their own each, as the holders of a device cookie have
in OWASP's "Slow Down Online Guessing Attacks with Device Cookies" (the address stands for the cookie: clients need not keep one).
So strangers who guess lock out strangers; the owner gets in from where the owner was before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

KNOWN_ADDRESSES = 8  # for each name: the newest
KNOWN_S = 90 * 86_400.0  # after the last success from there
_MOST_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class LockRule:
    """After `failures` in a row a name is locked for `lock_s`; each further failure locks it twice as long, up to `max_lock_s`.

    NIST SP 800-63B (section 5.2.2) asks for such growing waits. Failures are forgotten when none came for `max_lock_s` times their
    number, so guessing slowly gains nothing: in the long run there is one guess for each `max_lock_s`, however they are spread.
    That bounds memory, too: one guess keeps a name for `max_lock_s`, and each costs its sender a place in front of a hash.
    """

    failures: int
    lock_s: float
    max_lock_s: float

    def lock(self, failures: int) -> float:
        """Seconds for which the name is locked after so many failures."""
        over = failures - self.failures
        if over < 0:
            return 0.0
        return min(self.lock_s * 2.0 ** min(over, _MOST_DOUBLINGS), self.max_lock_s)

    def kept(self, failures: int) -> float:
        """Seconds after which so many failures are forgotten; longer than any lock of theirs."""
        return failures * self.max_lock_s + self.lock(failures)


class Lockouts(Protocol):
    """`name` and `address` are any text; both may raise Unavailable. Adapters keep digests of them, no names and no addresses.

    `address` is what limits count (`cluster.security.addresses.limit_key`).
    """

    async def guess(self, name: str, address: str, rule: LockRule) -> float:
        """0.0: judge the password; until `right` or `unjudged` says otherwise it counts as a failure.

        Else the seconds until the name is free for this address; such a guess counts for nothing. A call that is sent again over a
        broken connection may count twice.
        """

    async def right(self, name: str, address: str) -> None:
        """The password was right: the count that the guess went to begins anew, and the address is known from now on.

        Other counts stay: a client that logs in every hour would else give strangers new guesses every hour.
        """

    async def unjudged(self, name: str, address: str, rule: LockRule) -> None:
        """The guess was given up before it was judged: it does not count, and locks nothing."""

    async def forget(self, name: str) -> None:
        """The password was changed: no address is known any more, and strangers begin anew."""

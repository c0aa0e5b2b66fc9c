"""What one client may send (row 5.3): its own limit, its address's, the gateway's, and methods'. Plain; time is an argument.

The hot path is `Meter.frame`: once for each frame, before it is decoded.
"""

from __future__ import annotations

from cluster.security_settings import LimitSettings, Rate
from cluster.token_bucket import Bucket, bottomless, bucket
from serve_apps.gateway.limits.strikes import Strikes

ANSWERED = Rate(per_s=20.0, burst=40)  # refused frames that are read all the same, so that their requests get an answer
# Whose excess is the client's own: a neighbour behind the same address, or a full gateway, is nobody's fault here.
OWN = frozenset({"user", "method"})


class Share:
    """What all sockets of one user at one gateway have together. `premium`: how many times the rates of others.

    Refusals are counted here too: who leaves a socket before it is closed for them begins the next one where the last one ended.
    """

    __slots__ = ("_limits", "_methods", "_premium", "_slowed_by", "_slowed_until", "bucket", "sockets", "strikes")

    def __init__(self, limits: LimitSettings, premium: bool = False) -> None:
        self.bucket = bucket(limits.user, limits.premium if premium else 1.0)
        self.sockets = 0
        self.strikes = Strikes(limits.strikes, limits.strike_window_s)
        self._limits = limits
        self._methods: dict[str, Bucket] = {}
        self._premium = premium
        self._slowed_by = 1.0
        self._slowed_until = float("-inf")

    def method(self, name: str, now: float) -> float:
        """0.0: it may be called, and was counted; else the seconds to wait. Methods without a limit of their own always may."""
        kept = self._methods.get(name)
        if kept is None:
            rate = self._limits.methods.get(name)
            if rate is None:
                return 0.0
            kept = self._methods[name] = bucket(rate, self._times)
        return kept.take(now)

    def prefer(self, premium: bool) -> None:
        """What the newest token of the user says."""
        if premium != self._premium:
            self._premium = premium
            self._adapt()

    def slow(self, factor: float, until: float) -> None:
        """A `factor`th (at least 1) of all rates, until then."""
        self._slowed_by, self._slowed_until = max(1.0, factor), until
        self._adapt()

    def sweep(self, now: float) -> None:
        """Called about once a second."""
        if self._slowed_by > 1.0 and now >= self._slowed_until:
            self._slowed_by = 1.0
            self._adapt()

    def full(self, now: float) -> bool:
        """Whether nothing would be forgotten with it."""
        return (
            self.sockets == 0
            and now >= self._slowed_until
            and self.strikes.over(now)
            and self.bucket.full_at <= now
            and all(kept.full_at <= now for kept in self._methods.values())
        )

    @property
    def _times(self) -> float:
        return (self._limits.premium if self._premium else 1.0) / self._slowed_by

    def _adapt(self) -> None:
        rates = {name: self._limits.methods[name] for name in self._methods}
        for kept, rate in ((self.bucket, self._limits.user), *((self._methods[name], rates[name]) for name in rates)):
            kept.set(rate.per_s * self._times, max(1, round(rate.burst * self._times)))


class Meter:
    """One socket's. `limit` names the limit that refused last: "user", "address", "method" or "all".

    `refused` counts what any limit refused, `refused_own` what was the user's own excess.
    """

    __slots__ = (
        "_address",
        "_all",
        "_answers",
        "_counts",
        "_share",
        "_unit",
        "_user",
        "flooding",
        "limit",
        "refused",
        "refused_own",
        "skipping",
    )

    def __init__(
        self, share: Share, address: Bucket, in_all: Bucket, limits: LimitSettings, counts: dict[str, int] | None = None
    ) -> None:
        self._share = share
        self._user = share.bucket
        self._address = address
        self._all = in_all
        self._unit = limits.unit_bytes
        self._answers = bucket(ANSWERED)
        self._counts = counts if counts is not None else {}
        self.limit = ""
        self.refused = 0
        self.refused_own = 0
        self.skipping = False  # the rest of a fragmented message that was refused
        self.flooding = False  # so many were refused that the socket is to be closed

    def frame(self, size: int, now: float) -> float:
        """0.0: a frame of `size` bytes is let in, and was counted; else the seconds until one can be.

        Large ones count several times. The user's own limit comes first: what it refuses costs neighbours nothing.
        """
        # Written out instead of three calls of `take`: this runs for each move of each client.
        user, address, in_all = self._user, self._address, self._all
        of_user, of_address, of_all = user.full_at, address.full_at, in_all.full_at
        if of_user < now:
            of_user = now
        elif of_user - now > user.reach:
            return self._refuse("user", of_user - now - user.reach, now)
        if of_address < now:
            of_address = now
        elif of_address - now > address.reach:
            return self._refuse("address", of_address - now - address.reach, now)
        if of_all < now:
            of_all = now
        elif of_all - now > in_all.reach:
            return self._refuse("all", of_all - now - in_all.reach, now)
        if size <= self._unit:
            user.full_at = of_user + user.interval
            address.full_at = of_address + address.interval
            in_all.full_at = of_all + in_all.interval
        else:
            cost = -(-size // self._unit)
            user.full_at = of_user + cost * user.interval
            address.full_at = of_address + cost * address.interval
            in_all.full_at = of_all + cost * in_all.interval
        return 0.0

    def method(self, name: str, now: float) -> float:
        """0.0: the method may be called, and was counted; else the seconds to wait."""
        wait = self._share.method(name, now)
        return self._refuse("method", wait, now) if wait else 0.0

    def answers(self, now: float) -> bool:
        """Whether a refused frame is worth reading: its requests are answered with the refusal, but not a flood of them."""
        return self._answers.take(now) == 0.0

    def slow(self, factor: float, until: float) -> None:
        """All sockets of this user: a `factor`th of the rates, until then (on the clock of `now`)."""
        self._share.slow(factor, until)

    def sweep(self, premium: bool, now: float) -> None:
        """Called about once a second; `premium` as the newest token says."""
        self._share.prefer(premium)
        self._share.sweep(now)

    def measures(self, in_all: Bucket) -> bool:
        """Whether it counts into the gateway's bucket."""
        return self._all is in_all

    def _refuse(self, limit: str, wait: float, now: float) -> float:
        self.limit = limit
        self.refused += 1
        self._counts[limit] = self._counts.get(limit, 0) + 1
        if limit in OWN:
            self.refused_own += 1
            if self._share.strikes.add(now):
                self.flooding = True
        return wait


NONE = LimitSettings(methods={})


def unmetered() -> Meter:
    """Lets everything in: for clients that no registry knows."""
    share = Share(NONE)
    share.bucket = bottomless()
    return Meter(share, share.bucket, share.bucket, NONE)

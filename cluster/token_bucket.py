"""A token bucket as one number: the generic cell rate algorithm (ITU-T I.371, annex A). Time is an argument, in seconds."""

from __future__ import annotations

from cluster.security_settings import Rate

SLACK = 1e-3  # of one: sums of floats, on machines that run for years


class Bucket:
    """`full_at`: when it will be full again. One comes back every `interval`; `reach`: so far ahead it may be, to give one more.

    Whatever is asked when, within any `t` seconds it gives at most burst + SLACK + t * per_s.
    """

    __slots__ = ("full_at", "interval", "reach")

    def __init__(self, per_s: float, burst: int) -> None:
        self.full_at = float("-inf")
        self.set(per_s, burst)

    def set(self, per_s: float, burst: int) -> None:
        """Another rate from now on. What was taken stays taken."""
        self.interval = 1.0 / per_s
        self.reach = (burst - 1 + SLACK) * self.interval

    def take(self, now: float, cost: int = 1) -> float:
        """0.0: taken. Else the seconds until it can be; refused ones use nothing up.

        Whoever finds one may take `cost`: more than there are is a debt, which later ones wait for.
        """
        full_at = self.full_at
        if full_at < now:
            full_at = now
        wait = full_at - now - self.reach
        if wait > 0.0:
            return wait
        self.full_at = full_at + cost * self.interval
        return 0.0


def bucket(rate: Rate, times: float = 1.0) -> Bucket:
    """Of a setting, `times` as fast and as large; at least one."""
    return Bucket(rate.per_s * times, max(1, round(rate.burst * times)))


def bottomless() -> Bucket:
    """Gives whatever is asked."""
    made = Bucket(1.0, 1)
    made.interval, made.reach = 0.0, float("inf")
    return made

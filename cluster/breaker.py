"""A circuit breaker (M. Nygard, "Release It!", chapter 5): who does not answer is not asked for a while, and callers know at once.

Plain Python without a lock: one event loop, one breaker for each server or actor in a process. Every call pays for it: closed,
`enter` and `succeeded` are two comparisons. The library that fits best (purgatory 3) costs eight to twenty times that, and once the
pause is over everybody tries at the same time.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from cluster.errors import Unavailable
from cluster.operator_settings import BreakerSettings
from cluster.telemetry.counts import BREAKER_REFUSED, BREAKER_TRIPS, BREAKERS_OPEN

LEAST_RETRY_S = 0.05

log = structlog.get_logger(__name__)


class Breaker:
    """`dependency`: what kind of thing it guards, for counts: redis, nats or actor; `what`: which one, as errors name it.

    `clock`: monotonic seconds. The caller says how each call ended. Only silence is a failure: a server that answers, be it that it
    refuses, is there. `least_s`: it opens only if the failures in a row took that long, so that many calls which one short
    interruption ended at the same moment are not taken for a long one.
    """

    __slots__ = ("_clock", "_dependency", "_failures", "_least_s", "_most", "_open_s", "_since", "_until", "_what")

    def __init__(
        self,
        dependency: str,
        what: str,
        settings: BreakerSettings,
        clock: Callable[[], float],
        least_s: float = 0.0,
    ) -> None:
        self._dependency = dependency
        self._what = what
        self._most = settings.failures
        self._open_s = settings.open_s
        self._clock = clock
        self._least_s = least_s
        self._failures = 0
        self._since = 0.0  # the first of those failures
        self._until: float | None = None  # while it is open: when the next call may try

    @property
    def closed(self) -> bool:
        return self._until is None

    def enter(self) -> bool:
        """Before a call. True: it is the one that tries; say so to `failed`. Raises Unavailable while it is open.

        If that call never ends, another one may try after the same pause.
        """
        if self._until is None:
            return False
        now = self._clock()
        if now < self._until:
            BREAKER_REFUSED.add(self._dependency)
            raise Unavailable(self._what, max(LEAST_RETRY_S, self._until - now))
        self._until = now + self._open_s
        return True

    def succeeded(self) -> None:
        """There was an answer. It counts also from a call that began before it opened."""
        if self._failures:
            self._failures = 0
        if self._until is not None:
            self.close()

    def failed(self, tried: bool = False) -> None:
        """There was none. Calls that began before it opened, and end only now, do not keep it open."""
        now = self._clock()
        if self._until is not None:
            if tried:
                self._until = now + self._open_s
            return
        if not self._failures:
            self._since = now
        self._failures += 1
        if self._failures < self._most or now - self._since < self._least_s:
            return
        self._until = now + self._open_s
        BREAKER_TRIPS.add(self._dependency)
        BREAKERS_OPEN.add(self._dependency)
        log.warning("breaker_opened", dependency=self._dependency, what=self._what, failures=self._failures)

    def close(self) -> None:
        """It is known to be back, whoever found out, or will not be asked again. Twice is fine."""
        self._failures = 0
        if self._until is not None:
            self._until = None
            BREAKERS_OPEN.add(self._dependency, -1)
            log.info("breaker_closed", dependency=self._dependency, what=self._what)

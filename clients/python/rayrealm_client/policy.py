"""When and how to connect again (PROTOCOL.md, "Close codes" and "Connecting").

Plain rules: the time and the randomness are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Step(Enum):
    """What a client does after it lost, or did not get, a connection."""

    RETRY = "retry"  # with backoff
    AT_ONCE = "at once"  # then with backoff
    FRESH = "fresh"  # with backoff, without the session
    RENEW = "renew"  # refresh the token first
    LATER = "later"  # when there is something to do
    UNRECOVERED = "unrecovered"  # at once, with an access token instead of the recovery token
    UNNUMBERED = "unnumbered"  # at once, without the newest notification seen
    STOP = "stop"


_CLOSE: dict[int, Step] = {
    1000: Step.STOP,
    1002: Step.STOP,
    1003: Step.STOP,
    1007: Step.STOP,
    1008: Step.STOP,
    1009: Step.STOP,
    1010: Step.STOP,
    1012: Step.AT_ONCE,
    4000: Step.FRESH,
    4003: Step.LATER,
    4501: Step.RENEW,
}
_REFUSALS: dict[int, Step] = {401: Step.RENEW, 429: Step.RETRY}


def after_close(code: int) -> Step:
    """`code`: the close code; 1006 or 0 where there was none (RFC 6455, section 7.1.5)."""
    if 4500 <= code < 5000:
        return _CLOSE.get(code, Step.STOP)
    return _CLOSE.get(code, Step.RETRY)


def after_refusal(status: int, reason: str = "", *, recovering: bool = False) -> Step:
    """`status`: what the upgrade was answered with. A proxy in between may answer any 5xx for a while.

    `recovering`: a recovery token was presented; whatever is wrong with it, an access token may still do.
    """
    if status == 401 and recovering:
        return Step.UNRECOVERED
    if status == 400 and reason == "bad_sequence":
        return Step.UNNUMBERED
    return _REFUSALS.get(status, Step.RETRY if status >= 500 else Step.STOP)


class Random(Protocol):
    """Anything with the `random()` of `random.Random`: uniform in [0, 1)."""

    def random(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: uniform between nothing and a ceiling that doubles up to a cap; a crowd spreads out."""

    first_s: float = 0.5
    cap_s: float = 20.0

    def delay(self, attempt: int, rng: Random) -> float:
        """Seconds before retry `attempt` (0, 1, ...)."""
        return rng.random() * min(self.cap_s, self.first_s * 2.0 ** min(attempt, 32))


@dataclass(slots=True)
class Reconnect:
    """The memory of one client's retries.

    A connection that lives for `stable_s` forgives what was before it; one that does not is a failure like
    any other, so a server that accepts and closes is not hammered. `give_up_s`: seconds of failure in a row
    after which to stop; None never stops.
    """

    backoff: Backoff = Backoff()
    stable_s: float = 5.0
    give_up_s: float | None = 600.0
    attempt: int = 0
    _failing_since: float | None = None
    _opened_at: float | None = None
    _renewed: bool = False

    def opened(self, now: float) -> None:
        """A connection is ready."""
        self._opened_at = now
        self._renewed = False

    def lost(
        self, step: Step, now: float, rng: Random, retry_after_s: float = 0.0, *, closed: bool = False
    ) -> float | None:
        """Seconds to wait before the next try; None: stop. For LATER they count from when it is wanted.

        `closed`: the realm is closed for maintenance, which is no failure: that is waited for, however long it takes.
        What the server asks to wait comes before the jitter, so that a crowd that was told the same does not come back as one.
        """
        if self._opened_at is not None and now - self._opened_at >= self.stable_s:
            self.attempt, self._failing_since = 0, None
        self._opened_at = None
        if step is Step.STOP or (step is Step.RENEW and self._renewed):
            return None
        if closed:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = now
        elif self.give_up_s is not None and now - self._failing_since > self.give_up_s:
            return None
        first = self.attempt == 0
        delay = self.backoff.delay(self.attempt, rng)
        self.attempt += 1
        self._renewed = step is Step.RENEW
        if first and not retry_after_s and step in (Step.AT_ONCE, Step.LATER, Step.RENEW):
            return 0.0
        return retry_after_s + delay

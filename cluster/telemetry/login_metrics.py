"""What became of logins, registrations, changes of passwords, and of ending logins (row 4.1).

Labels are bounded: what is tried, and the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from cluster.errors import Theirs, Unavailable
from cluster.telemetry.collectors import CounterSource, CountsCollector
from cluster.telemetry.counts import Tally

TRIED = ("login", "register", "password")
DONE = "done"
REASONS = (
    DONE,
    "bad_credentials",
    "locked",
    "too_many_attempts",
    "username_taken",
    "password_too_common",
    "invalid_input",
    "unavailable",
    "failed",
)
REVOKED = ("kept", "full", "unavailable")


class LoginMetrics:
    """Feeds `rayrealm_{login,register,password}_attempts_total{outcome}` and `rayrealm_login_revocations_total{outcome}` of a
    registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._outcomes = {what: Tally(REASONS) for what in TRIED}
        self._revoked = Tally(REVOKED)
        revocations = CounterSource(
            "rayrealm_login_revocations_total",
            "Logins that were ended, by what became of revoking their access tokens",
            lambda: self._revoked,
            "outcome",
        )
        registry.register(
            CountsCollector(
                [
                    revocations,
                    *(
                        CounterSource(
                            f"rayrealm_{what}_attempts_total",
                            f"Calls of /v1/auth/{what} by what became of them",
                            lambda tally=tally: tally,  # type: ignore[misc]
                            "outcome",
                        )
                        for what, tally in self._outcomes.items()
                    ),
                ]
            )
        )

    def revoked(self, outcome: str) -> None:
        """`outcome` is one of REVOKED."""
        self._revoked.add(outcome)

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Around each. `what` is one of TRIED; a reason that is not in REASONS is counted as `other`."""
        outcome = "failed"
        try:
            yield
            outcome = DONE
        except Theirs as refusal:
            outcome = refusal.reason
            raise
        except Unavailable:
            outcome = "unavailable"
            raise
        finally:
            self._outcomes[what].add(outcome)

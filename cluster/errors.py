"""One tree of errors: `Ours` are bugs or outages, `Theirs` are bad input and say so.

What a client sees of them is decided in `serve_apps/gateway/faults.py` (WebSocket) and
`serve_apps/accounts/problems.py` (HTTP), nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence


class RealmError(Exception):
    """The root of what the realm raises on purpose."""


class Ours(RealmError):
    """The realm's own fault."""


class Theirs(RealmError):
    """The caller's fault; `reason` is a stable word for programs, the message is for people."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message or reason.replace("_", " ")

    def __str__(self) -> str:
        return self.message


class Unavailable(Ours):
    """A part of the realm did not answer in time; it may or may not have acted. Safe to retry with the same key."""

    def __init__(self, what: str, retry_after_s: float = 1.0) -> None:
        super().__init__(what, retry_after_s)
        self.what = what
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.what} is not available"


class Fenced(Ours):
    """A newer incarnation owns this; the one that gets this error must stop itself."""


class Elsewhere(Ours):
    """Not done: the session's entity was handed over to `zone_id`; ask there. Empty: this zone does not have it and knows no
    more.
    """

    def __init__(self, zone_id: str) -> None:
        super().__init__(zone_id)
        self.zone_id = zone_id

    def __str__(self) -> str:
        return f"the entity is in {self.zone_id or 'another zone'}"


class NotOwner(Ours):
    """This actor of the zone does not own it, and has done nothing; the one in `slot` does (cluster/ports/calls.py)."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.slot = slot

    def __str__(self) -> str:
        return f"the zone's owner is its actor {self.slot}"


class InvalidInput(Theirs):
    """Fields that are missing or wrong; `errors` is a list of (field, reason)."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        self.errors = list(errors)
        super().__init__("invalid_input", "; ".join(f"{field}: {why}" for field, why in self.errors))

    def __reduce__(self) -> tuple[type[InvalidInput], tuple[list[tuple[str, str]]]]:
        return (InvalidInput, (self.errors,))


class Unauthorized(Theirs):
    """Who you are does not allow it, or it is not known who you are."""


class InvalidState(Theirs):
    """Not now: the session or the entity is in another state; `state` says which."""

    def __init__(self, reason: str, state: str) -> None:
        super().__init__(reason)
        self.state = state

    def __reduce__(self) -> tuple[type[InvalidState], tuple[str, str]]:
        return (InvalidState, (self.reason, self.state))


class SessionGone(Theirs):
    """The session does not exist any more."""


class Conflict(Theirs):
    """The change was based on something old, or the name is taken; `current` is what holds now."""

    def __init__(self, reason: str, current: dict[str, object] | None = None) -> None:
        super().__init__(reason)
        self.current = current or {}

    def __reduce__(self) -> tuple[type[Conflict], tuple[str, dict[str, object]]]:
        return (Conflict, (self.reason, self.current))


class RateLimited(Theirs):
    """Too much, too fast or too many; try again after `retry_after_s`."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[RateLimited], tuple[str, float]]:
        return (RateLimited, (self.reason, self.retry_after_s))


class SubscriptionLimit(Theirs):
    """More subscriptions than a session may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("subscription_limit")
        self.limit = limit

    def __reduce__(self) -> tuple[type[SubscriptionLimit], tuple[int]]:
        return (SubscriptionLimit, (self.limit,))


class NotFound(Theirs):
    """No such thing, or it is not yours: the answer is the same."""


class SettingsError(RealmError):
    """The start is refused; `problems` is a list of (setting, reason)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(list(problems))
        self.problems = list(problems)

    def __str__(self) -> str:
        return "; ".join(f"{name}: {why}" for name, why in self.problems)


class StartRefused(RealmError):
    """The realm cannot start here; the message is one line that says what to do. Exit code 2."""

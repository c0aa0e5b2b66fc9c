"""The life of a session as one table (row 1.2). Illegal transitions are refused with -32003."""

from __future__ import annotations

from enum import StrEnum

from cluster.errors import InvalidState


class SessionState(StrEnum):
    CONNECTED = "connected"  # placed, not yet attached to a socket
    AUTHENTICATED = "authenticated"
    IN_WORLD = "in_world"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"


S = SessionState

TRANSITIONS: dict[SessionState, frozenset[SessionState]] = {
    S.CONNECTED: frozenset({S.AUTHENTICATED, S.DISCONNECTING}),
    S.AUTHENTICATED: frozenset({S.IN_WORLD, S.DISCONNECTING}),
    S.IN_WORLD: frozenset({S.AUTHENTICATED, S.DISCONNECTING}),
    S.DISCONNECTING: frozenset({S.DISCONNECTED}),
    S.DISCONNECTED: frozenset(),
}


def sources(to: SessionState) -> tuple[str, ...]:
    """The states from which `to` may be reached."""
    return tuple(state.value for state, targets in TRANSITIONS.items() if to in targets)


def check(now: SessionState, to: SessionState) -> None:
    """Raises InvalidState if the table does not have the step."""
    if to not in TRANSITIONS[now]:
        raise InvalidState(f"cannot_become_{to.value}", now.value)

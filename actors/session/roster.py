"""Sessions that a gateway should have a socket for, and has not, and the other way round (row 1.6). Plain rules.

The answer to an attach may be lost on its way to a gateway that lives on: nobody else would ever find that session without its
socket. The order to close a socket may be lost as well: nothing would ever come to that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actors.session.session import Session

ATTACH_GRACE_S = 5.0  # for the answer to an attach to become a socket
UNLISTED_LIMIT = 2


def unlisted(
    sessions: Iterable[Session], gateway_id: str, held: Mapping[str, int], now: float
) -> list[tuple[str, int]]:
    """Sessions (with their attach epochs) of the gateway that it did not name, for the second time in a row.

    `held`: session -> attach epoch, as the gateway says. Those that were attached a moment ago are left alone.
    """
    gone = []
    for session in sessions:
        record = session.record
        if record.gateway_id != gateway_id or now - session.attached_at < ATTACH_GRACE_S:
            continue
        if held.get(record.session_id) == record.attach_epoch:
            session.unlisted = 0
            continue
        session.unlisted += 1
        if session.unlisted >= UNLISTED_LIMIT:
            gone.append((record.session_id, record.attach_epoch))
    return gone


def stray(sessions: Mapping[str, Session], held: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """Sockets that a gateway should not have: session, attach epoch, and why: `session_lost`, `replaced`, or `detached`.

    A session is in the table before its socket is open, and leaves it for ever.
    """
    found = []
    for session_id, attach_epoch in held.items():
        session = sessions.get(session_id)
        if session is None:
            found.append((session_id, attach_epoch, "session_lost"))
        elif attach_epoch < session.record.attach_epoch:
            found.append((session_id, attach_epoch, "replaced"))
        elif not session.record.gateway_id:
            found.append((session_id, attach_epoch, "detached"))
    return found

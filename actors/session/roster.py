"""Sessions that a gateway should have a socket for, and has not (row 1.6). Plain rules.

The answer to an attach may be lost on its way to a gateway that lives on: nobody else would ever find that session without its
socket.
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

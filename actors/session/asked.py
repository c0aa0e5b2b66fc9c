"""What operators' operations ask a session actor over the bus (row 7.8): to find sessions, to show one, to tell some something.

Everything is answered from memory. Requests have the form of cluster/world_control.py. Plain Python.
"""

from __future__ import annotations

import bisect
import heapq
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import orjson

from actors.session.lane import ReliableLane
from actors.session.session import Session
from cluster.errors import InvalidInput, NotFound
from cluster.ports.sessions import SessionRecord
from cluster.session_route import check_notice
from cluster.world_control import Method

MOST_ROWS = 500
TOLD_AT_ONCE = 1_000  # sessions in one message of the lane
KEYS_KEPT = 1_000
MARKS = 1_000  # of one answer: with what a page of a search needs it is far below a message of 1 MiB
MOST_FOUND = 2_000
ATTACHED, DETACHED = "attached", "detached"  # beside the states of states.py: those with a socket, and those without

Post = Callable[[list[tuple[list[str], str, bytes]]], Awaitable[None]]
Key = str | float

# What sessions can be sorted by; texts without regard to case.
SORTS: dict[str, Callable[[SessionRecord, str], Key]] = {
    "connected_at": lambda r, _: r.connected_at,
    "last_activity_at": lambda r, _: r.last_activity,
    "username": lambda _, name: name.casefold(),
    "user": lambda r, _: r.user_id,
    "character": lambda r, _: r.character_name.casefold(),
    "zone": lambda r, _: r.zone_id,
    "gateway": lambda r, _: r.gateway_id,
    "state": lambda r, _: r.state,
    "status": lambda r, _: r.status,
    "role": lambda r, _: r.role,
    "address": lambda r, _: r.address,
    "session": lambda r, _: r.session_id,
    "actor": lambda r, _: r.actor,
}


class Asked:
    """`names`: user id -> username. `post`: the lane's, with a deadline. `methods` are for `world_control.responder`."""

    def __init__(self, sessions: Mapping[str, Session], names: Mapping[str, str], post: Post) -> None:
        self._sessions = sessions
        self._names = names
        self._post = post
        self._told: OrderedDict[str, int] = OrderedDict()  # key -> how many
        self.methods: dict[str, Method] = {
            "search": self._search,
            "rows": self._rows,
            "show": self._show,
            "tell": self._tell,
            "others": self._others,
        }

    async def _search(
        self,
        q: str,
        zone: str,
        gateway: str,
        state: str,
        sort: str,
        descending: bool,
        most: int,
        after: list[Any] | None = None,
        mark: int = 0,
    ) -> dict[str, Any]:
        """`{"total", "passed", "found": [[key, session], ...], "marks": [[key, session, number], ...]}`: the first `most` (at most
        MOST_FOUND) in the order asked for. Empty texts ask for anything.

        `after`: [key, session]; only those that come later, and how many do not is `passed`. `marks`: some of the next `mark`
        sessions, MARKS at most, at equal distances, with how many there are up to each.
        """
        key_of = SORTS.get(sort)
        if key_of is None:
            raise InvalidInput([("sort", f"one of {', '.join(SORTS)}")])
        wanted, names = q.casefold(), self._names
        found: list[tuple[Key, str]] = []
        for session in self._sessions.values():
            record = session.record
            if zone and record.zone_id != zone:
                continue
            if gateway and record.gateway_id != gateway:
                continue
            if state and state not in (record.state, ATTACHED if record.gateway_id else DETACHED):
                continue
            name = names.get(record.user_id, "")
            if wanted and wanted not in _text(record, name):
                continue
            found.append((key_of(record, name), record.session_id))
        most = min(most, MOST_FOUND)
        if after is None and not mark:
            first = heapq.nlargest(most, found) if descending else heapq.nsmallest(most, found)
            return {"total": len(found), "passed": 0, "found": first, "marks": []}
        found.sort()
        if after is not None:
            last = (after[0], after[1])
            at = bisect.bisect_left(found, last) if descending else bisect.bisect_right(found, last)
            later = found[:at] if descending else found[at:]
        else:
            later = found
        if descending:
            later = later[::-1]
        step = max(1, -(-min(mark, len(later)) // MARKS))
        marks = [(*later[end - 1], end) for end in range(step, min(mark, len(later)) + 1, step)]
        return {"total": len(found), "passed": len(found) - len(later), "found": later[:most], "marks": marks}

    async def _rows(self, sessions: list[str]) -> list[dict[str, Any]]:
        """Of those that are (still) here, MOST_ROWS at most, in the order asked for."""
        return [self._row(self._sessions[each]) for each in sessions[:MOST_ROWS] if each in self._sessions]

    async def _show(self, session: str) -> dict[str, Any]:
        """Everything about one. Raises NotFound."""
        found = self._sessions.get(session)
        if found is None:
            raise NotFound("no_such_session", f"no such session: {session!a}")
        record, outbox = found.record, found.outbox
        return {
            **self._row(found),
            "attributes": record.attributes,
            "topics": list(record.subscriptions),
            "watching": list(record.watching),
            "status_text": record.status_text,
            "status_metadata": record.status_metadata,
            "stream": record.stream,
            "seq": outbox.logged,
            "outbox": {"count": len(outbox), "bytes": outbox.bytes, "acked": outbox.acked},
            "attach_epoch": record.attach_epoch,
        }

    async def _tell(
        self, key: str, method: str, params: dict[str, Any], zone: str, sessions: list[str] | None
    ) -> dict[str, int]:
        """A reliable notification to all sessions, to those in a zone, or to some: kept when it is answered. `{"told"}`: to how
        many; the same key again tells nobody again. Raises Unavailable.
        """
        check_notice(method, params)
        if key not in self._told:
            whom = [
                session_id
                for session_id, session in self._sessions.items()
                if session.record.attach_epoch and (not zone or session.record.zone_id == zone)
            ]
            if sessions is not None:
                wanted = set(sessions)
                whom = [session_id for session_id in whom if session_id in wanted]
            body = orjson.dumps(params)
            parts = [whom[start : start + TOLD_AT_ONCE] for start in range(0, len(whom), TOLD_AT_ONCE)]
            if parts:
                await self._post([(part, method, body) for part in parts])
            self._told[key] = len(whom)
            while len(self._told) > KEYS_KEPT:
                self._told.popitem(last=False)
        return {"told": self._told[key]}

    async def _others(self, users: list[str], roles: list[str]) -> dict[str, int]:
        """`{"attached"}`: how many sessions have a socket, without those of these users and of these roles."""
        but, ranks = frozenset(users), frozenset(roles)
        records = (session.record for session in self._sessions.values())
        return {"attached": sum(bool(r.gateway_id) and r.user_id not in but and r.role not in ranks for r in records)}

    def _row(self, session: Session) -> dict[str, Any]:
        record = session.record
        return {
            "session": record.session_id,
            "user": record.user_id,
            "username": self._names.get(record.user_id, ""),
            "character": record.character_name,
            "character_id": record.character_id,
            "zone": record.zone_id,
            "gateway": record.gateway_id,
            "state": record.state,
            "status": record.status,
            "role": record.role,
            "connected_at": record.connected_at,
            "last_activity_at": record.last_activity,
            "actor": record.actor,
            "idle": record.idle,
            "address": record.address,
        }


def _text(record: SessionRecord, name: str) -> str:
    """What a search looks through; a line feed keeps one part from running into the next."""
    r = record
    return f"{name}\n{r.character_name}\n{r.user_id}\n{r.session_id}\n{r.character_id}\n{r.address}".casefold()


def beat(sessions: Collection[Session], lane: ReliableLane, topics: int) -> dict[str, int]:
    """What the actor tells with each beat (cluster/beats.py)."""
    return {
        "sessions": len(sessions),
        "attached": sum(bool(session.record.gateway_id) for session in sessions),
        "topics": topics,
        "resent": lane.resent,
        "outbox_bytes": sum(session.outbox.bytes for session in sessions),
    }

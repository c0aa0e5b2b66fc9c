"""To one session's socket, with a confirmation (row 4.3): a request to the gateway that the session's record names. Plain Python.

For what is worth something only now and only there, and must be known to have got there. What must not be lost goes to the user's
topic instead (cluster/publishing.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cluster.errors import InvalidInput, NotFound, Unavailable
from cluster.ports.bus import Bus
from cluster.ports.sessions import SessionStore
from cluster.subjects import Subjects
from cluster.world_control import ask

DELIVER, ABOUT = "deliver", "about"
ANSWER_S = 2.0
PLACES_TRIED = 3  # of a session that is just moving from gateway to gateway
NOT_HERE = "not_here"
AN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a token of a subject, and nothing else
LONGEST_NAME = 64
A_NAME = re.compile(r"[a-z]+(\.[A-Za-z_]+)+")


class NobodyAnswers(Unavailable):
    """The session exists, and nobody confirmed that it got the message."""

    def __init__(self, why: str) -> None:
        super().__init__("nobody_answers")
        self.why = why

    def __reduce__(self) -> tuple[type[NobodyAnswers], tuple[str]]:
        return (NobodyAnswers, (self.why,))

    def __str__(self) -> str:
        return f"nobody answers: {self.why}"


class SessionRoute:
    def __init__(self, sessions: SessionStore, bus: Bus, subjects: Subjects, answer_s: float = ANSWER_S) -> None:
        self._sessions = sessions
        self._bus = bus
        self._subjects = subjects
        self._answer_s = answer_s

    async def deliver(self, session_id: str, method: str, params: Mapping[str, Any]) -> None:
        """A notification to the session's client: it is in its socket's queue when this returns. At most once.

        Raises NotFound("no_such_session"); NobodyAnswers, which is Unavailable("nobody_answers"), if the session has no socket or
        its gateway is silent (then it is not known whether it arrived); InvalidInput for what is no notification; Unavailable.
        """
        tried: set[tuple[str, int]] = set()
        while True:
            record = await self._sessions.get(session_id) if AN_ID.fullmatch(session_id) else None
            if record is None:
                raise NotFound("no_such_session", f"no such session: {session_id!a}")
            if not record.gateway_id:
                raise NobodyAnswers(f"the player of {session_id} has no connection at the moment")
            place = record.gateway_id, record.attach_epoch
            if place in tried or len(tried) >= PLACES_TRIED:
                raise NobodyAnswers(f"{record.gateway_id} does not have {session_id} any more")
            tried.add(place)
            if await self._ask(session_id, record.gateway_id, record.attach_epoch, method, params):
                return

    async def _ask(
        self, session_id: str, gateway_id: str, attach_epoch: int, method: str, params: Mapping[str, Any]
    ) -> bool:
        """Whether the gateway has the session's socket; if not, it has done nothing."""
        subject = self._subjects.gateway_session(gateway_id, session_id)
        order = {"session_id": session_id, "attach_epoch": attach_epoch, "notice": method, "params": dict(params)}
        try:
            await ask(self._bus, subject, DELIVER, order, self._answer_s)
        except NotFound as error:
            if error.reason == NOT_HERE:
                return False
            raise
        except Unavailable as error:
            if error.what != subject:  # the gateway's own words
                raise
            raise NobodyAnswers(f"{gateway_id}, which has the socket of {session_id}, is silent") from None
        return True


def check_notice(method: object, params: object) -> None:
    """Raises InvalidInput."""
    if not isinstance(method, str) or len(method) > LONGEST_NAME or not A_NAME.fullmatch(method):
        raise InvalidInput([("notice", "must be the name of a notification, like system.message")])
    if not isinstance(params, dict):
        raise InvalidInput([("params", "must be an object")])

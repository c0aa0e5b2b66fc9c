"""What the next socket is opened with (PROTOCOL.md, "Connecting" and "Recovery"; row 1.6). Plain rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from rayrealm_client.reliable import Reliable


@dataclass(frozen=True, slots=True)
class Opening:
    """`recovery`: a recovery token, which needs neither an access token nor `session_id`. `last`: `<stream>.<seq>`."""

    recovery: str | None = field(default=None, repr=False)
    session_id: str | None = None
    last: str | None = None


class Recovery:
    """`session_id`: the session to resume, None for a new one."""

    def __init__(self, reliable: Reliable) -> None:
        self.session_id: str | None = None
        self._reliable = reliable
        self._token: str | None = None
        self._good_until = 0.0

    def opening(self, now: float) -> Opening:
        """By recovery while there is a token that is still good, else by the session's id."""
        last = self._reliable.last
        if self._token is not None and now < self._good_until:
            return Opening(self._token, None, last)
        return Opening(None, self.session_id, None if self.session_id is None else last)

    def attached(self, session_id: str, token: str, expires_in: float, now: float) -> None:
        self.session_id = session_id
        self.renewed(token, expires_in, now)

    def renewed(self, token: str, expires_in: float, now: float) -> None:
        """A newer token, good for `expires_in` seconds."""
        self._token, self._good_until = token, now + expires_in

    def forget_token(self) -> None:
        """The session is to be resumed with an access token."""
        self._token = None

    def forget_last(self) -> None:
        """The server would not have the number: go on from wherever it is."""
        self._reliable.forget()

    def forget_session(self) -> None:
        """The next socket gets a new session."""
        self.session_id = None
        self.forget_token()
        self.forget_last()

    def reset(self) -> None:
        """The next session is someone else's."""
        self.forget_session()
        self._reliable.reset()

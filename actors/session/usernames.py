"""The names of the users whose sessions an actor has, so that operators can search by them (row 7.8). Plain Python.

A record has no username: it never changes, and the accounts have it. It is looked up behind the login's back, many at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from actors.session.session import Session

AT_ONCE = 500


class Usernames:
    """`ask(user_ids)` is the accounts' `usernames`: users of outside issuers have none there, and are "" here."""

    def __init__(
        self, sessions: Mapping[str, Session], ask: Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
    ) -> None:
        self.names: dict[str, str] = {}
        self._sessions = sessions
        self._ask = ask

    async def look(self) -> None:
        """Called about once a second: the names of AT_ONCE newcomers, and those of users who have gone are forgotten. Raises
        Unavailable.
        """
        users = {session.record.user_id for session in self._sessions.values()}
        for gone in self.names.keys() - users:
            del self.names[gone]
        unknown = list(users - self.names.keys())[:AT_ONCE]
        if unknown:
            found = await self._ask(unknown)
            self.names |= {user_id: found.get(user_id, "") for user_id in unknown}

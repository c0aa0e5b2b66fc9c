"""What must be looked up before a message may go to its topic's members (row 2.3). Plain data.

A user's topic brings messages that ask for a refresh: somebody was blocked, a party was joined. They reach the client when that is
true here, so that a client that was told of it can rely on it; and until then nothing that somebody says reaches the user, since it
may be somebody who has just been blocked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Set

from actors.session.following import order
from actors.session.ties import Ties
from cluster.ports.topics import TopicMessage
from cluster.publishing import USER


class RefreshGate:
    """Implements `actors.session.following.Gate`. `work` is set while somebody must be looked up."""

    def __init__(self, ties: Ties) -> None:
        self.work = asyncio.Event()
        self._ties = ties
        self._wanted: dict[str, str] = {}  # user -> id of the message that asks
        self._done: dict[str, str] = {}  # user -> id of the newest one that was looked up for

    def waits(self, message: TopicMessage, members: Collection[str]) -> bool:
        if message.refresh and message.topic.startswith(USER):
            user_id = message.topic.removeprefix(USER)
            if order(message.id) > order(self._done.get(user_id, "")):
                self._wanted[user_id] = message.id
                self.work.set()
                return True
        if not message.sender or not self._wanted:
            return False
        return any(session_id in members for user_id in self._wanted for session_id in self._ties.sessions(user_id))

    def deaf(self, sender: str) -> Set[str]:
        return self._ties.deaf(sender)

    def wanted(self, limit: int) -> dict[str, str]:
        """Whom to look up, and for which message."""
        return {user_id: self._wanted[user_id] for user_id in list(self._wanted)[:limit]}

    def done(self, looked_up: Mapping[str, str]) -> None:
        """They were, after these messages had come."""
        for user_id, message_id in looked_up.items():
            if user_id not in self._wanted:  # forgotten meanwhile
                continue
            self._done[user_id] = message_id
            if self._wanted[user_id] == message_id:
                del self._wanted[user_id]

    def forget(self, user_ids: Iterable[str]) -> None:
        """They have no sessions here any more."""
        for user_id in user_ids:
            self._wanted.pop(user_id, None)
            self._done.pop(user_id, None)

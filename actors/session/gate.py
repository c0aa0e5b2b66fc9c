"""What must be looked up before a message may go to its topic's members (row 2.3). Plain data.

A user's topic brings messages that ask for a refresh: somebody was blocked, a party was joined. They reach the client when that is
true here, so that a client that was told of it can rely on it; and until it is known whom the user blocks, nothing that somebody
says reaches the user, since it may be somebody who has just been blocked. A user whose first session begins hears nothing but the
own topic until then.
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
        self._known: dict[str, str] = {}  # it was looked up for, but not all sessions hear what they must
        self._done: dict[str, str] = {}  # and now they do

    def waits(self, message: TopicMessage, members: Collection[str]) -> bool:
        if message.topic.startswith(USER):
            user_id, at = message.topic.removeprefix(USER), order(message.id)
            if message.refresh and at > order(self._done.get(user_id, "")):
                if at > order(self._known.get(user_id, "")):
                    self._wanted[user_id] = message.id
                    self.work.set()
                return True
            if message.sender and not self._ties.known(user_id):
                return True
        if not message.sender or not self._wanted:
            return False
        return any(session_id in members for user_id in self._wanted for session_id in self._ties.sessions(user_id))

    def deaf(self, sender: str) -> Set[str]:
        return self._ties.deaf(sender)

    def wanted(self, limit: int) -> dict[str, str]:
        """Whom to look up, and for which message. The next time it is the others' turn first, should this fail."""
        taken = {user_id: self._wanted.pop(user_id) for user_id in list(self._wanted)[:limit]}
        self._wanted |= taken
        return taken

    def known(self, looked_up: Mapping[str, str]) -> None:
        """They were looked up, after these messages had come."""
        for user_id, message_id in looked_up.items():
            if user_id not in self._wanted:  # forgotten meanwhile
                continue
            self._known[user_id] = message_id
            if self._wanted[user_id] == message_id:
                del self._wanted[user_id]

    def done(self, user_ids: Iterable[str]) -> None:
        """And their sessions hear what they must."""
        for user_id in user_ids:
            if user_id in self._known:
                self._done[user_id] = self._known.pop(user_id)

    def rest(self) -> None:
        """No more work, unless somebody is wanted."""
        if not self._wanted:
            self.work.clear()

    def forget(self, user_ids: Iterable[str]) -> None:
        """They have no sessions here any more."""
        for user_id in user_ids:
            self._wanted.pop(user_id, None)
            self._known.pop(user_id, None)
            self._done.pop(user_id, None)

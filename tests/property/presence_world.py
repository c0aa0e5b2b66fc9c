"""A presence index, what stands around it, and wires on which everything that is told may overtake everything else.

Session actors are one dict of records; what an index told them is on the wire to the clients, and is not lost. What it had taken
and not told dies with it, and is told again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from actors.presence.changes import SessionPresence
from actors.presence.index import PresenceIndex
from actors.presence.merging import UserPresence
from actors.presence.privacy import Circle
from cluster.ports.social import Audience

USERS = ("usr_a", "usr_b", "usr_c", "usr_d")
OWNERS = {"ses_1": "usr_a", "ses_2": "usr_a", "ses_3": "usr_b", "ses_4": "usr_b", "ses_5": "usr_c", "ses_6": "usr_d"}

# How somebody looks: and whether one is shown when somebody who is offline was not.
Look = tuple[UserPresence, bool]


@dataclass
class Client:
    """Keeps the newest that it heard of each user it watches, by version."""

    watching: tuple[str, ...] = ()
    believes: dict[str, tuple[int, Look]] = field(default_factory=dict)

    def hear(self, user_id: str, version: int, look: Look) -> None:
        known = self.believes.get(user_id)
        if user_id in self.watching and (known is None or version >= known[0]):
            self.believes[user_id] = (version, look)


class World:
    """It begins with everybody there, and everybody watching everybody."""

    def __init__(self) -> None:
        self.index = PresenceIndex(1)
        self.records: dict[str, SessionPresence] = {}
        self.clients: dict[str, Client] = {}
        self.friends: set[frozenset[str]] = set()
        self.apart: set[frozenset[str]] = set()
        self.audiences: dict[str, tuple[Audience, Audience]] = {}
        self.wire: list[tuple[str, str, int, Look]] = []  # to whom, of whom, version, look
        self.untold: dict[str, SessionPresence] = {}  # the newest of what the index took since it told the news
        self.ties_untold = False
        self.former: list[SessionPresence] = []
        self.ended: set[str] = set()
        self.revision = 0
        for session_id in OWNERS:
            self.change(session_id, "online", False, "", "")
            self.watch(session_id, USERS)
        self.settle()

    def circles(self, user_ids: Iterable[str]) -> dict[str, Circle]:
        return {user_id: self.circle(user_id) for user_id in user_ids}

    def circle(self, user_id: str) -> Circle:
        zone, character = self.audiences.get(user_id, ("all", "all"))

        def others(pairs: set[frozenset[str]]) -> frozenset[str]:
            return frozenset(other for pair in pairs if user_id in pair for other in pair - {user_id})

        return Circle(others(self.friends), others(self.apart), zone, character)

    # --- what happens ------------------------------------------------------------------------------------------

    def change(self, session_id: str, status: str, idle: bool, zone: str, name: str) -> None:
        """A session comes, or is another than before. One that ended never comes back."""
        if session_id in self.ended:
            return
        self.clients.setdefault(session_id, Client())
        self._tell(
            SessionPresence(
                session_id,
                OWNERS[session_id],
                "sessions/0",
                status,
                zone_id=zone,
                name=name,
                idle=idle,
                watching=self.clients[session_id].watching,
            )
        )

    def end(self, session_id: str) -> None:
        known = self.records.get(session_id)
        if known is not None:
            self.ended.add(session_id)
            del self.clients[session_id]
            self._tell(replace(known, present=False))

    def watch(self, session_id: str, user_ids: tuple[str, ...]) -> None:
        """The answer is on the wire, too."""
        known = self.records.get(session_id)
        if known is None:
            return
        client = self.clients[session_id]
        added = [user_id for user_id in user_ids if user_id not in client.watching]
        client.watching = user_ids
        client.believes = {user_id: b for user_id, b in client.believes.items() if user_id in user_ids}
        self._tell(replace(known, watching=user_ids))
        self._answer(session_id, added)

    def get(self, session_id: str, user_id: str) -> None:
        if session_id in self.clients:
            self._answer(session_id, [user_id])

    def tie(self, kind: str, a: str, b: str) -> None:
        pair = frozenset((a, b))
        if len(pair) == 2:
            pairs = self.friends if kind == "friends" else self.apart
            pairs ^= {pair}
            self.ties_untold = True
            self.index.refresh(self.circles((a, b)))

    def privacy(self, user_id: str, zone: Audience, character: Audience) -> None:
        self.audiences[user_id] = (zone, character)
        self.ties_untold = True
        self.index.refresh(self.circles((user_id,)))

    def late(self, number: int) -> None:
        """Something that was told before comes again, behind what is newer."""
        if self.former:
            change = self.former[number % len(self.former)]
            self.index.apply([change], self.circles([change.user_id]))

    def news(self) -> None:
        version = self.index.version
        for untold in self.index.take_news().watchers.values():
            for user_id, session_ids in untold.items():
                for place, (presence, told) in self.index.audience(user_id, session_ids).items():
                    look = (presence, place == "friend" and presence.status == "offline")
                    self.wire += [(session_id, user_id, version, look) for session_id in told]
        self.untold, self.ties_untold = {}, False

    def deliver(self, number: int) -> None:
        """Any of what is on its way."""
        if self.wire:
            session_id, user_id, version, look = self.wire.pop(number % len(self.wire))
            if session_id in self.clients:
                self.clients[session_id].hear(user_id, version, look)

    def restart(self) -> None:
        """The index dies. The next one is filled from the records; session actors tell again what they told it lately."""
        if self.ties_untold:  # of ties it is told again only by those who change them
            self.news()
        # It does not know who ended before: should they come late to it, they stay until the sweep asks for their records.
        self.former = [change for change in self.former if not change.present or change.session_id in self.records]
        self.index = self.fresh(self.index.epoch + 1)
        if self.untold:
            self.index.apply(self.untold.values(), self.circles(USERS))

    # --- what must be true -------------------------------------------------------------------------------------

    def fresh(self, epoch: int = 0) -> PresenceIndex:
        """Computed from scratch."""
        index = PresenceIndex(epoch)
        index.rebuild(self.records.values(), self.circles(USERS))
        return index

    def settle(self) -> None:
        """All is told and has come."""
        self.news()
        while self.wire:
            self.deliver(len(self.wire) * 7)

    def look(self, index: PresenceIndex, viewer_id: str, user_id: str) -> Look:
        [(presence, place)] = index.see(viewer_id, [user_id], self.circle(viewer_id))
        return presence, place == "friend" and presence.status == "offline"

    # --- pieces ------------------------------------------------------------------------------------------------

    def _tell(self, change: SessionPresence) -> None:
        self.revision += 1
        change = replace(change, revision=self.revision)
        if change.present:
            self.records[change.session_id] = change
        else:
            del self.records[change.session_id]
        self.former.append(change)
        self.untold.pop(change.session_id, None)
        self.untold[change.session_id] = change
        self.index.apply([change], self.circles(self.index.unknown([change])))

    def _answer(self, session_id: str, user_ids: list[str]) -> None:
        viewer = OWNERS[session_id]
        for user_id in user_ids:
            self.wire.append((session_id, user_id, self.index.version, self.look(self.index, viewer, user_id)))

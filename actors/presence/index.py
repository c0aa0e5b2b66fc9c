"""The presence index (row 3.2): who is there, and who is to be told what of it. Plain Python, no clock.

It holds nothing that session records and the social store do not: after a crash it is filled again from them.

What others see of a user is settled when somebody looks or the news are taken: until then changes of a user add up, and one that is
undone is none. Each state of the index has a number, `version`. An answer and a notification both say how somebody is in the state
that they name, so whoever keeps the newest is right, in whatever order they come; and the number betrays nothing about the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from sys import intern

from actors.presence.changes import SessionPresence
from actors.presence.merging import UserPresence, merged
from actors.presence.privacy import NOBODY, PLACES, Circle, Place, shown

VERSIONS = 10**9  # of one incarnation
REMEMBERED = 10_000  # sessions that ended, so that a late change does not bring one back

_NO_METADATA: dict[str, str] = {}  # shared, never changed


class _User:
    """`settled`: watchers know what this index knows of the user."""

    __slots__ = ("circle", "sessions", "settled")

    def __init__(self, circle: Circle, settled: bool) -> None:
        self.sessions: tuple[str, ...] = ()
        self.circle = circle
        self.settled = settled


@dataclass(slots=True)
class _Before:
    """A user as others saw it when it was settled last. `forced`: they may not have."""

    presence: UserPresence
    circle: Circle | None
    forced: bool


@dataclass(slots=True)
class News:
    """`watchers`: actor -> user -> its sessions that must be told how the user is. `public`: users whose presence changed for those
    who are no friends. `seen`: users who were there just now, with the name of the character.
    """

    watchers: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    public: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)


class PresenceIndex:
    """`epoch`: of this incarnation; versions grow over all of them."""

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch
        self._changes = 0
        self._sessions: dict[str, SessionPresence] = {}
        self._users: dict[str, _User] = {}
        self._watchers: dict[str, set[str]] = {}  # user -> session ids
        self._before: dict[str, _Before] = {}  # users that have changed since they were settled
        self._untold: dict[str, set[str]] = {}  # user -> session ids
        self._public: dict[str, None] = {}
        self._seen: dict[str, str] = {}
        self._over: dict[str, None] = {}

    def __len__(self) -> int:
        """How many users there are, invisible ones too."""
        return len(self._users)

    @property
    def version(self) -> int:
        return self.epoch * VERSIONS + self._changes

    def sessions(self) -> list[str]:
        """The ids of all sessions."""
        return list(self._sessions)

    def users(self) -> list[str]:
        """The ids of all users who are there."""
        return list(self._users)

    @property
    def watchers(self) -> int:
        """How many pairs there are of a session and a user whom it watches."""
        return sum(map(len, self._watchers.values()))

    def of(self, user_id: str) -> list[SessionPresence]:
        """The user's sessions."""
        user = self._users.get(user_id)
        return [] if user is None else [self._sessions[session_id] for session_id in user.sessions]

    def truth(self, user_id: str) -> UserPresence:
        """How the user is, whoever may see it."""
        return self._merged(user_id)

    def over(self, session_ids: Iterable[str]) -> list[SessionPresence]:
        """The changes that end these sessions, as far as they are known here."""
        return [replace(self._sessions[s], present=False) for s in session_ids if s in self._sessions]

    # --- what comes in -----------------------------------------------------------------------------------------

    def unknown(self, changes: Iterable[SessionPresence]) -> list[str]:
        """The users that come with these changes: `apply` needs their circles."""
        return list(dict.fromkeys(c.user_id for c in changes if c.present and c.user_id not in self._users))

    def rebuild(self, sessions: Iterable[SessionPresence], circles: Mapping[str, Circle]) -> None:
        """Take in what session records say. Nobody is told: watchers know most of it, and the rest comes again as changes."""
        for session in sessions:
            self._put(session, circles, settled=False)

    def apply(self, changes: Iterable[SessionPresence], circles: Mapping[str, Circle]) -> None:
        """Take changes in; `circles` has those of all `unknown` users.

        The first change of a user is always told: the records that this index was rebuilt from may have had it already. One that is
        older than its record, because it had to wait for this index, does not undo it: then the record is told.
        """
        for change in changes:
            old = self._sessions.get(change.session_id)
            if old is not None and change.revision < old.revision:
                continue
            if old is None and change.session_id in self._over:
                continue
            self._mark(change, circles)
            if old is None and not change.present:  # a former index knew it, and may not have told that it is over
                self._before[change.user_id].forced = True
            if old is not None and old.revision == 0 and change.present and change.edition < old.edition:
                change = replace(old, revision=change.revision)
            self._put(change, circles, settled=True)

    def refresh(self, circles: Mapping[str, Circle]) -> None:
        """The ties and choices of these users as they are now; where a tie changed, of both sides."""
        changed = {u: c for u, c in circles.items() if c != self._circle(u)}
        if not changed:
            return
        self._settle_all()  # what was so far concerns people where they stood so far
        self._changes += 1
        self._mark_pasts(changed)
        for user_id, circle in changed.items():
            user = self._users.get(user_id)
            if user is not None:
                self._before[user_id] = _Before(self._merged(user_id), user.circle, not user.settled)
                user.circle, user.settled = circle, True

    def _mark_pasts(self, circles: Mapping[str, Circle]) -> None:
        """Friends are told when somebody was online last: who becomes one, or is none any more, is told of somebody who is not."""
        for user_id in circles:
            if not self._merged(user_id).hidden:
                continue
            for session_id in self._watchers.get(user_id, ()):
                viewer_id = self._sessions[session_id].user_id
                if viewer_id in circles and viewer_id != user_id:
                    old = _place(user_id, self._circle(user_id), viewer_id, self._circle(viewer_id))
                    new = circles[user_id].place(user_id, viewer_id)
                    if (old == "friend") != (new == "friend"):
                        self._untold.setdefault(user_id, set()).add(session_id)

    def _mark(self, change: SessionPresence, circles: Mapping[str, Circle]) -> None:
        user_id = change.user_id
        if user_id in self._before:
            return
        user = self._users.get(user_id)
        if user is not None:
            self._before[user_id] = _Before(self._merged(user_id), user.circle, forced=not user.settled)
            user.settled = True
        elif change.present:
            self._before[user_id] = _Before(UserPresence(user_id, "offline"), circles.get(user_id), forced=False)
        else:
            there = merged(user_id, [replace(change, present=True)])
            self._before[user_id] = _Before(there, None, forced=True)

    def _put(self, change: SessionPresence, circles: Mapping[str, Circle], settled: bool) -> None:
        self._changes += 1
        session_id, user_id = change.session_id, change.user_id
        old = self._sessions.pop(session_id, None)
        if old is not None:
            self._unwatch(old)
        if not change.present:
            self._end(session_id, user_id)
            return
        session = _compact(change)
        self._sessions[session.session_id] = session
        user = self._users.get(user_id)
        if user is None:
            user = self._users[session.user_id] = _User(circles.get(user_id, NOBODY), settled)
        if old is None:
            user.sessions += (session.session_id,)
        for watched in session.watching:
            self._watchers.setdefault(watched, set()).add(session.session_id)

    def _end(self, session_id: str, user_id: str) -> None:
        self._over[session_id] = None
        if len(self._over) > REMEMBERED:
            del self._over[next(iter(self._over))]
        user = self._users.get(user_id)
        if user is not None:
            user.sessions = tuple(s for s in user.sessions if s != session_id)
            if not user.sessions:
                del self._users[user_id]

    def _unwatch(self, session: SessionPresence) -> None:
        for watched in session.watching:
            watchers = self._watchers[watched]
            watchers.discard(session.session_id)
            if not watchers:
                del self._watchers[watched]

    # --- what is seen ------------------------------------------------------------------------------------------

    def of_user(self, user_id: str) -> UserPresence:
        """The user as somebody sees it who is no friend."""
        user = self._users.get(user_id)
        return shown(self._merged(user_id), user.circle if user else NOBODY, "other")

    def knows(self, user_id: str) -> bool:
        """Whether the user's circle is here."""
        return user_id in self._users

    def see(
        self, viewer_id: str, user_ids: Iterable[str], own: Circle | None = None
    ) -> list[tuple[UserPresence, Place]]:
        """These users as `viewer_id` may see them, and where it stands towards each. `own`: its circle, if none is known here."""
        mine = self._circle(viewer_id) or own
        seen = []
        for user_id in user_ids:
            presence, circle = self._settled(user_id)
            place = _place(user_id, circle, viewer_id, mine)
            seen.append((shown(presence, circle or NOBODY, place), place))
        return seen

    def audience(self, user_id: str, session_ids: Iterable[str]) -> dict[Place, tuple[UserPresence, list[str]]]:
        """What to tell these sessions of the user, by where they stand; without those that do not watch it any more."""
        presence, circle = self._settled(user_id)
        told: dict[Place, tuple[UserPresence, list[str]]] = {}
        watching = self._watchers.get(user_id, ())
        for session_id in session_ids:
            if session_id not in watching:
                continue
            viewer_id = self._sessions[session_id].user_id
            place = _place(user_id, circle, viewer_id, self._circle(viewer_id))
            if place not in told:
                told[place] = (shown(presence, circle or NOBODY, place), [])
            told[place][1].append(session_id)
        return told

    def take_news(self) -> News:
        """What must be told since the last time."""
        self._settle_all()
        news = News(public=list(self._public), seen=self._seen)
        for user_id, session_ids in self._untold.items():
            for session_id in session_ids:
                session = self._sessions.get(session_id)
                if session is not None:
                    news.watchers.setdefault(session.actor, {}).setdefault(user_id, set()).add(session_id)
        self._untold, self._public, self._seen = {}, {}, {}
        return news

    # --- pieces ------------------------------------------------------------------------------------------------

    def _circle(self, user_id: str) -> Circle | None:
        user = self._users.get(user_id)
        return user.circle if user is not None else None

    def _merged(self, user_id: str) -> UserPresence:
        user = self._users.get(user_id)
        return merged(user_id, (self._sessions[s] for s in user.sessions) if user is not None else ())

    def _settled(self, user_id: str) -> tuple[UserPresence, Circle | None]:
        """Whoever is shown a state in between must be told when it is over, so it is settled first."""
        if user_id in self._before:
            self._settle(user_id)
        return self._merged(user_id), self._circle(user_id)

    def _settle_all(self) -> None:
        for user_id in list(self._before):
            self._settle(user_id)

    def _settle(self, user_id: str) -> None:
        before = self._before.pop(user_id)
        old, new = before.presence, self._merged(user_id)
        user = self._users.get(user_id)
        circle = user.circle if user is not None else before.circle
        if old == new and circle == before.circle and not before.forced:
            return
        watchers = self._watchers.get(user_id, ())
        places: tuple[Place, ...] = PLACES if watchers else ("other",)
        was = {place: shown(old, before.circle or NOBODY, place) for place in places}
        now = {place: shown(new, circle or NOBODY, place) for place in places}
        untold = set()
        for session_id in watchers:
            viewer_id = self._sessions[session_id].user_id
            mine = self._circle(viewer_id)
            place = _place(user_id, circle, viewer_id, mine)
            former = _place(user_id, before.circle, viewer_id, mine)
            if was[former] != now[place] or (before.forced and (former, place) != ("hidden", "hidden")):
                untold.add(session_id)
        if untold:
            self._untold.setdefault(user_id, set()).update(untold)
        if was["other"] != now["other"] or before.forced:
            self._public[user_id] = None
        if old.hidden != new.hidden or (not new.hidden and new.name != old.name):
            self._seen[user_id] = new.name or old.name or self._seen.get(user_id, "")


def _place(user_id: str, circle: Circle | None, viewer_id: str, mine: Circle | None) -> Place:
    """Ties are mutual: towards one who is away, the viewer's own circle says where it stands."""
    if circle is not None:
        return circle.place(user_id, viewer_id)
    return (mine or NOBODY).place(viewer_id, user_id)


def _compact(change: SessionPresence) -> SessionPresence:
    """An index has many: what many share is shared."""
    return SessionPresence(
        change.session_id,
        intern(change.user_id),
        intern(change.actor),
        intern(change.status),
        intern(change.zone_id),
        change.character_id,
        tuple(intern(user) for user in change.watching),
        True,
        change.idle,
        change.name,
        change.text,
        change.metadata or _NO_METADATA,
        change.revision,
        change.edition,
    )

"""Which topics each session hears, and whom not (rows 1.5, 2.3 and 3.3). Plain asyncio over ports.

Beside what it subscribed to, a session hears its user's own topic and its party's. The pseudo topic `chat:zone` stands for the chat
of the zone that the session is in. What the stores of friends and parties say of a user is asked when a session of the user begins,
after a restart, and when a message on the user's topic says that it has changed: never for a message as such. Since whoever should
have sent that message may have died before, all users are looked up again now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from actors.presence import statuses
from actors.session.following import Following
from actors.session.gate import RefreshGate
from actors.session.session import Session
from actors.session.states import SessionState
from actors.session.ties import Ties
from actors.session.together import Together, each_of
from cluster.errors import Fenced, RealmError
from cluster.ports.parties import PartyStore
from cluster.ports.sessions import SessionRecord
from cluster.ports.social import Profile, SocialStore
from cluster.publishing import user_topic

ZONE_CHAT = "chat:zone"
PARTY = "party:"  # and a party's id
REFRESHED_AT_ONCE, RETRIED_AT_ONCE, TUNED_AT_ONCE, LOOKED_UP_AT_ONCE = 500, 500, 32, 500

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Ears:
    topics: dict[str, None] = field(default_factory=dict)
    tuning: asyncio.Lock = field(default_factory=asyncio.Lock)


class Hearing:
    """`sessions` is the actor's own table, by id."""

    def __init__(
        self,
        sessions: Mapping[str, Session],
        following: Following,
        ties: Ties,
        gate: RefreshGate,
        social: SocialStore,
        parties: PartyStore,
        wall_clock: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._following = following
        self._ties = ties
        self._gate = gate
        self._social = social
        self._parties = parties
        self._wall_clock = wall_clock
        self._ears: dict[str, _Ears] = {}
        self._untuned: set[str] = set()  # sessions whose topics `refresh` changes
        self._failed: dict[str, None] = {}  # and those where that failed: the one that waits longest first
        self._held: set[str] = set()  # users of those, whose own topics wait
        self._meeting = Together(self._meet)

    # --- a session's life --------------------------------------------------------------------------------------

    async def restore(self, sessions: Iterable[Session]) -> None:
        """After a restart, all of them. Raises Unavailable, Fenced; called again after that, it begins from nothing."""
        begun = [session for session in sessions if session.state is not SessionState.CONNECTED]
        for session in begun:
            self._ties.add(session.record.user_id, session.record.session_id)
        await self._look_up(list({session.record.user_id for session in begun}))
        self._ears = {}
        members: dict[str, list[str]] = {}
        for session in begun:
            topics = self._topics_of(session.record)
            self._ears[session.record.session_id] = _Ears(topics)
            for topic in topics:
                members.setdefault(topic, []).append(session.record.session_id)
        await self._following.restore(members)

    async def begin(self, session: Session) -> SessionRecord:
        """The session hears what it must. Returns its record as it begins; the present one, if it began before.

        Only busy and invisible outlast a session: whoever hid is hidden from the first moment on. Raises Unavailable, Fenced.
        """
        record = session.record
        if session.state is not SessionState.CONNECTED and record.session_id in self._ears:
            return record
        self._ties.add(record.user_id, record.session_id)
        await self._hear_own(session)  # first: what changes after the stores were asked is heard of
        profile = await self._meeting.get(record.user_id)
        await self.tune(session)
        if session.state is not SessionState.CONNECTED:
            return record
        return replace(
            record,
            status=statuses.at_start(profile.status),
            status_text=profile.text,
            status_metadata=dict(profile.metadata),
        )

    async def _hear_own(self, session: Session) -> None:
        record = session.record
        ears, topic = self._ears.setdefault(record.session_id, _Ears()), user_topic(record.user_id)
        async with ears.tuning:
            if record.session_id not in self._sessions:
                self._ears.pop(record.session_id, None)
            elif topic not in ears.topics:
                if await self._following.join(topic, record.session_id, sharply=True):
                    self._ties.doubt(record.user_id)
                ears.topics[topic] = None

    async def tune(self, session: Session, also: SessionRecord | None = None) -> None:
        """Join and leave, so that the session hears what its record says; and what `also` says, before it is the record.

        Raises Unavailable, Fenced.
        """
        session_id = session.record.session_id
        ears = self._ears.get(session_id) or self._ears.setdefault(session_id, _Ears())
        async with ears.tuning:
            if session_id not in self._sessions:
                self._ears.pop(session_id, None)
                return
            wanted = self._topics_of(session.record) | (self._topics_of(also) if also is not None else {})
            for topic in [topic for topic in wanted if topic not in ears.topics]:
                await self._following.join(topic, session_id)
                ears.topics[topic] = None
            for topic in [topic for topic in ears.topics if topic not in wanted]:
                del ears.topics[topic]
                await self._following.leave(topic, session_id)
            self._failed.pop(session_id, None)

    async def retune(self, session: Session) -> None:
        """`tune` for changes that must not fail because of it: what could not be done now is done soon (`retry`). Raises Fenced."""
        session_id = session.record.session_id
        try:
            await self.tune(session)
        except Fenced:
            raise
        except Exception as error:
            if isinstance(error, RealmError):
                log.warning("topics_wait", session=session_id, what=str(error))
            else:
                log.exception("topics_wait", session=session_id)
            self._failed.pop(session_id, None)
            self._failed[session_id] = None

    async def seen(self, record: SessionRecord) -> None:
        """The user was here until now, as the character that the session has; not one who does not show it. Raises Unavailable."""
        if record.status == "invisible" or not record.attach_epoch:  # without a socket nobody was here
            return
        await self._social.seen(record.user_id, self._wall_clock(), record.character_name)

    async def end(self, record: SessionRecord) -> None:
        """The session is no longer in the table. Raises Fenced."""
        session_id = record.session_id
        ears = self._ears.get(session_id)
        if ears is not None:
            async with ears.tuning:
                self._ears.pop(session_id, None)
                topics, ears.topics = ears.topics, {}
                for topic in topics:
                    await self._following.leave(topic, session_id)
        self._untuned.discard(session_id)
        self._failed.pop(session_id, None)
        self._ties.remove(record.user_id, session_id)
        if not self._ties.sessions(record.user_id):
            self._gate.forget([record.user_id])
            self._held.discard(record.user_id)

    # --- what has changed --------------------------------------------------------------------------------------

    async def wait_for_work(self) -> None:
        await self._gate.work.wait()

    async def refresh(self) -> None:
        """Look up whom messages say to, and change what their sessions hear. Raises Unavailable, Fenced: then call it again.

        A session whose topics cannot be changed holds up its user's own topic and nobody else; `retry` goes on with it.
        """
        wanted = self._gate.wanted(REFRESHED_AT_ONCE)
        await self._look_up(list(wanted))
        self._gate.known(wanted)
        untuned, self._untuned = self._untuned, set()  # whoever is added from now on must be tuned once more
        todo = untuned.union(*(self._ties.sessions(user_id) for user_id in wanted))
        try:
            await self._tune_all(todo)
        except BaseException:
            self._failed |= dict.fromkeys(todo)
            raise
        finally:
            self._let_go(wanted)
        if not self._untuned:
            self._gate.rest()

    async def retry(self) -> None:
        """Called every second or so: sessions whose topics could not be changed, RETRIED_AT_ONCE of them. Raises Fenced."""
        part = list(self._failed)[:RETRIED_AT_ONCE]
        for session_id in part:
            if session_id not in self._sessions:
                del self._failed[session_id]
        await self._tune_all(part)
        self._let_go(self._held)

    def _let_go(self, user_ids: Iterable[str]) -> None:
        """Messages to users whose sessions hear what they must go on."""
        users = set(user_ids)
        held = {user_id for user_id in users if self._failed.keys() & self._ties.sessions(user_id)}
        self._held = (self._held - users) | held
        self._gate.done(users - held)

    async def look_again(self) -> None:
        """Called about once a minute, in case a refresh was lost: all users, LOOKED_UP_AT_ONCE a call of the stores.

        Blocks hold at once, topics follow with `refresh`. Raises Unavailable: who is left is looked up the next time.
        """
        users = self._ties.users()
        for start in range(0, len(users), LOOKED_UP_AT_ONCE):
            await self._look_up(users[start : start + LOOKED_UP_AT_ONCE])

    async def _tune_all(self, session_ids: Iterable[str]) -> None:
        todo = sorted(session_ids)
        for start in range(0, len(todo), TUNED_AT_ONCE):
            part = [self._sessions[s] for s in todo[start : start + TUNED_AT_ONCE] if s in self._sessions]
            await each_of(self.retune(session) for session in part)

    # --- the stores --------------------------------------------------------------------------------------------

    async def _meet(self, user_ids: list[str]) -> dict[str, Profile]:
        """Users of whom sessions begin: also of those who are here already, so that a new device never begins with what is old."""
        profiles: dict[str, Profile] = {}

        async def profile() -> None:
            profiles.update(await self._social.profiles(user_ids))

        await each_of([profile(), self._look_up(user_ids)])
        return profiles

    async def _look_up(self, user_ids: list[str]) -> None:
        """Whose party turns out to be another one is tuned by the next `refresh`."""
        if not user_ids:
            return
        number = self._ties.question()
        ties, parties = await asyncio.gather(self._social.ties(user_ids), self._parties.parties_of(user_ids))
        blocked = {user_id: found.blocked for user_id, found in ties.items()}
        for user_id in self._ties.answer(number, blocked, parties):
            self._untuned |= self._ties.sessions(user_id)
            self._gate.work.set()

    def _topics_of(self, record: SessionRecord) -> dict[str, None]:
        topics = [user_topic(record.user_id)]
        party = self._ties.party(record.user_id)
        if party:
            topics.append(PARTY + party)
        for topic in record.subscriptions:
            if topic != ZONE_CHAT:
                topics.append(topic)
            elif record.zone_id:
                topics.append(f"{ZONE_CHAT}:{record.zone_id}")
        return dict.fromkeys(topics)

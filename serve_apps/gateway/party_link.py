"""Which of a gateway's clients are in which party, and where those parties' members are. Nothing is done for other clients.

The store knows who is in a party. It is asked for clients that have just come, for those whose session was told that its party has
changed (party.changed comes to every session, and goes out by this gateway), and, should such a notice never have been sent, every
RECHECK_S for those who are in one.

Members see each other, whatever they show to others (row 3.3), unless one of the two blocks the other. Ties are looked up with the
party, and again when a client in one is told that they have changed. Only the one who blocks is always told: then its gateway asks
the others that have members of the party to look theirs up, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from cluster.errors import Unavailable
from cluster.ports.bus import Bus, Subscription
from cluster.ports.parties import PartyStore
from cluster.ports.social import SocialStore, Ties
from cluster.settings import Settings
from cluster.subjects import Subjects
from serve_apps.gateway.client import Client
from serve_apps.gateway.outgoing import Priority
from serve_apps.gateway.party_positions import NOBODY, Heard, Notices, Said, Standing, Track, ties_changed

ASKED_AT_ONCE = 500
RECHECK_S = 30.0
PARTIES_AT_ONCE = 100

Notify = Callable[[Client, str, bytes, Priority], None]


@dataclass(slots=True)
class _Here:
    """A party with clients at this gateway. `clients`: each with what it was told last; `apart`: the users each does not see."""

    heard: Heard
    said: Said
    clients: dict[Client, bytes] = field(default_factory=dict)
    apart: dict[Client, frozenset[str]] = field(default_factory=dict)
    subscription: Subscription | None = None


class PartyLink:
    """`step` is called every settings.social.party_positions_s; `notify` writes a notification to a client."""

    def __init__(
        self,
        gateway_id: str,
        settings: Settings,
        parties: PartyStore,
        social: SocialStore,
        bus: Bus,
        subjects: Subjects,
        notify: Notify,
        clock: Callable[[], float],
    ) -> None:
        self._gateway_id = gateway_id
        self._most = settings.social.party_members * settings.session.per_user
        self._parties = parties
        self._social = social
        self._bus = bus
        self._subjects = subjects
        self._notify = notify
        self._clock = clock
        self._unsure: dict[Client, None] = {}  # whose party must be looked up; those that wait longest first
        self._party_of: dict[Client, str] = {}
        self._here: dict[str, _Here] = {}
        self._left: list[Subscription] = []  # of parties without clients here
        self._rechecked_at = float("-inf")

    def doubt(self, client: Client) -> None:
        """It has just come, or its party has changed."""
        self._unsure[client] = None

    def doubt_ties(self, client: Client) -> None:
        """Who are its friends, or whom it blocks, has changed."""
        if client in self._party_of:
            self.doubt(client)

    def gone(self, client: Client) -> None:
        """Its socket is."""
        self._unsure.pop(client, None)
        self._put(client, "", Ties())

    async def step(self) -> None:
        """Say where one's own are, tell them of the others, and look up what is not sure. Raises Unavailable."""
        now = self._clock()
        if self._here:
            for count, (party_id, here) in enumerate(self._here.items(), 1):  # which nobody else changes
                self._say(party_id, here, now)
                self._tell(here, now)
                if count % PARTIES_AT_ONCE == 0:
                    await asyncio.sleep(0)
            if now - self._rechecked_at >= RECHECK_S:
                self._rechecked_at = now
                self._unsure.update(dict.fromkeys(self._party_of))
        await self._listen()
        if self._unsure:
            await self._settle()
            await self._listen()

    # --- who is in which party ---------------------------------------------------------------------------------

    async def _settle(self) -> None:
        asked = list(self._unsure)[:ASKED_AT_ONCE]
        for client in asked:  # who is doubted again meanwhile is asked for again
            del self._unsure[client]
        try:
            found = await self._parties.parties_of(list(dict.fromkeys(client.user_id for client in asked)))
            ties = await self._social.ties(list(found)) if found else {}
        except Unavailable:
            self._unsure.update(dict.fromkeys(client for client in asked if not client.closed))
            raise
        for client in asked:
            self._put(client, "" if client.closed else found.get(client.user_id, ""), ties.get(client.user_id, Ties()))

    def _put(self, client: Client, party_id: str, ties: Ties) -> None:
        old = self._party_of.pop(client, "")
        if party_id:
            self._party_of[client] = party_id
        if old != party_id:
            client.track = None
            if old:
                del self._here[old].clients[client], self._here[old].apart[client]
            if party_id:
                here = self._here.setdefault(party_id, _Here(Heard(self._most), Said(self._gateway_id)))
                here.clients[client] = NOBODY
        if party_id:
            here, apart = self._here[party_id], ties.blocked | ties.blocked_by
            if here.apart.setdefault(client, apart) != apart:
                here.apart[client] = apart
                self._publish(party_id, ties_changed(self._gateway_id))

    async def _listen(self) -> None:
        """To the parties that have clients here, and to no other."""
        for party_id, here in list(self._here.items()):
            if not here.clients:
                del self._here[party_id]
                self._publish(party_id, here.said.news((), self._clock()))
                if here.subscription is not None:
                    self._left.append(here.subscription)
            elif here.subscription is None:
                subject = self._subjects.party_positions(party_id)
                here.subscription = await self._bus.subscribe(subject, partial(self._take, here))
        while self._left:
            await self._left.pop().unsubscribe()

    # --- where its members are ---------------------------------------------------------------------------------

    def _take(self, here: _Here, data: bytes) -> None:
        if here.heard.take(data, self._clock()):
            self._unsure.update(dict.fromkeys(here.clients))

    def _say(self, party_id: str, here: _Here, now: float) -> None:
        standings = [standing for client in here.clients if (standing := standing_of(client)) is not None]
        self._publish(party_id, here.said.news(standings, now))

    def _publish(self, party_id: str, news: bytes) -> None:
        if news:
            self._bus.publish(self._subjects.party_positions(party_id), news)

    def _tell(self, here: _Here, now: float) -> None:
        """Newest wins: who does not read is told when it reads again, and then only the newest."""
        notices = Notices(here.heard.members(now))
        for client, before in list(here.clients.items()):
            if client.closed or client.outgoing.blocked_since is not None:
                continue
            said = notices.to(client.user_id, here.apart[client])
            if said != before:
                here.clients[client] = said
                self._notify(client, "party.positions", said, Priority.IMMEDIATE)


def standing_of(client: Client) -> Standing | None:
    """Where a client in a party is, None if it is not in the world. From now on its place is followed."""
    world = client.world
    if world is None or client.closed:
        client.track = None
        return None
    if client.track is None:
        client.track = Track(world, client.last_move)
    place = client.track.place
    if place is None:
        return None
    x, z = place
    return Standing(client.session_id, client.user_id, world["name"], world["zone"], round(x, 1), round(z, 1))

"""The Python client's people on a real gateway and real actors in one process: every group of calls (rows 2.3, 3.2, 3.3)."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from rayrealm_client import errors
from rayrealm_client.chat import direct
from rayrealm_client.client import RealmClient
from rayrealm_client.codec import Framing
from rayrealm_client.models import Tokens
from rayrealm_client.people import PartyState, Presence, Privacy, Requested
from rayrealm_client.policy import Backoff
from tests.integration.mock_players import FRAMINGS, until
from tests.local_realm import LocalRealm, local_realm

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def realm(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[LocalRealm]:
    namespace = f"test-{secrets.token_hex(6)}"
    rules = [{"pattern": "news.*"}]
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session={"grace_s": 1.0}, topics=rules) as made:
        yield made


class Somebody:
    """A player who may come more than once. `id` and `name` stay."""

    def __init__(self, realm: LocalRealm, framing: Framing) -> None:
        self.id, self.name = f"usr_{secrets.token_hex(6)}", f"Hero {secrets.token_hex(4)}"
        self._realm, self._framing = realm, framing
        self._character = ""

    @contextlib.asynccontextmanager
    async def come(self) -> AsyncIterator[RealmClient]:
        """In the world."""
        base = self._realm.url.replace("ws://", "http://").removesuffix("/ws")
        async with RealmClient(base, framing=self._framing, backoff=Backoff(0.05, 0.5), timeout_s=5.0) as client:
            client.tokens = Tokens(self.id, self._realm.token(self.id), "", time.monotonic() + 600.0)
            self._character = self._character or await self._realm.character(self.id, self.name, at=(20.0, 20.0))
            self.heard: list[str] = []
            client.chat.on_message(lambda message: self.heard.append(message.text))
            await client.enter(self._character)
            yield client


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_friends_see_each_other_come_and_go(realm: LocalRealm, framing: Framing) -> None:
    ann_, bob_ = Somebody(realm, framing), Somebody(realm, "proto")
    async with ann_.come() as ann:
        async with bob_.come() as bob:
            changes, presences = bob.friends.changes(), list[Presence]()
            ann.presence.on_change(presences.append)
            assert await ann.friends.request(name=bob_.name) == Requested(bob_.id, "requested")
            asked = await anext(changes)
            assert (asked.kind, asked.user_id, asked.name) == ("request", ann_.id, ann_.name)
            assert await bob.friends.accept(ann_.id) is True
            assert (await anext(changes)).kind == "friends"
            (there,) = await ann.presence.subscribe([bob_.id])
            assert (there.status, there.zone, there.name) == ("online", ann.zone, bob_.name)
            own = await bob.presence.update("busy", text="raid", metadata={"lfg": "2"})
            assert (own.status, own.text, own.metadata) == ("busy", "raid", {"lfg": "2"})
            await until(lambda: bool(presences) and presences[-1].text == "raid")
            assert (presences[-1].status, presences[-1].metadata) == ("busy", {"lfg": "2"})
            assert await bob.presence.privacy(zone="nobody") == Privacy("nobody", "all")
            await until(lambda: ann.presence.known[bob_.id].zone is None)
            (friend,) = (await ann.friends.list()).friends
            assert (friend.user_id, friend.name, friend.presence.status) == (bob_.id, bob_.name, "busy")
        await until(lambda: presences[-1].status == "offline")
        assert presences[-1].last_online is not None
        versions = [presence.version for presence in presences]
        assert versions == sorted(set(versions))
        assert [p.status for p in await ann.presence.get([bob_.id, "usr_nobody"])] == ["offline", "offline"]

        # What is said to one who is away waits.
        await ann.chat.tell(bob_.id, "are you there?")
        async with bob_.come() as bob:
            await until(lambda: bob_.heard == ["are you there?"])
            inbox = await bob.chat.inbox()
            assert [message.channel for message in inbox.messages] == [direct(ann_.id)]
            await bob.chat.read(message.message_id for message in inbox.messages)
            assert (await bob.chat.inbox()).messages == ()
            history = await ann.chat.history(direct(bob_.id))
            assert ([message.text for message in history.messages], history.cursor) == (["are you there?"], None)
            assert await bob.friends.block(ann_.id) is True
            with pytest.raises(errors.InvalidState, match="blocked"):
                await bob.chat.tell(ann_.id, "no")
            assert (await ann.friends.list()).friends == ()
            await until(lambda: ann.presence.known[bob_.id].status == "offline")


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_channels_and_ranges(realm: LocalRealm, framing: Framing) -> None:
    ann_, bob_ = Somebody(realm, framing), Somebody(realm, "proto")
    async with ann_.come() as ann, bob_.come() as bob:
        channel = f"c{secrets.token_hex(4)}"
        invitations = list[Any]()
        bob.chat.on_invitation(invitations.append)
        made = await ann.chat.create(channel, private=True)
        assert (made.name, made.owner, made.private, made.slow_s) == (channel, ann_.id, True, 0.0)
        with pytest.raises(errors.InvalidState, match="not_invited"):
            await bob.chat.join(channel)
        await ann.chat.invite(channel, name=bob_.name)
        await until(lambda: bool(invitations))
        assert (invitations[0].channel, invitations[0].sender) == (channel, ann_.id)
        await ann.chat.join(channel)
        assert channel in await bob.chat.join(channel)
        members = (await ann.chat.members(channel)).members
        assert {member.name for member in members} == {ann_.name, bob_.name}
        message_id = await ann.chat.say(channel, f"hello @{bob_.name}")
        await bob.chat.say("say", "psst")
        await until(lambda: len(ann_.heard) == len(bob_.heard) == 2)
        (said,) = (await bob.chat.history(channel)).messages
        assert said.mentions_user(bob_.id)
        gone = list[str]()
        bob.chat.on_deleted(lambda deleted: gone.append(deleted.message_id))
        await ann.chat.delete(channel, message_id)
        await until(lambda: gone == [message_id])
        assert (await bob.chat.history(channel)).messages == ()
        await ann.chat.mute(channel, bob_.id, 60.0)
        with pytest.raises(errors.InvalidState, match="muted"):
            await bob.chat.say(channel, "but")
        await ann.chat.mute(channel, bob_.id, 0.0)
        assert (await ann.chat.change(channel, slow_s=30.0)).slow_s == 30.0
        await bob.chat.say(channel, "once")
        with pytest.raises(errors.RateLimited, match="slow_mode") as slow:
            await bob.chat.say(channel, "twice")
        assert slow.value.retry_after_s > 0.0
        assert await ann.subscribe(["news.weather"]) == ["news.weather"]
        with pytest.raises(errors.Unauthorized):
            await ann.subscribe(["secrets"])


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_party_from_beginning_to_end(realm: LocalRealm, framing: Framing) -> None:
    ann_, bob_ = Somebody(realm, framing), Somebody(realm, "proto")
    async with ann_.come() as ann, bob_.come() as bob:
        changes, invitations = ann.party.changes(), bob.party.invitations()
        with pytest.raises(errors.InvalidState, match="not_in_party"):
            await ann.party.invite(name=bob_.name)
        made = await ann.party.create()
        assert made is not None
        await ann.party.invite(name=bob_.name)
        invitation = await anext(invitations)
        assert (invitation.party_id, invitation.sender, invitation.name) == (made.party_id, ann_.id, ann_.name)
        assert (await bob.party.get()).invitations == (invitation,)
        places = list[Any]()
        ann.party.on_positions(places.append)
        joined = await bob.party.accept(invitation.party_id)
        assert joined is not None
        assert [member.user_id for member in joined.members] == [ann_.id, bob_.id]
        assert [(await anext(changes)).why for _ in range(3)] == ["created", "invited", "joined"]
        await bob.chat.say("party", "to the harbour")
        await until(lambda: ann_.heard == ["to the harbour"])
        await until(lambda: bool(places))
        assert [(where.user_id, where.name, where.zone) for where in places[-1]] == [(bob_.id, bob_.name, bob.zone)]
        led = await ann.party.lead(bob_.id)
        assert led is not None
        assert led.leader == bob_.id
        with pytest.raises(errors.InvalidState, match="not_leader"):
            await ann.party.kick(bob_.id)
        await bob.party.kick(ann_.id)
        assert [(await anext(changes)).why for _ in range(2)] == ["leader", "kicked"]
        assert await ann.party.get() == PartyState(None, ())
        await bob.party.leave()
        assert (await bob.party.get()).party is None

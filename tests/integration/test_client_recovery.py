"""The client loses its socket and misses nothing: reliable notifications, recovery tokens, polite reconnects (rows 1.6, 2.5)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rayrealm_client import errors
from rayrealm_client.client import RealmClient
from rayrealm_client.keeper import Loss
from rayrealm_client.people import Presence
from rayrealm_client.policy import Backoff
from rayrealm_client.reliable import ACK_COUNT
from tests.integration.mock_players import DEADLINE_S, FRAMINGS, again, client_of, enter, until
from tests.integration.mock_realm import MockRealm
from tests.integration.mock_sessions import Refusal

TOPIC = "system.topic"


@pytest.fixture
async def realm() -> AsyncIterator[MockRealm]:
    async with MockRealm() as mock:
        yield mock


@pytest.fixture(params=FRAMINGS)
async def player(realm: MockRealm, request: pytest.FixtureRequest) -> AsyncIterator[RealmClient]:
    """Registered, with a character, in the world."""
    async with client_of(realm, request.param) as client:
        await enter(client)
        yield client


def heard_by(client: RealmClient) -> list[int]:
    """The numbers that the test put into what it sent."""
    heard: list[int] = []
    client.on_notice(TOPIC, lambda params: heard.append(params["data"]))
    return heard


async def tell(realm: MockRealm, data: int) -> None:
    await realm.number(TOPIC, {"topic": "news", "data": data})


def acks(realm: MockRealm) -> list[int]:
    return [params["seq"] for method, params in realm.calls if method == "session.ack"]


class TestReliable:
    async def test_what_was_missed_comes_once_and_in_order(self, realm: MockRealm, player: RealmClient) -> None:
        heard, gaps = heard_by(player), list[str | None]()
        player.on_gap(gaps.append)
        for data in range(5):
            await tell(realm, data)
        await until(lambda: len(heard) == 5)
        port = await realm.stop_listening()
        realm.cut()
        await until(lambda: realm.only().socket is None)
        for data in range(5, 10):
            await tell(realm, data)
        await realm.listen(port)
        await until(lambda: len(heard) == 10)
        assert heard == list(range(10))
        assert realm.upgrades[-1]["last"] == f"{realm.only().stream}.5"
        assert (player.reliable.gaps, player.reliable.duplicates, gaps) == (0, 0, [])

    async def test_what_was_missed_may_come_in_one_frame_with_the_greeting(
        self, realm: MockRealm, player: RealmClient
    ) -> None:
        heard = heard_by(player)
        realm.joins = True
        realm.only().number_one(TOPIC, {"topic": "news", "data": 0})
        await again(player, realm.cut)
        await until(lambda: heard == [0])
        assert (player.reliable.gaps, player.reliable.duplicates) == (0, 0)

    async def test_notices_have_their_number_beside_their_params(self, realm: MockRealm, player: RealmClient) -> None:
        notices = player.notices()
        await tell(realm, 3)
        notice = await anext(notices)
        assert (notice.method, notice.seq, notice.params) == (TOPIC, 1, {"topic": "news", "data": 3})

    async def test_a_duplicate_is_dropped(self, realm: MockRealm, player: RealmClient) -> None:
        heard = heard_by(player)
        await tell(realm, 0)
        await realm.repeat(1)
        await tell(realm, 1)
        await until(lambda: len(heard) == 2)
        assert (heard, player.reliable.duplicates) == ([0, 1], 1)

    async def test_a_hole_is_counted(self, realm: MockRealm, player: RealmClient) -> None:
        heard = heard_by(player)
        await tell(realm, 0)
        realm.only().seq += 2
        await tell(realm, 1)
        await until(lambda: len(heard) == 2)
        assert (player.reliable.gaps, player.reliable.missing) == (1, 2)

    async def test_acknowledged_within_a_second(self, realm: MockRealm, player: RealmClient) -> None:
        await tell(realm, 0)
        await tell(realm, 1)
        async with asyncio.timeout(1.0):
            await until(lambda: bool(acks(realm)))
        assert acks(realm) == [2]
        assert realm.only().kept == {}

    async def test_many_are_acknowledged_at_once(self, realm: MockRealm, player: RealmClient) -> None:
        started = asyncio.get_running_loop().time()
        for data in range(ACK_COUNT):
            await tell(realm, data)
        await until(lambda: acks(realm) == [ACK_COUNT])
        assert asyncio.get_running_loop().time() - started < 0.7

    async def test_what_is_too_old_is_announced(self, realm: MockRealm, player: RealmClient) -> None:
        gaps: list[str | None] = []
        presences: list[Presence] = []
        player.on_gap(gaps.append)
        await player.presence.subscribe(["usr_bob"])
        player.presence.on_change(presences.append)
        await tell(realm, 0)
        await until(lambda: player.reliable.seq == 1)
        realm.only().seq = 40  # and none of them is kept
        calls = len(realm.calls)
        await again(player, realm.cut)
        await until(lambda: bool(presences))
        assert gaps == [None]
        assert ("presence.subscribe", {"user_ids": ["usr_bob"]}) in realm.calls[calls:]
        assert presences == [Presence("usr_bob", "offline", None, None)]
        await tell(realm, 1)
        await until(lambda: player.reliable.seq == 41)
        assert player.reliable.gaps == 0

    async def test_a_gap_of_a_topic(self, realm: MockRealm, player: RealmClient) -> None:
        gaps: list[str | None] = []
        presences: list[Presence] = []
        player.on_gap(gaps.append)
        await player.presence.subscribe(["usr_bob"])
        player.presence.on_change(presences.append)
        await realm.number("session.gap", {"topic": "news"})
        await until(lambda: bool(presences))
        assert gaps == ["news"]


class TestRecovering:
    async def test_by_the_newest_token_and_without_an_access_token(self, realm: MockRealm, player: RealmClient) -> None:
        newer = realm.recovery_of(realm.only())
        await realm.notify("session.token", newer)
        realm.accounts.tokens.clear()
        realm.accounts.refresh_is_good = False
        await player.ping()
        await again(player, realm.cut)
        upgrade = realm.upgrades[-1]
        assert (upgrade["recovery"], upgrade["token"], upgrade["session"]) == (newer["token"], None, None)
        assert set(upgrade["query"]) == {"last"}  # no token in an address
        assert player.session_ready is not None
        assert player.session_ready.recovered

    async def test_the_client_says_that_it_got_through(self, realm: MockRealm, player: RealmClient) -> None:
        await tell(realm, 0)
        await until(lambda: player.reliable.seq == 1)
        await again(player, realm.cut)
        await until(lambda: acks(realm) == [1])
        assert realm.only().opened_by == 0

    @pytest.mark.parametrize("reason", ["recovery_invalid", "recovery_expired"])
    async def test_a_refused_token_falls_back_to_the_session(
        self, realm: MockRealm, player: RealmClient, reason: str
    ) -> None:
        heard, session = heard_by(player), player.session_id
        await tell(realm, 0)
        await until(lambda: heard == [0])
        losses: list[Loss] = []
        player.on_loss(losses.append)
        realm.refusals = [Refusal(401, reason)]
        realm.only().number_one(TOPIC, {"topic": "news", "data": 1})
        await again(player, realm.cut)
        await until(lambda: heard == [0, 1])
        upgrade = realm.upgrades[-1]
        assert (upgrade["recovery"], upgrade["session"]) == (None, session)
        assert upgrade["token"] is not None
        assert realm.accounts.refreshed == 0
        assert [loss.code for loss in losses] == [1006]

    async def test_a_refused_number_is_left_out(self, realm: MockRealm, player: RealmClient) -> None:
        gaps: list[str | None] = []
        player.on_gap(gaps.append)
        player.reliable.seq = 1_000_000  # more than was ever sent
        await again(player, realm.cut)
        assert [upgrade["last"] is None for upgrade in realm.upgrades[-2:]] == [False, True]
        assert realm.upgrades[-1]["recovery"] is not None
        assert gaps == [None]
        assert player.reliable.seq == 0

    async def test_both_may_be_refused(self, realm: MockRealm, player: RealmClient) -> None:
        session = player.session_id
        realm.refusals = [Refusal(400, "bad_sequence"), Refusal(401, "recovery_expired")]
        await again(player, realm.cut)
        upgrade = realm.upgrades[-1]
        assert (upgrade["recovery"], upgrade["session"], upgrade["last"]) == (None, session, None)

    @pytest.mark.parametrize(
        "refusal", [Refusal(403, "recovery_superseded"), Refusal(409, "session_attached"), Refusal(403, "banned")]
    )
    async def test_some_refusals_are_the_end(self, realm: MockRealm, player: RealmClient, refusal: Refusal) -> None:
        losses: list[Loss] = []
        player.on_loss(losses.append)
        tries = len(realm.upgrades)
        realm.refusals = [refusal]
        realm.cut()
        await until(lambda: bool(losses) and losses[-1].retry_in_s is None)
        assert losses[-1] == Loss(refusal.status, refusal.reason, None)
        assert len(realm.upgrades) == tries + 1
        session = player.session_id
        await player.connect()  # told to: with an access token
        assert (realm.upgrades[-1]["recovery"], realm.upgrades[-1]["session"]) == (None, session)

    async def test_a_token_may_be_presented_twice(self, realm: MockRealm, player: RealmClient) -> None:
        """The socket that it opened broke before the client could hear of a newer one."""
        realm.break_after_upgrade = 1
        await again(player, realm.cut)
        first, second = realm.upgrades[-2:]
        assert first["recovery"] == second["recovery"] is not None
        assert player.session_ready is not None
        assert player.session_ready.recovered

    async def test_a_session_that_is_gone_gives_a_new_one(self, realm: MockRealm, player: RealmClient) -> None:
        gaps: list[str | None] = []
        player.on_gap(gaps.append)
        assert await player.set_attribute("hat", {"colour": "red"}) == {"hat": {"colour": "red"}}
        await player.set_attribute("old", 1)
        await player.set_attribute("old", None)
        await tell(realm, 0)
        await until(lambda: player.reliable.seq == 1)
        realm.sessions.clear()
        await again(player, realm.cut)
        await until(lambda: realm.only().attributes == {"hat": {"colour": "red"}})
        assert gaps == [None]
        assert await player.attributes() == {"hat": {"colour": "red"}}
        await tell(realm, 1)
        await until(lambda: player.reliable.seq == 1)

    async def test_after_a_logout_nothing_is_recovered(self, realm: MockRealm, player: RealmClient) -> None:
        await player.logout()
        realm.cut()
        await until(lambda: player.ended is not None)
        assert isinstance(player.ended, errors.Refused)
        assert player.ended.reason == "token_missing"


class TestMovingOver:
    async def notice(self, realm: MockRealm, within_s: float) -> dict[str, Any]:
        told = realm.recovery_of(realm.only()) | {"reason": "draining", "within_s": within_s}
        await realm.notify("session.reconnect", told)
        return told

    async def test_at_once_by_recovery_and_moves_wait(self, realm: MockRealm, player: RealmClient) -> None:
        losses: list[Loss] = []
        player.on_loss(losses.append)
        heard, stopped = heard_by(player), asyncio.Event()

        async def walk() -> int:
            made = 0
            while not stopped.is_set():
                await player.move(100.0 + made, 0.0, 100.0)
                made += 1
                await asyncio.sleep(0.002)
            return made

        walking = asyncio.create_task(walk())
        await tell(realm, 0)
        told = await self.notice(realm, 0.05)
        await until(lambda: player.reconnects == 1 and player.connected)
        await tell(realm, 1)
        await until(lambda: heard == [0, 1])
        stopped.set()
        assert await walking > 0  # none of them was refused
        assert losses == [Loss(1012, "draining", 0.0)]
        assert realm.upgrades[-1]["recovery"] == told["token"]

    async def test_what_was_asked_is_answered_first(self, realm: MockRealm, player: RealmClient) -> None:
        realm.slow["world.zones"] = 0.2
        asking = asyncio.create_task(player.zones())
        await until(lambda: any(method == "world.zones" for method, _ in realm.calls))
        await self.notice(realm, 0.0)
        await until(lambda: not player.connected)
        later = asyncio.create_task(player.ping())
        assert len(await asking) == 1
        assert await later < DEADLINE_S
        assert player.reconnects == 1
        assert [method for method, _ in realm.calls].count("world.zones") == 1

    async def test_at_a_random_moment(self, realm: MockRealm) -> None:
        clients = [client_of(realm, rng=random.Random(seed), backoff=Backoff(5.0, 5.0)) for seed in range(8)]
        try:
            for number, client in enumerate(clients):
                await enter(client, f"ann{number}")
            started = asyncio.get_running_loop().time()
            moments: list[float] = []
            for client in clients:
                client.on_loss(lambda _: moments.append(asyncio.get_running_loop().time() - started))
            for session in list(realm.sessions.values()):
                told = realm.recovery_of(session) | {"reason": "rebalance", "within_s": 0.5}
                await realm.send_to(session, "session.reconnect", told)
            await until(lambda: len(moments) == 8)
            assert max(moments) - min(moments) > 0.2
            assert max(moments) < 0.9
        finally:
            for client in clients:
                await client.close()

    async def test_a_refusal_of_the_next_gateway_is_waited_out(self, realm: MockRealm, player: RealmClient) -> None:
        losses: list[Loss] = []
        player.on_loss(losses.append)
        realm.refusals = [Refusal(503, "full", "0.1")]
        await self.notice(realm, 0.0)
        await until(lambda: player.reconnects == 1 and player.connected)
        assert [(loss.code, loss.reason) for loss in losses] == [(1012, "draining"), (503, "full")]


class TestDegraded:
    async def test_it_is_told_when_it_changes(self, realm: MockRealm, player: RealmClient) -> None:
        told: list[frozenset[str]] = []
        player.on_degraded(told.append)
        await realm.notify("system.degraded", {"parts": ["redis"]})
        await realm.notify("system.degraded", {"parts": ["redis"]})
        await until(lambda: player.degraded == {"redis"})
        realm.degraded = ["nats"]
        await again(player, realm.cut)
        assert player.degraded == {"nats"}
        await realm.notify("system.degraded", {"parts": []})
        await until(lambda: not player.degraded)
        assert told == [{"redis"}, {"nats"}, frozenset()]


class TestChat:
    async def test_a_message_is_said_once_although_its_answer_was_lost(
        self, realm: MockRealm, player: RealmClient
    ) -> None:
        await player.chat.join("trade")
        realm.cut_instead.add("chat.message")
        message_id = await player.chat.say("trade", "hello")
        said = [params for method, params in realm.calls if method == "chat.message"]
        assert len(said) == 2
        assert said[0] == said[1]
        assert realm.said == {said[0]["client_id"]: message_id}
        assert await player.chat.say("trade", "hello") != message_id

    async def test_the_caller_may_name_it(self, realm: MockRealm, player: RealmClient) -> None:
        first = await player.chat.say("trade", "hello", client_id="mine")
        assert await player.chat.say("trade", "hello", client_id="mine") == first

    async def test_it_is_tried_no_longer_than_the_deadline(self, realm: MockRealm) -> None:
        async with client_of(realm, timeout_s=0.4) as client:
            await enter(client)
            realm.silent.add("chat.message")
            saying = asyncio.create_task(client.chat.say("trade", "hello"))
            await until(lambda: realm.calls[-1][0] == "chat.message")
            await realm.stop_listening()
            realm.cut()
            with pytest.raises(errors.DeadlineExceeded):
                await saying

"""The client over real sockets, against a realm that does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rayrealm_client import errors
from rayrealm_client.client import RealmClient
from rayrealm_client.keeper import Loss
from rayrealm_client.models import GameAnswer
from rayrealm_client.people import OwnPresence, Presence
from rayrealm_client.policy import Backoff
from rayrealm_client.view import Position
from tests.integration.mock_players import DEADLINE_S, FRAMINGS, PASSWORD, again, client_of, enter, until
from tests.integration.mock_realm import MockRealm
from tests.integration.mock_sessions import Refusal


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


class TestAccounts:
    async def test_an_account_from_beginning_to_end(self, realm: MockRealm) -> None:
        async with client_of(realm) as client:
            tokens = await client.register("ann", PASSWORD)
            assert tokens.user_id == "usr_ann"
            assert tokens.access_token not in repr(tokens)
            with pytest.raises(errors.HttpProblem) as taken:
                await client.register("ann", PASSWORD)
            assert (taken.value.status, taken.value.reason) == (409, "username_taken")
            with pytest.raises(errors.HttpProblem, match="bad_credentials"):
                await client.login("ann", "wrong password")
            await client.login("ann", PASSWORD)
            made = await client.create_character("Ann Other")
            assert [c.character_id for c in await client.characters()] == [made.character_id]
            await client.delete_character(made.character_id)
            assert await client.characters() == []
            with pytest.raises(errors.HttpProblem, match="not_found"):
                await client.delete_character("chr_nobody")
            await client.logout()
            with pytest.raises(errors.Unauthorized):
                await client.characters()

    async def test_a_refused_token_is_refreshed_once(self, realm: MockRealm) -> None:
        async with client_of(realm) as client:
            await client.register("ann", PASSWORD)
            realm.accounts.tokens.clear()
            lists = await asyncio.gather(*(client.characters() for _ in range(5)))
            assert lists == [[]] * 5
            assert realm.accounts.refreshed == 1

    async def test_a_token_about_to_expire_is_not_used(self, realm: MockRealm) -> None:
        realm.accounts.expires_in = 1
        async with client_of(realm) as client:
            await client.register("ann", PASSWORD)
            await client.characters()
            assert realm.accounts.refreshed == 1

    async def test_nobody_listens(self, realm: MockRealm) -> None:
        await realm.stop_listening()
        async with client_of(realm) as client:
            with pytest.raises(errors.NotConnected):
                await client.register("ann", PASSWORD)


class TestCalls:
    async def test_every_call(self, realm: MockRealm, player: RealmClient) -> None:
        assert realm.upgrades[0]["extensions"] is None
        assert player.session_id == realm.only().session_id
        assert [zone.population for zone in await player.zones()] == [1]
        assert await player.ping() < DEADLINE_S
        assert await player.subscribe(["b", "a"]) == ["a", "b"]
        assert await player.unsubscribe(["b"]) == ["a"]
        assert await player.presence.update("busy") == OwnPresence("busy")
        assert await player.presence.subscribe(["usr_bob"]) == [Presence("usr_bob", "offline", None, None)]
        assert await player.presence.unsubscribe(["usr_bob"]) == 0
        assert await player.chat.join("trade") == ["trade"]
        assert await player.chat.say("trade", "hello") == "msg_1"
        assert await player.chat.leave("trade") == []
        snapshot = await player.state_sync()
        assert (snapshot.tick, snapshot.own.properties, snapshot.others) == (7, {"hp": 5}, ())
        assert await player.state_change("ent_2", 1, {"hp": None}) == 2
        assert await player.game_message("dig", {"deep": True}) == GameAnswer({"heard": {"deep": True}}, 7)
        assert await player.game_message("shoot", [1], tick=5) == GameAnswer({"heard": [1]}, 5)
        await player.notify("system.ping", {"echo": 5})
        assert await player.request("system.ping", {"echo": [1, None, "x"]}) == {
            "echo": [1, None, "x"],
            "server_time": 1.0,
        }
        assert ("system.ping", {"echo": 5}) in realm.calls
        assert ("state.sync.delta", {"entity_id": "ent_2", "version": 1, "properties": {"hp": None}}) in realm.calls
        await player.leave()
        assert player.world is None
        with pytest.raises(errors.NotConnected):
            await player.move(1, 0, 1)

    async def test_errors_have_their_class(self, realm: MockRealm, player: RealmClient) -> None:
        realm.failures["world.zones"] = [(-32006, {"retryAfter": 2, "reason": "away"})]
        with pytest.raises(errors.Unavailable) as away:
            await player.zones()
        assert (away.value.retry_after_s, away.value.reason) == (2.0, "away")
        with pytest.raises(errors.MethodNotFound) as unknown:
            await player.request("no.such")
        assert unknown.value.data == {"method": "no.such"}

    async def test_a_call_has_a_deadline_and_gives_its_place_back(self, realm: MockRealm, player: RealmClient) -> None:
        """The mock grants four requests at a time: ten that are never answered must not block what follows."""
        realm.silent.add("system.ping")
        calls = [player.request("system.ping", timeout_s=0.05) for _ in range(10)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [errors.DeadlineExceeded] * 10
        assert sum(method == "system.ping" for method, _ in realm.calls) == 4
        assert await player.zones()

    async def test_moves_are_numbered_above_what_was_judged(self, realm: MockRealm, player: RealmClient) -> None:
        assert [await player.move(100.5, 0.0, 101.25, 0.5), await player.move(100.75, 0.0, 101.5)] == [1, 2]
        await until(lambda: len(realm.moves) == 2)
        assert realm.moves == [(1, 100.5, 0.0, 101.25), (2, 100.75, 0.0, 101.5)]
        assert player.position == Position(100.75, 0.0, 101.5)


class TestReconnecting:
    async def test_a_cut_socket_resumes_its_session(self, realm: MockRealm, player: RealmClient) -> None:
        session, losses = player.session_id, list[Loss]()
        player.on_loss(losses.append)
        await player.subscribe(["a"])
        await player.move(110.0, 0.0, 120.0)
        await until(lambda: bool(realm.moves))
        calls = len(realm.calls)
        await again(player, realm.cut)
        assert [loss.code for loss in losses] == [1006]
        assert realm.upgrades[-1]["session"] is None  # the recovery token says it
        assert realm.upgrades[-1]["token"] is None
        assert session == player.session_id
        assert player.position == Position(110.0, 0.0, 120.0)
        assert await player.move(111.0, 0.0, 120.0) == 2
        await until(lambda: len(realm.calls) > calls)
        assert realm.calls[calls:] == [("session.ack", {"seq": 0})]  # a resumed session has everything

    async def test_a_session_that_is_gone_is_set_up_again(self, realm: MockRealm, player: RealmClient) -> None:
        await player.subscribe(["a"])
        await player.chat.join("trade")
        await player.presence.subscribe(["usr_bob"])
        await player.presence.update("away")
        assert player.session_ready is not None
        old = realm.sessions.pop(player.session_ready.session_id)
        realm.failures["world.enter"] = [(-32006, {"retryAfter": 0, "reason": "zone_away"})]
        await again(player, realm.cut)
        await until(lambda: realm.only().status == "away")
        new = realm.only()
        assert new.session_id == player.session_id != old.session_id
        assert new.character_id == old.character_id
        assert (new.topics, new.channels, new.watched) == ({"a"}, {"trade"}, {"usr_bob"})

    async def test_session_lost_means_no_session_is_asked_for(self, realm: MockRealm, player: RealmClient) -> None:
        await again(player, lambda: realm.close_all(4000))
        assert realm.upgrades[-1]["session"] is None

    async def test_requests_wait_for_the_next_connection(self, realm: MockRealm, player: RealmClient) -> None:
        port = await realm.stop_listening()
        realm.cut()
        await until(lambda: not player.connected)
        waiting = asyncio.create_task(player.zones())
        with pytest.raises(errors.NotConnected):
            await player.move(1, 0, 1)
        await realm.listen(port)
        assert await waiting

    async def test_a_request_under_way_says_that_the_connection_was_lost(
        self, realm: MockRealm, player: RealmClient
    ) -> None:
        realm.silent.add("system.ping")
        waiting = asyncio.create_task(player.ping())
        await until(lambda: bool(realm.calls) and realm.calls[-1][0] == "system.ping")
        await realm.close_all(1012)
        with pytest.raises(errors.ConnectionLost) as lost:
            await waiting
        assert lost.value.code == 1012

    async def test_an_expired_token_is_renewed_on_the_way(self, realm: MockRealm, player: RealmClient) -> None:
        realm.accounts.tokens.clear()
        await again(player, lambda: realm.close_all(4501))
        assert realm.accounts.refreshed == 1
        assert realm.upgrades[-1]["recovery"] is None

    async def test_a_refused_upgrade_waits_as_told(self, realm: MockRealm, player: RealmClient) -> None:
        losses: list[Loss] = []
        player.on_loss(losses.append)
        realm.refusals = [Refusal(503, "draining", "0.125"), Refusal(429, "too_many_sessions", "0.125")]
        await again(player, realm.cut)
        waits = [(loss.code, loss.reason) for loss in losses]
        assert waits == [(1006, ""), (503, "draining"), (429, "too_many_sessions")]
        assert all(loss.retry_in_s is not None and loss.retry_in_s >= 0.125 for loss in losses[1:])

    @pytest.mark.parametrize("code", [4500, 4502, 4503, 1000])
    async def test_some_ends_are_final(self, realm: MockRealm, code: int) -> None:
        async with client_of(realm) as client:
            await enter(client)
            losses: list[Loss] = []
            client.on_loss(losses.append)
            await realm.close_all(code, "because")
            await until(lambda: bool(losses))
            assert losses == [Loss(code, "because", None)]
            with pytest.raises(errors.ConnectionEnded) as ended:
                await client.zones()
            assert (ended.value.code, ended.value.reason) == (code, "because")
            await client.connect()  # only when it is told to
            assert client.connected

    async def test_a_refusal_for_good(self, realm: MockRealm) -> None:
        async with client_of(realm) as client:
            await client.register("ann", PASSWORD)
            realm.refusals = [Refusal(403, "banned")]
            with pytest.raises(errors.Refused) as refused:
                await client.connect()
            assert (refused.value.code, refused.value.reason) == (403, "banned")
            assert len(realm.upgrades) == 1

    async def test_no_login_is_left(self, realm: MockRealm) -> None:
        async with client_of(realm) as client:
            await client.register("ann", PASSWORD)
            realm.accounts.tokens.clear()
            realm.accounts.refresh_is_good = False
            with pytest.raises(errors.Refused) as refused:
                await client.connect()
            assert (refused.value.code, refused.value.reason) == (401, "token_invalid")

    async def test_an_idle_client_comes_back_when_there_is_something_to_do(self, realm: MockRealm) -> None:
        async with client_of(realm) as client:
            await enter(client)
            await realm.close_all(4003)
            await until(lambda: not client.connected)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await until(lambda: client.connected)
            assert await client.zones()

    async def test_reconnecting_can_be_turned_off(self, realm: MockRealm) -> None:
        async with client_of(realm, reconnect=False) as client:
            await enter(client)
            realm.cut()
            await until(lambda: not client.connected)
            with pytest.raises(errors.ConnectionEnded):
                await client.zones()

    async def test_it_gives_up_in_the_end(self, realm: MockRealm) -> None:
        async with client_of(realm, give_up_s=0.1) as client:
            await enter(client)
            losses: list[Loss] = []
            client.on_loss(losses.append)
            await realm.stop_listening()
            realm.cut()
            await until(lambda: bool(losses) and losses[-1].retry_in_s is None)
            assert len(losses) > 2

    async def test_nonsense_from_the_server_is_survived(self, realm: MockRealm, player: RealmClient) -> None:
        async def talk_nonsense() -> None:
            socket = realm.only().socket
            assert socket is not None
            await socket.send(b"\xff\xff\xff")

        await again(player, talk_nonsense)
        assert await player.zones()

    async def test_closing_while_it_tries_to_connect(self, realm: MockRealm) -> None:
        async with client_of(realm, backoff=Backoff(60.0, 60.0)) as client:
            await enter(client)
            await realm.stop_listening()
            realm.cut()
            await until(lambda: not client.connected)
        with pytest.raises(errors.ConnectionEnded, match="closed by the client"):
            await client.connect()

"""What clients ask of a zone and must not, over real sockets: the clear error, nothing changed, and the session goes on."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf import struct_pb2

from rayrealm_client.codec import Failure, Framing
from realm_proto import realtime_pb2 as pb
from tests.games.ledger import GOLD
from tests.integration.guests import Guest, as_it_was, guests, nothing_changes, walled_realm
from tests.integration.rude import NO_NUMBERS, fields
from tests.integration.zone_bad_input import DELTAS, GAME_MESSAGES, REFUSED_BY_THE_GAME, delta, nested
from tests.local_realm import LocalRealm, local_realm
from tests.players import Witnesses

pytestmark = pytest.mark.asyncio(loop_scope="module")
both_framings = pytest.mark.parametrize("framing", ["json", "proto"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[tuple[LocalRealm, Witnesses]]:
    """In place of conftest's: a realm with walls and a game."""
    namespace = f"test-{secrets.token_hex(6)}"
    async with walled_realm(valkey_url, nats_url, nats_token, namespace) as both:
        yield both


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(watched_realm: LocalRealm) -> AsyncIterator[Guest]:
    guest = await Guest.come(watched_realm)
    yield guest
    await guest.leave()


@both_framings
class TestDeltas:
    @pytest.mark.parametrize("name", DELTAS)
    async def test_what_is_wrong_is_named(
        self, watched_realm: LocalRealm, watcher: Guest, framing: Framing, name: str
    ) -> None:
        wrong, named = DELTAS[name]
        async with guests(watched_realm, framing) as guest, nothing_changes(guest, watcher) as before:
            refused = await guest.ask("state.sync.delta", **delta(guest, before["version"], **wrong))
            assert fields(refused) == named

    @pytest.mark.parametrize("off", [-2, -1, 1, 1_000])
    async def test_another_version_is_told_the_present_state(
        self, watched_realm: LocalRealm, watcher: Guest, framing: Framing, off: int
    ) -> None:
        async with guests(watched_realm, framing) as guest, nothing_changes(guest, watcher) as before:
            refused = await guest.ask("state.sync.delta", **delta(guest, before["version"] + off))
            assert isinstance(refused, Failure)
            assert (refused.code, refused.data) == (-32005, {"reason": "stale_version", "current": before})
            assert before["properties"] == {"gold": GOLD, "hat": "green"}

    async def test_anothers_entity(self, watched_realm: LocalRealm, watcher: Guest, framing: Framing) -> None:
        """Also when all else is wrong with it, it is not told what the other has."""
        async with guests(watched_realm, framing) as guest, nothing_changes(guest, watcher):
            theirs = await watcher.me()
            for version in (theirs["version"], theirs["version"] + 1):
                for properties in ({"hat": "red"}, {"gold": 0}):
                    said = delta(watcher, version, properties=properties)
                    assert fields(await guest.ask("state.sync.delta", **said)) == {"params"}
            assert await watcher.me() == theirs

    async def test_null_for_what_is_not_there(
        self, watched_realm: LocalRealm, watcher: Guest, framing: Framing
    ) -> None:
        """A change like any other, which takes nothing away."""
        async with guests(watched_realm, framing) as guest:
            before = await guest.me()
            version = before["version"]
            done = await guest.ask("state.sync.delta", **delta(guest, version, properties={"scarf": None}))
            assert done == {"version": version + 1}
            assert await guest.me() == before | {"version": version + 1}
            await watcher.until(lambda: watcher.sees(guest) is not None and watcher.sees(guest).version == version + 1)
            assert watcher.sees(guest).properties == before["properties"]

    async def test_limits_hold_for_all_that_there_is(
        self, watched_realm: LocalRealm, watcher: Guest, framing: Framing
    ) -> None:
        """And what is just within them is taken."""
        async with guests(watched_realm, framing) as guest:

            async def change(**properties: Any) -> Any:
                version = (await guest.me())["version"]
                return await guest.ask("state.sync.delta", **delta(guest, version, properties=properties))

            assert "version" in await change(hat=None, **{f"p{n}": n for n in range(63)})  # with the gold 64
            async with as_it_was(guest):
                assert fields(await change(one_more=1)) == {"properties"}
            assert "version" in await change(**{f"p{n}": None for n in range(63)})
            assert "version" in await change(large="x" * 4_000)
            async with as_it_was(guest):
                assert fields(await change(more="x" * 200)) == {"properties"}
            assert "version" in await change(large=None, deep=nested(8), **{"n" * 64: 2**53})
            assert (await guest.me())["properties"] == {"gold": GOLD, "deep": nested(8), "n" * 64: 2**53}


@both_framings
class TestGameMessages:
    @pytest.mark.parametrize("name", GAME_MESSAGES)
    async def test_what_is_wrong_is_named(
        self, watched_realm: LocalRealm, watcher: Guest, framing: Framing, name: str
    ) -> None:
        params, named = GAME_MESSAGES[name]
        async with guests(watched_realm, framing) as guest, nothing_changes(guest, watcher):
            assert fields(await guest.ask("game.message", **params)) == named
            await self.plays_on(guest)

    @pytest.mark.parametrize("name", REFUSED_BY_THE_GAME)
    async def test_what_the_game_refuses(
        self, watched_realm: LocalRealm, watcher: Guest, framing: Framing, name: str
    ) -> None:
        params, reason = REFUSED_BY_THE_GAME[name]
        async with guests(watched_realm, framing) as guest, nothing_changes(guest, watcher):
            refused = await guest.ask("game.message", **params)
            assert isinstance(refused, Failure)
            assert (refused.code, refused.data) == (-32003, {"state": "in_world", "reason": reason})
            await self.plays_on(guest)

    async def test_what_is_just_within_the_limits(self, watched_realm: LocalRealm, framing: Framing) -> None:
        async with guests(watched_realm, framing) as guest:
            for data in ("x" * 4_094, nested(8), None, {"": [True, 0.5, 2**53]}):
                assert (await guest.ask("game.message", type="say", data=data))["result"] == data
            left = [(await guest.ask("game.message", type="spend", data={"gold": 2}))["result"] for _ in range(2)]
            assert left == [{"gold": 3}, {"gold": 1}]
            refused = await guest.ask("game.message", type="spend", data={"gold": 2})
            assert isinstance(refused, Failure)
            assert (await guest.me())["properties"]["gold"] == 1

    async def plays_on(self, guest: Guest) -> None:
        assert (await guest.ask("game.message", type="say", data="still here"))["result"] == "still here"


class TestNumbersThatAreNone:
    """JSON has no such numbers; a Struct and a Value have."""

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    async def test_as_text(self, watched_realm: LocalRealm, watcher: Guest, number: str) -> None:
        async with guests(watched_realm, "json") as guest, nothing_changes(guest, watcher) as before:
            me = f'"entity_id":"{guest.world["entity_id"]}","version":{before["version"]}'
            for method, params in (
                ("state.sync.delta", f'{{{me},"properties":{{"hat":{number}}}}}'),
                ("game.message", f'{{"type":"spend","data":{{"gold":{number}}}}}'),
            ):
                refused = await guest.say_json(method, params)
                assert isinstance(refused, Failure)
                assert (refused.id, refused.code) == (None, -32700)

    @pytest.mark.parametrize("number", NO_NUMBERS)
    async def test_as_a_struct(self, watched_realm: LocalRealm, watcher: Guest, number: float) -> None:
        async with guests(watched_realm, "proto") as guest, nothing_changes(guest, watcher) as before:
            for properties in ({"hat": number}, {"hat": [{"size": number}]}):
                said = delta(guest, before["version"], properties=properties)
                assert fields(await guest.ask_struct("state.sync.delta", said)) == {"value"}
            for said in ({"type": "spend", "data": {"gold": number}}, {"type": "say", "tick": number}):
                assert fields(await guest.ask_struct("game.message", said)) == {"value"}

    @pytest.mark.parametrize("number", NO_NUMBERS)
    async def test_as_a_value(self, watched_realm: LocalRealm, watcher: Guest, number: float) -> None:
        async with guests(watched_realm, "proto") as guest, nothing_changes(guest, watcher) as before:
            said = pb.StateSync(entity_id=guest.world["entity_id"], version=before["version"])
            said.properties["hat"].Pack(struct_pb2.Value(number_value=number))
            assert fields(await guest.ask_typed("state.sync.delta", said)) == {"value"}

    @pytest.mark.parametrize("number", [2**53 + 1, -(2**60), 2**63])
    async def test_integers_that_not_everybody_can_count_to(
        self, watched_realm: LocalRealm, watcher: Guest, number: int
    ) -> None:
        async with guests(watched_realm, "json") as guest, nothing_changes(guest, watcher) as before:
            refused = await guest.ask("state.sync.delta", **delta(guest, before["version"], properties={"hat": number}))
            assert fields(refused) == {"properties.hat"}
            assert fields(await guest.ask("game.message", type="say", data=number)) == {"data"}


@both_framings
async def test_out_of_the_world_nothing_can_be_asked_of_it(watched_realm: LocalRealm, framing: Framing) -> None:
    guest = await Guest.come(watched_realm, framing)
    entity = await guest.me()
    for entered in (True, False):
        if entered:
            await guest.ask("world.leave")
        for method, params in (
            ("state.sync.request", {}),
            ("state.sync.delta", delta(guest, entity["version"])),
            ("game.message", {"type": "say"}),
        ):
            refused = await guest.ask(method, **params)
            assert isinstance(refused, Failure)
            assert (refused.code, refused.data) == (-32003, {"state": "authenticated", "reason": "wrong_state"})
    await guest.leave()


@both_framings
async def test_a_world_without_a_game(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, framing: Framing, nothing_of_ours_fails: None
) -> None:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as realm:
        guest = await Guest.come(realm, framing)
        before = await guest.me()
        for params in ({"type": "say"}, {"type": "say", "data": {"a": [1]}, "tick": 5}):
            refused = await guest.ask("game.message", **params)
            assert isinstance(refused, Failure)
            assert (refused.code, refused.data) == (-32003, {"state": "in_world", "reason": "no_game"})
        assert fields(await guest.ask("game.message", type="say", data=nested(9))) == {"data"}
        assert await guest.me() == before
        assert await guest.ask("state.sync.delta", **delta(guest, 1, properties={"gold": 7})) == {"version": 2}
        await guest.leave()

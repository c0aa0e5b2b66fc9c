"""What clients ask of a zone and must not, over real sockets: the clear error, nothing changed, and the session goes on."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
import structlog
from google.protobuf import struct_pb2

from cluster.adapters.redis.zones import RedisZoneStore
from rayrealm_client.codec import Failure, Framing
from realm_proto import realtime_pb2 as pb
from tests.games.ledger import GOLD
from tests.integration.conftest import GRACE_S
from tests.integration.rude import NO_NUMBERS, Rude, fields
from tests.integration.strangers import a_user
from tests.integration.zone_bad_input import (
    DELTAS,
    GAME_MESSAGES,
    IN_JSON,
    REFUSED_BY_THE_GAME,
    STEPS,
    WORLD,
    Step,
    delta,
    nested,
)
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player, Witnesses, witnesses

pytestmark = pytest.mark.asyncio(loop_scope="module")
both_framings = pytest.mark.parametrize("framing", ["json", "proto"])
ROUNDING_M = 0.006

log = structlog.get_logger(__name__)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[tuple[LocalRealm, Witnesses]]:
    """In place of conftest's: a realm with walls and a game."""
    namespace = f"test-{secrets.token_hex(6)}"
    session = {"grace_s": GRACE_S}
    async with (
        local_realm(valkey_url, nats_url, nats_token, namespace, session=session, world=WORLD) as realm,
        witnesses(realm) as both,
    ):
        yield realm, both


class Guest(Rude):
    """A new user's character. `me()`: what the zone knows of it."""

    @classmethod
    async def come(cls, realm: LocalRealm, framing: Framing = "proto", at: tuple[float, float] = (100, 101)) -> Guest:
        user = a_user()
        guest = await cls.join(realm, user, framing)
        await guest.enter(await realm.character(user, at=at))
        return guest

    async def me(self) -> dict[str, Any]:
        snapshot = await self.ask("state.sync.request")
        me: dict[str, Any] = snapshot["entities"][0]
        return me

    def sees(self, other: Player) -> Any:
        """The other as it is seen, None if it is not."""
        entity_id = other.world["entity_id"]
        return next((entity for entity in self.entities.values() if entity.entity_id == entity_id), None)


@asynccontextmanager
async def nothing_changes(guest: Guest, watcher: Guest) -> AsyncIterator[dict[str, Any]]:
    """What is done inside changes nothing of the guest; afterwards it may still change itself, and the watcher is told."""
    await watcher.until(lambda: watcher.sees(guest) is not None)
    before = await guest.me()
    yield before
    assert await guest.me() == before
    known = watcher.sees(guest)
    assert (known.version, known.properties) == (before["version"], before["properties"])
    hat = secrets.token_hex(4)
    done = await guest.ask("state.sync.delta", **delta(guest, before["version"], properties={"hat": hat}))
    assert done == {"version": before["version"] + 1}
    await watcher.until(lambda: watcher.sees(guest).properties == before["properties"] | {"hat": hat})
    assert guest.code is None


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(watched_realm: LocalRealm) -> AsyncIterator[Guest]:
    guest = await Guest.come(watched_realm)
    yield guest
    await guest.leave()


@asynccontextmanager
async def guests(realm: LocalRealm, framing: Framing) -> AsyncIterator[Guest]:
    """One that has changed itself twice already."""
    guest = await Guest.come(realm, framing)
    for change in ({"hat": "green", "level": 3}, {"level": None}):
        await guest.ask("state.sync.delta", **delta(guest, (await guest.me())["version"], properties=change))
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

    async def test_numbers_that_are_none(self, watched_realm: LocalRealm, watcher: Guest, framing: Framing) -> None:
        """JSON has no such numbers; a Struct and a Value have."""
        async with guests(watched_realm, framing) as guest, nothing_changes(guest, watcher) as before:
            entity_id, version = guest.world["entity_id"], before["version"]
            for number in ("NaN", "Infinity", "-Infinity", "1e999"):
                said = f'{{"entity_id":"{entity_id}","version":{version},"properties":{{"hat":{number}}}}}'
                refused = await guest.say_json("state.sync.delta", said)
                assert isinstance(refused, Failure)
                assert (refused.id, refused.code) == (None, -32700)
            for number in NO_NUMBERS:
                for properties in ({"hat": number}, {"hat": [{"size": number}]}):
                    struct = delta(guest, version, properties=properties)
                    assert fields(await guest.say_struct("state.sync.delta", struct)) == {"value"}
                typed = pb.StateSync(entity_id=entity_id, version=version)
                typed.properties["hat"].Pack(struct_pb2.Value(number_value=number))
                message = pb.WebSocketMessage(jsonrpc="2.0", id_number=9_000)
                message.request.method = "state.sync.delta"
                message.request.params.Pack(typed)
                assert fields(await guest.say(message.SerializeToString(), 9_000)) == {"value"}

    async def test_numbers_that_not_everybody_can_count_to(
        self, watched_realm: LocalRealm, watcher: Guest, framing: Framing
    ) -> None:
        async with guests(watched_realm, framing) as guest, nothing_changes(guest, watcher) as before:
            for number in (2**53 + 1, -(2**60), 2**63):
                said = f'{{"entity_id":"{guest.world["entity_id"]}","version":{before["version"]},"properties":{{"hat":{number}}}}}'
                assert fields(await guest.say_json("state.sync.delta", said)) == {"properties.hat"}

    async def test_null_for_what_is_not_there(self, watched_realm: LocalRealm, watcher: Guest, framing: Framing) -> None:
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
            async with nothing_changes_but_p0(guest):
                assert fields(await change(one_more=1)) == {"properties"}
            assert "version" in await change(**{f"p{n}": None for n in range(63)})
            assert "version" in await change(large="x" * 4_000)
            async with nothing_changes_but_p0(guest):
                assert fields(await change(**{"more": "x" * 200})) == {"properties"}
            assert "version" in await change(large=None, deep=nested(8), **{"n" * 64: 2**53})
            assert (await guest.me())["properties"] == {"gold": GOLD, "deep": nested(8), "n" * 64: 2**53}


@asynccontextmanager
async def nothing_changes_but_p0(guest: Guest) -> AsyncIterator[None]:
    before = await guest.me()
    yield
    assert await guest.me() == before


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

    async def test_numbers_that_are_none(self, watched_realm: LocalRealm, watcher: Guest, framing: Framing) -> None:
        async with guests(watched_realm, framing) as guest, nothing_changes(guest, watcher):
            for number in ("NaN", "-Infinity", "1e999"):
                refused = await guest.say_json("game.message", f'{{"type":"say","data":[{number}]}}')
                assert isinstance(refused, Failure)
                assert refused.code == -32700
            for number in NO_NUMBERS:
                for wrong in ({"data": {"gold": number}}, {"tick": number}):
                    assert fields(await guest.say_struct("game.message", {"type": "spend"} | wrong)) == {"value"}
            assert fields(await guest.say_json("game.message", f'{{"type":"say","data":{2**60}}}')) == {"data"}
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

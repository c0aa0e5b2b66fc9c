"""Who gets which property (row 3.4): the owner, those who are near, or all; and nobody's wire carries another's secrets."""

from __future__ import annotations

import asyncio
import secrets
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from rayrealm_client.codec import Failure, Framing
from rayrealm_client.view import State, View
from realm_proto import realtime_pb2 as pb
from tests.games.whispers import MERCHANT, MERCHANT_X, MERCHANT_Z, PLAN
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

NEAR, HYSTERESIS = 10.0, 5.0
WORLD = {
    "zones": [
        {"id": "zon_meadow", "name": "Meadow", "bounds": {"min_x": 0, "min_z": 0, "max_x": 200, "max_z": 200}},
        {"id": "zon_harbour", "name": "Harbour", "bounds": {"min_x": 200, "min_z": 0, "max_x": 400, "max_z": 200}},
    ],
    "spawn_zone": "zon_meadow",
    "game": "tests.games.whispers:Whispers",
    "interest": {"radius": 50.0, "hysteresis": HYSTERESIS, "near_radius": NEAR},
    "types": {"player": {"visibility": {"diary": "owner", "mood": "near", "hat": "all"}}},
    "policy": {"enabled": False},
}
STRIDE_M, STRIDE_S = 2.0, 0.26  # a little less than players may
Z = 100.0
both_framings = pytest.mark.parametrize("framing", ["json", "proto"])


class Tapped(ClientConnection):
    """Keeps every message as it came."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.tape: list[bytes] = []
        super().__init__(*args, **kwargs)

    async def recv(self, decode: bool | None = None) -> Any:
        data = await super().recv(decode)
        self.tape.append(data.encode() if isinstance(data, str) else bytes(data))
        return data


class Looker(Player):
    """`heard(text)`: whether the text was ever on its wire. `told`: the states in its views, as they came."""

    def __init__(self, *args: Any) -> None:
        self.told: list[State] = []
        super().__init__(*args)
        self.x = 0.0

    @classmethod
    async def come(
        cls, realm: LocalRealm, user: str, x: float, framing: Framing = "proto", z: float = Z, **properties: Any
    ) -> Looker:
        looker = await cls.join(realm, user, framing, create_connection=Tapped)
        await looker.enter(await realm.character(user, at=(x, z)))
        looker.x = x
        await looker.until(lambda: looker.scene.own is not None)
        if properties:
            await looker.change(**properties)
        return looker

    async def back(self, realm: LocalRealm, user: str) -> Looker:
        """On another socket, the same session."""
        return await Looker.join(realm, user, self.framing, self.session_id, create_connection=Tapped)

    def _take(self, item: Any) -> None:
        super()._take(item)
        if isinstance(item, View):
            self.told += item.states

    def heard(self, text: str) -> bool:
        assert isinstance(self.ws, Tapped)
        return any(text.encode() in plain(frame) for frame in self.ws.tape)

    async def change(self, **properties: Any) -> int:
        """Of itself. Returns the new version."""
        assert self.scene.own is not None
        done = await self.ask(
            "state.sync.delta",
            entity_id=self.world["entity_id"],
            version=self.scene.own.version,
            properties=properties,
        )
        version: int = done["version"]
        await self.until(lambda: self.scene.own is not None and self.scene.own.version == version)
        return version

    def sees(self, other: Player | str) -> Any:
        """The other, or the entity of that id, as it is seen; None if it is not."""
        entity_id = other if isinstance(other, str) else other.world["entity_id"]
        return next((entity for entity in self.entities.values() if entity.entity_id == entity_id), None)

    async def knows(self, other: Player | str, version: int, **properties: Any) -> None:
        """These are the properties that it gets of the other at that version: in views, and if it asks."""
        await self.until(lambda: self.sees(other) is not None and self.sees(other).version == version)
        await self.until(lambda: bool(self.sees(other).properties == properties))
        entity = self.sees(other)
        snapshot = await self.ask("state.sync.request")
        [told] = [each for each in snapshot["entities"] if each["entity_id"] == entity.entity_id]
        assert (told["version"], told["properties"]) == (version, properties)

    async def knows_itself(self, version: int, **properties: Any) -> None:
        own = self.scene.own
        assert own is not None
        assert (own.version, own.properties) == (version, properties)
        me = (await self.ask("state.sync.request"))["entities"][0]
        assert (me["version"], me["properties"]) == (version, properties)

    async def walk(self, to: float) -> None:
        """Along x, as fast as players may."""
        while self.x != to:
            self.x = min(self.x + STRIDE_M, to) if to > self.x else max(self.x - STRIDE_M, to)
            sequence = await self.move(self.x, Z)
            await asyncio.sleep(STRIDE_S)
        await self.until(lambda: self.ack == sequence)
        assert self.corrections == []


def plain(frame: bytes) -> bytes:
    """The frame, and what is compressed in it."""
    if frame.startswith((b"{", b"[")):
        return frame
    message = pb.WebSocketMessage.FromString(frame)
    return frame + (zlib.decompress(message.batch.payload) if message.batch.compressed else b"")


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, world=WORLD) as made:
        yield made


@pytest.fixture
def secret() -> str:
    """All that nobody but the owner may know has it in it."""
    return f"secret-{secrets.token_hex(8)}"


@both_framings
async def test_from_far_to_near_and_back(realm: LocalRealm, framing: Framing, secret: str) -> None:
    ann = await Looker.come(realm, "usr_ann", 100.0, framing, diary=f"{secret} 1", mood="calm", hat="red")
    bob = await Looker.come(realm, "usr_bob", 128.0, framing)

    await bob.knows(ann, 2, hat="red")
    bob.told.clear()
    await ann.change(mood="angry", diary=f"{secret} 2")
    await bob.knows(ann, 3, hat="red")
    [told] = bob.told
    assert (told.change, told.version, told.properties) == (True, 3, {}), "the version is everybody's"
    await ann.change(hat="blue", mood="sad")
    await bob.knows(ann, 4, hat="blue")

    await bob.walk(100.0 + NEAR + 1.0)
    await bob.knows(ann, 4, hat="blue")
    bob.told.clear()
    await bob.walk(100.0 + NEAR - 1.0)
    await bob.knows(ann, 4, hat="blue", mood="sad")
    [told] = bob.told
    assert not told.change, "all of it, as somebody else is told"
    await ann.change(mood="glad", diary=f"{secret} 3")
    await bob.knows(ann, 5, hat="blue", mood="glad")

    await bob.walk(100.0 + NEAR + HYSTERESIS - 1.0)
    await ann.change(mood="calm")
    await bob.knows(ann, 6, hat="blue", mood="calm")
    bob.told.clear()
    await bob.walk(100.0 + NEAR + HYSTERESIS + 1.0)
    await bob.knows(ann, 6, hat="blue")
    [told] = bob.told
    assert (told.change, told.properties) == (False, {"hat": "blue"})
    await ann.change(mood=None, hat=None)
    await bob.knows(ann, 7)
    await ann.change(mood="late")
    await bob.knows(ann, 8)
    await bob.walk(100.0)
    await bob.knows(ann, 8, mood="late")

    await ann.knows_itself(8, diary=f"{secret} 3", mood="late")
    for text in (secret, "diary"):
        assert ann.heard(text)
        assert not bob.heard(text)
    for player in (ann, bob):
        await player.leave()


@both_framings
async def test_whatever_happens_secrets_are_the_owners(realm: LocalRealm, framing: Framing, secret: str) -> None:
    """Near, far and beyond a border; while the owner crosses it, loses its socket and comes back; and who asks impudently."""
    ann = await Looker.come(realm, "usr_ann", 196.0, framing, diary=f"{secret} 1", mood="calm", hat="red")
    watchers = {
        "near": await Looker.come(realm, "usr_near", 190.0, framing),
        "far": await Looker.come(realm, "usr_far", 170.0, framing),
        "near beyond": await Looker.come(realm, "usr_near_beyond", 204.0, framing),
        "far beyond": await Looker.come(realm, "usr_far_beyond", 226.0, framing),
    }

    async def all_know(version: int, **public: Any) -> None:
        for name, watcher in watchers.items():
            seen = public if name.startswith("near") else {n: value for n, value in public.items() if n != "mood"}
            await watcher.knows(ann, version, **seen)

    await all_know(2, mood="calm", hat="red")
    for n in range(3):
        version = await ann.change(diary=f"{secret} {n}", mood=f"mood {n}", hat=f"hat {n}")
        await all_know(version, mood=f"mood {n}", hat=f"hat {n}")
    for watcher in watchers.values():
        for known in (version, version - 1):
            refused = await watcher.ask(
                "state.sync.delta", entity_id=ann.world["entity_id"], version=known, properties={"diary": "mine"}
            )
            assert isinstance(refused, Failure)
            assert refused.code == -32602

    await ann.walk(199.0)
    await ann.walk(203.0)
    await ann.until(lambda: ann.scene.zone == "zon_harbour" and ann.scene.own is not None)
    await watchers["near"].walk(196.0)
    version = await ann.change(diary=f"{secret} beyond", mood="lost")
    await all_know(version, mood="lost", hat="hat 2")

    await ann.ws.close()
    for watcher in watchers.values():
        await watcher.until(lambda watcher=watcher: watcher.sees(ann).link_dead)  # type: ignore[misc]
    again = await ann.back(realm, "usr_ann")
    for watcher in watchers.values():
        await watcher.until(lambda watcher=watcher: not watcher.sees(ann).link_dead)  # type: ignore[misc]
    await all_know(version, mood="lost", hat="hat 2")
    near = watchers["near"]
    await near.ws.close()
    tapes = [near]
    watchers["near"] = await near.back(realm, "usr_near")
    await all_know(version, mood="lost", hat="hat 2")

    await again.until(lambda: again.scene.own is not None)
    await again.knows_itself(version, diary=f"{secret} beyond", mood="lost", hat="hat 2")
    for text in (secret, "diary"):
        assert ann.heard(text)
        assert again.heard(text)
        assert not any(watcher.heard(text) for watcher in (*watchers.values(), *tapes))
    assert not any(watchers[name].heard("mood") for name in ("far", "far beyond"))
    for player in (again, *watchers.values()):
        await player.leave()


@both_framings
async def test_what_a_game_says_of_its_own_types(realm: LocalRealm, framing: Framing) -> None:
    """What only the owner may see of somebody who is no player, nobody sees."""
    near = await Looker.come(realm, "usr_near", MERCHANT_X + NEAR - 1.0, framing, z=MERCHANT_Z)
    far = await Looker.come(realm, "usr_far", MERCHANT_X + NEAR + 1.0, framing, z=MERCHANT_Z)
    await near.knows(MERCHANT, 1, price=3, sign="open")
    await far.knows(MERCHANT, 1, sign="open")
    assert near.heard("price")
    assert not far.heard("price")
    for text in (PLAN, "plan"):
        assert not near.heard(text)
        assert not far.heard(text)
    for player in (near, far):
        await player.leave()

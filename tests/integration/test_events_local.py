"""What a realm tells other services (row 4.3): the publishers, over real Valkey and NATS. No Ray."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg

from tests.integration.backstage import MEADOW, ZONE, Backstage
from tests.integration.zone_bad_input import delta
from tests.local_realm import local_realm
from tests.players import Player

DEADLINE_S = 10.0
MAX_PAYLOAD = 1024 * 1024


@dataclass
class Service:
    """Another program at the same NATS: it hears each event as it is published, and looks into the streams."""

    backstage: Backstage
    prefix: str
    client: Any
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def hear(self, message: Msg) -> None:
        assert len(message.data) < MAX_PAYLOAD
        self.heard.append((message.subject.removeprefix(f"{self.prefix}."), json.loads(message.data)))

    def about(self, subject: str) -> list[dict[str, Any]]:
        return [body for about, body in self.heard if about == subject]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)

    async def kept(self, stream: str) -> list[dict[str, Any]]:
        """All that is in a stream, oldest first."""
        jetstream = self.client.jetstream()
        name = f"{self.prefix.upper()}_{stream}"
        state = (await jetstream.stream_info(name)).state
        numbers = range(state.first_seq, state.last_seq + 1)
        return [json.loads((await jetstream.get_msg(name, number)).data) for number in numbers]


@pytest.fixture
async def service(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Service]:
    prefix = f"t{secrets.token_hex(6)}"
    client = await nats.connect(nats_url, token=nats_token)
    # Streams reserve what they may take: many of them share the tests' server.
    events = {"prefix": prefix, "position_every_s": 0.2, "max_bytes": 1024 * 1024}
    async with local_realm(valkey_url, nats_url, nats_token, namespace, events=events) as realm:
        made = Service(Backstage(realm), prefix, client)
        await client.subscribe(f"{prefix}.>", cb=made.hear)
        await client.flush()
        yield made
    for stream in ("PRESENCE", "STATE_SYNC", "POSITION"):
        await client.jetstream().delete_stream(f"{prefix.upper()}_{stream}")
    await client.close()


async def change(player: Player, version: int, **properties: Any) -> int:
    done = await player.ask("state.sync.delta", **delta(player, version, properties=properties))
    assert isinstance(done, dict), done
    return int(done["version"])


async def test_presence(service: Service) -> None:
    ann = await service.backstage.enter("usr_a", 100.0, "Ann")
    subject = "presence.user.usr_a"

    def newest() -> dict[str, Any]:
        return max(service.about(subject), key=lambda body: body["version"], default={})

    await service.until(lambda: newest().get("zone") == MEADOW)
    assert newest()["status"] == "online"
    assert newest()["name"] == "Ann"
    await ann.ask("presence.update", status="busy")
    await service.until(lambda: newest()["status"] == "busy")
    told = service.about(subject)
    kept = [body for body in await service.kept("PRESENCE") if body["user_id"] == "usr_a"]
    assert kept == told
    assert len({body["version"] for body in told}) == len(told)
    await ann.leave()


async def test_an_acknowledged_change_of_an_entity(service: Service) -> None:
    ann = await service.backstage.enter("usr_a", 100.0)
    version = await change(ann, 1, hat="green", level=3)
    await change(ann, version, level=None)
    subject = f"state.zone.{MEADOW}"
    await service.until(lambda: len(service.about(subject)) == 2)
    told = service.about(subject)
    assert [(body["version"], body["properties"]) for body in told] == [
        (version, {"hat": "green", "level": 3}),
        (version + 1, {"level": None}),
    ]
    assert {body["entity_id"] for body in told} == {ann.world["entity_id"]}
    assert await service.kept("STATE_SYNC") == told
    await ann.leave()


async def test_places(service: Service) -> None:
    ann = await service.backstage.enter("usr_a", 100.0)
    await ann.move(100.5, 100.25)
    subject = f"position.zone.{MEADOW}"

    def there() -> bool:
        places = [entity for body in service.about(subject)[-1:] for entity in body["entities"]]
        return [(entity["entity_id"], entity["x"], entity["z"]) for entity in places] == [
            (ann.world["entity_id"], 100.5, 100.25)
        ]

    await service.until(there)
    last = service.about(subject)[-1]
    assert last in await service.kept("POSITION")
    await ann.leave()


async def test_a_zone_that_was_killed_tells_nothing_twice_and_goes_on(service: Service) -> None:
    ann = await service.backstage.enter("usr_a", 100.0)
    version = await change(ann, 1, hat="green")
    subject = f"state.zone.{MEADOW}"
    await service.until(lambda: len(service.about(subject)) == 1)
    await service.backstage.restart(ZONE)
    await service.until(lambda: len(service.about(subject)) == 2)  # said again, for those whom it did not reach
    assert [body["version"] for body in await service.kept("STATE_SYNC")] == [version]  # and kept once
    before = service.backstage.owner().zone.epoch
    assert await change(ann, version, hat="red") == version + 1
    await service.until(lambda: len(service.about(subject)) == 3)
    assert service.about(subject)[-1]["epoch"] == before
    assert [body["properties"] for body in await service.kept("STATE_SYNC")] == [{"hat": "green"}, {"hat": "red"}]
    await ann.leave()


async def test_what_was_committed_and_not_told_is_told_by_the_next_incarnation(service: Service) -> None:
    ann = await service.backstage.enter("usr_a", 100.0)
    service.backstage.owner().writer.on_committed = lambda _: None  # kill -9 just then
    version = await change(ann, 1, hat="green")
    await service.backstage.restart(ZONE)
    subject = f"state.zone.{MEADOW}"
    await service.until(lambda: bool(service.about(subject)))
    assert [(body["version"], body["properties"]) for body in await service.kept("STATE_SYNC")] == [
        (version, {"hat": "green"})
    ]
    await ann.leave()


async def test_events_are_off_when_the_settings_say_so(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    prefix = f"t{secrets.token_hex(6)}"
    client = await nats.connect(nats_url, token=nats_token)
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    await client.subscribe(f"{prefix}.>", cb=hear)
    await client.flush()
    events = {"enabled": False, "prefix": prefix, "position_every_s": 0.05}
    async with local_realm(valkey_url, nats_url, nats_token, namespace, events=events) as realm:
        ann = await Backstage(realm).enter("usr_a", 100.0)
        await change(ann, 1, hat="green")
        await ann.leave()
    with pytest.raises(nats.js.errors.NotFoundError):
        await client.jetstream().stream_info(f"{prefix.upper()}_PRESENCE")
    assert heard == []
    await client.close()

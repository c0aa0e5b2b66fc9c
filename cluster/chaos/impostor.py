"""A second incarnation of a zone, as a partition of the network would make one: the first runs on, and nobody can ask it to stop.

`python -m cluster.chaos.impostor` (settings from the environment) prints that it is loaded, and waits for a line on its input: the
name of the actor that owns a zone. It is that actor once more. It takes the zone over by a newer epoch, prints that, and is the
zone until a newer one fences it (exit code 3) or its input ends (0).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from typing import Any

from prometheus_client import CollectorRegistry

from cluster import settings
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.adapters.runtime import FENCED_EXIT_CODE, Runtime, until_available
from cluster.beating import Beating
from cluster.errors import Unavailable
from cluster.parts import load
from cluster.process_control import ProcessControl
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.subjects import Subjects

ZONE_RUNNER = "actors.zone.zone_actor:ZoneRunner"
FENCED = FENCED_EXIT_CODE


class NoCalls:
    """Implements `cluster.ports.calls.Calls`: nobody can be reached from where it runs."""

    async def call(self, actor: str, method: str, *args: Any, deadline_s: float, idempotent: bool = False) -> Any:
        raise Unavailable(actor)


async def open_alone(realm: Realm, kind: str, name: str, registry: CollectorRegistry) -> Runtime:
    """As `open_runtime`, but without Ray, and without a word to `rayrealm status` and /metrics."""
    client = connect(realm.settings.redis, f"impostor-{name.replace('/', '-')}")
    bus = await until_available(lambda: NatsBus.connect(realm.settings.nats, f"impostor-{name}"))
    namespace = realm.settings.namespace
    epochs = RedisEpochStore(client, namespace)
    silent = Beating(kind, name, "", realm.settings.telemetry.beat_s, lambda data: None)
    deaf = ProcessControl(name, chaos=False, beat=silent.now)
    return Runtime(realm, kind, name, Subjects(namespace), client, bus, NoCalls(), epochs, registry, silent, deaf)


async def run() -> None:
    runner_class: Any = load(ZONE_RUNNER)
    realm = Realm(settings.load(), KeyRing.create(time.time()), secrets.token_bytes(32))
    _say({"loaded": ZONE_RUNNER})
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    if not (actor := (await commands.readline()).decode().strip()):
        return
    runner = runner_class(realm, actor, open_alone)
    await runner.promote()
    _say(await runner.info())
    while await commands.readline():
        pass


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run())

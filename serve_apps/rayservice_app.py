"""The realm as KubeRay's RayService brings it up: `serveConfigV2` of deploy/kuberay names these functions.

There is no launcher: Ray starts what is described, on whichever node. So settings come from each container's environment, and keys
and secrets from the folder `data`, the same in all of them, where nothing is made: two nodes would make two.
"""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Any

from ray import serve
from ray.serve import Application

from cluster.adapters.redis import data_version
from cluster.adapters.redis.connection import connect
from cluster.datafolder import DataFolder
from cluster.edge.local import SECRET
from cluster.errors import StartRefused
from cluster.parts import Parts, load
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.settings import load as load_settings
from cluster.telemetry.logs import configure

RECOVERY = "recovery-secret"


@cache
def realm() -> Realm:
    """Of this process. Raises StartRefused when something is missing that a launcher would have made."""
    settings = load_settings()
    data = DataFolder(settings.data.resolve(), -1)
    missing = [name for name in (data.keys.name, RECOVERY, SECRET) if not (data.root / name).is_file()]
    servers = {"RAYREALM_REDIS__URL": settings.redis.url, "RAYREALM_NATS__URL": settings.nats.url}
    missing += [name for name, url in servers.items() if not url.get_secret_value()]
    if missing:
        raise StartRefused(
            f"a realm in containers needs {', '.join(missing)}: docs/how-to/deploy.md says how to make them"
        )
    keys = KeyRing.load_or_create(data.keys, time.time())
    return Realm(settings, keys, data.secret(RECOVERY).encode(), data.secret(SECRET))


def application(name: str) -> Application:
    """One that the launcher would have built: its name in `Parts`."""
    build, _ = Parts.of(realm().settings).applications[name]
    built: Application = load(build)(realm())
    return built


def web(_: dict[str, Any]) -> Application:
    """Accounts, the play page, metrics."""
    return application("web")


def gateway(_: dict[str, Any]) -> Application:
    """The players' sockets."""
    return application("gateway")


def console(_: dict[str, Any]) -> Application:
    """The operators' page and API; `console.enabled` must be on."""
    return application("console")


@serve.deployment(name="World", num_replicas=1, ray_actor_options={"num_cpus": 0}, graceful_shutdown_timeout_s=1.0)
class World:
    """Starts what Serve does not: the supervisor, which starts zones and session actors, and outlives this replica."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Serve awaits it
        made = realm()
        configure(made.settings.log_level)
        client = connect(made.settings.redis, "world")
        try:
            await data_version.check(client, made.settings.namespace)
        finally:
            await client.aclose()
        await asyncio.to_thread(load(Parts().world), made)

    async def __call__(self) -> str:
        return "started"


def world(_: dict[str, Any]) -> Application:
    """The zones and whatever else there is one of."""
    deployment: Any = World
    built: Application = deployment.bind()
    return built

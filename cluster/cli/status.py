"""`rayrealm status`: what runs where."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Annotated

import typer
from pydantic import SecretStr

from cluster import running
from cluster.adapters.redis.connection import connect, guard, texts
from cluster.cli.down import Url
from cluster.processes_here import Process, merged, outside, tree
from cluster.running import RunningRealm
from cluster.settings import RedisSettings

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def status(url: Url = None, as_json: AsJson = False) -> None:
    """The realm's processes: kind, name, pid, node, and if they are alive."""
    realm = running.find(running.folder(), url)
    processes = processes_of(realm)
    if as_json:
        document = {
            "url": realm.url,
            "pid": realm.pid,
            "started_at": realm.started_at,
            "data": realm.data,
            "namespace": realm.namespace,
            "processes": [process.as_dict() for process in processes],
        }
        print(json.dumps(document))
        return
    print(f"{realm.url}  data {realm.data}")
    for process in processes:
        end = "" if process.alive is not False else "  (ended)"
        print(f"{process.kind:<12} {process.name:<40} pid {process.pid:<8} {process.node}{end}")


def processes_of(realm: RunningRealm) -> list[Process]:
    """Raises Unavailable when its Redis does not answer."""
    registered = asyncio.run(_registered(realm))
    node, family = socket.gethostname(), tree(realm.pid)
    return merged(registered, [*family, *outside(registered, family, node)], node, realm.pid)


async def _registered(realm: RunningRealm) -> dict[str, str]:
    """Name to JSON, as the processes wrote it."""
    client = connect(RedisSettings(url=SecretStr(realm.details()["redis_url"])), "rayrealm-status")
    try:
        async with guard():
            return texts(await client.hgetall(f"{realm.namespace}:processes"))
    finally:
        await client.aclose()

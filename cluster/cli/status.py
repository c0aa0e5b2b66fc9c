"""`rayrealm status`: what runs where."""

from __future__ import annotations

import asyncio
import json
import os
import socket

from pydantic import SecretStr

from cluster import running
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.processes import registered
from cluster.cli.desk import AsJson as AsJson
from cluster.cli.desk import run_look
from cluster.cli.down import Url
from cluster.cli.processes import describe
from cluster.cli.remote import TOKEN
from cluster.processes_here import Process, merged, outside, tree
from cluster.running import RunningRealm
from cluster.settings import RedisSettings


def status(url: Url = None, as_json: AsJson = False) -> None:
    """The realm's processes: kind, name, pid, node, and if they are alive. Over HTTP: those that say how they are."""
    if os.environ.get(TOKEN):
        run_look("processes.list", {}, url, as_json, describe)
        return
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
    found = asyncio.run(_registered(realm))
    node, family = socket.gethostname(), tree(realm.pid)
    return merged(found, [*family, *outside(found, family, node)], node, realm.pid)


async def _registered(realm: RunningRealm) -> dict[str, str]:
    """Name to JSON, as the processes wrote it."""
    client = connect(RedisSettings(url=SecretStr(realm.details()["redis_url"])), "rayrealm-status")
    try:
        return await registered(client, realm.namespace)
    finally:
        await client.aclose()

"""`rayrealm publish`: tell everybody who listens to a server topic (row 1.5)."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Annotated, Any

import typer

from cluster import running
from cluster.cli.ban import bus
from cluster.cli.down import Url
from cluster.cli.zones import questions
from cluster.errors import InvalidInput
from cluster.running import RunningRealm
from cluster.server_topics import message
from cluster.subjects import Subjects

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="As clients name it in system.subscribe.")]
Data = Annotated[str, typer.Argument(metavar="JSON", help="What they get as data: any JSON, at most 8 KiB.")]


def publish(topic: Topic, data: Data, url: Url = None) -> None:
    """Publish to a server topic. Every session that listens gets it once, those of lost sockets when they are back."""
    try:
        value = json.loads(data)
        message(topic, value)
    except (ValueError, RecursionError):
        raise typer.BadParameter('JSON must be JSON, as \'{"text": "hello"}\' or \'"hello"\'') from None
    except InvalidInput as error:
        raise typer.BadParameter(str(error)) from None
    asyncio.run(_publish(running.find(running.folder(), url), topic, value))
    print(f"published to {topic}")


async def _publish(realm: RunningRealm, topic: str, data: Any) -> None:
    async with bus(realm) as carrier:
        question = questions(carrier, Subjects(realm.namespace).world_control(), time.monotonic)
        # The key makes it one message however often it must be asked.
        await question("publish", {"topic": topic, "data": data, "key": f"operator/{secrets.token_hex(8)}"})

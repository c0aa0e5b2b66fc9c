"""`rayrealm publish`: tell everybody who listens to a server topic (row 1.5)."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cluster.cli.ban import carry_out
from cluster.cli.desk import AsJson, DryRun
from cluster.cli.down import Url
from cluster.errors import InvalidInput
from cluster.server_topics import message

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="As clients name it in system.subscribe.")]
Data = Annotated[str, typer.Argument(metavar="JSON", help="What they get as data: any JSON, at most 8 KiB.")]


def publish(topic: Topic, data: Data, dry_run: DryRun = False, url: Url = None, as_json: AsJson = False) -> None:
    """Publish to a server topic. Every session that listens gets it once, those of lost sockets when they are back."""
    try:
        value = json.loads(data)
        message(topic, value)
    except (ValueError, RecursionError):
        raise typer.BadParameter('JSON must be JSON, as \'{"text": "hello"}\' or \'"hello"\'') from None
    except InvalidInput as error:
        raise typer.BadParameter(str(error)) from None
    given = {"topic": topic, "data": value}
    carry_out("topic.publish", given, url, lambda _: [f"published to {topic}"], as_json, dry_run, quiet=True)

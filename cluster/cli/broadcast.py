"""`rayrealm broadcast`: tell all players something, or those in a zone (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cluster.cli.ban import carry_out
from cluster.cli.desk import AsJson, DryRun
from cluster.cli.down import Url
from cluster.cli.message import Text, checked

Zone = Annotated[str | None, typer.Option(help="Only the players in this zone.")]


def broadcast(text: Text, zone: Zone = None, dry_run: DryRun = False, url: Url = None, as_json: AsJson = False) -> None:
    """Show a text to all players, reliably: those who have lost their connection see it when they are back."""
    carry_out("realm.broadcast", {"text": checked(text), "zone": zone}, url, told, as_json, dry_run, quiet=True)


def told(result: dict[str, Any]) -> Iterable[str]:
    yield f"told {result['told']} player{'' if result['told'] == 1 else 's'}"
    for actor in result["silent"]:
        yield f"{actor} does not answer: its players may have been told, or not"

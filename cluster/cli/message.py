"""`rayrealm message`: tell one player something, and know that their client was told."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cluster import running
from cluster.cli.ban import bus, stores
from cluster.cli.down import Url
from cluster.running import RunningRealm
from cluster.session_route import SessionRoute
from cluster.subjects import Subjects

METHOD = "system.message"
LONGEST = 1_000

Session = Annotated[str, typer.Argument(metavar="SESSION", help="A session's id (ses_...).")]
Text = Annotated[str, typer.Argument(metavar="TEXT", help=f"At most {LONGEST} characters.")]


def message(session: Session, text: Text, url: Url = None) -> None:
    """Show a text to one player. Fails if the player has no connection, or nobody confirms that it was written to it."""
    if not text.strip() or len(text) > LONGEST or not all(c.isprintable() or c == "\n" for c in text):
        raise typer.BadParameter(f"TEXT must have 1 to {LONGEST} characters, printable or line breaks")
    asyncio.run(_message(running.find(running.folder(), url), session, text))
    print(f"told {session}")


async def _message(realm: RunningRealm, session: str, text: str) -> None:
    async with stores(realm) as here, bus(realm) as carrier:
        route = SessionRoute(here.sessions, carrier, Subjects(realm.namespace))
        await route.deliver(session, METHOD, {"text": text, "from": "operator"})

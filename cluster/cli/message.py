"""`rayrealm message`: tell one player something, and know that their client was told."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.ban import carry_out, user_of
from cluster.cli.desk import AsJson, DryRun
from cluster.cli.down import Url
from cluster.errors import Ours
from cluster.operations.people import LONGEST_TEXT, check_text

Session = Annotated[str, typer.Argument(metavar="SESSION", help="A session's id (ses_...), or a user with --user.")]
Text = Annotated[str, typer.Argument(metavar="TEXT", help=f"At most {LONGEST_TEXT} characters.")]
ToUser = Annotated[bool, typer.Option("--user", help="SESSION is a user: all their sessions are told, reliably.")]


def message(
    session: Session,
    text: Text,
    user: ToUser = False,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show a text to one player. Fails if the player has no connection, or nobody confirms that it was written to it."""
    checked(text)
    whom = {"user": user_of(session)} if user else {"session": session_of(session)}
    carry_out(
        "session.message", {**whom, "text": text}, url, lambda _: [f"told {session}"], as_json, dry_run, quiet=True
    )


def checked(text: str) -> str:
    """Raises BadParameter."""
    try:
        return check_text(text)
    except ValueError as error:
        raise typer.BadParameter(f"TEXT {error}") from None


def session_of(session: str) -> str:
    """Raises Ours for what is no text: it may come from a terminal."""
    try:
        session.encode()
    except UnicodeEncodeError:
        raise Ours(f"no such session: {session!a}") from None
    return session

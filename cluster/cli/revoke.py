"""`rayrealm revoke`: tokens that count no more, on every gateway and in the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.ban import carry_out, user_of
from cluster.cli.desk import AsJson, DryRun
from cluster.cli.down import Url
from cluster.operations.tokens import MOST_DAYS

User = Annotated[str | None, typer.Option(metavar="USER", help="All tokens of a user: a name, or an id (usr_...).")]
Token = Annotated[str | None, typer.Option(metavar="JTI", help="One access token, by its `jti`.")]
Everybody = Annotated[bool, typer.Option("--all", help="All tokens of all users: everybody has to log in again.")]
Days = Annotated[
    float,
    typer.Option(
        min=0.01, max=MOST_DAYS, help="For how long it is remembered: at least as long as such tokens can last."
    ),
]


def revoke(
    user: User = None,
    token: Token = None,
    everybody: Everybody = False,
    days: Days = 31.0,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """End tokens that were given out until now. Open sockets that came by them are closed with 4501, within seconds."""
    if (user is not None) + (token is not None) + everybody != 1:
        raise typer.BadParameter("say which: --user, --token, or --all")
    if token is not None and not (0 < len(token) <= 256 and token.isprintable()):
        raise typer.BadParameter("--token is a token's jti, not the token itself")
    whom = {"user": user_of(user) if user is not None else None, "token": token, "everybody": everybody}
    carry_out("token.revoke", {**whom, "days": days}, url, lambda _: (), as_json, dry_run)

"""`rayrealm sessions`, `rayrealm users`: who is there, what a player sees, and what the realm keeps on somebody (row 7.8)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cluster.cli.audit import line, moment
from cluster.cli.ban import carry_out, user_of
from cluster.cli.desk import AsJson, DryRun, run_look
from cluster.cli.down import Url
from cluster.cli.message import session_of

SESSION = typer.Argument(metavar="SESSION", help="A session's id (ses_...).")
Session = Annotated[str, SESSION]
User = Annotated[str, typer.Argument(metavar="USER", help="A user's name, or their id (usr_...).")]
Q = Annotated[str, typer.Argument(metavar="[TEXT]", help="Part of a name, an id or an address.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many.")]
Offset = Annotated[int, typer.Option(min=0, help="How many are left out before.")]

app = typer.Typer(help="Sessions of players.", no_args_is_help=True)
users = typer.Typer(help="Users.", no_args_is_help=True)


@app.command("list")
def search(
    q: Q = "",
    zone: Annotated[str, typer.Option(help="Only of this zone.")] = "",
    gateway: Annotated[str, typer.Option(help="Only of this gateway.")] = "",
    state: Annotated[str, typer.Option(help="Only in this state; attached or detached, too.")] = "",
    sort: Annotated[str, typer.Option(help="By which column.")] = "connected_at",
    descending: Annotated[bool, typer.Option("--descending/--ascending", help="Which comes first.")] = True,
    limit: Limit = 50,
    offset: Offset = 0,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Find sessions, the newest first."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        for row in result["sessions"]:
            who = row["username"] or row["user"]
            where = row["zone"] or "-"
            yield printable(
                f"{row['session']:<28} {who:<24} {row['character'] or '-':<20} {where:<20} {row['state']:<14} "
                f"{row['gateway'] or 'no socket':<18} {row['address']}"
            )
        yield f"{len(result['sessions'])} of {result['total']}"
        for actor in result["silent"]:
            yield f"{actor} does not answer: its sessions are missing"

    given = {"q": user_of(q), "zone": zone, "gateway": gateway, "state": state, "sort": sort, "descending": descending}
    run_look("sessions.search", {**given, "limit": limit, "offset": offset}, url, as_json, text)


@app.command("show")
def show(session: Session, url: Url = None, as_json: AsJson = False) -> None:
    """One session, and what was done about it."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        row = dict(result["session"])
        entries = row.pop("audit")
        for name, value in row.items():
            yield printable(f"{name:<18} {value if isinstance(value, str) else json.dumps(value)}")
        for entry in reversed(entries):
            yield line(entry)

    run_look("sessions.show", {"session": session_of(session)}, url, as_json, text, wrong=())


@app.command("view")
def view(session: Session, url: Url = None, as_json: AsJson = False) -> None:
    """What a player sees at this moment. The audit log says who looked."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        place = result["place"]
        where = f"in {result['zone']} at x {place['x']:.2f} z {place['z']:.2f}" if place else "not in the world"
        yield printable(f"{result['character'] or result['user']} is {where}")
        for each in result["entities"]:
            yield printable(
                f"{each['number']:>6} {each['type']:<12} {each['name']:<24} x {each['x']:9.2f} z {each['z']:9.2f}"
            )
        yield printable(f"friends online: {', '.join(f['user_id'] for f in result['friends_online']) or 'none'}")
        yield printable(f"channels: {', '.join(result['channels']) or 'none'}")

    run_look("sessions.view", {"session": session_of(session)}, url, as_json, text, wrong=())


@app.command("export")
def export(
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="A session's id (ses_...).")] = None,
    user: Annotated[str | None, typer.Option(help="A user's name or id instead.")] = None,
    url: Url = None,
) -> None:
    """Everything the realm keeps on a user, without secrets, as JSON. The audit log says who took it."""
    if (session is None) == (user is None):
        raise typer.BadParameter("either SESSION or --user is needed")
    given = {"user": user_of(user)} if user is not None else {"session": session_of(str(session))}
    run_look("sessions.export", given, url, True, lambda _: (), wrong=())


@app.command("kick")
def kick(
    session: Session,
    reason: Annotated[str, typer.Option(help="The player is told.")] = "kicked",
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Close a session's socket with 4503. The player may come back: see `rayrealm ban`."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        yield f"{session} {'is closed' if result['closed'] else 'had no socket'}"

    given = {"session": session_of(session), "reason": reason}
    carry_out("session.kick", given, url, text, as_json, dry_run, quiet=True)


@users.command("show")
def show_user(user: User, url: Url = None, as_json: AsJson = False) -> None:
    """A user's account, characters, ban and sessions."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        yield printable(f"{result['username'] or '-'} ({result['user']})")
        if result["account"]:
            yield f"since {moment(result['account']['created_at'])}"
        if result["ban"]:
            until = result["ban"]["until_at"]
            yield printable(f"banned until {moment(until) if until else 'it is lifted'}: {result['ban']['reason']}")
        for character in result["characters"]:
            yield printable(
                f"character {character['name']} ({character['character_id']}) in {character['zone'] or '-'}"
            )
        for row in result["sessions"]:
            yield printable(f"session {row['session']} {row['state']} at {row['gateway'] or 'no gateway'}")
        for entry in reversed(result["audit"]):
            yield line(entry)

    run_look("users.show", {"user": user_of(user)}, url, as_json, text, wrong=())


@users.command("online")
def online(q: Q = "", limit: Limit = 50, offset: Offset = 0, url: Url = None, as_json: AsJson = False) -> None:
    """Users who are online, invisible ones too."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        for row in result["users"]:
            who = row["username"] or row["user"]
            yield printable(f"{who:<24} {row['status']:<10} {row['character'] or '-':<20} {row['zone'] or '-'}")
        yield f"{len(result['users'])} of {result['total']}"

    run_look("presence.list", {"q": user_of(q), "limit": limit, "offset": offset}, url, as_json, text)


def printable(text: str) -> str:
    """Names are players' own: a terminal is not to obey them."""
    return "".join(c if c.isprintable() else "?" for c in text.rstrip())

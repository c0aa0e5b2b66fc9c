"""`rayrealm ban`, `rayrealm unban`: keep a user or a network out of the realm, and close their sockets; let them in again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cluster.cli.desk import AsJson, DryRun, Text, run_action, run_look, talk
from cluster.cli.down import Url
from cluster.errors import Ours, Theirs

LEAST_HOURS, MOST_HOURS = 0.01, 24.0 * 366 * 100
LONGEST_REASON = 200
PAGE = 500

UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)([smhd])")

User = Annotated[str | None, typer.Argument(metavar="[USER]", help="A user's name, or their id (usr_...).")]
Hours = Annotated[float | None, typer.Option(metavar="H", help="For how long; until it is lifted if not given.")]
For = Annotated[str | None, typer.Option("--for", metavar="TIME", help="The same, like 90s, 15m, 1h or 7d.")]
Reason = Annotated[str, typer.Option(metavar="R", help="For the operators: the user is not told.")]
Lift = Annotated[bool, typer.Option("--lift", help="End the ban.")]
Network = Annotated[
    str | None,
    typer.Option(metavar="CIDR", help="An address or a network, like 203.0.113.0/24; of IPv6 the /64 of an address."),
]
Listed = Annotated[bool, typer.Option("--list", help="Show the networks that are banned; with --json users, too.")]


def ban(
    user: User = None,
    network: Network = None,
    hours: Hours = None,
    for_: For = None,
    reason: Reason = "",
    lift: Lift = False,
    list_: Listed = False,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Keep a user or a network out, and close their sockets with 4503; or let them in again."""
    if list_ + (user is not None) + (network is not None) != 1:
        raise typer.BadParameter("one of USER, --network and --list is needed")
    if (lift or list_) and (hours is not None or for_ is not None or reason):
        raise typer.BadParameter("--lift and --list go with neither --hours nor --for nor --reason")
    if hours is not None and for_ is not None:
        raise typer.BadParameter("--hours and --for say the same")
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise typer.BadParameter(f"--reason must have at most {LONGEST_REASON} characters, all printable")
    hours = hours_of(for_) if for_ is not None else hours
    if hours is not None and not LEAST_HOURS <= hours <= MOST_HOURS:  # not a number, too
        raise typer.BadParameter(f"a ban lasts from {LEAST_HOURS:g} to {MOST_HOURS:g} hours")
    for_s = None if hours is None else hours * 3_600
    if list_:
        kind = "" if as_json else "network"
        run_look("bans.list", {"kind": kind, "limit": PAGE}, url, as_json, _listed, wrong=())
    elif user is not None:
        named = {"user": user_of(user)}
        if lift:
            carry_out("user.unban", named, url, _unbanned, as_json, dry_run)
        else:
            carry_out("user.ban", {**named, "for_s": for_s, "reason": reason}, url, _closed, as_json, dry_run)
    elif lift:
        carry_out("network.unban", {"network": network}, url, _unbanned_network, as_json, dry_run)
    else:
        given = {"network": network, "for_s": for_s, "reason": reason}
        carry_out("network.ban", given, url, lambda _: (), as_json, dry_run)


def unban(
    user: User = None,
    network: Network = None,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let a user or a network in again: the same as `ban --lift`."""
    ban(user, network, lift=True, dry_run=dry_run, url=url, as_json=as_json)


def hours_of(text: str) -> float:
    """ "15m" is 0.25. Raises BadParameter."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise typer.BadParameter("--for is a number with its unit: 90s, 15m, 1h or 7d")
    return float(found[1]) * UNITS[found[2]] / 3_600.0


def user_of(user: str) -> str:
    """Raises Ours for what is no text: it may come from a terminal."""
    try:
        user.encode()
    except UnicodeEncodeError:
        raise Ours(f"no such user: {user!a}") from None
    return user


def carry_out(
    name: str,
    params: Mapping[str, Any],
    url: str | None,
    text: Text,
    as_json: bool = False,
    dry_run: bool = False,
    wrong: tuple[type[Theirs], ...] = (),
    quiet: bool = False,
) -> None:
    """An action, of which each thing that is done is a line, unless `quiet`. What is refused is exit code 1, what is `wrong` 2."""
    if dry_run:
        run_action(name, params, url, as_json=as_json, dry_run=True, wrong=wrong)
        return

    def say(step: str, done: float) -> None:
        if done > 0.0 and not as_json and not quiet:  # at first it says what will be done
            print(step, flush=True)

    result = talk(url, lambda shell: shell.act(name, params, say, None), wrong)
    run_text(result, as_json, text)


def run_text(result: dict[str, Any], as_json: bool, text: Text) -> None:
    for line in [json.dumps(result)] if as_json else text(result):
        print(line, flush=True)


def _named(result: dict[str, Any]) -> str:
    return f"{result['username']} ({result['user']})" if result["username"] else str(result["user"])


def _closed(result: dict[str, Any]) -> Iterable[str]:
    yield f"closed {result['sockets']} socket{'' if result['sockets'] == 1 else 's'}"


def _unbanned(result: dict[str, Any]) -> Iterable[str]:
    yield f"{_named(result)} {'may come back' if result['lifted'] else 'was not banned'}"


def _unbanned_network(result: dict[str, Any]) -> Iterable[str]:
    if not result["lifted"]:  # else the step has said it
        yield f"{result['network']} was not banned"


def _listed(result: dict[str, Any]) -> Iterable[str]:
    """One ban a line: the network, until when (UTC), by whom, why."""
    for held in result["bans"]:
        until = (
            "until lifted"
            if held["until_at"] is None
            else f"{datetime.fromtimestamp(held['until_at'], UTC):%Y-%m-%d %H:%M:%SZ}"
        )
        yield f"{held['subject']:<43} {until:<21} {held['by']}  {held['reason']}".rstrip()

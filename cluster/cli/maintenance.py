"""`rayrealm maintenance`, `rayrealm overview`: close the realm to players and open it again; how it is (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cluster.cli.audit import moment
from cluster.cli.ban import carry_out, hours_of
from cluster.cli.broadcast import told
from cluster.cli.desk import AsJson, DryRun, run_look
from cluster.cli.down import Url

app = typer.Typer(help="Close the realm to players, and open it again.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Players are told.")]
CloseAfter = Annotated[
    str | None, typer.Option("--close-after", metavar="TIME", help="Close players' sockets after this time, like 5m.")
]
Allow = Annotated[list[str], typer.Option("--allow", metavar="USER", help="Comes in all the same; may be repeated.")]
For = Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long it is likely to take, like 2h.")]


@app.command("on")
def on(
    reason: Reason = "",
    close_after: CloseAfter = None,
    allow: Allow = [],  # noqa: B006 - typer reads it, nobody changes it
    for_: For = None,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let nobody in but operators, moderators and those who are allowed. Ctrl-C before sockets are closed opens it again."""
    given = {
        "on": True,
        "reason": reason,
        "close_after_s": seconds(close_after),
        "allow": allow,
        "for_s": seconds(for_),
    }

    def text(result: dict[str, Any]) -> Iterable[str]:
        yield "the realm is closed to players"
        yield from told(result)
        if result["left"] is not None:
            yield f"{result['left']} of their sockets are open"

    carry_out("realm.maintenance", given, url, text, as_json, dry_run)


@app.command("off")
def off(dry_run: DryRun = False, url: Url = None, as_json: AsJson = False) -> None:
    """Let everybody in again."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        yield "the realm is open"
        yield from told(result)

    carry_out("realm.maintenance", {"on": False}, url, text, as_json, dry_run, quiet=True)


def seconds(text: str | None) -> float | None:
    """ "5m" is 300. Raises BadParameter."""
    return None if text is None else hours_of(text) * 3_600.0


def overview(url: Url = None, as_json: AsJson = False) -> None:
    """How the realm is, and what is wrong with it."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        zones = "?" if result["zones"] is None else result["zones"]
        yield f"{result['realm']}  {', '.join(result['versions'])}"
        yield f"{result['players']} players, {result['sessions']} sessions, {result['sockets']} sockets"
        yield f"{zones} zones, {result['gateways']} gateways, {result['processes']} processes"
        yield f"{result['messages_per_s']:.0f} messages a second, ticks {result['tick_ms_p95_worst']:.1f} ms"
        held = result["maintenance"]
        if held["on"]:
            yield f"closed for maintenance since {moment(held['since'])} by {held['by']}: {held['reason']}"
        for problem in result["problems"]:
            yield f"{problem['severity']}: {problem['text']}"

    run_look("realm.overview", {}, url, as_json, text)

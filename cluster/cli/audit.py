"""`rayrealm audit` and `rayrealm abuse`: who did what to whom, and what the watch on abuse has done; and to undo it (row 6.3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cluster.cli.ban import carry_out, run_text, user_of
from cluster.cli.desk import AsJson, DryRun, Shell, run_look, talk
from cluster.cli.down import Url
from cluster.operations.audit import PAGE

MOST = 100_000

Count = Annotated[int, typer.Option(min=1, max=MOST, help="How many, the newest.")]
Whom = Annotated[str, typer.Argument(metavar="USER|ADDRESS", help="A user's name or id, or an address.")]
Actor = Annotated[str, typer.Option(help="Only what was done by this one, like operator:ada.")]
Done = Annotated[str, typer.Option("--action", help="Only this action, or those that begin so, like user.")]
Target = Annotated[str, typer.Option(help="Only what was done to this one.")]

app = typer.Typer(help="What the watch on abuse has done.", no_args_is_help=True)


def audit(
    count: Count = 20,
    actor: Actor = "",
    action: Done = "",
    target: Target = "",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """The newest entries of the audit log, the newest last."""
    wanted = {"actor": actor, "action": action, "target": target}

    async def newest(shell: Shell) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        place = ""
        while len(found) < count:
            asked = {**wanted, "before": place, "limit": min(PAGE, count - len(found))}
            page = await shell.look("audit.list", asked)
            found += page["entries"]
            place = page["next"]
            if not place:
                break
        return {"entries": found[::-1]}

    run_text(talk(url, newest, ()), as_json, lambda result: map(line, result["entries"]))


@app.command("list")
def list_measures(url: Url = None, as_json: AsJson = False) -> None:
    """Who is slowed, blocked or banned by the watch now."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        for held in result["measures"]:
            yield (
                f"{held['level']:<6} {held['kind']:<8} {held['subject']:<43} until {moment(held['until'])}  "
                f"{held['reason']} ({held['value']:g} of {held['threshold']:g})"
            )

    run_look("abuse.list", {}, url, as_json, text, wrong=())


@app.command("show")
def show(whom: Whom, url: Url = None, as_json: AsJson = False) -> None:
    """What the watch knows of a user or an address: counts of the last minute."""

    def text(known: dict[str, Any]) -> Iterable[str]:
        yield f"level {known['level']}"
        for name, value in known["last_minute"].items():
            yield f"{name:<24} {value:g}"

    run_look("abuse.show", {"subject": user_of(whom)}, url, as_json, text, wrong=())


@app.command("lift")
def lift(whom: Whom, dry_run: DryRun = False, url: Url = None, as_json: AsJson = False) -> None:
    """End what the watch has done about a user or an address, and forget what it holds against them. Others' bans stay."""

    def text(result: dict[str, Any]) -> Iterable[str]:
        yield f"{result['subject']}: {', '.join(result['done']) or 'there was nothing'}"

    carry_out("abuse.lift", {"subject": user_of(whom)}, url, text, as_json, dry_run, quiet=True)


def line(entry: dict[str, Any]) -> str:
    """One entry for people."""
    details = " ".join(f"{name}={value}" for name, value in entry["details"].items())
    said = (
        f"{moment(entry['at'])}  {entry['actor']}  {entry['action']} {entry['target']}  {entry['reason']}  "
        f"{entry['result']}  {details}"
    )
    return "".join(c if c.isprintable() else "?" for c in said.rstrip())


def moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"

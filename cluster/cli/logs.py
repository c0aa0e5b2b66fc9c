"""`rayrealm logs`: what the processes of a realm write, wherever they run, and how much (row 7.8)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cluster.cli.desk import AsJson, DryRun, Shell, run_action, talk
from cluster.cli.down import Url
from cluster.errors import StartRefused

POLL_S = 1.0
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0}
TIME = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")

app = typer.Typer(help="What the processes write into their logs.", invoke_without_command=True)

LevelName = Annotated[str, typer.Option("--level", help="This level and those above: debug, info, warning, error.")]
Kind = Annotated[str, typer.Option(help="Only processes of this kind: zone, gateway, sessions, ...")]
Process = Annotated[str, typer.Option(help="Only this process, as `rayrealm status` names it.")]
Query = Annotated[str, typer.Option("-q", "--query", help="Only lines with this in them.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on, until Ctrl-C.")]
Count = Annotated[int, typer.Option("-n", "--lines", min=1, max=500, help="So many lines.")]
Only = Annotated[list[str] | None, typer.Option("--process", help="Only this process; may be given more than once.")]
For = Annotated[str, typer.Option("--for", help="Then as before: 30s, 10m, 1h. Otherwise until it is set again.")]


@app.callback()
def tail(
    context: typer.Context,
    follow: Follow = False,
    level: LevelName = "",
    kind: Kind = "",
    process: Process = "",
    q: Query = "",
    lines: Count = 100,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """The newest lines of every process, oldest first."""
    if context.invoked_subcommand is not None:
        return
    asked = {"q": q, "level": level or None, "kind": kind, "process": process, "limit": lines}

    async def show(shell: Shell) -> None:
        after = 0.0
        while True:
            found = await shell.look("logs.tail", {**asked, "after": after})
            for line in found["lines"]:
                print(json.dumps(line) if as_json else describe(line), flush=True)
            if not follow:
                return
            after = found["next"]
            await asyncio.sleep(POLL_S)

    talk(url, show)


def describe(line: dict[str, Any]) -> str:
    """One line for people."""
    at = f"{datetime.fromtimestamp(line['at'], UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    said = " ".join(f"{key}={_short(value)}" for key, value in line["fields"].items() if key != "logger")
    return f"{at}Z {line['level']:<8} {line['process']:<24} {line['event']}  {said}".rstrip()


def _short(value: Any) -> str:
    return value if isinstance(value, str) and " " not in value else json.dumps(value)


@app.command("level")
def set_level(
    level: Annotated[
        str, typer.Argument(help='debug, info, warning, error or critical; "settings" ends what was set.')
    ],
    process: Only = None,
    for_time: For = "",
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set how much processes write, while they run: all of them, or some. Those that start later do as well."""
    params = {
        "level": "" if level == "settings" else level,
        "processes": process or None,
        "for_s": seconds(for_time) if for_time else None,
    }

    def text(done: dict[str, Any]) -> Iterable[str]:
        yield f"{len(done['processes'])} processes write at {done['level'] or 'the level of the settings'}"

    run_action("logs.level", params, url, as_json=as_json, dry_run=dry_run, text=text, steps=False)


def seconds(text: str) -> float:
    """Raises StartRefused."""
    found = TIME.fullmatch(text)
    if found is None:
        raise StartRefused(f"{text!r} is no time: like 30s, 10m or 1h")
    return float(found[1]) * UNITS[found[2]]

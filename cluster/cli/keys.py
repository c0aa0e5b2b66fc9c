"""`rayrealm keys`: the keys that access tokens are signed with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cluster.cli.ban import carry_out
from cluster.cli.desk import AsJson, DryRun, run_look
from cluster.cli.down import Url

app = typer.Typer(help="The keys that access tokens are signed with.", no_args_is_help=True)
Compromised = Annotated[
    bool,
    typer.Option("--compromised", help="Older keys count no more, at once: everybody has to log in or refresh."),
]


@app.command("list")
def list_keys(url: Url = None, as_json: AsJson = False) -> None:
    """The keys that count at the moment, the newest first."""
    run_look("keys.list", {}, url, as_json, lambda result: _lines(result["keys"]), wrong=())


@app.command()
def rotate(compromised: Compromised = False, dry_run: DryRun = False, url: Url = None, as_json: AsJson = False) -> None:
    """A new key signs from soon on; tokens that the older ones signed count until they end."""

    def text(made: dict[str, Any]) -> Iterable[str]:
        yield f"the key {made['kid']} signs in {made['signs_in_s']:g} s"
        yield from _lines(made["keys"])

    carry_out("keys.rotate", {"compromised": compromised}, url, text, as_json, dry_run, quiet=True)


def _lines(keys: list[dict[str, Any]]) -> Iterable[str]:
    for key in keys:
        ends = key["not_after"]
        until = "" if ends is None else f"  until {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M:%S} UTC"
        made = datetime.fromtimestamp(key["created_at"], UTC)
        yield f"{key['kid']}  {key['state']:8}  made {made:%Y-%m-%d %H:%M:%S} UTC{until}"

"""`rayrealm bots`: simulated players over the public protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster import running
from cluster.cli.down import Url
from cluster.errors import StartRefused
from cluster.trusting import trust

PASSWORD_FILE = "bots-password"  # noqa: S105 - a file's name

Count = Annotated[int, typer.Option(min=1, help="How many.")]
Seconds = Annotated[float | None, typer.Option(min=0.0, help="For how long; until Ctrl-C if not given.")]
Seed = Annotated[int, typer.Option(help="Bots of another seed are other players.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="Where their password is kept; beside the realm's data if it runs on this machine.")
]
Authority = Annotated[
    Path | None,
    typer.Option("--ca", help="Trust this authority (PEM); that of a realm on this machine is found by itself."),
]


def bots(
    count: Count = 30,
    seconds: Seconds = None,
    url: Url = None,
    seed: Seed = 1,
    password_file: PasswordFile = None,
    ca: Authority = None,
) -> None:
    """Let simulated players walk around in a realm."""
    from cluster.bench.cli import bots as run

    try:
        here = running.find(running.folder(), url)
    except StartRefused:
        if url is None:
            raise
        target, folder = url.rstrip("/"), Path.cwd()  # a realm elsewhere
    else:
        target, folder = here.url, Path(here.data)
    trust(target, ca)
    raise typer.Exit(run(target, count, seconds, password_file or folder / PASSWORD_FILE, seed))

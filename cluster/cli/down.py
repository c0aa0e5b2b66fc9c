"""`rayrealm down`: stop the realm that runs on this machine."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from cluster import running
from cluster.errors import Ours
from cluster.trusting import trust

DEADLINE_S = 60.0
PAUSE_S = 0.1


def _trusting(url: str | None) -> str | None:
    if url is not None:
        trust(url)
    return url


Url = Annotated[
    str | None,
    typer.Option(envvar="RAYREALM_URL", help="The realm's address, if several run here.", callback=_trusting),
]


def down(url: Url = None) -> None:
    """Stop the realm as Ctrl-C in its terminal does, and wait until it has."""
    realm = running.find(running.folder(), url)
    process = realm.process()
    if process is not None:
        process.terminate()
    until = time.monotonic() + DEADLINE_S
    while realm.alive():
        if time.monotonic() > until:
            raise Ours(f"{realm.url} (pid {realm.pid}) still stops after {DEADLINE_S:.0f} s")
        time.sleep(PAUSE_S)
    print(f"stopped {realm.url}")

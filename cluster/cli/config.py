"""`rayrealm config`: the settings as they would be used."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr

from cluster import settings as realm_settings
from cluster.datafolder import DataFolder
from cluster.edge.local import SECRET
from cluster.edge.plan import orders_of
from cluster.errors import StartRefused
from cluster.machine import open_files
from cluster.parts import Parts
from cluster.rayenv import node_flags, serve_flags

app = typer.Typer(help="The settings.", no_args_is_help=True)


@app.command()
def check() -> None:
    """Print every setting as it is resolved, secrets masked; or each problem as `NAME: reason`, with exit code 2."""
    for name, value in resolved(realm_settings.load().model_dump()):
        print(f"{name} = {value}")


@app.command("ray-env")
def ray_env() -> None:
    """Print the variables that `ray start` needs on every node before `up --ray-address` can join."""
    flags = serve_flags(realm_settings.load(), open_files(), Parts().replica_callback)
    flags |= node_flags(Path(sys.executable).parent, os.environ)
    for name, value in flags.items():
        print(f"export {name}={value}")


@app.command()
def edge() -> None:
    """Print what HAProxy is told on each node (RAYREALM_EDGE_FILE). It has a secret: `umask 077; rayrealm config edge > FILE`."""
    settings = realm_settings.load()
    try:
        secret = DataFolder(settings.data.resolve(), -1).secret(SECRET)
    except OSError as error:
        raise StartRefused(f"cannot write to the data folder {settings.data} ({error.strerror})") from None
    print(orders_of(settings, secret).dump())


def resolved(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(`gateway.capacity`, TOML value) in the order of the settings."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from resolved(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _shown(value)


def _shown(value: Any) -> str:
    return json.dumps(value, default=_text)


def _text(value: Any) -> str:
    """Of what JSON does not have: paths, networks, and secrets, which are masked."""
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    return str(value)

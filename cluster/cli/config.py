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


def resolved(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(`gateway.capacity`, TOML value) in the order of the settings."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from resolved(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return '"********"' if value.get_secret_value() else '""'
    return json.dumps(value, default=lambda other: str(other) if isinstance(other, Path) else None)

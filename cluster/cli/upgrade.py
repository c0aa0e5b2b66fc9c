"""`rayrealm upgrade`: new code for a realm that plays on."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.desk import AsJson, DryRun, run_action
from cluster.cli.down import Url

Only = Annotated[
    list[str] | None, typer.Option("--only", help="A kind of process, as `rayrealm status` has it. May be repeated.")
]


def upgrade(only: Only = None, dry_run: DryRun = False, url: Url = None, as_json: AsJson = False) -> None:
    """Start every process of the realm again with the code that is installed now. Players stay, and nobody logs in again."""

    def text(result: dict[str, object]) -> list[str]:
        versions = result["versions"]
        assert isinstance(versions, dict)  # noqa: S101 - Upgraded of cluster/operations/upgrade.py
        return [", ".join(f"{count} processes of version {version}" for version, count in versions.items())]

    run_action("realm.upgrade", {"kinds": only or []}, url, as_json=as_json, dry_run=dry_run, text=text)

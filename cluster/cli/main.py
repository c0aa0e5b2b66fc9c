"""The command `rayrealm`. Exit codes: 0 done, 1 fell short or failed, 2 wrong usage or settings, or a start refused."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from cluster.cli import (
    audit,
    backup,
    ban,
    bench,
    bots,
    broadcast,
    chaos,
    config,
    down,
    drain,
    export,
    gateways,
    history,
    keys,
    leave,
    logs,
    maintenance,
    message,
    nodes,
    operation,
    operators,
    processes,
    publish,
    revoke,
    sessions,
    status,
    up,
    upgrade,
    zones,
)
from cluster.errors import RealmError, SettingsError, StartRefused

app = typer.Typer(
    name="rayrealm",
    help="A real-time backend for MMORPGs on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(down.down)
app.command()(status.status)
app.command()(drain.drain)
app.command()(leave.leave)
app.command()(operation.do)
app.command()(operation.operations)
app.command()(ban.ban)
app.command()(ban.unban)
app.command()(audit.audit)
app.command()(revoke.revoke)
app.command()(message.message)
app.command()(broadcast.broadcast)
app.command()(maintenance.overview)
app.command()(publish.publish)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(upgrade.upgrade)
app.command()(history.history)
app.command()(bots.bots)
app.command()(chaos.chaos)
app.add_typer(audit.app, name="abuse")
app.add_typer(bench.app, name="bench")
app.add_typer(config.app, name="config")
app.add_typer(export.app, name="export")
app.add_typer(gateways.app, name="gateways")
app.add_typer(keys.app, name="keys")
app.add_typer(logs.app, name="logs")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(sessions.app, name="sessions")
app.add_typer(sessions.users, name="users")
app.add_typer(operators.app, name="operators")
app.add_typer(nodes.app, name="nodes")
app.add_typer(processes.app, name="processes")
app.add_typer(zones.app, name="zones")


def main() -> NoReturn:
    """Runs the command and ends the process."""
    try:
        app()
    except SettingsError as error:
        for name, reason in error.problems:
            print(f"{name}: {reason}", file=sys.stderr)
        sys.exit(2)
    except StartRefused as error:
        print(f"rayrealm: {error}", file=sys.stderr)
        sys.exit(2)
    except RealmError as error:
        print(f"rayrealm: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    main()

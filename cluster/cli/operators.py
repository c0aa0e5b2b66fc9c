"""`rayrealm operators`: who may use the console at /console/ (row 7.8). On the realm's machine it needs no login."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cluster import operators, running
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.operators import RedisOperators
from cluster.cli.desk import AsJson, DryRun, run_action, run_look
from cluster.cli.down import Url
from cluster.ports.audit import AuditEntry
from cluster.settings import Settings

FIRST = "admin"  # what the first one is called
LAUNCHER = "launcher"

app = typer.Typer(help="Who may use the console.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The operator's name.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, operator or admin.")]
Days = Annotated[float, typer.Option("--days", min=0.001, max=366.0, help="For how long it counts.")]
Label = Annotated[str, typer.Option("--label", help="What it is for.")]


@app.command("list")
def list_operators(url: Url = None, as_json: AsJson = False) -> None:
    """Operators, their roles, invitations and tokens."""
    run_look("operators.list", {}, url, as_json, _listed)


@app.command()
def invite(
    name: Name, role: RoleName = "viewer", url: Url = None, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Invite an operator: prints a link that works once."""
    run_action(
        "operators.invite",
        {"name": name, "role": role},
        url,
        as_json=as_json,
        dry_run=dry_run,
        text=lambda result: _invited(result, url),
        steps=False,
    )


@app.command()
def remove(name: Name, url: Url = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """No operator any more: sessions and tokens end at once."""
    run_action("operators.remove", {"name": name}, url, as_json=as_json, dry_run=dry_run, text=_changed, steps=False)


@app.command()
def role(
    name: Name,
    role: Annotated[str, typer.Argument(help="viewer, operator or admin.")],
    url: Url = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give an operator another role: sessions end at once."""
    params = {"name": name, "role": role}
    run_action("operators.role", params, url, as_json=as_json, dry_run=dry_run, text=_changed, steps=False)


@app.command()
def reset(name: Name, url: Url = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Password, second factor, sessions and tokens count no more: prints a new invitation."""
    run_action(
        "operators.reset",
        {"name": name},
        url,
        as_json=as_json,
        dry_run=dry_run,
        text=lambda result: _invited(result, url),
        steps=False,
    )


@app.command()
def token(
    name: Name,
    role: RoleName = "viewer",
    days: Days = 90.0,
    label: Label = "",
    url: Url = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """A token for scripts (Authorization: Bearer, or RAYREALM_TOKEN): shown once."""
    params = {"name": name, "role": role, "for_s": days * 86_400.0, "label": label}
    run_action("operators.token", params, url, as_json=as_json, dry_run=dry_run, text=_token, steps=False)


@app.command()
def revoke(
    name: Name,
    token: Annotated[str, typer.Argument(help="Its id, as `operators list` shows it.")],
    url: Url = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End a token for scripts."""
    params = {"name": name, "token": token}
    run_action("operators.revoke", params, url, as_json=as_json, dry_run=dry_run, text=_changed, steps=False)


def link(url: str, token: str) -> str:
    """Where an invitation is used. Browsers send what is behind the # to nobody."""
    return f"{url.rstrip('/')}/console/#/invitation/{token}"


def first_invitation(settings: Settings, url: str) -> str | None:
    """A link that makes the first admin, if nobody is an operator yet; an earlier one counts no more. Raises Unavailable."""
    return asyncio.run(_first_invitation(settings, url))


async def _first_invitation(settings: Settings, url: str) -> str | None:
    client = connect(settings.redis, "rayrealm-up")
    try:
        store = RedisOperators(client, settings.namespace)
        if any(record.active for record in await store.all()):
            return None
        now = time.time()
        given = await operators.invite(store, FIRST, "admin", LAUNCHER, now, settings.console.invitation_s)
        audit = RedisAuditLog(client, settings.namespace, settings.abuse.audit_log)
        details: dict[str, str | int | float | bool] = {"role": "admin", "via": "command"}
        await audit.add(AuditEntry(now, LAUNCHER, "operators.invite", FIRST, "", details=details))
        return link(url, given.secret)
    finally:
        await client.aclose()


def _listed(result: dict[str, Any]) -> Iterable[str]:
    for one in result["operators"]:
        last = f"last login {_moment(one['last_login_at'])}" if one["last_login_at"] else "never logged in"
        mfa = "second factor" if one["mfa"] else "no second factor"
        state = last if one["state"] == "active" else one["state"]
        yield f"{one['name']:<20} {one['role']:<9} {state}, {mfa}"
        for each in one["tokens"]:
            yield f"  token {each['id']} {each['role']:<9} until {_moment(each['expires_at'])}  {each['label']}".rstrip()
    if not result["operators"]:
        yield "nobody: rayrealm operators invite NAME --role admin"


def _invited(result: dict[str, Any], url: str | None) -> Iterable[str]:
    where = url or running.find(running.folder(), None).url
    yield f"{result['name']} is invited as {result['role']}, until {_moment(result['expires_at'])}:"
    yield link(where, result["token"])


def _token(result: dict[str, Any]) -> Iterable[str]:
    yield f"{result['id']}: {result['role']}, until {_moment(result['expires_at'])}. It is shown only now:"
    yield str(result["token"])


def _changed(result: dict[str, Any]) -> Iterable[str]:
    yield f"{result['name']}: {result['outcome']}"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"

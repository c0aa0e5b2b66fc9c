"""`rayrealm ban`: keep a user out of the realm, and close their sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from cluster import running
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.cli.down import Url
from cluster.errors import NotFound, Unavailable
from cluster.ports.accounts import Account, AccountStore
from cluster.ports.bans import Bans
from cluster.ports.bus import Bus
from cluster.ports.sessions import SessionStore
from cluster.running import RunningRealm
from cluster.settings import NatsSettings, RedisSettings
from cluster.subjects import Subjects
from cluster.telemetry.logs import configure
from realm_proto import internal_pb2

KICKED = 4503  # close code of PROTOCOL.md
LEAST_HOURS, MOST_HOURS = 0.01, 24.0 * 366 * 100
LONGEST_REASON = 200
PAUSE_S = 0.25
FLUSH_S = 2.0
ON_THEIR_WAY_S = 5.0  # attaches that were let in before the ban was written (gateway.attach_deadline_s)
DEADLINE_S = 20.0  # a gateway that died is known to be gone after gateway_silence_s

User = Annotated[str, typer.Argument(metavar="USER", help="A user's name, or their id (usr_...).")]
Hours = Annotated[float | None, typer.Option(metavar="H", help="For how long; until it is lifted if not given.")]
Reason = Annotated[str, typer.Option(metavar="R", help="For the operators: the user is not told.")]
Lift = Annotated[bool, typer.Option("--lift", help="End the user's ban.")]


@dataclass(frozen=True, slots=True)
class Stores:
    accounts: AccountStore
    bans: Bans
    sessions: SessionStore


def ban(user: User, hours: Hours = None, reason: Reason = "", lift: Lift = False, url: Url = None) -> None:
    """Keep a user out, and close their sockets with 4503; or let them in again."""
    if lift and (hours is not None or reason):
        raise typer.BadParameter("--lift goes with neither --hours nor --reason")
    if hours is not None and not LEAST_HOURS <= hours <= MOST_HOURS:  # not a number, too
        raise typer.BadParameter(f"--hours must be from {LEAST_HOURS:g} to {MOST_HOURS:g}")
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise typer.BadParameter(f"--reason must have at most {LONGEST_REASON} characters, all printable")
    realm = running.find(running.folder(), url)
    if lift:
        asyncio.run(_lift(realm, user))
    else:
        asyncio.run(_ban(realm, user, None if hours is None else hours * 3_600, reason))


async def _ban(realm: RunningRealm, user: str, for_s: float | None, reason: str) -> None:
    async with stores(realm) as here:
        account = await find(here.accounts, user)
        await here.bans.ban(account.user_id, for_s, reason)
        how_long = "until it is lifted" if for_s is None else f"for {for_s / 3_600:g} h"
        print(f"banned {account.username} ({account.user_id}) {how_long}", flush=True)
        async with bus(realm) as carrier:
            closed = await close_sockets(here.sessions, carrier, Subjects(realm.namespace), account.user_id)
    print(f"closed {closed} socket{'' if closed == 1 else 's'}")


async def _lift(realm: RunningRealm, user: str) -> None:
    async with stores(realm) as here:
        account = await find(here.accounts, user)
        there = await here.bans.lift(account.user_id)
    print(f"{account.username} ({account.user_id}) {'may come back' if there else 'was not banned'}")


async def find(accounts: AccountStore, user: str) -> Account:
    """Ids first: anybody may choose a name that looks like another's id. Raises NotFound."""
    account = None
    if user.isascii():
        account = await accounts.get(user) or await accounts.by_username(user.lower())
    if account is None:
        raise NotFound("not_found", f"no such user: {user!a}")
    return account


async def close_sockets(sessions: SessionStore, carrier: Bus, subjects: Subjects, user_id: str) -> int:
    """Tell gateways to close the user's sockets until none is left; how many there were. The ban is written already.

    The bus promises no delivery, hence the repeating. Raises Unavailable if one is still there after `DEADLINE_S`.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    told: set[tuple[str, int]] = set()
    while True:
        records = await sessions.of_user(user_id)
        attached = [record for record in records if record.gateway_id]
        waited = loop.time() - started
        if not records or (not attached and waited >= ON_THEIR_WAY_S):
            return len(told)
        if attached and waited >= DEADLINE_S:
            raise Unavailable(f"gateway {attached[0].gateway_id}")
        for record in attached:
            close = internal_pb2.GatewayClose(
                session_id=record.session_id, attach_epoch=record.attach_epoch, code=KICKED, reason="banned"
            )
            message = internal_pb2.GatewayControl(close=close).SerializeToString()
            carrier.publish(subjects.gateway_control(record.gateway_id), message)
            told.add((record.session_id, record.attach_epoch))
        if attached:
            await carrier.flush(FLUSH_S)
        await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def stores(realm: RunningRealm) -> AsyncIterator[Stores]:
    """What the realm keeps in Redis."""
    client = connect(RedisSettings(url=SecretStr(_details(realm)["redis_url"])), "rayrealm-ban")
    try:
        yield Stores(
            RedisAccounts(client, realm.namespace),
            RedisBans(client, realm.namespace),
            RedisSessionStore(client, realm.namespace),
        )
    finally:
        await client.aclose()


@asynccontextmanager
async def bus(realm: RunningRealm) -> AsyncIterator[Bus]:
    """The realm's NATS. Raises Unavailable."""
    configure("warning")  # structlog as it comes writes to stdout
    details = _details(realm)
    url, token = SecretStr(details["nats_url"]), SecretStr(details["nats_token"])
    carrier = await NatsBus.connect(NatsSettings(url=url, token=token), "rayrealm-ban")
    try:
        yield carrier
    finally:
        await carrier.close()


def _details(realm: RunningRealm) -> dict[str, Any]:
    """Raises Unavailable while the realm stops."""
    details = realm.details()
    if not details:
        raise Unavailable(realm.url)
    return details

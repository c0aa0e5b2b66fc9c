"""Operations that keep users and networks out, and let them in again (rows 6.1 and 7.8)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cluster.errors import Unavailable
from cluster.guarding import tell_change
from cluster.kicking import order_close
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Operation, Params, Preview, Result
from cluster.operations.people import DEADLINE_S, FLUSH_S, KICKED, PAUSE_S, Reason, User
from cluster.operations.reaching import find_user
from cluster.ports.bans import Ban
from cluster.ports.protection import NetworkBan, canonical
from cluster.security.addresses import limit_key

ON_THEIR_WAY_S = 5.0  # attaches that were let in before the ban was written (gateway.attach_deadline_s)
LEAST_S, MOST_S = 36.0, 3_600.0 * 24 * 366 * 100
PAGE = 500
MOST_LOOKED_AT = 20_000  # bans, for a search among them

For = Annotated[float | None, Field(ge=LEAST_S, le=MOST_S, description="Seconds; null: until it is lifted")]
Network = Annotated[str, Field(max_length=100, description="An address or a network (CIDR)")]


class Bans(Params):
    """`q`: part of a user's name or id, of a network, or of a reason."""

    q: str = Field(default="", max_length=200)
    kind: Literal["", "user", "network"] = ""
    offset: int = Field(default=0, ge=0, le=100_000)
    limit: int = Field(default=100, ge=1, le=PAGE)


class BanList(Result):
    """`bans`: users first. Each has `kind`, `subject` (a user's id or a network), `name`, `until_at` (null: until it is lifted),
    `reason` and, of a network, `by`.
    """

    total: int
    bans: list[dict[str, Any]]


async def list_bans(desk: Desk, params: Bans) -> BanList:
    rows = [] if params.kind == "network" else await _users(desk)
    if params.kind != "user":
        rows += await _networks(desk)
    wanted = params.q.casefold()
    if wanted:
        rows = [row for row in rows if wanted in f"{row['subject']}\n{row['name']}\n{row['reason']}".casefold()]
    return BanList(total=len(rows), bans=rows[params.offset : params.offset + params.limit])


async def _users(desk: Desk) -> list[dict[str, Any]]:
    found: list[tuple[str, Ban]] = []
    while len(found) < MOST_LOOKED_AT:
        page = await desk.bans.held(len(found), PAGE)
        found += page.bans
        if len(page.bans) < PAGE:
            break
    names: dict[str, str] = {}
    for start in range(0, len(found), PAGE):
        names |= await desk.accounts.usernames([user_id for user_id, _ in found[start : start + PAGE]])
    now = desk.now()
    return [
        {
            "kind": "user",
            "subject": user_id,
            "name": names.get(user_id, ""),
            "until_at": None if ban.left_s is None else now + ban.left_s,
            "reason": ban.reason,
            "by": "",
        }
        for user_id, ban in found
    ]


async def _networks(desk: Desk) -> list[dict[str, Any]]:
    return [
        {
            "kind": "network",
            "subject": ban.network,
            "name": "",
            "until_at": ban.until,
            "reason": ban.reason,
            "by": ban.by,
        }
        for ban in await networks(desk)
    ]


async def networks(desk: Desk) -> list[NetworkBan]:
    """The bans of networks that hold now."""
    held, now = await desk.protection.load(-1), desk.now()
    return [ban for ban in (held.bans if held is not None else ()) if ban.until is None or ban.until > now]


# --- users -------------------------------------------------------------------------------------------------------


class BanUser(Params):
    """`reason` is for the operators: the user is not told."""

    user: User
    for_s: For = None
    reason: Reason = ""


class BannedUser(Result):
    user: str
    username: str
    until_at: float | None
    sockets: int


async def settle_user(desk: Desk, params: Any) -> Any:
    """With the user's id. Raises NotFound."""
    return params.model_copy(update={"user": (await find_user(desk, params.user)).user_id})


async def plan_ban(desk: Desk, params: BanUser) -> Preview:
    known = await find_user(desk, params.user)
    attached = sum(bool(record.gateway_id) for record in await desk.sessions.of_user(known.user_id))
    there = await desk.bans.banned(known.user_id)
    return Preview(
        (
            f"Ban {known} {how_long(params.for_s)}.",
            f"Close {attached} socket{'' if attached == 1 else 's'} with {KICKED}.",
        ),
        ("The user is banned already: this ban takes its place.",) if there is not None else (),
    )


async def ban_user(desk: Desk, params: BanUser, job: Job) -> BannedUser:
    """The ban is written first: without the bus it holds all the same. Raises NotFound, Unavailable."""
    known = await find_user(desk, params.user)
    await job.tell(f"ban {known}", 0.0)
    await desk.bans.ban(known.user_id, params.for_s, params.reason)
    until = None if params.for_s is None else desk.now() + params.for_s
    await job.tell(f"banned {known} {how_long(params.for_s)}", 0.3)
    closed = await close_sockets(desk, known.user_id)
    return BannedUser(user=known.user_id, username=known.username, until_at=until, sockets=closed)


async def close_sockets(desk: Desk, user_id: str) -> int:
    """Tell gateways to close the user's sockets until none is left; how many there were. The ban is written already.

    The bus promises no delivery, hence the repeating. Raises Unavailable if one is still there after `DEADLINE_S`.
    """
    started = desk.clock()
    told: set[tuple[str, int]] = set()
    while True:
        records = await desk.sessions.of_user(user_id)
        attached = [record for record in records if record.gateway_id]
        waited = desk.clock() - started
        if not records or (not attached and waited >= ON_THEIR_WAY_S):
            return len(told)
        if attached and waited >= DEADLINE_S:
            raise Unavailable(f"gateway {attached[0].gateway_id}")
        for record in attached:
            order_close(desk.bus, desk.subjects, record, KICKED, "banned")
            told.add((record.session_id, record.attach_epoch))
        if attached:
            await desk.bus.flush(FLUSH_S)
        await desk.pause(PAUSE_S)


class OneUser(Params):
    user: User


class UnbannedUser(Result):
    """`lifted`: there was a ban."""

    user: str
    username: str
    lifted: bool


async def plan_unban(desk: Desk, params: OneUser) -> Preview:
    known = await find_user(desk, params.user)
    if await desk.bans.banned(known.user_id) is None:
        return Preview((f"Nothing: {known} is not banned.",))
    return Preview((f"Let {known} in again.",))


async def unban_user(desk: Desk, params: OneUser, job: Job) -> UnbannedUser:
    known = await find_user(desk, params.user)
    await job.tell(f"let {known} in again", 0.0)
    lifted = await desk.bans.lift(known.user_id)
    return UnbannedUser(user=known.user_id, username=known.username, lifted=lifted)


# --- networks ----------------------------------------------------------------------------------------------------


class BanNetwork(Params):
    """An address of IPv6 alone means its /64: a host has all of it to choose from (RFC 6177)."""

    network: Network
    for_s: For = None
    reason: Reason = ""


class BannedNetwork(Result):
    network: str
    until_at: float | None


async def settle_network(_desk: Desk, params: Any) -> Any:
    """In canonical form. Raises InvalidInput."""
    return params.model_copy(update={"network": wide(params.network)})


def wide(network: str) -> str:
    """Raises InvalidInput."""
    return canonical(network if "/" in network else limit_key(network.strip()))


async def plan_ban_network(desk: Desk, params: BanNetwork) -> Preview:
    there = any(ban.network == params.network for ban in await networks(desk))
    return Preview(
        (f"Ban {params.network} {how_long(params.for_s)}.", "Gateways close its sockets as soon as they know."),
        ("It is banned already: this ban takes its place.",) if there else (),
    )


async def ban_network(desk: Desk, params: BanNetwork, job: Job) -> BannedNetwork:
    """Gateways close its sockets as soon as they know: the bus tells them, or they ask within `firewall.refresh_s`."""
    await job.tell(f"ban {params.network}", 0.0)
    ban = await desk.protection.ban(params.network, params.for_s, params.reason, job.operator.name)
    await job.tell(f"banned {ban.network} {how_long(params.for_s)}", 0.5)
    await told(desk)
    return BannedNetwork(network=ban.network, until_at=ban.until)


class OneNetwork(Params):
    network: Network


class UnbannedNetwork(Result):
    """`lifted`: there was a ban."""

    network: str
    lifted: bool


async def plan_unban_network(desk: Desk, params: OneNetwork) -> Preview:
    if all(ban.network != params.network for ban in await networks(desk)):
        return Preview((f"Nothing: {params.network} is not banned.",))
    return Preview((f"Let {params.network} in again.",))


async def unban_network(desk: Desk, params: OneNetwork, job: Job) -> UnbannedNetwork:
    await job.tell(f"let {params.network} in again", 0.0)
    lifted = await desk.protection.lift(params.network)
    if lifted:
        await job.tell(f"{params.network} may come back", 0.5)
        await told(desk)
    return UnbannedNetwork(network=params.network, lifted=lifted)


async def told(desk: Desk) -> None:
    """Every process looks at once. Written is written: those that are not reached find it by themselves."""
    tell_change(desk.bus, desk.subjects)
    await desk.bus.flush(FLUSH_S)


def how_long(for_s: float | None) -> str:
    return "until it is lifted" if for_s is None else f"for {for_s / 3_600:g} h"


OPERATIONS: tuple[Operation, ...] = (
    Look("bans.list", "Users and networks that are kept out", Bans, BanList, list_bans, "ban --list"),
    Action(
        "user.ban",
        "Keep a user out, and close their sockets",
        BanUser,
        BannedUser,
        plan_ban,
        ban_user,
        lambda params: params.user,
        "ban",
        settle=settle_user,
        dangerous=True,
    ),
    Action(
        "user.unban",
        "Let a user in again",
        OneUser,
        UnbannedUser,
        plan_unban,
        unban_user,
        lambda params: params.user,
        "unban",
        settle=settle_user,
    ),
    Action(
        "network.ban",
        "Keep a network out, and close its sockets",
        BanNetwork,
        BannedNetwork,
        plan_ban_network,
        ban_network,
        lambda params: params.network,
        "ban --network",
        settle=settle_network,
        dangerous=True,
    ),
    Action(
        "network.unban",
        "Let a network in again",
        OneNetwork,
        UnbannedNetwork,
        plan_unban_network,
        unban_network,
        lambda params: params.network,
        "unban --network",
        settle=settle_network,
    ),
)

"""Operations on users (row 7.8): who is there, what the realm keeps on somebody, and what an operator has to say to a player."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field, model_validator

from cluster.errors import Unavailable
from cluster.kicking import order_close
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Operation, Params, Preview, Result, Role
from cluster.operations.reaching import Known, ask_zone, find_session, find_user
from cluster.operations.sessions import SessionId, entry_of, row_of
from cluster.ports.calls import presence_actor
from cluster.ports.sessions import SessionRecord
from cluster.publishing import user_topic
from cluster.session_route import SessionRoute
from cluster.world_control import ask

MESSAGE, LONGEST_TEXT = "system.message", 1_000
KICKED = 4503  # close code of PROTOCOL.md
LONGEST_REASON = 200
LEAST_REASON_BYTES = 120  # a close frame has room for 123 bytes (RFC 6455, section 5.5)
PAUSE_S = 0.25
FLUSH_S = 2.0
DEADLINE_S = 20.0  # a gateway that died is known to be gone after gateway_silence_s
ANSWER_S = 2.0
LOOK_BACK = 2_000  # entries of the audit log
MOST_KEPT = 1_000  # messages of a user, and direct messages that wait

User = Annotated[str, Field(max_length=200, description="A user's name, or their id (usr_...)")]


def _printable(reason: str) -> str:
    if not reason.isprintable():
        raise ValueError("must be printable")
    return reason


Reason = Annotated[str, Field(max_length=LONGEST_REASON), AfterValidator(_printable)]


def check_text(text: str) -> str:
    """What players are shown: 1 to 1,000 characters, printable or line breaks. Raises ValueError."""
    if not text.strip() or len(text) > LONGEST_TEXT or not all(c.isprintable() or c == "\n" for c in text):
        raise ValueError(f"must have 1 to {LONGEST_TEXT} characters, printable or line breaks")
    return text


# --- who is there ------------------------------------------------------------------------------------------------


class Presences(Params):
    """`q`: part of a user's id or of the name of who is played, or a whole username. `status`, `zone`: only those."""

    q: str = Field(default="", max_length=200)
    status: Literal["", "online", "away", "busy", "invisible"] = ""
    zone: str = Field(default="", max_length=100)
    offset: int = Field(default=0, ge=0, le=1_000_000)
    limit: int = Field(default=100, ge=1, le=500)


class PresenceList(Result):
    """Invisible users, too."""

    total: int
    users: list[dict[str, Any]]


async def list_presences(desk: Desk, params: Presences) -> PresenceList:
    """Raises Unavailable."""
    account = await desk.accounts.by_username(params.q.lower()) if params.q.isascii() else None
    given = {**params.model_dump(), "user": account.user_id if account is not None else ""}
    said = await ask(desk.bus, desk.subjects.actor_control(presence_actor()), "list", given, ANSWER_S)
    names = await desk.accounts.usernames([row["user"] for row in said["users"]])
    rows = [{**row, "username": names.get(row["user"], "")} for row in said["users"]]
    return PresenceList(total=said["total"], users=rows)


# --- what the realm keeps on a user ------------------------------------------------------------------------------


class OneUser(Params):
    user: User


class UserShown(Result):
    """Times are Unix seconds. `account` is None for a user of an outside issuer, `ban` if there is none; its `until_at` is None if
    it lasts until it is lifted.
    """

    user: str
    username: str
    account: dict[str, Any] | None
    last_online_at: float
    characters: list[dict[str, Any]]
    ban: dict[str, Any] | None
    sessions: list[dict[str, Any]]
    audit: list[dict[str, Any]]


async def show_user(desk: Desk, params: OneUser) -> UserShown:
    """Raises NotFound."""
    known = await find_user(desk, params.user)
    sessions, account, characters, ban, profiles, audit = await asyncio.gather(
        desk.sessions.of_user(known.user_id),
        _account(desk, known),
        _characters(desk, known),
        _ban(desk, known),
        desk.kept.social.profiles([known.user_id]),
        _audit(desk, known),
    )
    return UserShown(
        user=known.user_id,
        username=known.username,
        account=account,
        last_online_at=profiles[known.user_id].last_online,
        characters=characters,
        ban=ban,
        sessions=[row_of(record, known.username) for record in sessions],
        audit=audit[:50],
    )


class Export(Params):
    """One of the two."""

    user: User | None = None
    session: SessionId | None = None

    @model_validator(mode="after")
    def _one(self) -> Export:
        if (self.user is None) == (self.session is None):
            raise ValueError("either user or session is needed")
        return self


class Exported(Result):
    """All that the realm holds on a user, as GDPR's Articles 15 and 20 ask for: no password's hash, no token, no key that opens
    anything, and nothing about others that the user did not know (who blocks the user, whose request is hidden).

    `messages`: what is kept of what the user was told lately; channels keep theirs for all who were in them. `audit`: what was done
    about the user.
    """

    at: float
    user: str
    username: str
    account: dict[str, Any] | None
    ban: dict[str, Any] | None
    characters: list[dict[str, Any]]
    profile: dict[str, Any]
    relations: dict[str, Any]
    party: dict[str, Any] | None
    invitations: list[dict[str, Any]]
    device_keys: dict[str, Any] | None
    sessions: list[dict[str, Any]]
    world: list[dict[str, Any]]
    unread: list[Any]
    messages: list[dict[str, Any]]
    audit: list[dict[str, Any]]


async def _whose(desk: Desk, params: Export) -> Known:
    if params.user is not None:
        return await find_user(desk, params.user)
    record = await find_session(desk, str(params.session))
    return Known(record.user_id, (await desk.accounts.usernames([record.user_id])).get(record.user_id, ""))


async def export(desk: Desk, params: Export) -> Exported:
    """Raises NotFound, Unavailable: an export that lacks something is none."""
    known, now = await _whose(desk, params), desk.now()
    user_id, kept = known.user_id, desk.kept
    sessions = await desk.sessions.of_user(user_id)
    account, ban, characters, audit = await asyncio.gather(
        _account(desk, known), _ban(desk, known), _characters(desk, known), _audit(desk, known)
    )
    profiles, relations = await asyncio.gather(kept.social.profiles([user_id]), kept.social.relations(user_id))
    party, invitations, keys, unread, messages = await asyncio.gather(
        kept.parties.of_user(user_id),
        kept.parties.invitations(user_id, now),
        kept.device_keys.get([user_id]),
        kept.chat.unread(user_id, MOST_KEPT),
        kept.topics.before(user_topic(user_id), "", MOST_KEPT),
    )
    return Exported(
        at=now,
        user=user_id,
        username=known.username,
        account=account,
        ban=ban,
        characters=characters,
        profile=_plain(asdict(profiles[user_id])),
        relations={
            "friends": [asdict(link) for link in relations.friends],
            "incoming": [asdict(link) for link in relations.incoming],
            "outgoing": [asdict(link) for link in relations.outgoing],
            "blocked": [asdict(link) for link in relations.blocked],
        },
        party=_plain(asdict(party)) if party is not None else None,
        invitations=[asdict(invitation) for invitation in invitations],
        device_keys=_plain(asdict(keys[user_id])) if user_id in keys else None,
        sessions=[row_of(record, known.username) for record in sessions],
        world=await _worlds(desk, sessions),
        unread=[{"id": each.message_id, **orjson.loads(each.params_json)} for each in unread[0]],
        messages=[
            {"id": each.id, "method": each.method, "params": orjson.loads(each.params_json)}
            for each in messages
            if each.method
        ],
        audit=audit,
    )


async def _worlds(desk: Desk, sessions: Sequence[SessionRecord]) -> list[dict[str, Any]]:
    """What the zones hold of those who are played."""
    seen = await asyncio.gather(*(ask_zone(desk, record.session_id) for record in sessions if record.zone_id))
    return [{"zone": each["zone"], **each["entities"][0]} for each in seen if each is not None]


async def _account(desk: Desk, known: Known) -> dict[str, Any] | None:
    account = await desk.accounts.get(known.user_id)
    if account is None:
        return None
    return {"user": account.user_id, "username": account.username, "created_at": account.created_at}


async def _characters(desk: Desk, known: Known) -> list[dict[str, Any]]:
    return [asdict(character) for character in await desk.characters.list(known.user_id)]


async def _ban(desk: Desk, known: Known) -> dict[str, Any] | None:
    ban = await desk.bans.banned(known.user_id)
    if ban is None:
        return None
    return {"reason": ban.reason, "until_at": None if ban.left_s is None else desk.now() + ban.left_s}


async def _audit(desk: Desk, known: Known) -> list[dict[str, Any]]:
    newest = await desk.audit.newest(LOOK_BACK)
    return [entry_of(entry) for entry in newest if entry.target == known.user_id]


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return orjson.loads(orjson.dumps(value, default=lambda odd: dict(odd) if hasattr(odd, "keys") else sorted(odd)))


# --- what is done about a session --------------------------------------------------------------------------------


class Kick(Params):
    """`reason` is told to the player, who may come back at once: a ban keeps somebody out."""

    session: SessionId
    reason: Annotated[Reason, Field(max_length=LEAST_REASON_BYTES // 4)] = "kicked"


class Kicked(Result):
    """`closed`: false if it had no socket."""

    session: str
    user: str
    closed: bool


async def plan_kick(desk: Desk, params: Kick) -> Preview:
    record = await find_session(desk, params.session)
    who = record.character_name or record.user_id
    if not record.gateway_id:
        return Preview(("Nothing: the session has no socket.",))
    return Preview(
        (f"Close the socket of {who} at {record.gateway_id} with {KICKED}.",),
        (
            "The session stays for its grace period, and the player may come back at once: ban the user to keep them out.",
        ),
    )


async def kick(desk: Desk, params: Kick, job: Job) -> Kicked:
    """Until that socket is gone: the bus promises no delivery. Raises NotFound, Unavailable."""
    record: SessionRecord | None = await find_session(desk, params.session)
    assert record is not None  # noqa: S101 - find_session
    user_id, epoch, until = record.user_id, record.attach_epoch, desk.clock() + DEADLINE_S
    closed = bool(record.gateway_id)
    if closed:
        await job.tell(f"close the socket at {record.gateway_id}", 0.1)
    while record is not None and record.gateway_id and record.attach_epoch == epoch:
        if desk.clock() > until:
            raise Unavailable(f"gateway {record.gateway_id}")
        order_close(desk.bus, desk.subjects, record, KICKED, params.reason or "kicked")
        await desk.bus.flush(FLUSH_S)
        await desk.pause(PAUSE_S)
        record = await desk.sessions.get(params.session)
    return Kicked(session=params.session, user=user_id, closed=closed)


class Message(Params):
    """To one session, whose client confirms it, or to all sessions of a user, reliably."""

    session: SessionId | None = None
    user: User | None = None
    text: str

    @model_validator(mode="after")
    def _one(self) -> Message:
        if (self.user is None) == (self.session is None):
            raise ValueError("either user or session is needed")
        check_text(self.text)
        return self


class Told(Result):
    told: str


async def settle_message(desk: Desk, params: Message) -> Message:
    if params.user is None:
        return params
    return params.model_copy(update={"user": (await find_user(desk, params.user)).user_id})


async def plan_message(desk: Desk, params: Message) -> Preview:
    if params.session is None:
        count = len(await desk.sessions.of_user(str(params.user)))
        return Preview((f"Show the text to all {count} sessions of {params.user}.",))
    record = await find_session(desk, params.session)
    missing = () if record.gateway_id else ("The player has no connection at the moment: it will fail.",)
    return Preview((f"Show the text to {record.character_name or record.user_id}.",), missing)


async def message(desk: Desk, params: Message, job: Job) -> Told:
    """To a session at most once in a run: NobodyAnswers if no client has it. To a user once for the job."""
    said = {"text": params.text, "from": "operator"}
    if params.session is None:
        await job.tell(f"tell {params.user}", 0.1)
        await desk.publisher.publish(user_topic(str(params.user)), MESSAGE, orjson.dumps(said), f"{job.id}/message")
        return Told(told=str(params.user))
    await job.tell(f"tell {params.session}", 0.1)
    await SessionRoute(desk.sessions, desk.bus, desk.subjects).deliver(params.session, MESSAGE, said)
    return Told(told=params.session)


async def _exported(desk: Desk, params: Export) -> str:
    return (await _whose(desk, params)).user_id


OPERATIONS: tuple[Operation, ...] = (
    Look("presence.list", "Users who are online", Presences, PresenceList, list_presences, "users online"),
    Look("users.show", "A user: account, characters, bans, sessions", OneUser, UserShown, show_user, "users show"),
    Look(
        "sessions.export",
        "Everything the realm keeps on a user, without secrets",
        Export,
        Exported,
        export,
        "sessions export",
        role=Role.OPERATOR,
        audited=_exported,
    ),
    Action(
        "session.kick",
        "Close a session's socket",
        Kick,
        Kicked,
        plan_kick,
        kick,
        lambda params: params.session,
        "sessions kick",
        dangerous=True,
    ),
    Action(
        "session.message",
        "Show a text to a player",
        Message,
        Told,
        plan_message,
        message,
        lambda params: params.session or str(params.user),
        "message",
        settle=settle_message,
    ),
)

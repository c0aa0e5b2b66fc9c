"""Operations on sessions (row 7.8): to find them among tens of thousands, to look at one, to see what its player sees.

Each session actor finds and sorts its own in memory, all of them at once; nothing here reads all of Redis.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from typing import Annotated, Any, Literal

from pydantic import Field

from cluster.errors import NotFound, Unavailable
from cluster.operations.desk import Desk
from cluster.operations.model import Look, Operation, Params, Result, Role
from cluster.operations.reaching import Answers, ask_actors, ask_some, ask_zone, find_session
from cluster.ports.audit import AuditEntry
from cluster.ports.calls import presence_actor
from cluster.ports.sessions import SessionRecord
from cluster.session_route import ABOUT
from cluster.world_control import ask

MOST_ROWS = 500
NEAR = 1_500  # so many sessions before a page an actor can tell in one message, with the page
ROUNDS = 12  # to come near a page that is far from the beginning; each brings it nearer by a factor
LOOK_BACK = 500  # entries of the audit log
SHOWN_ENTRIES = 20
CHAT = "chat:"  # before a channel, among the topics of a session
GATEWAY_S = 2.0

SessionId = Annotated[str, Field(max_length=200, description="A session's id (ses_...)")]
Text = Annotated[str, Field(max_length=200)]
Sort = Literal[
    "connected_at", "last_activity_at", "username", "user", "character", "zone", "gateway", "state", "status", "role",
    "address", "session", "actor",
]  # fmt: skip


class Search(Params):
    """`q`: part of a user's name or id, a character's name or id, a session's id, or an address. `state`: one of a session, or
    `attached` or `detached`: with or without a socket. `last_activity_at` in a list is the last change of the session's record: an
    attach, a detach, an entry into the world; moves are not written down.
    """

    q: Text = ""
    zone: Text = ""
    gateway: Text = ""
    state: Text = ""
    sort: Sort = "connected_at"
    descending: bool = True
    offset: int = Field(default=0, ge=0, le=100_000)
    limit: int = Field(default=100, ge=1, le=MOST_ROWS)


class Found(Result):
    """`silent`: session actors that did not answer in time; their sessions are missing."""

    total: int
    sessions: list[dict[str, Any]]
    silent: list[str]


async def search(desk: Desk, params: Search) -> Found:
    """Twice around: which sessions are on the page, then those in full. A page that is far from the beginning takes some rounds
    more, so that no answer is larger than a message. Raises Unavailable if the order changes faster than it is found.
    """
    answers, passed = await _near(desk, params)
    offset, end = max(params.offset - passed, 0), max(params.offset - passed, 0) + params.limit
    merged = heapq.merge(
        *([(key, session, actor) for key, session in said["found"]] for actor, said in answers.said.items()),
        reverse=params.descending,
    )
    page = [place for number, place in zip(range(end), merged, strict=False) if number >= offset]
    of_actor: defaultdict[str, list[str]] = defaultdict(list)
    for _, session, actor in page:
        of_actor[actor].append(session)
    rows = await ask_some(desk, "rows", {actor: {"sessions": sessions} for actor, sessions in of_actor.items()})
    known = {row["session"]: row for said in rows.said.values() for row in said}
    return Found(
        total=sum(said["total"] for said in answers.said.values()),
        sessions=[known[session] for _, session, _ in page if session in known],  # one may have ended meanwhile
        silent=sorted({*answers.silent, *rows.silent}),
    )


async def _near(desk: Desk, params: Search) -> tuple[Answers, int]:
    """Answers with the page in them, and how many sessions come before what they tell."""
    given = params.model_dump(exclude={"offset", "limit"})
    if params.offset <= NEAR:
        return await ask_actors(desk, "search", {**given, "most": params.offset + params.limit}), 0
    after, far = None, params.offset
    for _ in range(ROUNDS):
        most = NEAR + params.limit if after is not None else 0
        answers = await ask_actors(desk, "search", {**given, "most": most, "after": after, "mark": far})
        passed = sum(said["passed"] for said in answers.said.values())
        if after is not None and params.offset - passed <= NEAR:
            return answers, passed
        further = _further(answers, params.offset - passed, params.descending)
        if further is None:
            if any(said["marks"] for said in answers.said.values()):
                break
            return answers, passed  # there are not so many
        after, far = further
    raise Unavailable("the order of the sessions")


def _further(answers: Answers, wanted: int, descending: bool) -> tuple[list[Any], int] | None:
    """The last mark that at most `wanted` sessions come up to, and how many of these may be left after it; None: there is none.

    Up to a mark of one actor, another has at least what its own last mark before it says, and less than its next one does.
    """
    marks = [
        (key, session, number, actor) for actor, said in answers.said.items() for key, session, number in said["marks"]
    ]
    marks.sort(reverse=descending)
    least = dict.fromkeys(answers.said, 0)
    more = {actor: said["marks"][0][2] - 1 if said["marks"] else 0 for actor, said in answers.said.items()}
    sure, unsure, found = 0, sum(more.values()), None
    for key, session, number, actor in marks:
        sure += number - least[actor]
        least[actor] = number
        if sure + unsure - more[actor] > wanted:
            break
        found = [key, session], wanted - sure
    return found


class Show(Params):
    session: SessionId


class Shown(Result):
    """`live`: its actor has answered; else it is what the store has, without the outbox. `place`: metres, None if it is in no zone
    or that does not answer. `latency_ms`: one round trip to its client just now, None without an answer. `last_activity_at`: when
    its user did something last, moves included, as its gateway knows; without a gateway the last change of its record.
    """

    session: dict[str, Any]
    live: bool


async def show(desk: Desk, params: Show) -> Shown:
    """Raises NotFound."""
    record = await find_session(desk, params.session)
    said, socket, place, entries = await asyncio.gather(
        _of_actor(desk, record), _of_gateway(desk, record), _place(desk, record), about(desk, record)
    )
    quiet_s = socket.pop("quiet_s")
    row = said or row_of(record, (await desk.accounts.usernames([record.user_id])).get(record.user_id, ""))
    if quiet_s is not None:  # moves are not written down: the record knows only of attaches and entries
        row["last_activity_at"] = max(row["last_activity_at"], desk.now() - quiet_s)
    return Shown(session={**row, **socket, "place": place, "audit": entries}, live=said is not None)


async def _of_actor(desk: Desk, record: SessionRecord) -> dict[str, Any] | None:
    subject = desk.subjects.actor_control(record.actor)
    try:
        said: dict[str, Any] = await ask(desk.bus, subject, "show", {"session": record.session_id}, GATEWAY_S)
    except (Unavailable, NotFound):
        return None
    return said


async def _of_gateway(desk: Desk, record: SessionRecord) -> dict[str, Any]:
    """What the gateway knows of the session's socket."""
    nothing = {"latency_ms": None, "quiet_s": None, "socket": None}
    if not record.gateway_id:
        return nothing
    subject = desk.subjects.gateway_session(record.gateway_id, record.session_id)
    about = {"session_id": record.session_id, "attach_epoch": record.attach_epoch}
    try:
        said = await ask(desk.bus, subject, ABOUT, about, GATEWAY_S)
    except (Unavailable, NotFound):
        return nothing
    # A gateway of the version before does not say `quiet_s`.
    return {"latency_ms": said.pop("latency_ms"), "quiet_s": said.pop("quiet_s", None), "socket": said}


async def _place(desk: Desk, record: SessionRecord) -> dict[str, float] | None:
    try:
        seen = await ask_zone(desk, record.session_id)
    except (Unavailable, NotFound):
        return None
    return seen["entities"][0]["position"] if seen is not None else None


async def about(desk: Desk, record: SessionRecord) -> list[dict[str, Any]]:
    """What the newest entries of the audit log say of the session and its user, the newest first."""
    whom = {record.session_id, record.user_id, record.address} - {""}
    newest = await desk.audit.newest(LOOK_BACK)
    return [entry_of(entry) for entry in newest if entry.target in whom][:SHOWN_ENTRIES]


def entry_of(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.entry_id,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "reason": entry.reason,
        "result": entry.result,
        "details": dict(entry.details),
    }


def row_of(record: SessionRecord, username: str) -> dict[str, Any]:
    """A session as the store has it, in the form of its actor's answers."""
    r = record
    return {
        "session": r.session_id,
        "user": r.user_id,
        "username": username,
        "character": r.character_name,
        "character_id": r.character_id,
        "zone": r.zone_id,
        "gateway": r.gateway_id,
        "state": r.state,
        "status": r.status,
        "role": r.role,
        "connected_at": r.connected_at,
        "last_activity_at": r.last_activity,
        "actor": r.actor,
        "idle": r.idle,
        "address": r.address,
        "attributes": r.attributes,
        "topics": list(r.subscriptions),
        "watching": list(r.watching),
        "status_text": r.status_text,
        "status_metadata": r.status_metadata,
        "stream": r.stream,
        "seq": r.seq,
        "outbox": None,
        "attach_epoch": r.attach_epoch,
    }


class View(Result):
    """What the player sees at this moment; read only. Metres and radians. `entities`: itself first, if it is in the world.

    `friends_online`: as the player is shown them. `party` is None if it is in none.
    """

    session: str
    user: str
    character: str
    zone: str
    number: int | None
    tick: int | None
    radius: float
    place: dict[str, float] | None
    link_dead: bool
    entities: list[dict[str, Any]]
    party: dict[str, Any] | None
    friends_online: list[dict[str, Any]]
    channels: list[str]


async def viewed(desk: Desk, params: Show) -> str:
    """Whom the audit log names."""
    return (await find_session(desk, params.session)).user_id


async def view(desk: Desk, params: Show) -> View:
    """Raises NotFound, Unavailable."""
    record = await find_session(desk, params.session)
    seen, party, friends = await asyncio.gather(
        ask_zone(desk, params.session), _party(desk, record.user_id), _friends(desk, record.user_id)
    )
    entities = [_entity(each) for each in seen["entities"]] if seen is not None else []
    me = entities[0] if entities else None
    return View(
        session=record.session_id,
        user=record.user_id,
        character=record.character_name,
        zone=seen["zone"] if seen is not None else "",
        number=seen["number"] if seen is not None else None,
        tick=seen["tick"] if seen is not None else None,
        radius=seen["radius"] if seen is not None else 0.0,
        place={axis: me[axis] for axis in ("x", "y", "z")} if me is not None else None,
        link_dead=bool(seen is not None and seen["link_dead"]),
        entities=entities,
        party=party,
        friends_online=friends,
        channels=[topic.removeprefix(CHAT) for topic in record.subscriptions if topic.startswith(CHAT)],
    )


def _entity(said: dict[str, Any]) -> dict[str, Any]:
    at = said["position"]
    return {
        "number": said["number"],
        "entity": said["entity_id"],
        "name": said["name"],
        "type": said["entity_type"],
        "kind": said["kind"],
        "x": at["x"],
        "y": at["y"],
        "z": at["z"],
        "yaw": said["yaw"],
        "version": said["version"],
        "link_dead": said["link_dead"],
        "properties": said["properties"],
    }


async def _party(desk: Desk, user_id: str) -> dict[str, Any] | None:
    party = await desk.kept.parties.of_user(user_id)
    if party is None:
        return None
    members = [{"user": member.user_id, "name": member.name} for member in party.members]
    return {"party": party.party_id, "leader": party.leader, "members": members}


async def _friends(desk: Desk, user_id: str) -> list[dict[str, Any]]:
    ties = (await desk.kept.social.ties([user_id])).get(user_id)
    friends = sorted(ties.friends) if ties is not None else []
    if not friends:
        return []
    subject = desk.subjects.actor_control(presence_actor())
    seen = await ask(desk.bus, subject, "see", {"viewer": user_id, "users": friends}, GATEWAY_S)
    return [friend for friend in seen if friend["status"] != "offline"]


OPERATIONS: tuple[Operation, ...] = (
    Look("sessions.search", "Find sessions", Search, Found, search, "sessions list"),
    Look("sessions.show", "One session, and what was done about it", Show, Shown, show, "sessions show"),
    Look(
        "sessions.view",
        "What a player sees now",
        Show,
        View,
        view,
        "sessions view",
        role=Role.OPERATOR,
        audited=viewed,
        again_s=60.0,  # a page looks each second
    ),
)

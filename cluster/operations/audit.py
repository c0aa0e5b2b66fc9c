"""Operations on the audit log, and on what the watch on abuse has done (rows 6.3 and 7.8)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field

from cluster.errors import InvalidInput, NotFound, Unavailable
from cluster.measures import LIFT, REASON, WATCH, Measure, SubjectKind, still_open
from cluster.operations.bans import networks, told
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Nothing, Operation, Params, Preview, Result
from cluster.operations.people import FLUSH_S
from cluster.operations.reaching import USER_ID, find_user
from cluster.operations.sessions import entry_of
from cluster.ports.audit import AuditEntry
from cluster.ports.protection import canonical
from cluster.security.addresses import limit_key
from cluster.world_control import ask
from realm_proto import internal_pb2

PAGE = 500
MOST_LOOKED_AT = 20_000  # entries, for one answer
LOOK_BACK = 2_000  # entries in which open measures are looked for, as the watch itself does
ANSWER_S = 5.0


class Entries(Params):
    """Newest first. `before`: only those with a smaller id. `actor` and `target` are whole; `action` may be the beginning of one,
    like `user.`. `q`: part of any of the texts.
    """

    before: str = Field(default="", pattern=r"^([0-9]{1,20}(-[0-9]{1,20})?)?$")
    limit: int = Field(default=100, ge=1, le=PAGE)
    actor: str = Field(default="", max_length=200)
    action: str = Field(default="", max_length=100)
    target: str = Field(default="", max_length=500)
    q: str = Field(default="", max_length=200)


class EntryList(Result):
    """`next`: what to give as `before` for more, "" if there is no more. A page may be short and yet have a next one."""

    entries: list[dict[str, Any]]
    next: str


async def list_entries(desk: Desk, params: Entries) -> EntryList:
    found: list[AuditEntry] = []
    place, looked_at = params.before, 0
    while looked_at < MOST_LOOKED_AT:
        page = await desk.audit.newest(PAGE, place)
        for entry in page:
            place = entry.entry_id
            if fits(entry, params):
                found.append(entry)
                if len(found) == params.limit:
                    return EntryList(entries=[entry_of(each) for each in found], next=place)
        looked_at += len(page)
        if len(page) < PAGE:
            return EntryList(entries=[entry_of(each) for each in found], next="")
    return EntryList(entries=[entry_of(each) for each in found], next=place)


def fits(entry: AuditEntry, params: Entries) -> bool:
    if params.actor not in ("", entry.actor) or params.target not in ("", entry.target):
        return False
    if not entry.action.startswith(params.action):
        return False
    if not params.q:
        return True
    details = " ".join(f"{name}={value}" for name, value in entry.details.items())
    text = f"{entry.actor}\n{entry.action}\n{entry.target}\n{entry.reason}\n{entry.result}\n{details}"
    return params.q.casefold() in text.casefold()


# --- abuse -------------------------------------------------------------------------------------------------------


class MeasureList(Result):
    """Who is slowed, blocked or banned by the watch now, the newest first."""

    measures: list[dict[str, Any]]


async def list_measures(desk: Desk, _params: Nothing) -> MeasureList:
    newest: list[AuditEntry] = []
    while len(newest) < LOOK_BACK:
        page = await desk.audit.newest(PAGE, newest[-1].entry_id if newest else "")
        newest += page
        if len(page) < PAGE:
            break
    return MeasureList(measures=[_told(measure) for measure in still_open(newest, desk.now())])


def _told(measure: Measure) -> dict[str, Any]:
    return {**asdict(measure), "level": measure.level.name.lower()}


class Subject(Params):
    """A user's name or id, or an address. Users of an outside identity provider have no account here. `kind` is found out."""

    subject: str = Field(min_length=1, max_length=200)
    kind: SubjectKind | None = None


class About(Result):
    """What the watch knows: `last_minute` counts what was done."""

    kind: SubjectKind
    subject: str
    level: str
    last_minute: dict[str, float]


async def settle(desk: Desk, params: Subject) -> Subject:
    kind, subject = await whom_of(desk, params.subject)
    return Subject(subject=subject, kind=kind)


async def whom_of(desk: Desk, whom: str) -> tuple[SubjectKind, str]:
    """An address as limits count it, or a user's id. Raises NotFound."""
    try:
        canonical(whom)
    except InvalidInput:
        pass
    else:
        return "address", limit_key(whom) if "/" not in whom else whom
    try:
        return "user", (await find_user(desk, whom)).user_id
    except NotFound:
        if USER_ID.fullmatch(whom):
            return "user", whom
        raise


async def show(desk: Desk, params: Subject) -> About:
    """Raises NotFound, Unavailable."""
    kind, subject = await whom_of(desk, params.subject)
    known = await ask(desk.bus, desk.subjects.abuse_control(), "about", {"kind": kind, "subject": subject}, ANSWER_S)
    return About(kind=kind, subject=subject, level=known["level"], last_minute=known["last_minute"])


class Lifted(Result):
    """`done`: for people, what there was to end."""

    kind: SubjectKind
    subject: str
    done: list[str]


async def plan_lift(desk: Desk, params: Subject) -> Preview:
    found = [each for each in (await list_measures(desk, Nothing())).measures if each["subject"] == params.subject]
    held = tuple(f"End: {each['level']} for {each['reason']}." for each in found)
    return Preview((*held, f"Forget what the watch holds against {params.subject}."), ("A ban by an operator stays.",))


async def lift(desk: Desk, params: Subject, job: Job) -> Lifted:
    """First the watch, so that it does nothing more; then the store. Raises Unavailable."""
    assert params.kind is not None  # noqa: S101 - settle
    kind, subject, subjects = params.kind, params.subject, desk.subjects
    done: list[str] = []
    await job.tell(f"let {subject} off", 0.0)
    try:
        answer = await ask(desk.bus, subjects.abuse_control(), "lift", {"kind": kind, "subject": subject}, ANSWER_S)
        done += ["forgotten by the watch"] if answer["held"] else []
    except Unavailable:
        done.append("the watch does not answer, and starts without it when it is back")
    if kind == "user":
        if await desk.bans.lift(subject, REASON):
            done.append("ban ended")
        elif await desk.bans.banned(subject) is not None:
            done.append("the ban is not the watch's, and stays: see `rayrealm unban`")
        order = internal_pb2.GatewaySlow(user_id=subject, factor=1.0)
        desk.bus.publish(subjects.gateways_control(), internal_pb2.GatewayControl(slow=order).SerializeToString())
        await desk.bus.flush(FLUSH_S)
    else:
        by = next((ban.by for ban in await networks(desk) if ban.network == canonical(subject)), None)
        if by == WATCH and await desk.protection.lift(subject):
            done.append("ban ended")
            await told(desk)
        elif by not in (None, WATCH):
            done.append("the ban is not the watch's, and stays: see `rayrealm unban`")
    return Lifted(kind=kind, subject=subject, done=done)


OPERATIONS: tuple[Operation, ...] = (
    Look("audit.list", "Who did what to whom", Entries, EntryList, list_entries, "audit"),
    Look("abuse.list", "What the watch on abuse does now", Nothing, MeasureList, list_measures, "abuse list"),
    Look("abuse.show", "What the watch knows of somebody", Subject, About, show, "abuse show"),
    Action(
        LIFT,
        "End what the watch does about somebody",
        Subject,
        Lifted,
        plan_lift,
        lift,
        lambda params: params.subject,
        "abuse lift",
        settle=settle,
    ),
)
